"""What the offline tutor quotes: the sentences, lists, tables and code of the passages that answer a question.

Everything that was found is taken apart into pieces, each of which is completed to what a reader understands: a
sentence that leans on the one before it comes with it, one that announces a list comes with the list. The words
they share with the question choose a few of them, and the embedding model has a say among these few.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from preceptor.library.passage import Hit, Passage
from preceptor.text.pieces import Piece, pieces, whole
from preceptor.text.questions import wants_code
from preceptor.text.tokens import stems

SHORT_LIST = 6
"""Candidates that the embedding model is asked about."""

_READ = 80
"""Words of a candidate that it reads."""
_PASSAGES = 6
"""Best passages from which candidates are taken."""
_RANK = 0.5
"""Weight of the passage's relevance, relative to the best one's."""
_HEADING = 0.5
"""What a word counts for that stands only in a heading above."""
_BEGINNING = 0.1
"""What the beginning of a section gains whose heading is what was asked for."""
_DEFINITION = 0.3
"""What a sentence gains that says what the thing is which was asked for; twice below a heading that names just that."""
_CODE = 0.5
"""What code gains when it is asked for."""
_MARGIN = 0.5
_MARGIN_OF_FULL = 0.15
"""How much worse than the best a further quotation may be; the second where the best has what was asked for."""
_FULL = 0.9
_SENTENCES = 3
_BLOCK = 2
"""A list, a table or a block of code counts as so many sentences."""
_ROWS = 8
"""Longest list or table that is quoted whole; of a longer one the best rows."""
_SAME = 0.8
"""Share of words in common from which two quotations say the same."""


@dataclass(frozen=True, slots=True)
class Section:
    """Passages of one section that follow each other, as pieces."""

    passages: tuple[Passage, ...]
    pieces: tuple[Piece, ...]
    keys: tuple[tuple[str, ...], ...]
    """Of each piece the keys of the passages it comes from."""

    @property
    def language(self) -> str:
        """Of all its passages."""
        return self.passages[0].language

    @property
    def heading(self) -> str:
        """Of all its passages."""
        return self.passages[0].heading

    @property
    def above(self) -> frozenset[int]:
        """The words of what the section stands below: its sentences need not repeat them."""
        return stems(" ".join(self.passages[0].breadcrumb[:-1]), self.language)

    def is_beginning(self, place: int) -> bool:
        """Whether the piece stands right below the heading, and so may answer what the heading names."""
        return place == 0 and self.passages[0].ordinal == 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A piece that may be quoted, and how well it fits the question."""

    section: Section
    place: int
    found: float
    """Share of the question's words that it has, rare ones counting more."""
    score: float
    places: range | None
    """Of the pieces that are quoted; None when a part is missing that may be in the book."""

    @property
    def text(self) -> str:
        """What the embedding model compares with the question; of a long block the beginning."""
        begins = self.section.heading if self.section.is_beginning(self.place) else ""
        text = " ".join([begins, *(self.section.pieces[place].text for place in self.places or [self.place])])
        return " ".join(text.split()[:_READ])


def candidates(question: str, hits: Sequence[Hit]) -> list[Candidate]:
    """What may be quoted from the best passages, best first, judged by its words alone.

    Args:
        question: In the reader's words.
        hits: Everything that was shown, best first.
    """
    best = {hit.passage.key: hit.score for hit in hits[:_PASSAGES]}
    top = max(best.values(), default=0.0) or 1.0
    found = [
        (section, place, max(best.get(key, 0.0) for key in section.keys[place]) / top)
        for section in _sections([hit.passage for hit in hits])
        for place, piece in enumerate(section.pieces)
        if _quotable(piece) and not best.keys().isdisjoint(section.keys[place])
    ]
    words = [_words(question, section, place) for section, place, _ in found]
    above = [stems(question, section.language) & section.above for section, _, _ in found]
    weights = _weights([own | others for own, others in zip(words, above, strict=True)])
    for_code = wants_code(question)
    scored: list[Candidate] = []
    for (section, place, rank), own, others in zip(found, words, above, strict=True):
        asked = stems(question, section.language)
        heading = stems(section.heading, section.language)
        named, defined = asked & heading, stems(section.pieces[place].defines, section.language)
        has = sum(map(weights, own)) + _HEADING * sum(map(weights, (named | others) - own))
        share = has / sum(map(weights, asked)) if asked else 0.0
        score = share + _RANK * rank
        if named and section.is_beginning(place):
            score += _BEGINNING * len(named) / len(asked)
        if defined and asked - others <= defined <= asked:
            score += _DEFINITION * (1 + (heading == defined))
        if section.pieces[place].kind == "code":
            score += _CODE if for_code else -_CODE
        scored.append(Candidate(section, place, share, score, whole(section.pieces, place)))
    return sorted(scored, key=lambda one: -one.score)


def nearer(found: Sequence[Candidate], likeness: Sequence[float]) -> list[Candidate]:
    """All candidates in their new order.

    Args:
        found: As `candidates` gives them.
        likeness: Cosines of the question and the first of them; empty where the model cannot read it.
    """
    judged = [replace(one, score=one.score + like) for one, like in zip(found, likeness, strict=False)]
    return sorted([*judged, *found[len(judged) :]], key=lambda one: -one.score)


def incomplete(found: Sequence[Candidate]) -> Passage | None:
    """A passage of the section of which more has to be read before the best candidate can be quoted."""
    if not found or (found[0].places is not None and not _cut(found[0])):
        return None
    return found[0].section.passages[0]


def quotations(question: str, found: Sequence[Candidate]) -> list[str]:
    """The few that answer, each with its key, best first and none twice.

    Args:
        question: In the reader's words.
        found: Best first.
    """
    chosen: list[Candidate] = []
    room = _SENTENCES
    for one in found:
        if one.places is None:
            continue
        if chosen and (
            _cut(one) or not _adds(one, chosen[0]) or any(_repeats(one, other) for other in chosen)
        ):
            continue
        length = sum(1 if one.section.pieces[place].kind == "sentence" else _BLOCK for place in one.places)
        if chosen and length > room:
            continue
        chosen.append(one)
        room -= length
        if room <= 0:
            break
    return [_quoted(question, one) for one in chosen]


def _adds(one: Candidate, best: Candidate) -> bool:
    """Whether a candidate fits nearly as well as the best one."""
    margin = _MARGIN_OF_FULL if best.found > _FULL else _MARGIN
    return one.score >= best.score - margin


def _sections(passages: Sequence[Passage]) -> Iterator[Section]:
    """Passages put together again as they follow each other in their sections."""
    ordered = sorted(passages, key=lambda one: (one.book, one.chapter, one.anchor, one.order))
    runs = groupby(
        enumerate(ordered),
        key=lambda pair: (pair[1].book, pair[1].chapter, pair[1].anchor, pair[1].order - pair[0]),
    )
    for _, run in runs:
        together = tuple(passage for _, passage in run)
        joined: list[Piece] = []
        keys: list[tuple[str, ...]] = []
        for passage in together:
            for number, piece in enumerate(pieces(passage.text, passage.language)):
                merged = _merged(joined[-1], piece) if joined and not number else None
                if merged:
                    joined[-1], keys[-1] = merged, (*keys[-1], passage.key)
                else:
                    joined.append(piece)
                    keys.append((passage.key,))
        _join_interrupted(joined, keys)
        yield Section(together, tuple(joined), tuple(keys))


def _join_interrupted(joined: list[Piece], keys: list[tuple[str, ...]]) -> None:
    """Put a list together again between whose items other text stands, so that it is quoted as a whole.

    Such text leaves a list of one item; a list that a line of its own announces is another one.
    """
    begun: int | None = None
    place = 0
    while place < len(joined):
        piece = joined[place]
        if piece.kind == "list":
            announced = piece.label or (place and joined[place - 1].text.endswith((":", "：")))
            if begun is None or announced or min(len(piece.parts), len(joined[begun].parts)) > 1:
                begun = place
            else:
                first = joined[begun]
                text, parts = f"{first.text}\n{piece.text}", first.parts + piece.parts
                joined[begun] = replace(first, text=text, parts=parts)
                keys[begun] = tuple(dict.fromkeys(keys[begun] + keys[place]))
                del joined[place], keys[place]
                continue
        place += 1


def _merged(last: Piece, first: Piece) -> Piece | None:
    """A block that was cut between two passages, whole again; None when they are two."""
    if last.kind != first.kind or first.label:
        return None
    before, after = last.text.split("\n"), first.text.split("\n")
    if last.kind == "code" and before[0] == after[0]:
        return replace(last, text="\n".join([*before[:-1], *after[1:]]))
    if last.kind == "table" and before[:2] == after[:2]:
        return replace(last, text="\n".join([*before, *after[2:]]), parts=last.parts + first.parts)
    if last.kind == "list":
        return replace(last, text="\n".join([*before, *after]), parts=last.parts + first.parts)
    return None


def _quotable(piece: Piece) -> bool:
    if piece.kind == "sentence":
        return not piece.text.endswith(("?", "؟", "？"))
    return piece.kind != "formula" and not piece.text.startswith("```mermaid")


def _words(question: str, section: Section, place: int) -> frozenset[int]:
    """The question's words that a candidate has; of a list or a table those of the best part, and what announces it."""
    piece, language = section.pieces[place], section.language
    asked = stems(question, language)
    around = asked & stems(
        f"{piece.label} {section.heading if section.is_beginning(place) else ''}", language
    )
    if place and (section.pieces[place - 1].opens or piece.depends_on_previous):
        around |= asked & stems(section.pieces[place - 1].text, language)
    if piece.opens and place + 1 < len(section.pieces):
        around |= _best_part(asked, section.pieces[place + 1], language)
    return around | _best_part(asked, piece, language)


def _best_part(asked: frozenset[int], piece: Piece, language: str) -> frozenset[int]:
    return max((asked & stems(part, language) for part in piece.plain), key=len, default=frozenset())


def _weights(found: Sequence[frozenset[int]]) -> Callable[[int], float]:
    """How much a word tells the candidates apart that have these words; most, when none of them has it."""
    count = Counter(word for words in found for word in words)

    def weight(word: int) -> float:
        return math.log(1 + (len(found) - count[word] + 0.5) / (count[word] + 0.5))

    return weight


def _cut(one: Candidate) -> bool:
    """Whether a block may go on in a passage that was not shown."""
    piece = one.section.pieces[one.place]
    edge = one.place == len(one.section.pieces) - 1 or (not one.place and one.section.passages[0].ordinal > 0)
    return piece.kind == "code" and edge


def _repeats(one: Candidate, other: Candidate) -> bool:
    if one.section is other.section and set(one.places or ()) & set(other.places or ()):
        return True
    language = one.section.language
    these, those = stems(one.text, language), stems(other.text, language)
    return len(these & those) >= _SAME * max(1, min(len(these), len(those)))


def _quoted(question: str, one: Candidate) -> str:
    """The pieces in the book's order, with the key behind the last sentence, or below a block that has none."""
    section = one.section
    places = one.places or range(0)
    keys = " ".join(
        f"[{key}]" for key in dict.fromkeys(key for place in places for key in section.keys[place])
    )
    last = max((place for place in places if section.pieces[place].kind == "sentence"), default=None)
    blocks: list[str] = [""]
    for place in places:
        piece = section.pieces[place]
        if piece.kind == "sentence":
            blocks[-1] += f" {piece.text}" + (f" {keys}" if place == last else "")
        else:
            shown = _shortened(question, piece, section.language)
            blocks += [f"{piece.label}\n\n{shown}" if piece.label else shown, ""]
    if last is None:
        blocks.append(keys)
    return "\n\n".join(block.strip() for block in blocks if block)


def _shortened(question: str, piece: Piece, language: str) -> str:
    """A table or list as the book has it, or the best rows of a long one."""
    if len(piece.parts) <= _ROWS:
        return piece.text
    asked = stems(question, language)
    lines = piece.text.split("\n")
    head = lines[: len(lines) - len(piece.parts)] if piece.kind == "table" else []
    best = sorted(range(len(piece.parts)), key=lambda row: -len(asked & stems(piece.parts[row], language)))
    rows = lines[len(head) :] if piece.kind == "table" else [f"- {part}" for part in piece.parts]
    return "\n".join([*head, *(rows[row] for row in sorted(best[: _ROWS // 2]))])
