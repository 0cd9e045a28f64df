"""What texts mean, on this device: a model in a process of its own, and its vectors.

The rules by which persons' thoughts resonate with each other will stand here, too.
"""
