"""Requests that chat front ends make by themselves: a title, tags or follow-up questions for a conversation.

They come as a message of the user, in English, and no tutor could answer them from the book. They are told by their
form, and answered from the conversation itself: nothing is searched and no model is asked.
"""

import json
import re
from collections.abc import Sequence

from preceptor.server.history import Said

_TASK = re.compile(r"\s*#{1,6}\s*Task\b", re.IGNORECASE)
_MACHINE = re.compile(r"\bJSON\b|<chat_history>|#\s*(?:Output|Chat History)\b", re.IGNORECASE)
"""Words of a task that is meant for a program: a reader's own question may be headed `Task`, too."""

_TALK = r"(?:conversation|chat|dialog(?:ue)?|discussion|thread|messages)\b"
_ORDER = r"\b(?:generate|create|write|give|suggest|propose|provide|make|come up with|summari[sz]e)\b[^?!\n]{0,120}?"
_TITLE = re.compile(
    rf"{_ORDER}(?:\btitle\b[^.?!\n]{{0,60}}\b{_TALK}|\b{_TALK}[^.?!\n]{{0,60}}\btitle\b"
    rf"|\b{_TALK} an? (?:\w+ ){{0,2}}name\b)",
    re.IGNORECASE,
)
_FORM = re.compile(
    r"\b(?:words?|characters|quot(?:es|ation)|punctuation|lead-in|concise|short|brief|only)\b", re.IGNORECASE
)
_LONGEST_INSTRUCTION = 3000
"""Characters of instructions that may be an order for a title: a front end's general instructions are longer."""

_FIELD = re.compile(r'\{\s*"(\w+)"\s*:\s*(["\[])')
_QUESTION = re.compile(r"^[^\w\n]*(?:user|human|reader)\W*:\s*\W?(\w.*)$", re.IGNORECASE | re.MULTILINE)
_LONGEST_TITLE = 60


def is_side_request(asked: str, instructions: Sequence[str] = ()) -> bool:
    """Whether a message was made by the front end and not by the reader.

    Args:
        asked: The last message of the user.
        instructions: Texts of the system messages.
    """
    if _TASK.match(asked) and _MACHINE.search(asked):
        return True
    orders = [text for text in instructions if len(text) <= _LONGEST_INSTRUCTION]
    # The order comes before the conversation that it quotes.
    return any(_orders_title(text) for text in (asked[:_LONGEST_INSTRUCTION], *orders))


def side_reply(asked: str, said: Sequence[Said], *, book: str) -> str:
    """Returns the reply to a side request, in the form that it asks for.

    Args:
        asked: The message.
        said: Messages before it.
        book: Title of the book.
    """
    title = _title(asked, said) or book
    told = asked.partition("<chat_history>")[0]
    form = _FIELD.search(told) if re.search(r"\bJSON\b", told, re.IGNORECASE) else None
    if form is None:
        return title
    field, opening = form.groups()
    # Nothing is suggested rather than something made up: the front end then shows nothing.
    value = ([book] if field == "tags" else []) if opening == "[" else (title if field == "title" else "")
    return json.dumps({field: value}, ensure_ascii=False)


def _orders_title(text: str) -> bool:
    return bool(_TITLE.search(text) and _FORM.search(text))


def _title(asked: str, said: Sequence[Said]) -> str:
    """Returns the first question of the conversation, shortened."""
    quoted = _QUESTION.search(asked.partition("<chat_history>")[2] or asked)
    questions = [text for role, text in said if role == "user"] or ([quoted[1]] if quoted else [])
    first = " ".join(questions[0].split()).strip("\"'`*#> ") if questions else ""
    if len(first) <= _LONGEST_TITLE:
        return first
    return first[:_LONGEST_TITLE].rsplit(" ", 1)[0] + "…"
