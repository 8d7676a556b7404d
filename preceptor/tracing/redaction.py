"""Removes secrets from text before it is written: configured ones, and text shaped like a key."""

import json
import re
from collections.abc import Collection

REMOVED = "[removed]"

# Every pattern begins with fixed characters, because the regex engine skips to those: 15 µs for 40,000
# characters, where a pattern that begins with a class or a `\b` (or all of these in one) takes 300 to 600 µs.
_SHAPES = (
    (
        re.compile(r"sk-(?<![A-Za-z0-9]sk-)[A-Za-z0-9_-]{16,}"),
        REMOVED,
    ),  # OpenAI and those who took over its form
    (re.compile(r"AIza[A-Za-z0-9_-]{30,}"), REMOVED),  # Google
    (re.compile(r"AQ\.[A-Za-z0-9_-]{30,}"), REMOVED),  # Google, newer
    (
        re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
        REMOVED,
    ),  # JWT, as Qdrant Cloud's keys
    (re.compile(r"gh[pousr]_[A-Za-z0-9]{20,}"), REMOVED),  # GitHub
    (re.compile(r"Bearer [A-Za-z0-9._~+/-]{16,}=*"), f"Bearer {REMOVED}"),
    (re.compile(r"://[^\s/\"\\:@]*:[^\s/\"\\@]+@"), f"://{REMOVED}@"),  # user and password of a URL
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
        configured = [(re.compile(re.escape(form)), REMOVED) for form in sorted(forms, key=len, reverse=True)]
        self._patterns = (*configured, *_SHAPES)

    def __call__(self, text: str) -> str:
        """Returns `text`, JSON or plain, without secrets."""
        for pattern, instead in self._patterns:
            text = pattern.sub(instead, text)
        return text


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
