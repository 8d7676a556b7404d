"""The tool calls of one reply, put into the form that the SDK takes."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from agents.items import TResponseInputItem
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall
from openai.types.chat.chat_completion_message_function_tool_call import ChatCompletionMessageFunctionToolCall

_ID = re.compile(r"[!-~]{1,256}")
"""The form of ids that servers give."""


@dataclass(slots=True)
class _Call:
    """A call as far as it has come."""

    wire_index: int | None
    wire_id: str | None
    name: str
    arguments: str

    def continued_by(self, name: str, wire_id: str | None) -> bool:
        """Whether a piece with this name and id belongs to this call, rather than beginning the next."""
        # A piece without a name goes on with the arguments, as OpenAI streams them.
        if not name or not self.name:
            return True
        same = name == self.name and (not wire_id or wire_id == self.wire_id)
        # Arguments that are whole cannot go on: the same name again begins another call.
        return same and not _is_json(self.arguments)


class ToolCalls:
    """Tells the tool calls of one answer apart, and gives each an index, an id and a name that hold.

    Gemini leaves out `index` or sends 0 for each of several calls, leaves ids empty or repeats them, puts
    `default_api.` before names, and may send a thought signature as a piece of its own. Other servers that speak
    OpenAI's protocol have some of these habits, too.
    """

    def __init__(
        self, input: str | list[TResponseInputItem], *, taken: set[str], prefixes: Sequence[str] = ()
    ) -> None:
        """Begin a reply.

        Args:
            input: The conversation so far, whose ids are taken.
            taken: More ids that are; those of this reply are added.
            prefixes: Beginnings of names that are no part of them.
        """
        self._prefixes = prefixes
        self._taken = taken
        items = [item for item in input if isinstance(item, dict)]
        taken.update(str(item["call_id"]) for item in items if "call_id" in item)
        self._calls: list[_Call] = []

    def pieces(self, pieces: Sequence[ChoiceDeltaToolCall]) -> None:
        """Put the next pieces of a stream right, in place."""
        for piece in pieces:
            index: int | None = piece.index  # None where the provider leaves it out, whatever its type
            function = piece.function
            name = self._bare((function and function.name) or "")
            arguments = (function and function.arguments) or ""
            place = self._place(index)
            if place is not None and self._calls[place].continued_by(name, piece.id):
                call = self._calls[place]
                call.name = call.name or name
                call.arguments += arguments
                # The SDK takes each id that comes for the call's: a repeated one would replace the one it has by now.
                piece.id = None
            else:
                place = len(self._calls)
                self._calls.append(_Call(index, piece.id, name, arguments))
                piece.id = self._own_id(piece.id)
            piece.index = place
            if function is not None:
                function.name = name or None

    def whole(self, calls: Sequence[ChatCompletionMessageFunctionToolCall]) -> None:
        """Put whole calls right, in place."""
        for call in calls:
            call.id = self._own_id(call.id)
            call.type = "function"
            call.function.name = self._bare(call.function.name or "")

    def _place(self, index: int | None) -> int | None:
        """The call that a piece with this index may belong to: the last with the same index, or the last."""
        for place in reversed(range(len(self._calls))):
            if index is None or self._calls[place].wire_index == index:
                return place
        return None

    def _bare(self, name: str) -> str:
        for prefix in self._prefixes:
            name = name.removeprefix(prefix)
        return name

    def _own_id(self, wire_id: str | None) -> str:
        """The id, or a new one where it is missing, is none, or was used before in this conversation."""
        usable = wire_id and _ID.fullmatch(wire_id) and wire_id not in self._taken
        own = wire_id if wire_id and usable else f"call_{uuid4().hex}"
        self._taken.add(own)
        return own


def _is_json(arguments: str) -> bool:
    try:
        json.loads(arguments)
    except ValueError:
        return False
    return True
