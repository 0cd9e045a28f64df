"""How long properties are tried.

Properties are tried as usual, and a hundred times as long by `make soak`. No example
has a deadline: the machines that run the tests do other things as well.
"""

from hypothesis import settings

settings.register_profile("project", deadline=None)
settings.register_profile("soak", deadline=None, max_examples=10_000)
settings.load_profile("project")
