"""Removes secrets from text before it is written: configured ones, and text shaped like a key."""

import json
import re
from collections.abc import Collection, Iterable

from pydantic_core import SchemaValidator, core_schema

REMOVED = "[removed]"

# Python's and Rust's regex engines read these alike, but for what is not to stand before a key.
_NOT_BEFORE = r"(?<![A-Za-z0-9]sk-)"
_SHAPES = (
    (rf"sk-{_NOT_BEFORE}[A-Za-z0-9_-]{{16,}}", REMOVED),  # OpenAI and those who took over its form
    (r"AIza[A-Za-z0-9_-]{30,}", REMOVED),  # Google
    (r"AQ\.[A-Za-z0-9_-]{30,}", REMOVED),  # Google, newer
    (r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", REMOVED),  # JWT, as Qdrant Cloud's keys
    (r"gh[pousr]_[A-Za-z0-9]{20,}", REMOVED),  # GitHub
    (r"Bearer [A-Za-z0-9._~+/-]{16,}=*", f"Bearer {REMOVED}"),
    (r"://[^\s/\"\\:@]*:[^\s/\"\\@]+@", f"://{REMOVED}@"),  # user and password of a URL
)
_SHORTEST = 8
"""Shortest secret, in characters; a shorter one would blank out ordinary text."""


class Redactor:
    """Removes secrets from JSON text."""

    def __init__(self, secrets: Collection[str]) -> None:
        """Make a redactor.

        Args:
            secrets: Configured keys and passwords, in plain text.
        """
        long_enough = {secret for secret in secrets if len(secret) >= _SHORTEST}
        # A tool's arguments are JSON inside JSON, so that a quote in a secret may be escaped twice.
        forms = {
            form for secret in long_enough for form in (secret, _escaped(secret), _escaped(_escaped(secret)))
        }
        # Longest first: one secret may begin with another.
        configured = [(re.escape(form), REMOVED) for form in sorted(forms, key=len, reverse=True)]
        self._patterns = [(re.compile(pattern), instead) for pattern, instead in (*configured, *_SHAPES)]
        # Each pattern takes 14 µs for the text of a run; Rust's engine looks for all of them at once in 7 µs.
        self._suspicious = SchemaValidator(
            core_schema.str_schema(
                pattern="|".join(
                    (*_spelled(forms), *(shape.replace(_NOT_BEFORE, "") for shape, _ in _SHAPES))
                ),
                regex_engine="rust-regex",
            )
        )

    def __call__(self, text: str) -> str:
        """Returns `text`, JSON or plain, without secrets."""
        if not self._suspicious.isinstance_python(text) and _is_unicode(text):
            return text
        for pattern, instead in self._patterns:
            text = pattern.sub(instead, text)
        return text


def _spelled(forms: Iterable[str]) -> list[str]:
    """Returns patterns of Rust's engine for texts; of half a pair of surrogates it knows nothing."""
    return ["".join(f"\\x{{{ord(sign):x}}}" for sign in form) for form in forms if _is_unicode(form)]


def _is_unicode(text: str) -> bool:
    """Whether a text holds no half of a pair of surrogates, which nothing but Python can look into."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
