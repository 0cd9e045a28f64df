"""The commands, one file per purpose. Each calls the API and prints its answer."""
