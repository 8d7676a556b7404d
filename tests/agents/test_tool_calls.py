"""The tool calls of one reply, piece by piece: which piece belongs to which call, and which id and name it bears."""

from typing import Any, cast

import pytest
from agents import TResponseInputItem
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall, ChoiceDeltaToolCallFunction
from openai.types.chat.chat_completion_message_function_tool_call import (
    ChatCompletionMessageFunctionToolCall,
    Function,
)

from preceptor.providers.tool_calls import ToolCalls

TAKEN: list[TResponseInputItem] = [
    {"role": "user", "content": "What is a node?"},
    {"type": "function_call_output", "call_id": "old", "output": "A process."},
]


def piece(name: str | None, arguments: str | None = None, **wire: Any) -> ChoiceDeltaToolCall:
    """A piece of a call; without a name and arguments it has no function at all."""
    function = ChoiceDeltaToolCallFunction.construct(name=name, arguments=arguments)
    named = {} if name is None and arguments is None else {"function": function}
    return ChoiceDeltaToolCall.construct(**named, **wire)


def placed(*pieces: ChoiceDeltaToolCall, one_by_one: bool = False) -> list[int]:
    """The call to which each piece belongs."""
    calls = ToolCalls([], taken=set())
    for one in pieces if one_by_one else ():
        calls.pieces([one])
    if not one_by_one:
        calls.pieces(pieces)
    return [one.index for one in pieces]


@pytest.mark.parametrize("one_by_one", [True, False])
def test_a_piece_without_a_name_goes_on_with_the_last_call_of_its_index(one_by_one: bool) -> None:
    pieces = [
        piece("search", "", index=3, id="a"),
        piece("search", "", index=7, id="b"),
        piece(None, '{"q"', index=3),
        piece(None, "{}", index=7),
        piece(None, ": 1}", index=3),
        piece(None, index=7),
        piece(None, " "),
    ]
    assert placed(*pieces, one_by_one=one_by_one) == [0, 1, 0, 1, 0, 1, 1]
    assert [one.id for one in pieces] == ["a", "b", None, None, None, None, None]
    assert [one.function and one.function.name for one in pieces] == ["search", "search", *[None] * 5]


def test_the_last_call_of_an_index_that_comes_again_is_the_one_that_goes_on() -> None:
    pieces = [
        piece("search", "{}", index=0, id="a"),
        piece("search", '{"q"', index=0, id="b"),
        piece(None, ": 1}", index=0),
    ]
    assert placed(*pieces) == [0, 1, 1]


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        (piece("search", '{"q', id="a"), piece("search", '": 1}', id="a"), True),
        (piece("search", '{"q', id="a"), piece("search", '": 1}'), True),
        (piece("search", '{"q', id="a"), piece("search", '": 1}', id="b"), False),
        (piece("search", '{"q', id="a"), piece("read", "{}", id="a"), False),
        (piece("search", "{}", id="a"), piece("search", "{}", id="a"), False),
        (piece("search", "{}"), piece("search", "{}"), False),
        (piece("", id="a"), piece("search", "{}", id="b"), True),
        (piece(None, "", id="a"), piece("search", "{}", id="a"), True),
    ],
    ids=["same id", "no id", "other id", "other name", "whole", "whole, no id", "name later", "none before"],
)
def test_a_piece_with_a_name_begins_a_call_unless_it_repeats_one_that_is_not_whole(
    first: ChoiceDeltaToolCall, second: ChoiceDeltaToolCall, is_one: bool
) -> None:
    first, second = first.model_copy(deep=True), second.model_copy(deep=True)
    assert placed(first, second) == [0, 0 if is_one else 1]
    assert (second.id is None) == is_one


def test_arguments_are_whole_when_their_pieces_make_json() -> None:
    pieces = [
        piece("search", '{"q"', id="a"),
        piece("search", ": ", id="a"),
        piece("search", "1}", id="a"),
        piece("search", '{"q": 2}', id="a"),
    ]
    assert placed(*pieces) == [0, 0, 0, 1]


def test_a_name_that_comes_late_is_the_calls_name() -> None:
    """The next piece that bears another name begins a call of its own, and the first name stays."""
    pieces = [piece(None, "", id="a"), piece("search", "", id="a"), piece("read", "", id="a")]
    assert placed(*pieces) == [0, 0, 1]
    again = [piece("search", '{"q', id="a"), piece(None, '": '), piece("search", "1}", id="a")]
    assert placed(*again) == [0, 0, 0]


def test_an_id_is_kept_unless_it_is_missing_or_was_used() -> None:
    pieces = [
        piece("search", "{}", index=0, id="old"),
        piece("search", "{}", index=1, id="new"),
        piece("search", "{}", index=2, id="new"),
        piece("search", "{}", index=3, id=""),
        piece("search", "{}", index=4),
    ]
    ToolCalls(TAKEN, taken=set()).pieces(pieces)
    ids = [one.id or "" for one in pieces]
    assert ids[1] == "new"
    assert all(one.startswith("call_") for one in (ids[0], *ids[2:]))
    assert len(set(ids)) == 5


def test_an_id_that_another_tutor_gave_is_taken() -> None:
    taken, pieces = set[str](), [piece("search", "{}", id="0") for _ in range(2)]
    for one in pieces:
        ToolCalls([], taken=taken).pieces([one])
    assert pieces[0].id == "0"
    assert (pieces[1].id or "").startswith("call_")


def test_whole_calls_get_an_id_a_type_and_a_bare_name() -> None:
    calls = [
        ChatCompletionMessageFunctionToolCall.construct(
            id=own,
            function=Function.construct(name=name, arguments="{}"),
        )
        for own, name in [("old", "default_api.search"), ("b", "functions.default_api.search"), ("b", None)]
    ]
    ToolCalls(TAKEN, taken=set(), prefixes=("functions.", "default_api.")).whole(calls)
    assert [one.function.name for one in calls] == ["search", "search", ""]
    assert [one.type for one in calls] == ["function"] * 3
    assert calls[1].id == "b"
    assert len({one.id for one in calls} | {"old"}) == 4


def test_a_piece_without_arguments_adds_none() -> None:
    pieces = [
        ChoiceDeltaToolCall.construct(
            id="a", function=ChoiceDeltaToolCallFunction.construct(name="search", arguments=None)
        ),
        piece(None, "{}"),
        piece("search", "{}", id="a"),
    ]
    assert placed(*pieces) == [0, 0, 1]


def test_the_words_of_a_question_are_no_ids() -> None:
    # The SDK's type has no bare text among the items; a client may send one.
    for conversation in ("call_id", cast("list[TResponseInputItem]", ["call_id", TAKEN[0]])):
        one = piece("search", "{}", id="call_id")
        ToolCalls(conversation, taken=set()).pieces([one])
        assert one.id == "call_id"


def test_a_piece_bears_its_name_without_the_servers_prefix_and_none_where_it_is_empty() -> None:
    pieces = [
        piece("default_api.search", "{}", index=0, id="a"),
        piece("", "{}", index=1, id="b"),
        piece(None, index=0),
    ]
    ToolCalls([], taken=set(), prefixes=("default_api.",)).pieces(pieces)
    assert [one.function and one.function.name for one in pieces] == ["search", None, None]
