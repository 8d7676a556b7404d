"""Keeps of a reply what rests on the book, sentence by sentence, while the reply passes by.

A sentence that cites a passage rests on it, and so may the others in its paragraph, as long as they add no name and no
figure; where the reply is read strictly, the passage must support them, too. A sentence that cites nothing, or a
passage that does not bear it, gets the key of the one that clearly does. A paragraph that rests on nothing, and a
sentence with a name or a figure that no passage has, is left out; so is a title, a row or a line of HTML with such a
figure. Code and formulas stay. Of a reply that must quote only what the passages say nearly word for word is kept.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from preceptor.agents.bearing import (
    Judged,
    adds,
    code_is_quoted,
    is_quoted,
    is_unlikely,
    judge,
    line_adds,
    line_is_quoted,
    rests_on,
)
from preceptor.agents.passageless import is_plain, needs_no_passage, refuses
from preceptor.agents.streamed_sentences import Sentences, Unit
from preceptor.agents.support import SUPPORTED, is_too_short
from preceptor.library.passage import Hit, Passage
from preceptor.text.languages import language, words
from preceptor.text.sentences import COLONS
from preceptor.tools.plugin import Run

_FAINT = 0.15
"""Support below which a sentence is not what the next one cites a passage for: "I will look it up. …". Of 100 sentences
that a passage supports, one has less."""

_BEGINNING = 3
"""Words at the beginning of a sentence among which one may refer to the sentence before."""


@dataclass(slots=True)
class _Waiting:
    """A sentence that is not decided."""

    text: str
    found: Judged
    goes_on: bool = False
    """Whether it may go on from a sentence before it."""


class Attribution:
    """A filter for one reply: pieces of it in, what rests on the book out, with the keys that were missing."""

    def __init__(
        self,
        run: Run,
        *,
        tag: str,
        drops: bool = True,
        strict: bool = False,
        least_support: float = 0.0,
        within: frozenset[str] | None = None,
    ) -> None:
        """Begin a reply.

        Args:
            run: The question, and the passages that were shown for it.
            tag: BCP 47 tag of the language that the reply will probably be in.
            drops: Whether what rests on nothing is left out.
            strict: Whether a sentence that cites nothing stays behind one that does only if that passage supports it.
            least_support: Support below which a sentence does not rest on the passage that it cites.
            within: Keys of passages; what is no sentence of theirs is left out. None: the reply may use its own words.
        """
        self._run = run
        self._drops = drops
        self._strict = strict
        self._least_support = least_support
        self._within = within
        self._has_gap = False
        """Whether the last sentence was left out, since it is none of those passages."""
        self._tag = tag
        self._sentences = Sentences(tag)
        self._code: list[str] = []
        """The lines of a block that must stand in a passage, and that has not ended."""
        self._waiting: list[_Waiting] = []
        """Sentences of a paragraph that may rest on what a later one cites."""
        self._hits: Sequence[Hit] = ()
        """Passages on which the last one rests."""
        self._is_cited = False
        """Whether the model itself cites them."""
        self._out: list[str] = []
        self._announces = False
        """Whether the last sentence announces what follows, so that an empty line behind it ends no paragraph."""
        self._last = "\n"
        """The last character that was kept."""
        self._rests = not drops
        """Whether anything of the reply rests on a passage."""
        self._raw: list[str] = []
        """The reply, as long as nothing does."""
        self.claims: set[str] = set()
        """The sentences that were given a key."""
        self.left_out = 0
        """Number of sentences that were left out."""

    def feed(self, piece: str) -> str:
        """Take the next piece of the reply; gives on the sentences that are decided."""
        if not self._rests:
            self._raw.append(piece)
        for unit in self._sentences.feed(piece):
            self._take(unit)
        return self._decided()

    def finish(self) -> str:
        """Take the end of the reply."""
        for unit in self._sentences.finish():
            self._take(unit)
        self._end_code()
        self._end_paragraph()
        # A reply of which nothing does has passed the gate as one that needs no passage.
        if not self._rests and needs_no_passage("".join(self._raw), self._run):
            self._out, self.left_out = self._raw, 0
        self._rests = True
        return self._decided()

    def _decided(self) -> str:
        if not self._rests:
            return ""
        out, self._out = "".join(self._out), []
        return out

    def _take(self, unit: Unit) -> None:
        if self._announces and not self._strict and not unit.text.strip():
            self._keep_behind_announcement(unit.text)
            return
        if self._within is not None and unit.is_code:
            self._code.append(unit.text)
            return
        self._end_code()
        if not unit.is_prose or not unit.text.strip():
            self._end_paragraph()
            if self._drops and not unit.is_code and self._adds(unit.text):
                self._leave_out(unit.text)
            else:
                self._keep(unit.text)
            return
        self._announces = unit.text.rstrip().endswith(COLONS)
        found = judge(unit.text, self._run)
        if self._within is not None:
            self._has_gap = not self._is_one_of(self._within, found)
            if self._has_gap:
                self._leave_out(unit.text)
                return
        if not self._drops:
            self._keep(self._with_key(unit.text, found))
        elif found.hits:
            self._take_resting(unit.text, found)
        else:
            self._waiting.append(_Waiting(unit.text, found, goes_on=self._goes_on(found)))
            if self._waiting[0].goes_on:
                self._end_waiting()

    def _keep_behind_announcement(self, empty: str) -> None:
        """Keep an empty line that ends no paragraph: what is announced stands behind it."""
        if self._waiting:
            self._waiting[-1].text += empty
        else:
            self._keep(empty)

    def _take_resting(self, text: str, found: Judged) -> None:
        """Take a sentence that cites a passage, or that one bears."""
        ledger = self._run.ledger
        if adds(found, ledger) or is_unlikely(found, ledger, least=self._least_support):
            self._waiting.append(_Waiting(text, found))
            return
        self._rests = True
        self._hits = found.hits
        self._is_cited = not found.bearer
        self._end_waiting()
        self._keep(self._with_key(text, found))

    def _is_one_of(self, within: frozenset[str], found: Judged) -> bool:
        """Whether a sentence is one of the passages with these keys, and can be understood without the one before."""
        if is_too_short(found.said):
            return False
        if found.hits and not any(hit.passage.key in within for hit in found.hits):
            return False
        # "After that, …" speaks of what was left out.
        if self._has_gap and not set(words(found.said)[:_BEGINNING]).isdisjoint(
            language(self._tag).dependent_openers
        ):
            return False
        return is_quoted(found.said, self._quotable)

    @property
    def _quotable(self) -> list[Passage]:
        """The passages from which the reply must quote."""
        return [hit.passage for hit in self._run.ledger if hit.passage.key in (self._within or ())]

    def _goes_on(self, found: Judged) -> bool:
        """Whether a sentence without a citation may go on from the one before it that has one."""
        if not self._hits or not found.claim:
            return False
        # A model that does not say where a sentence comes from is not believed that the next one does.
        trusted = self._is_cited and not self._strict
        supported = trusted or rests_on(found, self._hits, least=SUPPORTED)
        return supported and not adds(found, self._run.ledger)

    def _adds(self, line: str) -> bool:
        """Whether a line that is no sentence says what no passage does."""
        ledger = self._run.ledger
        if self._within is None:
            return line_adds(line, ledger)
        return not line_is_quoted(line, self._quotable, ledger)

    def _end_code(self) -> None:
        """Decide a block of code or a formula: a part of one would be none."""
        code, self._code = self._code, []
        if not code:
            return
        self._end_paragraph()
        if code_is_quoted(code, self._quotable):
            self._keep("".join(code))
        else:
            self._leave_out(code[-1])

    def _end_paragraph(self) -> None:
        self._hits = ()
        self._end_waiting()

    def _end_waiting(self) -> None:
        """Decide the sentences that wait, now that it is known on which passages they may rest."""
        waiting, self._waiting = self._waiting, []
        kept = [one.goes_on or self._may_stay(one.found) for one in waiting]
        for place, one in enumerate(waiting):
            # What announces a sentence that is left out goes with it.
            followed = place + 1 == len(waiting) or kept[place + 1] or "?" in one.text
            if kept[place] and (one.found.claim or followed):
                self._keep(one.text)
            else:
                self._leave_out(one.text)

    def _may_stay(self, found: Judged) -> bool:
        if found.hits:
            return False
        if is_plain(found.said, self._run) or refuses(found.said, self._run):
            return True
        return (
            bool(found.claim)
            and rests_on(found, self._hits, least=_FAINT)
            and not adds(found, self._run.ledger)
        )

    def _with_key(self, text: str, found: Judged) -> str:
        """The sentence with the key of the passage that bears it, where it cites none or another one."""
        if not found.bearer:
            return text
        self.claims.add(found.claim)
        key = found.bearer.passage.key
        if found.cited:
            return re.sub(rf"(?i)(?<!\w){found.cited[0].passage.key}(?!\w)", key, text)
        end = len(text.rstrip())
        return f"{text[:end]} [{key}]{text[end:]}"

    def _keep(self, text: str) -> None:
        if text:
            self._out.append(text)
            self._last = text[-1]

    def _leave_out(self, text: str) -> None:
        self.left_out += 1
        if text.endswith("\n") and self._last != "\n":
            self._keep("\n")
