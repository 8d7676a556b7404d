"""Compares the passages of the book with those in the index."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from preceptor.library.protocol import Written


@dataclass(frozen=True, slots=True)
class Difference:
    """The passages to write, and the counts of a comparison.

    The book has `unchanged + moved + changed + added` passages, the old index had `unchanged + moved +
    changed + removed`.
    """

    to_write: frozenset[str]
    """Ids of passages that the index lacks or holds in another form."""
    added: int
    changed: int
    """Number of passages with another text at the same place."""
    moved: int
    """Number of passages with the same text at another place, link or position: their vectors are reused."""
    unchanged: int
    removed: int


def difference(there: Mapping[str, Written], wanted: Mapping[str, Written]) -> Difference:
    """Compares stored passages with wanted ones, both by id."""
    to_write = frozenset(point for point, passage in wanted.items() if there.get(point) != passage)
    to_leave = [point for point in there if point not in wanted or point in to_write]
    # By text and not by id: a renamed chapter changes every id, and its vectors can be kept all the same. A
    # multiset, because the same text may occur several times.
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
    """Returns the points that are left after removing one for each moved text."""
    left = Counter(moved)
    others: set[str] = set()
    for point in points:
        fingerprint = passages[point].fingerprint
        if left[fingerprint]:
            left[fingerprint] -= 1
        else:
            others.add(point)
    return others
