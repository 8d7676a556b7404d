"""Judges what a piece of the book offers against what a question asks for.

Words alone prefer the exercise that repeats the question, the objective that promises the answer, and the definition
of a neighbouring idea. Here count the role of the section and of the sentence, the heading that is the question, and
whether a text has what such a question wants: steps, a reason, a number, a difference. Decision 0026 describes the fit.
"""

import re
from collections.abc import Sequence

from preceptor.text.languages import language
from preceptor.text.pieces import Piece, ends
from preceptor.text.questions import kinds
from preceptor.text.roles import is_aside, roles_of, sets_task, share
from preceptor.text.tokens import stems

_TEACHES_NOT = -0.5
"""Weight of a section that sets exercises, states objectives, sums up or lists links."""
_ASIDE = -0.25
"""Weight of a sentence about the book: "In this chapter we will …", "For more details see …"."""
_TASK = -0.7
"""Weight of a question or a task."""
_HEADING = 0.3
"""Weight of a heading that is the question."""
_STEPS = 0.5
"""Weight of a list or code for "How do I …?"."""
_TOLD = 0.45
"""Weight of a text that has the reason, the number, the date, the name or the difference that is asked for."""
_SHORT = -0.4
_OPEN = -0.3
"""Weight of a text that ends with the announcement of something else."""
_FEW = 4
"""Number of words below which a text says too little to be an answer."""
_PAIR = 2
"""Characters that count as a word in scripts without spaces."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[\w'’-]+")
_NAME = re.compile(r"(?<![.!?:] )(?<!^)\b[A-Z][\w'’-]+")


def offers(question: str, quoted: Sequence[Piece], breadcrumb: tuple[str, ...], tag: str) -> float:
    """Returns what speaks for and against quoting some pieces, beside their words; 0 where nothing does.

    Args:
        question: The reader's question.
        quoted: The pieces, in the book's order.
        breadcrumb: Headings above them, the book's title first, that of their section last.
        tag: BCP 47 tag of their language.
    """
    # What stands in code is no word of the author's: "For more information check …", said by an exception.
    said = [
        (piece.kind, part)
        for piece in quoted
        if piece.kind != "code"
        for part in piece.parts or (piece.text,)
    ]
    # Nor is a row a task, though it begins with the name of its column: "Name: `--port`".
    told = [part for kind, part in said if kind in ("sentence", "list")]
    # "Recap: what you have learned" is the title of a box, where it is no heading.
    titles = [title for piece in quoted for title in piece.label.split("\n") if title]
    text = " ".join(piece.text for piece in quoted)
    forms = {piece.kind for piece in quoted}
    asked = kinds(question, tag)
    return (
        _TEACHES_NOT * bool(roles_of((*breadcrumb[1:], *titles), tag))
        + _ASIDE * share(is_aside(part, tag) for _, part in said)
        + _TASK * share(sets_task(part, tag) for part in told)
        + _HEADING * likeness_of_heading(question, breadcrumb, tag)
        + _STEPS * ("how" in asked and not forms.isdisjoint({"code", "list"}))
        + _TOLD * _tells(question, asked, text, forms, tag)
        + _SHORT * (word_count(text, tag) < _FEW)
        + _OPEN * (quoted[-1].kind == "sentence" and not ends(text.rstrip(), language(tag)))
    )


def word_count(text: str, tag: str) -> float:
    """Returns the number of words; in scripts without spaces some characters count as one."""
    return len(text.split()) if language(tag).spaced else len(text) / _PAIR


def likeness_of_heading(question: str, breadcrumb: tuple[str, ...], tag: str) -> float:
    """How much the last heading and the question say the same, in [0, 1]."""
    *above, heading = breadcrumb or ("",)
    if set(question.casefold().split()) == set(heading.casefold().split()):
        return 1.0
    own, asked = stems(heading, tag), stems(question, tag)
    # What the headings above supply need not be asked for by this one.
    left = asked - (stems(" ".join(above), tag) - own)
    return 2 * len(asked & own) / (len(left) + len(own)) if own and left else 0.0


def _tells(question: str, asked: frozenset[str], text: str, forms: set[str], tag: str) -> bool:
    """Whether a text has what questions of this kind ask for."""
    record = language(tag)
    lower = text.lower()
    if "compare" in asked and "table" in forms:
        return True
    if any(kind in asked and re.search(record.tells.get(kind, "(?!)"), lower) for kind in ("why", "compare")):
        return True
    return tells_fact(question, text, tag)


def tells_fact(question: str, text: str, tag: str) -> bool:
    """Whether a text has the number, the date or the name that a question asks for."""
    asked, lower = kinds(question, tag), text.lower()
    figures = set(_NUMBER.findall(text)) - set(_NUMBER.findall(question))
    if "when" in asked and figures:
        return True
    if "count" in asked and (figures or any(f" {word} " in f" {lower} " for word in language(tag).numbers)):
        return True
    names = {name.lower() for name in _NAME.findall(text)}
    return "who" in asked and not names <= set(_WORD.findall(question.lower()))
