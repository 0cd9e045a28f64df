"""The process on each device, and the commands that speak to it.

It composes all other packages and is the only one that knows them all; nothing
imports it.
"""
