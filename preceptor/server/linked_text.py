"""The text of an answer for OpenAI's protocols: its markers are Markdown links, whose places are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from preceptor.agents.answer import Event, NewSource, Source, Token

_IN_A_LINK = str.maketrans({" ": "%20", "(": "%28", ")": "%29", "<": "%3C", ">": "%3E"})
_BYTES_OF_A_TOKEN = 4
"""Length of a token of a language model in UTF-8, on the average; each model has tokens of its own."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link in the text, and the source that it opens."""

    url: str
    title: str
    start: int
    """Place of its first character in the text."""
    end: int
    """Place after its last one."""


class LinkedText:
    """Builds the text of an answer from the run's events, and ends it where the client asked for its end."""

    def __init__(self, *, base: str, stop: Sequence[str] = (), tokens: int | None = None) -> None:
        """Begin a text.

        Args:
            base: Address of this service, put before the links of a book without `site.url`.
            stop: The text ends before the first of these.
            tokens: Longest text, in tokens of about four bytes; None: any length.
        """
        self.text = ""
        self.links: list[Link] = []
        self.cut: Literal["stop", "length"] | None = None
        """Reason why the text ended before the answer did."""
        self._base = base.rstrip("/")
        self._stop = [each for each in stop if each]
        self._room = None if tokens is None else tokens * _BYTES_OF_A_TOKEN
        self._left = self._room
        self._held = ""
        """Text that may be the beginning of a stop sequence."""
        self._sources: dict[int, Source] = {}

    def take(self, event: Event) -> str:
        """Returns the text that an event adds."""
        before = len(self.text)
        if isinstance(event, NewSource):
            self._sources[event.source.number] = event.source
        elif isinstance(event, Token):
            self._take(event)
        return self.text[before:]

    def finish(self) -> str:
        """Returns the text that was held back, now that nothing follows it."""
        before = len(self.text)
        self._release(len(self._held))
        return self.text[before:]

    def begin_again(self, notice: str) -> str:
        """Returns text that announces a restart: clients of these protocols cannot take back shown text."""
        if self.cut:
            return ""
        self._left, self._held = self._room, ""
        added = f"\n\n---\n\n*{notice}*\n\n"
        self.text += added
        return added

    def _take(self, token: Token) -> None:
        place = 0 if self.text or self._held else len(token.content) - len(token.content.lstrip())
        for mark in token.marks:
            self._add(token.content[place : mark.start])
            self._release(len(self._held))
            if not self.cut:
                self._link(self._sources[mark.number])
            place = mark.end
        self._add(token.content[place:])

    def _add(self, text: str) -> None:
        self._held += text
        ends = [at for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if ends:
            self._release(min(ends))
            self.cut = self.cut or "stop"
        else:
            self._release(len(self._held) - self._begun())

    def _begun(self) -> int:
        """Returns the length of the text's end that is the beginning of a stop sequence."""
        return max(
            (
                length
                for stop in self._stop
                for length in range(1, min(len(stop), len(self._held) + 1))
                if self._held.endswith(stop[:length])
            ),
            default=0,
        )

    def _release(self, length: int) -> None:
        """Adds held text to the text, as far as there is room."""
        added, self._held = self._held[:length], self._held[length:]
        if self.cut:
            return
        if self._left is not None:
            encoded = added.encode("utf-8", "surrogatepass")
            if len(encoded) > self._left:
                added = encoded[: self._left].decode("utf-8", "ignore")
                self.cut = "length"
            self._left -= len(encoded)
        self.text += added

    def _link(self, source: Source) -> None:
        start = len(self.text)
        # The service shows the chapters itself where the book has no site of its own.
        url = f"{self._base}{source.url}" if source.url.startswith("/") else source.url
        self.text += f"[[{source.number}]]({url.translate(_IN_A_LINK)})"
        self.links.append(Link(url, source.title, start, len(self.text)))
