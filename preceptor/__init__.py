"""Preceptor: ask a textbook, get an answer whose every citation opens the right heading.

The names below are the front door for programs that embed it, see docs/embed.md. Each is imported when it is first
used, so that the command line starts without the SDK.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from preceptor.agents.answer import Answer, Question
    from preceptor.agents.preceptor import Preceptor, open_preceptor
    from preceptor.errors import PreceptorError
    from preceptor.settings import Settings, load_settings

__all__ = ["Answer", "Preceptor", "PreceptorError", "Question", "Settings", "load_settings", "open_preceptor"]
__version__ = version("preceptor")

_HOMES = {
    "Answer": "preceptor.agents.answer",
    "Question": "preceptor.agents.answer",
    "Preceptor": "preceptor.agents.preceptor",
    "open_preceptor": "preceptor.agents.preceptor",
    "PreceptorError": "preceptor.errors",
    "Settings": "preceptor.settings",
    "load_settings": "preceptor.settings",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module `preceptor` has no attribute `{name}`")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
