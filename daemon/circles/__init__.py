"""Circles: persons who pool thoughts they choose, and what resonates among them."""
