"""One reply of a provider, by itself: what the SDK sees of it, or as what it fails, streamed and in one piece."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2
import openai as client_library
import pytest
from agents import ModelSettings, ModelTracing, TResponseInputItem
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseCompletedEvent, ResponseFunctionToolCall, ResponseTextDeltaEvent

from preceptor.errors import AnswerUnusable
from preceptor.providers import checked_chat
from preceptor.providers.checked_chat import CheckedChat
from preceptor.providers.client import Client
from preceptor.providers.failure import classify
from preceptor.providers.form import check_form
from preceptor.providers.prose import Prose
from preceptor.providers.scope import RunScope, current_scope
from tests.agents.test_failover_alone import tool
from tests.standins.provider import Answer, Json, Provider, call, calls, chunk, fails, says, stream, usage


@dataclass
class Reply:
    """What came of one reply."""

    text: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    tokens: tuple[int, int, int] | None = None
    """Given, made, and both, as the SDK counts them."""
    failed: str = ""
    """The failure's class."""
    said: str = ""
    spent: tuple[int, int] = (0, 0)
    truncated: bool = False
    sent: Json = field(default_factory=dict[str, Any])


async def reply(
    provider: Provider,
    answer: Answer,
    *,
    whole: bool = False,
    input: str | list[TResponseInputItem] = "Why?",
    tools: Sequence[str] = ("search",),
    settings: ModelSettings | None = None,
    most_calls: int = 5,
    system: str | None = "Be brief.",
) -> Reply:
    """Ask once."""
    provider.will(answer)
    run, made = RunScope(whole=whole), Reply()
    token = current_scope.set(run)
    async with Client(base_url=provider.base_url, api_key="k", max_retries=0) as client:
        model = CheckedChat("m", client, timeout=20.0, first_token=20.0, most_calls=most_calls)
        try:
            async for event in model.stream_response(
                system, input, settings or ModelSettings(include_usage=True), [tool(name) for name in tools], None, [],
                ModelTracing.DISABLED, previous_response_id=None, conversation_id=None, prompt=None,
            ):  # fmt: skip
                if isinstance(event, ResponseTextDeltaEvent):
                    made.text += event.delta
                if isinstance(event, ResponseCompletedEvent):
                    _note(made, event)
        except (AnswerUnusable, client_library.APIError, httpx2.HTTPError) as error:
            made.failed, made.said = classify(error).reason, str(error)
            if isinstance(error, AnswerUnusable):
                made.spent = error.input_tokens, error.output_tokens
        finally:
            current_scope.reset(token)
    made.truncated, made.sent = run.truncated, provider.requests[-1].body
    return made


def _note(made: Reply, event: ResponseCompletedEvent) -> None:
    output = event.response.output
    made.calls = [(one.name, one.arguments) for one in output if isinstance(one, ResponseFunctionToolCall)]
    if spent := event.response.usage:
        made.tokens = spent.input_tokens, spent.output_tokens, spent.total_tokens


both = pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])


# --- the finish reason


@both
@pytest.mark.parametrize(
    ("finish", "failed"),
    [
        *(
            (word, "safety_block")
            for word in (
                *("content_filter", "SAFETY", "recitation", "BLOCKLIST", "prohibited_content", "spii"),
                *("LANGUAGE", "sensitive", "guardrail_intervened", "finish: SAFETY (2)"),
            )
        ),
        ("MALFORMED_FUNCTION_CALL", "malformed_tool_call"),
        ("unexpected_tool_call", "malformed_tool_call"),
        ("TOO_MANY_TOOL_CALLS", "malformed_tool_call"),
        ("MISSING_THOUGHT_SIGNATURE", "malformed_tool_call"),
        ("error", "stream_cut"),
        ("Aborted", "stream_cut"),
        ("cancelled", "stream_cut"),
        ("insufficient_system_resource", "stream_cut"),
        ("stop", ""),
        ("STOP", ""),
        ("tool_calls", ""),
        ("length", ""),
    ],
)
async def test_a_reply_ends_as_its_finish_reason_says(
    finish: str, failed: str, whole: bool, openai: Provider
) -> None:
    said = stream(chunk({"content": "A node."}), chunk({}, finish), chunk(usage=usage(7, 3)))
    made = await reply(openai, said, whole=whole)
    assert (made.failed, made.spent) == (failed, (7, 3) if failed else (0, 0))
    assert made.truncated == (finish == "length")
    if not failed:
        assert (made.text, made.tokens) == ("A node.", (7, 3, 10))


@both
@pytest.mark.parametrize(
    "finish", ["length", "MAX_TOKENS", "finish: max_tokens", "model_context_window_exceeded"]
)
async def test_a_text_at_its_limit_is_cut_off_and_a_call_is_whole_or_malformed(
    finish: str, whole: bool, openai: Provider
) -> None:
    assert (await reply(openai, stream(chunk({"content": "A no"}, finish)), whole=whole)).truncated
    made = await reply(openai, calls(call("search", "{}", id="a"), finish=finish), whole=whole)
    assert (made.calls, made.truncated) == ([("search", "{}")], False)
    made = await reply(openai, calls(call("search", '{"q', id="a"), finish=finish), whole=whole)
    assert made.failed == "malformed_tool_call"


async def test_only_a_stream_needs_a_finish_reason(openai: Provider) -> None:
    message = {"id": "c", "choices": [{"index": 0, "message": {"content": "A node."}}]}
    assert (await reply(openai, fails(200, message), whole=True)).text == "A node."
    assert (await reply(openai, stream(chunk({"content": "A node."}), done=True))).failed == "stream_cut"


async def test_the_first_finish_reason_ends_the_text_and_the_last_one_counts(openai: Provider) -> None:
    made = await reply(
        openai, stream(chunk({"content": "A "}, "stop"), chunk({"content": "node."}, "length"))
    )
    assert made.truncated
    assert (
        await reply(openai, stream(chunk({"content": "A"}, "stop"), chunk({}, "safety")))
    ).failed == "safety_block"


# --- calls


@both
@pytest.mark.parametrize("name", ["search", "a.b:c-d_1", "x" * 128])
async def test_a_call_has_a_name_that_a_tool_may_have(name: str, whole: bool, openai: Provider) -> None:
    made = await reply(openai, calls(call(name, "{}", id="a")), whole=whole)
    assert made.calls == [(name, "{}")]


@both
@pytest.mark.parametrize("name", ["", "two words", "x" * 129, "search!"])
async def test_a_call_with_another_name_is_malformed(name: str, whole: bool, openai: Provider) -> None:
    assert (await reply(openai, calls(call(name, "{}", id="a")), whole=whole)).failed == "malformed_tool_call"


def nested(levels: int) -> str:
    return '{"a": ' * levels + "1" + "}" * levels


def long(characters: int) -> str:
    return json.dumps({"q": "x" * (characters - 9)})


@both
@pytest.mark.parametrize("arguments", ["{}", '{"q": [1, {"a": null}]}', nested(19), long(20_000)])
async def test_the_arguments_of_a_call_are_an_object(arguments: str, whole: bool, openai: Provider) -> None:
    made = await reply(openai, calls(call("search", arguments, id="a")), whole=whole)
    assert (made.failed, made.calls) == ("", [("search", arguments)])


@both
@pytest.mark.parametrize(
    "arguments",
    ["[]", "1", "null", '{"q', "q", nested(20), nested(5000), '{"a": ' + "[" * 20 + "]" * 20 + "}", long(20_001),
     '{"q": "\\ud800"}'],
    ids=["list", "number", "null", "half", "word", "deep", "very deep", "deep lists", "long", "half a character"],
)  # fmt: skip
async def test_other_arguments_are_malformed(arguments: str, whole: bool, openai: Provider) -> None:
    made = await reply(openai, calls(call("search", arguments, id="a")), whole=whole)
    assert made.failed == "malformed_tool_call"


async def test_a_call_may_come_without_arguments_and_in_pieces(openai: Provider) -> None:
    assert (await reply(openai, calls(call("search", "", id="a")))).failed == ""
    half = long(20_000)
    pieces = [
        call("search", half[:9000], index=0, id="a"),
        {"index": 0, "function": {"arguments": half[9000:]}},
    ]
    assert (await reply(openai, calls(*pieces))).calls == [("search", half)]
    pieces[1] = {"index": 0, "function": {"arguments": half[9000:] + " "}}
    made = await reply(openai, calls(*pieces))
    assert (made.failed, "endless arguments" in made.said) == ("malformed_tool_call", True)


@both
async def test_a_reply_of_a_hundred_calls_is_the_longest(whole: bool, openai: Provider) -> None:
    hundred = [call("search", "{}", index=place, id=f"c{place}") for place in range(101)]
    made = await reply(openai, calls(*hundred[:100]), whole=whole, most_calls=200)
    assert len(made.calls) == 100
    made = await reply(openai, calls(*hundred), whole=whole, most_calls=200)
    assert made.failed == "too_many_tool_calls"


def looked(times: int) -> list[TResponseInputItem]:
    made: list[TResponseInputItem] = [{"role": "user", "content": "Why?"}]
    for number in range(times):
        made.append({"type": "function_call", "call_id": f"c{number}", "name": "search", "arguments": "{}"})
        made.append({"type": "function_call_output", "call_id": f"c{number}", "output": "A node."})
    return made


@both
@pytest.mark.parametrize(("made_before", "run"), [(0, 3), (1, 2), (2, 1)])
async def test_of_the_calls_of_a_reply_as_many_are_run_as_there_is_room_for(
    made_before: int, run: int, whole: bool, openai: Provider
) -> None:
    four = [call("search", f'{{"n": {place}}}', index=place, id=f"n{place}") for place in range(4)]
    made = await reply(openai, calls(*four), whole=whole, input=looked(made_before), most_calls=3)
    assert made.calls == [("search", f'{{"n": {place}}}') for place in range(run)]
    assert [each["function"]["name"] for each in made.sent["tools"]] == ["search"]


LAST = "You can call no further tool. Answer now, from what you have found."


@both
async def test_after_the_last_call_the_model_is_offered_none(whole: bool, openai: Provider) -> None:
    asked: Any = {"input": looked(3), "most_calls": 3, "whole": whole}
    required = ModelSettings(tool_choice="required", temperature=0.5)
    made = await reply(openai, says("A node."), settings=required, **asked)
    assert made.text == "A node."
    assert not {"tools", "tool_choice"} & made.sent.keys()
    assert made.sent["temperature"] == 0.5
    assert made.sent["messages"][0]["content"] == f"Be brief.\n\n{LAST}"
    made = await reply(openai, says("A node."), system=None, **asked)
    assert made.sent["messages"][0]["content"] == LAST
    made = await reply(openai, calls(call("search", "{}", id="a")), **asked)
    assert made.failed == "too_many_tool_calls"


@both
async def test_before_it_the_model_is_asked_as_the_run_asks(whole: bool, openai: Provider) -> None:
    settings = ModelSettings(tool_choice="required", include_usage=True)
    made = await reply(openai, calls(call("search", "{}", id="a")), settings=settings, whole=whole)
    assert (made.sent["tool_choice"], made.sent["messages"][0]["content"]) == ("required", "Be brief.")
    assert made.sent.get("stream", False) is not whole


@both
async def test_without_tools_a_call_is_malformed_and_nothing_is_said_of_tools(
    whole: bool, openai: Provider
) -> None:
    made = await reply(openai, calls(call("search", "{}", id="a")), tools=(), whole=whole)
    assert (made.failed, made.sent["messages"][0]["content"]) == ("malformed_tool_call", "Be brief.")


# --- its length


@both
async def test_a_long_text_is_read_in_pieces_so_that_others_have_their_turn(
    whole: bool, openai: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, taken = Prose.feed, list[int]()

    def noted(prose: Prose, piece: str) -> str:
        taken.append(len(piece))
        return read(prose, piece)

    monkeypatch.setattr(Prose, "feed", noted)
    text = "A node is a process.\n" * 1000
    said = stream(chunk({"content": text}), chunk({}, "stop"))
    assert (await reply(openai, said, whole=whole)).text == text
    assert max(taken) <= 2000


async def test_of_a_whole_text_without_end_as_much_is_read_as_may_be_shown(
    openai: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_chat, "_LONGEST_TEXT", 4500)
    for length in (4500, 4501):
        said = stream(chunk({"content": "x" * length}), chunk({}, "stop"))
        made = await reply(openai, said, whole=True)
        assert (len(made.text), made.truncated) == (4500, length > 4500)


# --- its form


def told(*, whole: bool, part: object, finish: object = "stop", **choice: object) -> Answer:
    """A reply of one choice whose delta, or message, is `part`."""
    name = "message" if whole else "delta"
    body = {"id": "c", "choices": [{"index": 0, name: part, "finish_reason": finish, **choice}]}
    return fails(200, body) if whole else stream(body)


@both
@pytest.mark.parametrize(
    "more",
    [
        *({"part": part} for part in ("A node.", 7, ["A node."], {"refusal": {"a": 1}})),
        *({"part": {"content": "A node."}, "finish": finish} for finish in (2, True, ["stop"], {"a": 1})),
        {"part": {"content": "A node."}, "index": "0"},
    ],
)
async def test_an_answer_of_other_types_is_none(more: Any, whole: bool, openai: Provider) -> None:
    assert (await reply(openai, told(whole=whole, **more), whole=whole)).failed == "not_an_api"


@both
@pytest.mark.parametrize("choices", [{"a": 1}, "A node.", 7, True, [None], ["A node."], [[]]])
async def test_choices_that_are_none_are_no_answer(choices: object, whole: bool, openai: Provider) -> None:
    body = {"id": "c", "choices": choices}
    made = await reply(openai, fails(200, body) if whole else stream(body), whole=whole)
    assert made.failed == "not_an_api"


@both
@pytest.mark.parametrize(
    "asked",
    [
        *({"id": "a", "index": 0, "function": {"name": "search", "arguments": one}} for one in (5, {"q": 1})),
        *(
            {"id": "a", "index": 0, "function": {"name": one, "arguments": "{}"}}
            for one in (5, {}, ["search"])
        ),
        *(
            {"id": one, "index": 0, "function": {"name": "search", "arguments": "{}"}}
            for one in (7, {"a": 1})
        ),
        {"id": "a", "index": 0, "function": "search"},
        {"id": "a", "index": 0, "type": "function", "function": None},
        *(None, "search", 7),
    ],
)
async def test_a_call_of_other_types_is_malformed(asked: object, whole: bool, openai: Provider) -> None:
    part = {"content": "A node.", "tool_calls": [asked]}
    assert (await reply(openai, told(whole=whole, part=part), whole=whole)).failed == "malformed_tool_call"
    part = {"content": "A node.", "tool_calls": asked or 0}
    assert (await reply(openai, told(whole=whole, part=part), whole=whole)).failed == "malformed_tool_call"


@both
@pytest.mark.parametrize(
    "more",
    [
        {name: value}
        for name in ("audio", "thinking_blocks", "reasoning", "reasoning_content", "annotations")
        for value in ({"a": 1}, ["Hm."], 7, "Hm.")
    ],
)
async def test_what_nobody_reads_may_be_of_any_type(more: Json, whole: bool, openai: Provider) -> None:
    for likely in (None, "x", {"content": [{"token": 5}]}):
        part = {"content": "A node.", **more}
        made = await reply(openai, told(whole=whole, part=part, logprobs=likely), whole=whole)
        assert (made.text, made.failed) == ("A node.", "")


def test_a_piece_of_a_stream_says_itself_what_it_has_not() -> None:
    """Pydantic takes long to say so, and the SDK asks each piece."""
    given = ChatCompletionChunk.model_validate(
        {**chunk({"content": "A", "reasoning": "hm", "audio": {"id": "a"}}), "created": 1, "model": "m"}
    )
    check_form(given)
    delta = given.choices[0].delta
    assert vars(delta).keys() >= {"annotations", "reasoning_content", "thinking_blocks"}
    assert (getattr(delta, "reasoning", None), getattr(delta, "audio", "")) == ("hm", None)


async def test_a_thought_that_the_template_begins_is_no_part_of_a_whole_answer(openai: Provider) -> None:
    said = stream(chunk({"content": "I look.\n</think>\n\nA node."}), chunk({}, "stop"))
    assert (await reply(openai, said, whole=True)).text == "A node."


@both
async def test_an_error_that_cannot_be_unpacked_is_the_providers(whole: bool, openai: Provider) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert (await reply(openai, Answer([b"no gzip"], 500, headers), whole=whole)).failed == "unreachable"


# --- text


@both
async def test_a_text_may_come_in_parts(whole: bool, openai: Provider) -> None:
    parts = [
        {"type": "text", "text": "A "},
        {"type": "image"},
        "x",
        {"type": "text", "text": 5},
        {"text": "node."},
    ]
    made = await reply(openai, stream(chunk({"content": parts}), chunk({}, "stop")), whole=whole)
    assert made.text == "A node."


@both
@pytest.mark.parametrize(
    "delta", [{"content": None}, {"content": " \n"}, {"content": 5}, {"reasoning": "Hm."}, {}]
)
async def test_a_reply_without_a_word_is_empty(delta: Json, whole: bool, openai: Provider) -> None:
    said = stream(chunk(delta), chunk({}, "stop"), chunk(usage=usage(7, 3)))
    made = await reply(openai, said, whole=whole)
    assert (made.failed, made.spent) == ("empty_answer", (7, 3))


@both
async def test_a_refusal_is_one_whatever_else_is_said(whole: bool, openai: Provider) -> None:
    said = stream(chunk({"refusal": "No."}), chunk({"content": "A node."}), chunk({}, "stop"))
    assert (await reply(openai, said, whole=whole)).failed == "safety_block"


@both
async def test_a_call_that_is_written_as_text_is_malformed(whole: bool, openai: Provider) -> None:
    written = '<tool_call>{"name": "search", "arguments": {"query": "node"}}</tool_call>'
    made = await reply(openai, stream(chunk({"content": written}), chunk({}, "stop")), whole=whole)
    assert (made.failed, made.text) == ("malformed_tool_call", "")


# --- tokens


@both
@pytest.mark.parametrize(
    ("told", "counted"),
    [
        (usage(7, 3), (7, 3, 10)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 15}, (7, 8, 15)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 1}, (7, 3, 10)),
        ({"prompt_tokens": None, "completion_tokens": 3, "total_tokens": 3}, (0, 3, 3)),
        ({"prompt_tokens": 7, "completion_tokens": None, "total_tokens": 9}, (7, 2, 9)),
        ({"prompt_tokens": 7, "completion_tokens": 3}, (7, 3, 10)),
        ({"prompt_tokens": -7, "completion_tokens": 3, "total_tokens": 3}, (0, 3, 3)),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, (0, 0, 0)),
        ({"prompt_tokens": 10**9, "completion_tokens": 1, "total_tokens": 0}, (10**9, 1, 10**9 + 1)),
        ({"prompt_tokens": 10**9 + 1, "completion_tokens": 1, "total_tokens": 0}, (0, 1, 1)),
        (
            usage(7, 3) | {
                "completion_tokens_details": {"reasoning_tokens": -1},
                "prompt_tokens_details": {"cached_tokens": None},
            },
            (7, 3, 10),
        ),
        (
            usage(7, 3) | {
                "completion_tokens_details": {"reasoning_tokens": 2},
                "prompt_tokens_details": {"cached_tokens": 1},
            },
            (7, 3, 10),
        ),
    ],
)  # fmt: skip
async def test_thoughts_count_as_written_and_what_is_no_count_as_none(
    told: Json, counted: tuple[int, int, int], whole: bool, openai: Provider
) -> None:
    said = stream(chunk({"content": "A node."}, "stop"), chunk(usage=told))
    assert (await reply(openai, said, whole=whole)).tokens == counted


async def test_the_last_count_of_a_stream_is_its_count(openai: Provider) -> None:
    made = await reply(openai, stream(chunk({}, "safety", usage(7, 3)), chunk(usage=None)))
    assert made.spent == (7, 3)
    made = await reply(openai, stream(chunk({}, "safety", usage(1, 1)), chunk(usage=usage(7, 3))))
    assert made.spent == (7, 3)
    assert (await reply(openai, stream(chunk({}, "safety")))).spent == (0, 0)


# --- a 200 that is something else


PAGE = "<html>Sign in</html>"


@both
@pytest.mark.parametrize(
    ("kind", "body", "failed"),
    [
        ("text/html", PAGE, "not_an_api"),
        ("TEXT/HTML; charset=utf-8", PAGE, "not_an_api"),
        (" application/xhtml+xml ;x", PAGE, "not_an_api"),
        ("text/plain", PAGE, "not_an_api"),
        ("application/json", '{"ok": true}', "not_an_api"),
        ("application/json", "[]", "not_an_api"),
        ("application/json", "{}", "not_an_api"),
        ("application/json", '{"error": {"code": 401}}', "bad_key"),
        ("application/json", '[{"error": {"code": 429, "message": "Slow down"}}]', "rate_limited"),
        ("application/json", '{"code": 404}', "unknown_model"),
        ("application/json", '{"status": "UNAUTHENTICATED"}', "bad_key"),
        ("application/json", '{"message": "Sorry"}', "server_error"),
    ],
)
async def test_a_200_that_is_no_answer_is_told_for_what_it_is(
    kind: str, body: str, failed: str, whole: bool, openai: Provider
) -> None:
    made = await reply(openai, Answer([body.encode()], headers={"Content-Type": kind}), whole=whole)
    assert (made.failed, made.text) == (failed, "")


async def test_the_providers_own_word_for_an_error_is_kept(openai: Provider) -> None:
    for said, told in (
        ({"error": {"message": "Slow down"}}, "Slow down"),
        ({"error": {"code": 5}}, "no message"),
    ):
        made = await reply(openai, fails(200, said))
        assert made.said == f"A 200 that is no answer: {told}"


async def test_half_of_a_whole_answer_is_cut_and_a_page_is_no_api(openai: Provider) -> None:
    kind = {"Content-Type": "application/json"}
    made = await reply(openai, Answer([b' {"id": "c", "choi'], headers=kind), whole=True)
    assert made.failed == "stream_cut"
    for body in (PAGE.encode(), b"", b"\xff\xfe", b"[" * 100_000):
        assert (await reply(openai, Answer([body], headers=kind), whole=True)).failed == "not_an_api"
        assert (await reply(openai, Answer([body], headers=kind))).failed == "not_an_api"


async def test_a_whole_answer_has_a_choice(openai: Provider) -> None:
    assert (await reply(openai, fails(200, {"id": "c", "choices": None}), whole=True)).failed == "not_an_api"
    made = await reply(openai, fails(200, {"id": "c", "choices": [], "usage": usage(7, 3)}), whole=True)
    assert (made.failed, made.spent) == ("empty_answer", (7, 3))
    two = [{"index": n, "finish_reason": "stop", "message": {"content": f"{n}."}} for n in range(2)]
    assert (await reply(openai, fails(200, {"id": "c", "choices": two}), whole=True)).text == "0."
    with_error = {"id": "c", "choices": two, "error": {"code": 401}}
    assert (await reply(openai, fails(200, with_error), whole=True)).failed == "bad_key"


async def test_a_stream_may_be_of_another_kind_as_long_as_it_has_events(openai: Provider) -> None:
    plain = {"Content-Type": "text/plain"}
    spoken = Answer(says("A node.").pieces, headers=plain)
    assert (await reply(openai, spoken)).text == "A node."
    assert (await reply(openai, Answer([b"data: [DONE]\n\n"], headers=plain))).failed == "not_an_api"
    assert (await reply(openai, stream())).failed == "empty_answer"


async def test_a_chunk_may_lack_its_choices_its_index_and_its_delta(openai: Provider) -> None:
    chunks = [
        {"id": "1"},
        {"id": "1", "choices": None},
        {"id": "1", "choices": [{"delta": {"content": "A "}}]},
        {"id": "1", "choices": [{"index": 0}]},
        {"id": "1", "choices": [{"index": 0, "delta": None}]},
        {"id": "1", "choices": [{"delta": {"content": "node."}, "finish_reason": "stop"}]},
    ]
    made = await reply(openai, stream(*cast("list[object]", chunks)))
    assert (made.text, made.failed) == ("A node.", "")
