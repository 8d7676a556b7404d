"""Translates what one run tells into the reader's events."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import cast

from preceptor.agents.answer import Event, NewSource, Restart, Source, Status, Token, source
from preceptor.agents.attribution import Attribution
from preceptor.agents.citations import Citations, Cited, Mark, Text
from preceptor.agents.running import Called, HandedOver, Said, Told
from preceptor.agents.support import check_in_turns
from preceptor.text.languages import language_of
from preceptor.text.pieces import nearest
from preceptor.text.sentences import split_sentences
from preceptor.tools.plugin import Ledger

_CLAIM = 500
"""Characters of the answer before a citation among which the sentence is looked for that it bears."""
_ABOUT = 100
"""Length to which the words that a tool is called with are shown to the reader."""
_OFFLINE = "offline"
_LOOKS_IT_UP = "tool_call"
_DECLINES = "declined"
"""Reasons why a text is void that the same tutor has written."""


class Reply:
    """Collects the answer of one run."""

    def __init__(
        self,
        ledger: Ledger,
        provider_of: Callable[[str], str],
        *,
        longest: float = math.inf,
        attribution: Callable[[str], Attribution] | None = None,
    ) -> None:
        """Begin the answer of one run.

        Args:
            ledger: Where the run's tools note what they show.
            provider_of: Gives the provider behind the agent with a name.
            longest: Characters of the tutor's text after which the answer is cut.
            attribution: Begins to keep of the reply of a provider with a name what rests on the book. None: all of it
                is kept.
        """
        self._ledger = ledger
        self._provider_of = provider_of
        self._longest = longest
        self._attributes = attribution
        self.provider = "triage"
        self.tools: list[str] = []
        """Names of the tools that were called, in order, also by a tutor that failed then."""
        self._begin()

    def _begin(self) -> None:
        self._citations = Citations(self._ledger.get)
        self._attribution: Attribution | None = None
        self._raw: list[str] = []
        self._shown: list[str] = []
        self._marks: list[Mark] = []
        self._length = 0
        self._apart = False
        """Whether the next text comes from another model call."""
        self._left = self._longest
        """Characters that the tutor may still write."""
        self.truncated = False
        """Whether the answer was cut; then nothing more is taken, and the model can be stopped."""
        self.sources: list[Source] = []

    @property
    def raw(self) -> str:
        """The text as the tutor wrote it, with keys."""
        return "".join(self._raw)

    @property
    def text(self) -> str:
        """The text as the reader sees it, with numbers."""
        return "".join(self._shown).strip()

    @property
    def unknown_keys(self) -> int:
        """Number of markers that were dropped."""
        return self._citations.unknown

    @property
    def left_out(self) -> int:
        """Number of sentences that were left out, since they rest on nothing."""
        return self._attribution.left_out if self._attribution else 0

    async def checked(self) -> tuple[float | None, list[Source]]:
        """Share of the answer's claims that are supported, and the sources, each with its support.

        Sources from earlier answers are not judged: only one sentence of them is known.
        """
        shown = {hit.passage.key: hit.passage for hit in self._ledger}
        passages = {one.number: shown[one.key] for one in self.sources if one.key in shown}
        chosen = self._attribution.claims if self._attribution else ()
        found = await check_in_turns("".join(self._shown), self._marks, passages, without=chosen)
        return found.confidence, [replace(one, support=found.support.get(one.number)) for one in self.sources]

    def also_relevant(self, limit: int) -> Sequence[Source]:
        """Passages that were found for the question and not cited, best first."""
        cited = set(self._citations.cited)
        rest = sorted(
            (hit for hit in self._ledger if hit.passage.key not in cited), key=lambda hit: -hit.score
        )[:limit]
        return [
            source(number, hit, nearest(hit.passage.heading, hit.passage.text, hit.passage.language))
            for number, hit in enumerate(rest, start=len(cited) + 1)
        ]

    def take(self, told: Told, *, reason: str) -> Iterator[Event]:
        """Translates one thing that the run tells into events for the reader.

        Args:
            told: What it tells.
            reason: Why the last tutor was left, if another one goes on.
        """
        match told:
            case Said():
                yield from self._say(told.text)
            case HandedOver():
                self.provider = self._provider_of(told.agent)
                # Asked before `_begin` forgets it: only what the reader has seen has to be taken back.
                shown = bool(self.text)
                if self._raw:
                    self._begin()
                if shown:
                    yield Restart(reason, self.provider)
            case Called():
                yield from self._drop(reason=_LOOKS_IT_UP)
                self._apart = bool(self._raw)
                self.tools.append(told.tool)
                yield _status(told)

    def decline(self, text: str) -> Iterator[Event]:
        """Put our own words in the place of an answer that rests on nothing."""
        yield from self._drop(reason=_DECLINES)
        if not self._raw:
            yield from self._say(text, is_ours=True)

    def finish(self) -> Iterator[Event]:
        """Returns the events that were still held back."""
        if self._attribution and not self.truncated:
            yield from self._events(self._citations.feed(self._keep(self._attribution.finish())))
        yield from self._events(self._citations.finish())

    def _drop(self, *, reason: str) -> Iterator[Event]:
        """Forget what was said before a call: it is no part of the answer, unless it cites the book."""
        if self.sources:
            return
        shown = bool(self.text)
        if self._raw:
            self._begin()
        if shown:
            yield Restart(reason, self.provider)

    def _keep(self, text: str) -> str:
        self._raw.append(text)
        return text

    def _say(self, delta: str, *, is_ours: bool = False) -> Iterator[Event]:
        if self.truncated:
            return
        if not self._raw:
            yield Status("answering", self.provider)
        elif self._apart and delta:
            delta = f"\n\n{delta}"
        self._apart = False
        if len(delta) > self._left:
            # Never reached with `math.inf`, which no text is longer than.
            delta = delta[: int(self._left)]
            self.truncated = True
        self._left -= len(delta)
        # The offline tutor quotes, and cites what it quotes.
        if self._attributes and not is_ours and self.provider != _OFFLINE:
            self._attribution = self._attribution or self._attributes(self.provider)
            delta = self._attribution.feed(delta)
            if self.truncated:
                delta += self._attribution.finish()
        yield from self._events(self._citations.feed(self._keep(delta)))

    def _events(self, pieces: Iterator[Text | Cited]) -> Iterator[Event]:
        for piece in pieces:
            if isinstance(piece, Cited):
                passage = piece.hit.passage
                # A number follows its sentence, so that the one shown last is the one it is cited for.
                claim = self._last_sentence(passage.language)
                found = source(piece.number, piece.hit, nearest(claim, passage.text, passage.language))
                self.sources.append(found)
                yield NewSource(found)
            else:
                self._marks += (Mark(self._length + mark.start, mark.number) for mark in piece.marks)
                self._length += len(piece.text)
                self._shown.append(piece.text)
                yield Token(piece.text, piece.marks)

    def _last_sentence(self, of_book: str) -> str:
        """The sentence that the reader saw last, in the language of the answer."""
        shown = self._last_shown(_CLAIM).strip()
        *_, paragraph = shown.splitlines() or [""]
        return split_sentences(paragraph, language_of(shown) or of_book)[-1] if paragraph else ""

    def _last_shown(self, length: int) -> str:
        """The end of what the reader has."""
        pieces: list[str] = []
        for piece in reversed(self._shown):
            pieces.append(piece[-length:])
            length -= len(pieces[-1])
            if length <= 0:
                break
        return "".join(reversed(pieces))


def _status(called: Called) -> Status:
    about = _first_text(called.arguments)
    if called.phase == "reading":
        # The end of a chapter's id, `ros2/nodes-and-packages`, is what its reader knows it by.
        about = about.rpartition("/")[2].replace("-", " ")
    return Status(called.phase, called.tool, about[:_ABOUT])


def _first_text(arguments: str) -> str:
    """Returns the first text among the arguments of a call, such as the words to search for."""
    try:
        given: object = json.loads(arguments)
    except (ValueError, RecursionError):  # a model's call may be no JSON; the tool says so
        return ""
    values = cast("dict[str, object]", given).values() if isinstance(given, dict) else ()
    return next((value for value in values if isinstance(value, str)), "").strip()
