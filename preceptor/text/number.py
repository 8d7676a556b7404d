"""Numbers with the things that they count, for messages."""

import re

_COUNTED = re.compile(
    r"\b(answer|block|case|chapter|code reference|component|directive|embed|expression|file|frame|include|marker|page"
    r"|passage|question|role|run|shortcode|snippet|step|tag|time)s\b"
)
_AGREEING = {"their own": "its own", "that are": "that is", "are not": "is not"}


def counted(number: int, things: str) -> str:
    """Returns the number with the things, which are given as a plural: `1 page`, `2 pages`."""
    if number == 1:
        things = _COUNTED.sub(r"\1", things, count=1)
        for plural, singular in _AGREEING.items():
            things = things.replace(plural, singular)
    return f"{number} {things}"
