"""Several persons and devices on one machine, to show what the program does."""
