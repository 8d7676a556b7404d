"""Commands as a person types them, in the test's own process."""

import sys
from collections.abc import Callable

import pytest

from preceptor.cli import main

Cli = Callable[..., tuple[int, str, str]]
"""The fixture `cli`."""


def run(patch: pytest.MonkeyPatch, *words: object) -> int:
    """Run a command; returns its exit code."""
    patch.setattr(sys, "argv", ["preceptor", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code
