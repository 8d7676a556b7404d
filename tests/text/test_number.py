"""Numbers with the things that they count."""

import pytest

from preceptor.text.number import counted


@pytest.mark.parametrize(
    ("number", "things", "said"),
    [
        (1, "pages", "1 page"),
        (0, "pages", "0 pages"),
        (2, "pages without text", "2 pages without text"),
        (1, "imported pages not resolved", "1 imported page not resolved"),
        (1, "components whose text is in their own code", "1 component whose text is in its own code"),
        (1, "`:::tabs` directives that are unknown", "1 `:::tabs` directive that is unknown"),
        (1, "`--8<--` snippets not resolved", "1 `--8<--` snippet not resolved"),
    ],
)
def test_one_is_no_plural(number: int, things: str, said: str) -> None:
    assert counted(number, things) == said
