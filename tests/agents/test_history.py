"""The part of a conversation that a model sees: hand-offs, other tutors' wrong calls, and the server's own searches."""

from typing import Any, cast

import pytest
from agents.items import TResponseInputItem

from preceptor.providers.scope import (
    HAND_OVER,
    calls_for_question,
    seen_by,
    with_passages,
    wrong_in_a_row,
)

TOOLS = {"search", "chapters"}
Item = dict[str, Any]


def user(text: str = "What is a node?") -> Item:
    return {"role": "user", "content": text}


def said(text: str) -> Item:
    return {"role": "assistant", "content": text}


def called(id: str, name: str = "search") -> Item:
    return {"type": "function_call", "call_id": id, "name": name, "arguments": "{}"}


def found(id: str, output: object = "[k7qd] A node.") -> Item:
    return {"type": "function_call_output", "call_id": id, "output": output}


def pair(id: str, name: str = "search") -> list[Item]:
    return [called(id, name), found(id)]


def handed_over(id: str = "h", to: str = "openai") -> list[Item]:
    return pair(id, f"{HAND_OVER}{to}")


def items(*given: Item | list[Item]) -> list[TResponseInputItem]:
    flat = [one for each in given for one in (each if isinstance(each, list) else [each])]
    return cast("list[TResponseInputItem]", flat)


def seen(*given: Item | list[Item], refused: tuple[str, ...] = ()) -> list[str]:
    """What is left, in one word each."""
    return [word(one) for one in seen_by(items(*given), tools=TOOLS, refused=refused)]


def word(item: TResponseInputItem) -> str:
    one = cast("Item", item)
    if "call_id" in one:
        return f"{'→' if one['type'] == 'function_call' else '←'}{one['call_id']}"
    return f"{one['role']}"


def test_a_question_without_a_conversation_is_one_message() -> None:
    assert seen_by("Why?", tools=TOOLS, refused=()) == [{"role": "user", "content": "Why?"}]


def test_hand_offs_and_their_results_are_left_out_wherever_they_stand() -> None:
    assert seen(user(), handed_over("h1"), pair("a"), handed_over("h2"), said("A node.")) == [
        *("user", "→a", "←a", "assistant"),
    ]
    assert seen(handed_over()) == []


@pytest.mark.parametrize(
    ("refused", "name"), [(("x",), "search"), ((), "delete_book"), (("x",), "delete_book")]
)
def test_calls_that_got_nothing_are_left_out_once_the_next_tutor_is_asked(
    refused: tuple[str, ...], name: str
) -> None:
    wrong = pair("x", name)
    assert seen(user(), wrong, pair("a"), refused=refused) == ["user", "→x", "←x", "→a", "←a"]
    assert seen(user(), wrong, pair("a"), handed_over(), pair("b"), refused=refused) == [
        *("user", "→a", "←a", "→b", "←b"),
    ]
    behind = seen(user(), pair("a"), handed_over(), wrong, refused=refused)
    assert behind == ["user", "→a", "←a", "→x", "←x"], "a tutor sees its own mistakes"
    between = seen(user(), handed_over("h1"), wrong, handed_over("h2"), refused=refused)
    assert between == ["user"], "those of every tutor before the last hand-off"


def test_a_call_of_another_id_does_not_make_a_message_wrong() -> None:
    assert seen(user(), said("x"), handed_over(), refused=("x",)) == ["user", "assistant"]


@pytest.mark.parametrize("name", [HAND_OVER.rstrip(), "please hand over to openai", "hand_over_to openai"])
def test_only_our_own_hand_offs_are_hand_offs(name: str) -> None:
    assert seen(user(), pair("x", name)) == ["user", "→x", "←x"]
    output = {**found("y"), "name": f"{HAND_OVER}openai"}
    assert seen(user(), output) == ["user", "←y"]


def test_the_items_are_handed_on_as_they_are() -> None:
    given = items(user(), pair("a"))
    assert all(
        one is other for one, other in zip(given, seen_by(given, tools=TOOLS, refused=()), strict=True)
    )


# the searches that the server made


def told(*given: Item | list[Item], own: tuple[str, ...] = ("own",), rule: str = "") -> list[Item]:
    return cast("list[Item]", with_passages(items(*given), own_calls=own, rule=rule))


def test_a_search_of_the_server_is_told_behind_the_question() -> None:
    assert told(user("Why?"), pair("own")) == [user("Why?\n\n[k7qd] A node.")]


def test_a_search_of_the_model_stays_and_the_servers_stands_behind_its_result() -> None:
    assert told(user(), pair("a"), called("own"), found("own", "[z9zz] More.")) == [
        user(),
        called("a"),
        found("a", "[k7qd] A node.\n\n[z9zz] More."),
    ]


def test_behind_a_models_words_it_is_a_message_of_its_own() -> None:
    assert told(user(), said("I look."), pair("own")) == [user(), said("I look."), user("[k7qd] A node.")]
    assert told(pair("own")) == [user("[k7qd] A node.")]


@pytest.mark.parametrize(
    "last",
    [
        {"role": "user", "content": [{"type": "input_text", "text": "Why?"}]},
        found("a", [{"type": "input_text", "text": "A node."}]),
        {"type": "function_call_output", "call_id": "a", "content": "no output"},
        {"role": "assistant", "content": "A node.", "output": "no result"},
        called("a"),
    ],
)
def test_what_is_no_text_is_not_added_to(last: Item) -> None:
    assert told(last, rule="Cite.") == [last, user("Cite.")]


def test_the_rule_stands_last_and_an_empty_one_adds_nothing() -> None:
    assert told(user("Why?"), pair("own"), rule="Cite.") == [user("Why?\n\n[k7qd] A node.\n\nCite.")]
    assert told(user("Why?"), pair("a"), rule="Cite.") == [
        user("Why?"),
        called("a"),
        found("a", "[k7qd] A node.\n\nCite."),
    ]
    assert told(user("Why?"), pair("a")) == [user("Why?"), *pair("a")]


def test_the_conversation_itself_is_not_changed() -> None:
    given = user("Why?")
    told(given, pair("own"), rule="Cite.")
    assert given == user("Why?")


def test_two_searches_of_the_server_are_told_in_their_order() -> None:
    first, second = [called("a"), found("a", "One.")], [called("b"), found("b", "Two.")]
    assert told(user("Why?"), first, second, own=("a", "b")) == [user("Why?\n\nOne.\n\nTwo.")]


# how many calls


def test_calls_are_counted_back_to_the_question() -> None:
    before = [user(), pair("a"), said("A node.")]
    assert calls_for_question(items(*before, user("And?"))) == 0
    assert calls_for_question(items(*before, user("And?"), pair("b"), called("c"), called("d"))) == 3
    assert calls_for_question(items(*before)) == 1, "what the model said is no question"
    assert calls_for_question(items(pair("a"), pair("b"))) == 2
    assert calls_for_question("function_call") == 0


def wrong(*given: Item | list[Item], refused: tuple[str, ...] = ("x", "y", "z")) -> int:
    return wrong_in_a_row(items(*given), tools=TOOLS, refused=refused)


def test_replies_of_nothing_but_wrong_calls_are_counted() -> None:
    assert wrong(user()) == 0
    assert wrong(user(), pair("x")) == 1
    assert wrong(user(), pair("x"), pair("y"), pair("z")) == 3
    assert wrong(user(), pair("u", "delete_book"), pair("x")) == 2
    assert wrong(pair("x"), pair("y")) == 2


def test_calls_that_were_made_together_are_one_reply() -> None:
    together = [called("x"), called("y"), found("x"), found("y")]
    assert wrong(user(), together) == 1
    assert wrong(user(), together, pair("z")) == 2
    assert wrong(user(), [called("x"), called("a"), found("x"), found("a")]) == 0, "one of them is right"
    assert wrong(user(), pair("z"), [called("a"), called("x"), found("a"), found("x")]) == 0


def test_a_right_reply_ends_the_row() -> None:
    assert wrong(user(), pair("x"), pair("a"), pair("y")) == 1
    assert wrong(user(), pair("x"), pair("a")) == 0


def test_the_row_is_that_of_this_question_and_this_tutor() -> None:
    assert wrong(user(), pair("x"), user(), pair("y")) == 1
    assert wrong(user(), pair("x"), handed_over(), pair("y")) == 1
    assert wrong(user(), pair("x"), handed_over()) == 0
    assert wrong(user(), pair("x"), said("Hm."), pair("y")) == 2, "words between two replies are no end"
    assert wrong_in_a_row("x", tools=TOOLS, refused=("x",)) == 0


def test_a_call_whose_result_has_not_come_counts_too() -> None:
    assert wrong(user(), pair("y"), called("x")) == 2
    assert wrong(user(), called("x")) == 1
