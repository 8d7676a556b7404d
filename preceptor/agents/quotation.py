"""Chooses the offline tutor's quotations: sentences, lists, tables and code that answer a question.

Passages are split into pieces, and each piece is completed until a reader understands it: a sentence that
depends on the previous one comes with it, a sentence that announces a list comes with the list. The words
shared with the question select a few pieces, which the embedding model then ranks.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from preceptor.agents.offer import likeness_of_heading, offers, tells_fact, word_count
from preceptor.library.passage import Hit, Passage
from preceptor.text.pieces import Piece, pieces, whole
from preceptor.text.questions import QUESTION_MARKS, kinds, wants_code
from preceptor.text.sentences import COLONS
from preceptor.text.tokens import stems

SHORT_LIST = 6
"""Number of candidates whose likeness counts for the decision to answer."""

_READ = 80
"""Number of words of a candidate that the embedding model reads."""
_PASSAGES = 6
"""Number of best passages from which candidates are taken."""
_RANK = 1.0
"""Weight of the passage's relevance, relative to the best one's."""
_HEADING = 0.5
"""Weight of a word that occurs only in a heading above the passage."""
_BEGINNING = 0.1
"""Bonus for the beginning of a section whose heading names the subject of the question."""
_DEFINITION = 0.3
"""Bonus for a definition of the subject; doubled below a heading that names exactly that subject."""
_CODE = 0.5
"""Bonus for code when the question asks for code."""
_MARGIN = 0.65
_MARGIN_OF_FULL = 0.15
"""Largest distance to the best quotation; the smaller one if the best has all the words asked for."""
_FULL = 0.9
_THOUGHTS = 3
"""Number of thoughts that are quoted; a sentence is one, with all that it depends on."""
_BLOCK = 2
"""Number of thoughts for which a quotation with a list, a table or a block of code counts."""
_ROWS = 8
"""Longest list or table that is quoted whole; of a longer one only the best rows are quoted."""
_SHOWN = frozenset({"how", "code"})
"""Kinds of questions that a block of code or a list answers."""
_STEPS_WITHIN = 5
"""Number of pieces behind the first quotation among which the steps or the code may begin."""
_IS_QUESTION = 0.6
"""Likeness of question and heading from which the section is the answer."""
_SECTION = 80
"""Number of words up to which such a section is quoted in one piece."""
_SAME = 0.8
"""Share of common words above which two quotations say the same."""


@dataclass(frozen=True, slots=True)
class SectionPieces:
    """Passages of one section that follow each other, as pieces."""

    passages: tuple[Passage, ...]
    pieces: tuple[Piece, ...]
    keys: tuple[tuple[str, ...], ...]
    """Keys of the passages that each piece comes from."""

    @property
    def language(self) -> str:
        """Language shared by all passages."""
        return self.passages[0].language

    @property
    def heading(self) -> str:
        """Heading shared by all passages."""
        return self.passages[0].heading

    @property
    def above(self) -> frozenset[int]:
        """Words of the headings above the section, which its sentences need not repeat."""
        return stems(" ".join(self.passages[0].breadcrumb[:-1]), self.language)

    def is_beginning(self, place: int) -> bool:
        """Whether the piece is directly below the heading, and so may answer what the heading names."""
        return place == 0 and self.passages[0].ordinal == 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A piece that may be quoted, and how well it fits the question."""

    section: SectionPieces
    place: int
    words: tuple[tuple[int, float, float], ...]
    """Each word of the question as its stem, its weight, and how much of it the piece has; the weights add up to 1."""
    score: float
    places: range | None
    """Pieces to quote; None if a needed neighbour was not retrieved."""

    @property
    def found(self) -> float:
        """Share of the question's words that the piece has; rare words count more."""
        return sum(weight * has for _, weight, has in self.words)

    @property
    def quoted(self) -> str:
        """Text of the pieces to quote."""
        return " ".join(self.section.pieces[place].text for place in self.places or [self.place])

    @property
    def text(self) -> str:
        """Text that the embedding model compares with the question; only the beginning of a long block."""
        begins = self.section.heading if self.section.is_beginning(self.place) else ""
        return " ".join(f"{begins} {self.quoted}".split()[:_READ])


def candidates(question: str, hits: Sequence[Hit]) -> list[Candidate]:
    """Returns the pieces worth quoting from the best passages, best first, ranked by words alone.

    Args:
        question: The reader's question.
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
    # Words of headings count for the weights as well: in a module on ROS 2 `ROS` is above every candidate and
    # tells nothing (decision 0008).
    weights = _weights([own | others for own, others in zip(words, above, strict=True)])
    for_code = wants_code(question)
    scored: list[Candidate] = []
    for (section, place, rank), own, others in zip(found, words, above, strict=True):
        asked = stems(question, section.language)
        heading = stems(section.heading, section.language)
        named, defined = asked & heading, stems(section.pieces[place].defines, section.language)
        # Shares of the question instead of a sum, so that one threshold fits short and long questions.
        whole_weight = sum(map(weights, asked))
        has = {**dict.fromkeys(named | others, _HEADING), **dict.fromkeys(own, 1.0)}
        shares = tuple((word, weights(word) / whole_weight, has.get(word, 0.0)) for word in asked)
        score = sum(weight * part for _, weight, part in shares) + _RANK * rank
        if named and section.is_beginning(place):
            score += _BEGINNING * len(named) / len(asked)
        # `A topic is …` answers `What is a topic?`; words that headings supply need not be defined again.
        # Brought the right first sentence from one to six of six such questions (decision 0008).
        if defined and asked - others <= defined <= asked:
            score += _DEFINITION * (1 + (heading == defined))
        # Code shares many words with its section without explaining anything, unless it is what was asked
        # for.
        if section.pieces[place].kind == "code":
            score += _CODE if for_code else -_CODE
        places = whole(section.pieces, place, begins=not section.passages[0].ordinal)
        quoted = [section.pieces[at] for at in places or [place]]
        score += offers(question, quoted, section.passages[0].breadcrumb, section.language)
        scored.append(Candidate(section, place, shares, score, places))
    return sorted(scored, key=lambda one: -one.score)


def nearer(found: Sequence[Candidate], likeness: Sequence[float]) -> list[Candidate]:
    """Re-ranks all candidates by what the embedding model says.

    Args:
        found: Result of `candidates`.
        likeness: What it adds to the scores of the first of them: the cosine of the question, and what they say of it
            in other words; empty where the model cannot read it.
    """
    judged = [replace(one, score=one.score + like) for one, like in zip(found, likeness, strict=False)]
    return sorted([*judged, *found[len(judged) :]], key=lambda one: -one.score)


def incomplete(found: Sequence[Candidate]) -> Passage | None:
    """Returns a passage to read on from before the best candidate can be quoted."""
    if not found or (found[0].places is not None and not _cut(found[0])):
        return None
    return found[0].section.passages[0]


def quotations(question: str, found: Sequence[Candidate], *, said: str = "") -> list[str]:
    """Returns the few quotations that answer, each with its key, best first, without repeats.

    Args:
        question: The reader's question.
        found: Best first.
        said: The answer before, of which nothing is quoted again if something else fits nearly as well.
    """
    kept = chosen(found, said=said)
    if not kept:
        return []
    # What the first one brings takes no room from the others: each may be the one that answers.
    before = _spaced_once(said)
    first = _with_section(question, _with_next(question, kept[0], before), before)
    return [_quoted(question, one) for one in (first, *(one for one in kept[1:] if not _repeats(one, first)))]


def chosen(found: Sequence[Candidate], *, said: str = "") -> list[Candidate]:
    """Returns the candidates that are quoted, best first; the arguments are those of `quotations`."""
    before = _spaced_once(said)
    fresh = [one for one in found if _spaced_once(one.section.pieces[one.place].text) not in before]
    # Where nothing else fits nearly as well, the answer was there already.
    found = fresh if fresh and _adds(fresh[0], found[0]) else found
    kept: list[Candidate] = []
    room = _THOUGHTS
    for one in found:
        # The best one is quoted in any case: refusing has been decided before, by coverage. If it cannot be, because
        # a neighbour is missing, one that fits far less well is no answer in its place.
        if one.places is None or not _adds(one, found[0]):
            continue
        if kept and (_cut(one) or any(_repeats(one, other) for other in kept)):
            continue
        length = 1 if all(one.section.pieces[place].kind == "sentence" for place in one.places) else _BLOCK
        # A long first quotation may exceed the room; later ones must fit, since readers skim.
        if kept and length > room:
            continue
        kept.append(one)
        # A block with what announces it is a whole answer: a sentence behind it only distracts.
        if length == _BLOCK and len(one.places) > 1:
            break
        room -= length
    return kept


def _with_next(question: str, one: Candidate, before: str) -> Candidate:
    """Returns a sentence with the one behind it: an explanation is seldom a single sentence (decision 0030).

    Args:
        question: The reader's question.
        one: What is quoted first.
        before: The answer before, whose sentences come along only where the quotation itself is one of them.
    """
    run, places = one.section.pieces, one.places or range(0)
    stop = places.stop
    if stop >= len(run) or run[stop - 1].kind != "sentence":
        return one
    asked = kinds(question, one.section.language)
    # "Why does it help to test the code?" asks for no code.
    if not _SHOWN.isdisjoint(asked) and "why" not in asked:
        # What is to be done is often shown a few sentences further on: "Enabling HTTP/2" begins with why it is off. The
        # last of all that was shown may go on in another passage.
        ahead = range(stop, min(stop + _STEPS_WITHIN, len(run) - 1))
        shown = next((at for at in ahead if run[at].kind != "sentence"), None)
        if shown is not None and run[shown].kind in ("code", "list"):
            return replace(one, places=range(places.start, shown + 1))
    if len(places) > 1:
        return one
    following = run[stop]
    goes_on = following.kind == "sentence" and _quotable(following) and not following.opens
    if _spaced_once(run[one.place].text) not in before:
        goes_on = goes_on and _spaced_once(following.text) not in before
    # "The gripper closes with 40 newtons." needs nothing more where a number is asked for.
    if not goes_on or tells_fact(question, run[one.place].text, one.section.language):
        return one
    return replace(one, places=range(places.start, stop + 1))


def _with_section(question: str, one: Candidate, before: str) -> Candidate:
    """Returns a quotation with what follows in a short section whose heading is the question (decision 0030).

    Args:
        question: The reader's question.
        one: What is quoted first.
        before: The answer before, of which nothing comes along.
    """
    run, tag = one.section.pieces, one.section.language
    places = one.places or range(0)
    start, stop = places.start, places.stop
    like = likeness_of_heading(question, one.section.passages[0].breadcrumb, tag)
    # Behind a block, or the number that is asked for, nothing more is needed.
    if (
        run[stop - 1].kind != "sentence"
        or like < _IS_QUESTION
        or tells_fact(question, run[one.place].text, tag)
    ):
        return one
    for place in range(stop, len(run)):
        piece = run[place]
        if (
            not _quotable(piece)
            or _spaced_once(piece.text) in before
            or word_count(" ".join(one.text for one in run[start : place + 1]), tag) > _SECTION
        ):
            break
        # What announces a block comes only with it, and the last code of all that was shown may go on elsewhere.
        if not piece.opens and not (piece.kind == "code" and place == len(run) - 1):
            stop = place + 1
            if piece.kind != "sentence":
                break
    return replace(one, places=range(start, stop))


def _spaced_once(text: str) -> str:
    return " ".join(text.split())


def _adds(one: Candidate, best: Candidate) -> bool:
    """Whether a candidate fits nearly as well as the best one."""
    margin = _MARGIN_OF_FULL if best.found > _FULL else _MARGIN
    return one.score >= best.score - margin


def _sections(passages: Sequence[Passage]) -> Iterator[SectionPieces]:
    """Puts the passages of each section back together in their order."""
    ordered = sorted(passages, key=lambda one: (one.book, one.chapter, one.anchor, one.order))
    # Order minus index is constant as long as passages follow each other without a gap.
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
        yield SectionPieces(together, tuple(joined), tuple(keys))


def _join_interrupted(joined: list[Piece], keys: list[tuple[str, ...]]) -> None:
    """Joins a list that other text interrupts, so that it is quoted as a whole.

    One of the two lists has a single item then; a list with an introductory line of its own is another list.
    """
    begun: int | None = None
    place = 0
    while place < len(joined):
        piece = joined[place]
        if piece.kind == "list":
            announced = piece.label or (place and joined[place - 1].text.endswith(COLONS))
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
    """Joins a block that was cut between two passages; None if they are two blocks."""
    if last.kind != first.kind or first.label:
        return None
    before, after = last.text.split("\n"), first.text.split("\n")
    # The splitter repeats the fence of code and the header of a table in each part; it is dropped again.
    if last.kind == "code" and before[0] == after[0]:
        return replace(last, text="\n".join([*before[:-1], *after[1:]]))
    if last.kind == "table" and before[:2] == after[:2]:
        return replace(last, text="\n".join([*before, *after[2:]]), parts=last.parts + first.parts)
    if last.kind == "list":
        return replace(last, text="\n".join([*before, *after]), parts=last.parts + first.parts)
    return None


def _quotable(piece: Piece) -> bool:
    if piece.kind == "sentence":
        # A question of the book matches the reader's best of all, and answers nothing.
        return not piece.text.endswith(QUESTION_MARKS)
    return piece.kind != "formula" and not piece.text.startswith("```mermaid")


def _words(question: str, section: SectionPieces, place: int) -> frozenset[int]:
    """Returns the question's words in a candidate; for a list, those of its best part and announcement."""
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
    """Weights words by how few of the candidates have them; a word that no candidate has weighs most."""
    count = Counter(word for words in found for word in words)

    def weight(word: int) -> float:
        return math.log(1 + (len(found) - count[word] + 0.5) / (count[word] + 0.5))

    return weight


def _cut(one: Candidate) -> bool:
    """Whether a block may continue in a passage that was not shown."""
    piece = one.section.pieces[one.place]
    # The splitter cuts code between lines, so that nothing in a part tells whether it is all.
    edge = one.place == len(one.section.pieces) - 1 or (not one.place and one.section.passages[0].ordinal > 0)
    return piece.kind == "code" and edge


def _repeats(one: Candidate, other: Candidate) -> bool:
    if one.section is other.section and set(one.places or ()) & set(other.places or ()):
        return True
    language = one.section.language
    these, those = stems(one.text, language), stems(other.text, language)
    # By the shorter of the two: a long quotation that holds a short one repeats it.
    return len(these & those) >= _SAME * max(1, min(len(these), len(those)))


def _quoted(question: str, one: Candidate) -> str:
    """Renders the pieces in the book's order, with the key behind the best sentence and the last, or below a block."""
    section = one.section
    places = one.places or range(0)
    keys = " ".join(
        f"[{key}]" for key in dict.fromkeys(key for place in places for key in section.keys[place])
    )
    last = max((place for place in places if section.pieces[place].kind == "sentence"), default=None)
    # The source shows the sentence before its first key: the one that was chosen, not the one that came along.
    cited = {one.place, last}
    blocks: list[str] = [""]
    for place in places:
        piece = section.pieces[place]
        if piece.kind == "sentence":
            blocks[-1] += f" {piece.text}" + (f" {keys}" if place in cited else "")
        else:
            shown = _shortened(question, piece, section.language)
            blocks += [f"{piece.label}\n\n{shown}" if piece.label else shown, ""]
    if last is None:
        blocks.append(keys)
    return "\n\n".join(block.strip() for block in blocks if block)


def _shortened(question: str, piece: Piece, language: str) -> str:
    """Returns a table or list, or only its best rows if it is long."""
    if len(piece.parts) <= _ROWS:
        return piece.text
    # Only the rows closest to the question, and in the book's order, so that the table still reads.
    asked = stems(question, language)
    lines = piece.text.split("\n")
    head = lines[: len(lines) - len(piece.parts)] if piece.kind == "table" else []
    best = sorted(range(len(piece.parts)), key=lambda row: -len(asked & stems(piece.parts[row], language)))
    rows = lines[len(head) :] if piece.kind == "table" else [f"- {part}" for part in piece.parts]
    return "\n".join([*head, *(rows[row] for row in sorted(best[: _ROWS // 2]))])
