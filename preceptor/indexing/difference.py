"""What a run has to do: the passages of the book as it is now, compared with those that the index has."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from preceptor.library.protocol import Written


@dataclass(frozen=True, slots=True)
class Difference:
    """The passages to write, and what they are.

    `unchanged + moved + changed + added` are the passages of the book, `unchanged + moved + changed + removed`
    those that the index had.
    """

    to_write: frozenset[str]
    """Ids of passages that the index does not have as they are."""
    added: int
    changed: int
    """Another text at the same place."""
    moved: int
    """The same text at another place, or with another link or position: its vectors are used again."""
    unchanged: int
    removed: int


def difference(there: Mapping[str, Written], wanted: Mapping[str, Written]) -> Difference:
    """What leads from the passages that are there to those that are wanted, both by id."""
    to_write = frozenset(point for point, passage in wanted.items() if there.get(point) != passage)
    to_leave = [point for point in there if point not in wanted or point in to_write]
    moved = _texts(to_write, wanted) & _texts(to_leave, there)
    new, lost = _without(moved, to_write, wanted), _without(moved, to_leave, there)
    changed = len(new & lost)
    return Difference(
        to_write=to_write,
        added=len(new) - changed,
        changed=changed,
        moved=moved.total(),
        unchanged=len(wanted) - len(to_write),
        removed=len(lost) - changed,
    )


def _texts(points: Collection[str], passages: Mapping[str, Written]) -> Counter[str]:
    return Counter(passages[point].fingerprint for point in points)


def _without(moved: Counter[str], points: Collection[str], passages: Mapping[str, Written]) -> set[str]:
    """The points whose text did not move."""
    left = Counter(moved)
    others: set[str] = set()
    for point in points:
        fingerprint = passages[point].fingerprint
        if left[fingerprint]:
            left[fingerprint] -= 1
        else:
            others.add(point)
    return others
