"""How fast, how large: measured on real daemons with seeded graphs.

`python -m bench [--sizes 10000,100000]` prints a JSON line per figure and a
table at the end. Nothing here is a test: a slow machine fails no build.
"""
