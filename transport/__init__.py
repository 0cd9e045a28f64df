"""How devices of one person find each other, talk, and come into step."""
