"""Cuts a page into passages: by section first, then by tokens of the embedding model.

Blocks stay whole if they fit. A long table is cut between rows, and each part repeats the header row; a long
code block is cut between lines, and each part has fences of its own; prose is cut at the largest possible
boundary.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from semantic_text_splitter import TextSplitter
from tokenizers import Encoding, Tokenizer

from preceptor.indexing.page import Block, Page, PageSection
from preceptor.indexing.site import link_safe
from preceptor.library.passage import Image, Passage, passage_id, passage_key
from preceptor.text.sentences import split_sentences

_PARAGRAPHS = "\n\n"
_UNKNOWN = ("[UNK]", "<unk>")
_UNKNOWN_LETTERS = 4
"""Letters of an unknown word that count as one token."""
_MOST_IMAGES = 4
"""Images of one passage that are kept."""
_STOP_WITHIN = re.compile(r"\.(?= +\S)")
# The splitter measures all that is left before each piece, which is quadratic on a page without headings.
_WINDOW = 32
"""Number of letters per token of a piece that the splitter sees at once: several pieces."""


def passages(
    page: Page,
    *,
    book: str,
    book_title: str,
    tokenizer: Tokenizer,
    chunk_size: int,
    chunk_overlap: int,
    taken: set[str],
) -> list[Passage]:
    """Returns the passages of a page, in order; empty for an unpublished page.

    Args:
        page: Result of `read_page`.
        book: Id of the book.
        book_title: First part of every breadcrumb.
        tokenizer: The embedding model's, without truncation and padding.
        chunk_size: Longest `embedded_text`, in tokens, the tokenizer's own special tokens included.
        chunk_overlap: Tokens of prose that a passage repeats of the one before it in its section.
        taken: Keys that other passages of the book have; those given here are added.
    """
    if page.status != "published":
        return []
    measure = _Measure(tokenizer, page.language)
    made: list[Passage] = []
    ordinals: Counter[str] = Counter()
    for section in page.sections:
        images = list(section.images)
        breadcrumb = _breadcrumb(
            (book_title, *page.breadcrumb, page.title, *section.path), measure, chunk_size // 2
        )
        room = chunk_size - measure.special - measure(" › ".join(breadcrumb))
        for text in _texts(section, measure, room, min(chunk_overlap, room // 2)):
            # By anchor: two sections that share one must not make two passages of one id.
            ordinal = ordinals[section.anchor]
            ordinals[section.anchor] += 1
            point = passage_id(book, page.chapter, section.anchor, ordinal)
            key = passage_key(point, taken)
            taken.add(key)
            made.append(
                Passage(
                    id=point,
                    key=key,
                    book=book,
                    chapter=page.chapter,
                    title=page.title,
                    breadcrumb=breadcrumb,
                    url=link_safe(page.url) + (f"#{link_safe(section.anchor)}" if section.anchor else ""),
                    anchor=section.anchor,
                    heading=section.heading,
                    position=page.position,
                    order=len(made),
                    ordinal=ordinal,
                    text=text,
                    language=page.language,
                    images=_shown(text, images),
                )
            )
    return made


def _shown(text: str, images: list[Image]) -> tuple[Image, ...]:
    """Takes out of `images` those whose alternative text this passage has, and returns the first of them."""
    if not images:
        return ()
    words = " ".join(text.split())
    found = [image for image in images if " ".join(image.alt.split()) in words]
    images[:] = [image for image in images if image not in found]
    return tuple(found[:_MOST_IMAGES])


class _Measure:
    """Counts tokens; an unknown word, a single token to the tokenizer, counts by its length."""

    def __init__(self, tokenizer: Tokenizer, language: str) -> None:
        self._tokenizer = tokenizer
        self._language = language
        known = map(tokenizer.token_to_id, _UNKNOWN)
        self._unknown = next((token for token in known if token is not None), -1)
        self.special = tokenizer.num_special_tokens_to_add(is_pair=False)

    def __call__(self, text: str) -> int:
        return self._count(self._tokenizer.encode(text, add_special_tokens=False))

    def all(self, texts: Sequence[str]) -> list[int]:
        """Returns the counts of several texts, using all cores."""
        return list(map(self._count, self._tokenizer.encode_batch(list(texts), add_special_tokens=False)))

    def cut(self, text: str, room: int, *, trim: bool = True) -> list[str]:
        """Splits prose into pieces of at most `room` tokens."""
        splitter = TextSplitter.from_callback(self, room, trim=trim)
        # It looks at all that is left before every piece, so that it is shown a part at a time.
        window, start = room * _WINDOW, 0
        shown = _guarded(text, self._language)
        pieces: list[str] = []
        while start < len(text):
            found = splitter.chunk_indices(shown[start : start + window])
            is_last = len(text) - start <= window
            end = start + (window if is_last or len(found) < 2 else found.pop()[0])
            pieces += [text[start + place : start + place + len(piece)] for place, piece in found]
            start = end
        return pieces

    def _count(self, encoding: Encoding) -> int:
        ids = encoding.ids
        if self._unknown not in ids:
            return len(ids)
        spans = zip(ids, encoding.offsets, strict=True)
        lengths = (end - start for token, (start, end) in spans if token == self._unknown)
        return len(ids) + sum(max(length // _UNKNOWN_LETTERS - 1, 0) for length in lengths)


def _guarded(text: str, language: str) -> str:
    """A text of the same length in which no full stop within a sentence can be taken for its end.

    The splitter cuts in every language by the same rules, which take "Dr." and "Abb." for ends of sentences.
    """
    return "".join(_STOP_WITHIN.sub(",", sentence) for sentence in split_sentences(text, language))


def _breadcrumb(parts: tuple[str, ...], measure: _Measure, room: int) -> tuple[str, ...]:
    """Drops neighbouring parts that repeat each other, and shortens the rest from the front to leave room for text."""
    distinct = [part for part, _ in groupby(filter(None, parts))]
    while len(distinct) > 1 and measure(" › ".join(distinct)) > room:
        # The nearest headings tell most; the book's title goes first.
        distinct.pop(0)
    if measure(distinct[0]) > room:
        distinct = [measure.cut(distinct[0], room)[0]]
    return tuple(distinct)


def _texts(section: PageSection, measure: _Measure, room: int, overlap: int) -> Iterator[str]:
    """Yields the section's passages: pieces of its blocks, combined as long as they fit."""
    # Room for the overlap is kept free from the start, since a piece is never cut twice.
    pieces = list(_pieces(section.blocks, measure, room - overlap))
    text, size = "", 0
    for piece, tokens in zip(pieces, measure.all(pieces), strict=True):
        if text and size + tokens > room:
            yield text
            shared = _tail(text, measure, overlap) if overlap else ""
            text, size = shared, measure(shared)
        text = f"{text}{_PARAGRAPHS}{piece}" if text else piece
        size += tokens
    if text:
        yield text


def _pieces(blocks: Sequence[Block], measure: _Measure, room: int) -> Iterator[str]:
    """Yields pieces that each fit; a line that introduces a block stays with its first piece."""
    lead, lead_size = "", 0
    for block, size in zip(blocks, measure.all([block.text for block in blocks]), strict=True):
        # A lead that takes half of the room is text like any other.
        if block.lead and lead_size + size <= room // 2:
            lead, lead_size = f"{lead}\n{block.text}" if lead else block.text, lead_size + size
            continue
        first, *others = [block.text] if lead_size + size <= room else _cut(block, measure, room - lead_size)
        yield f"{lead}\n{first}" if lead else first
        yield from others
        lead, lead_size = "", 0
    if lead:
        yield lead


def _cut(block: Block, measure: _Measure, room: int) -> list[str]:
    """Cuts a block that does not fit as a whole."""
    lines = block.text.split("\n")
    if block.kind == "table":
        return _cut_lines(lines[:2], lines[2:], [], measure, room)
    if block.kind == "code":
        return _cut_lines(lines[:1], lines[1:-1], lines[-1:], measure, room)
    return measure.cut(block.text, room)


def _cut_lines(
    before: list[str], lines: list[str], after: list[str], measure: _Measure, room: int
) -> list[str]:
    """Groups lines that fit, each group between the same lines; a line that is too long is cut on its own."""
    around = sum(measure.all([*before, *after]))
    if around > room // 2:  # a header row of the length of a page
        return measure.cut("\n".join([*before, *lines, *after]), room)
    parts: list[list[str]] = [[]]
    size = 0
    for line, tokens in zip(lines, measure.all(lines), strict=True):
        for piece in [line] if tokens <= room - around else measure.cut(line, room - around, trim=False):
            tokens = tokens if piece is line else measure(piece)
            if parts[-1] and size + tokens > room - around:
                parts.append([])
                size = 0
            parts[-1].append(piece)
            size += tokens
    return ["\n".join([*before, *part, *after]) for part in parts if any(map(str.strip, part))]


def _tail(text: str, measure: _Measure, overlap: int) -> str:
    """Returns the last sentences of a passage, as far as they fit; empty if it ends in code or a table."""
    last = text.rsplit(_PARAGRAPHS, 1)[-1]
    # Half of some code, or of a table, is read as if it were whole.
    if last.endswith(("```", "|", "$$")):
        return ""
    return measure.cut(last, overlap)[-1]
