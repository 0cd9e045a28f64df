"""How deep JSON text nests, told before anything recurses into it.

A decoder's own limit depends on how deep its caller stands; two devices would read one
text differently.
"""

import re
from typing import Final

MAX_NESTING: Final = 64
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKET: Final = re.compile(r"[\[\]{}]")


def is_shallow(text: str) -> bool:
    """Whether arrays and objects nest at most `MAX_NESTING` deep in JSON text.

    Text that is not JSON gets some answer, the same everywhere.
    """
    if text.count("[") + text.count("{") <= MAX_NESTING:
        return True
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket.group() in "[{" else -1
        if depth > MAX_NESTING:
            return False
    return True
