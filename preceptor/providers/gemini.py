"""Gemini through its OpenAI-compatible endpoint, whose tool calls differ from OpenAI's on the wire."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from agents.items import TResponseInputItem
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall
from openai.types.chat.chat_completion_message_function_tool_call import ChatCompletionMessageFunctionToolCall

from preceptor.providers.checked_chat import CheckedChat, Normaliser

_PREFIXES = ("default_api.", "default_api:")


class GeminiChat(CheckedChat):
    """A checked model whose tool calls are first put into OpenAI's form."""

    def normaliser(self, input: str | list[TResponseInputItem]) -> Normaliser:
        """Returns a normaliser for the tool calls of one answer."""
        return ToolCalls(input)


@dataclass(slots=True)
class _Call:
    """A call of which parts have arrived."""

    wire_index: int | None
    wire_id: str | None
    name: str
    arguments: str

    def continued_by(self, name: str, wire_id: str | None) -> bool:
        """Whether a piece with this name and id belongs to this call, rather than beginning the next."""
        # A piece without a name carries arguments, or only a thought signature.
        if not name or not self.name:
            return True
        same = name == self.name and (not wire_id or wire_id == self.wire_id)
        # Arguments that are complete JSON take no more pieces: the same tool is called again.
        return same and not _is_json(self.arguments)


class ToolCalls:
    """Separates the tool calls of one answer and gives each a stable index, id and name.

    Gemini leaves out `index` or sends 0 for each of several calls, leaves ids empty or repeats them, puts
    `default_api.` before names, and may send a thought signature as a piece of its own.
    """

    def __init__(self, input: str | list[TResponseInputItem]) -> None:
        """Begin an answer.

        Args:
            input: The conversation so far, whose ids are taken.
        """
        self._input = input
        self._taken: set[str] | None = None
        self._calls: list[_Call] = []

    def pieces(self, pieces: Sequence[ChoiceDeltaToolCall]) -> None:
        """Correct the next pieces of a stream, in place."""
        for piece in pieces:
            index: int | None = piece.index  # None where the provider leaves it out, whatever its type
            function = piece.function
            name = _bare((function and function.name) or "")
            arguments = (function and function.arguments) or ""
            place = self._place(index)
            if place is not None and self._calls[place].continued_by(name, piece.id):
                call = self._calls[place]
                call.name = call.name or name
                call.arguments += arguments
                piece.id = None
            else:
                place = len(self._calls)
                self._calls.append(_Call(index, piece.id, name, arguments))
                piece.id = self._own_id(piece.id)
            piece.index = place
            if function is not None:
                function.name = name or None

    def whole(self, calls: Sequence[ChatCompletionMessageFunctionToolCall]) -> None:
        """Correct complete calls, in place."""
        for call in calls:
            call.id = self._own_id(call.id)
            call.type = "function"
            call.function.name = _bare(call.function.name or "")

    def _place(self, index: int | None) -> int | None:
        """The call that a piece with this index may belong to: the last with the same index, or the last."""
        for place in reversed(range(len(self._calls))):
            if index is None or self._calls[place].wire_index == index:
                return place
        return None

    def _own_id(self, wire_id: str | None) -> str:
        """Returns the id, or a new one if it is missing or already used in this conversation."""
        if self._taken is None:
            items = [item for item in self._input if isinstance(item, dict)]
            self._taken = {str(item["call_id"]) for item in items if "call_id" in item}
        own = wire_id if wire_id and wire_id not in self._taken else f"call_{uuid4().hex}"
        self._taken.add(own)
        return own


def _bare(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _is_json(arguments: str) -> bool:
    try:
        json.loads(arguments)
    except ValueError:
        return False
    return True
