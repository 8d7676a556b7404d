"""Parts of pages that the index lacks: noted while a page is read, reported by kind at the end of the run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from preceptor.text.number import counted

_NAMED = 3
"""Number of places that are named for each kind."""
_LONGEST = 80
"""Longest detail, in characters; a page may hold code of any length."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A part of the book that is not in the index."""

    kind: str
    """A phrase that can follow a number: "`{{#include}}` not resolved"."""
    place: str
    """File below the book's folder and line: `src/intro.md:12`."""
    detail: str = ""

    def __str__(self) -> str:
        """Returns the place, with the detail if there is one."""
        return f"{self.place} ({self.detail})" if self.detail else self.place


Note = Callable[[str, int, str], None]
"""Function that is called with the kind, the line of the text that was read (from 0), and a detail."""


class Notes:
    """Collects the missing parts of one page; equal entries count once."""

    def __init__(self) -> None:
        self._found: dict[Missing, None] = {}

    def of(self, source: str, lines: Iterable[int]) -> Note:
        """Returns a function that notes missing parts of one file.

        Args:
            source: The name of the file in messages.
            lines: For each line of the text that is read, its number in the file.
        """
        numbers = list(lines)

        def note(kind: str, line: int, detail: str) -> None:
            number = numbers[min(line, len(numbers) - 1)] if numbers else 1
            self.add(Missing(kind, f"{source}:{number}", detail))

        return note

    def add(self, missing: Missing) -> None:
        """Adds an entry."""
        detail = " ".join(missing.detail.split())
        if len(detail) > _LONGEST:
            detail = detail[: _LONGEST - 1] + "…"
        self._found[Missing(missing.kind, missing.place, detail)] = None

    @property
    def found(self) -> tuple[Missing, ...]:
        """Entries in the order in which they were noted."""
        return tuple(self._found)


@dataclass(slots=True)
class Kind:
    """Number and first places of the missing parts of one kind."""

    kind: str
    count: int = 0
    places: list[str] = field(default_factory=list[str])
    """The first places."""

    def __str__(self) -> str:
        """Returns a line for people: `643 {{#include}} not resolved: src/intro.md:12 and 642 more`."""
        more = f" and {self.count - len(self.places)} more" if self.count > len(self.places) else ""
        return f"{counted(self.count, self.kind)}: {', '.join(self.places)}{more}"


def by_kind(missing: Iterable[Missing]) -> list[Kind]:
    """Groups missing parts by kind, the most frequent kind first; equal ones count once."""
    kinds: dict[str, Kind] = {}
    for one in dict.fromkeys(missing):
        kind = kinds.setdefault(one.kind, Kind(one.kind))
        kind.count += 1
        if len(kind.places) < _NAMED:
            kind.places.append(str(one))
    return sorted(kinds.values(), key=lambda kind: -kind.count)
