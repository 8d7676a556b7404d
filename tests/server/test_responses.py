"""`/v1/responses`, asked by OpenAI's own client and by its Agents SDK over a real socket."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import openai
import pytest
from agents import Agent, OpenAIResponsesModel, RunConfig, Runner
from openai import AsyncOpenAI
from openai.types.responses import ResponseOutputMessage, ResponseOutputText

from preceptor.server.responses_contract import ResponsesRequest
from tests.sample import sample_settings
from tests.server.loopback import served
from tests.server.openai_service import client_of, host_of, tutored_by
from tests.server.test_chat import broken
from tests.standins.provider import Provider, says

ROS = "What is ROS 2?"


@pytest.fixture(scope="module")
def address(sample_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The service with the offline tutor."""
    with served(sample_settings(sample_index, tmp_path_factory.mktemp("responses"))) as url:
        yield url


@pytest.fixture
async def client(address: str) -> AsyncGenerator[AsyncOpenAI]:
    async with client_of(address) as opened:
        yield opened


@pytest.fixture
def gemini() -> Generator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
async def tutored(sample_index: Path, tmp_path: Path, gemini: Provider) -> AsyncGenerator[AsyncOpenAI]:
    """A client of the service whose tutor is the scripted provider."""
    async with tutored_by(gemini, sample_index, tmp_path) as opened:
        yield opened


def content_of(response: Any) -> ResponseOutputText:
    """The text of a response, with its annotations."""
    [message] = response.output
    assert isinstance(message, ResponseOutputMessage)
    [content] = message.content
    assert isinstance(content, ResponseOutputText)
    return content


def said_to(gemini: Provider) -> list[str]:
    """Texts that the provider was sent last, without instructions."""
    return [message["content"] for message in gemini.messages if message["role"] in ("user", "assistant")]


async def test_an_answer_bears_its_text_its_links_and_its_usage(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="preceptor", input=ROS)
    content = content_of(response)
    assert response.output_text == content.text
    first = content.annotations[0]
    assert first.type == "url_citation"
    assert first.url == f"{host_of(client)}/docs/ros2/#what-is-ros-2"
    assert content.text[first.start_index : first.end_index] == f"[[1]]({first.url})"
    assert first.title
    assert (response.status, response.error, response.incomplete_details) == ("completed", None, None)
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


async def test_a_stream_gives_the_same_answer_in_the_order_of_the_protocol(client: AsyncOpenAI) -> None:
    whole = content_of(await client.responses.create(model="preceptor", input=ROS))
    streamed = await client.responses.create(model="preceptor", input=ROS, stream=True)
    events = [event async for event in streamed]
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    marked = [event.annotation for event in events if event.type == "response.output_text.annotation.added"]
    last = events[-1]
    assert last.type == "response.completed"
    content = content_of(last.response)
    assert text == content.text == whole.text
    assert [each.model_dump() for each in marked if each] == [
        each.model_dump() for each in content.annotations
    ]
    assert content.annotations == whole.annotations


async def test_openais_own_accumulator_understands_the_stream(client: AsyncOpenAI) -> None:
    async with client.responses.stream(model="preceptor", input=ROS) as streamed:
        async for _ in streamed:
            pass
        response = await streamed.get_final_response()
    assert content_of(response).annotations


async def test_a_conversation_goes_on_from_the_response_before(
    tutored: AsyncOpenAI, gemini: Provider
) -> None:
    gemini.will(says("A process."), says("A bus."), says("Both."))
    first = await tutored.responses.create(model="preceptor", input="What is a node?")
    second = await tutored.responses.create(
        model="preceptor", input="And a topic?", previous_response_id=first.id
    )
    assert second.previous_response_id == first.id
    await tutored.responses.create(
        model="preceptor",
        input=[{"role": "user", "content": "left aside"}, {"role": "user", "content": "Which is it?"}],
        previous_response_id=second.id,
    )
    assert said_to(gemini)[:-1] == ["What is a node?", "A process.", "And a topic?", "A bus."]
    assert said_to(gemini)[-1].endswith("Which is it?")


async def test_an_answer_that_is_only_referred_to_is_remembered_unless_it_is_forgotten(
    tutored: AsyncOpenAI, gemini: Provider
) -> None:
    """Clients that let the service remember send references in the place of answers."""
    gemini.will(says("A process."), says("A bus."), says("Both."))
    first = await tutored.responses.create(model="preceptor", input="What is a node?")

    def asked(reference: str, question: str) -> list[Any]:
        return [
            {"role": "user", "content": [{"type": "input_text", "text": "What is a node?"}]},
            {"type": "item_reference", "id": reference},
            {"role": "user", "content": [{"type": "input_text", "text": question}]},
        ]

    await tutored.responses.create(model="preceptor", input=asked(first.output[0].id or "", "And a topic?"))
    assert said_to(gemini)[:-1] == ["What is a node?", "A process."]
    await tutored.responses.create(model="preceptor", input=asked("msg_" + "0" * 56, "Which is it?"))
    assert said_to(gemini)[:-1] == ["What is a node?"]


async def test_a_whole_conversation_is_taken_as_far_as_it_can_be_read(
    tutored: AsyncOpenAI, gemini: Provider
) -> None:
    gemini.will(says("It is."))
    said: list[Any] = [
        {"role": "developer", "content": "Be rude. " * 20_000},
        {"role": "user", "content": [{"type": "input_image", "image_url": "data:,", "detail": "auto"}]},
        {"role": "user", "content": "Hello"},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hi [[1]](http://x/a#b).", "annotations": []}],
        },
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "1", "name": "shell", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "nothing"},
        {"role": "user", "content": [{"type": "input_text", "text": ROS}]},
    ]
    response = await tutored.responses.create(
        model="preceptor", input=said, instructions="You are a pirate.", temperature=1.0, store=False
    )
    assert response.output_text == "It is."
    assert said_to(gemini)[:-1] == ["Hello", "Hi."]
    assert said_to(gemini)[-1].endswith(ROS)
    assert "pirate" not in str(gemini.requests[-1].body)


async def test_an_answer_that_is_cut_is_incomplete(tutored: AsyncOpenAI, gemini: Provider) -> None:
    gemini.will(says("One two three."))
    response = await tutored.responses.create(model="preceptor", input=ROS, max_output_tokens=2)
    assert (response.output_text.strip(), response.status) == ("One two", "incomplete")
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


async def test_a_response_can_be_rated_and_its_conversation_be_read(client: AsyncOpenAI) -> None:
    response = (await client.responses.create(model="preceptor", input=ROS)).model_dump()
    url = f"{host_of(client)}/api/v1"
    session = await client.get(f"{url}/sessions/{response['session_id']}", cast_to=dict[str, Any])
    assert session["turns"][0]["question"] == ROS
    rating = {"response_id": response["response_id"], "rating": "up"}
    await client.post(f"{url}/feedback", body=rating, cast_to=type(None))


# The Agents SDK, whose own model asks this endpoint


QUIET = RunConfig(tracing_disabled=True)


def agent_of(client: AsyncOpenAI) -> Agent[None]:
    return Agent(
        name="reader",
        instructions="Ask the book.",
        model=OpenAIResponsesModel(model="preceptor", openai_client=client),
    )


async def test_an_agent_asks_and_goes_on(tutored: AsyncOpenAI, gemini: Provider) -> None:
    gemini.will(says("A process."), says("A bus."), says("Both."))
    agent = agent_of(tutored)
    first = await Runner.run(agent, "What is a node?", run_config=QUIET)
    assert first.final_output == "A process."
    assert first.context_wrapper.usage.total_tokens > 0
    again = [*first.to_input_list(), {"role": "user", "content": "And a topic?"}]
    second = await Runner.run(agent, again, run_config=QUIET)  # pyright: ignore[reportArgumentType]
    assert second.final_output == "A bus."
    assert said_to(gemini)[:-1] == ["What is a node?", "A process."]
    third = await Runner.run(
        agent, "Which is it?", previous_response_id=second.last_response_id, run_config=QUIET
    )
    assert third.final_output == "Both."
    assert said_to(gemini)[:-1] == ["And a topic?", "A bus."]


async def test_an_agent_reads_a_stream(client: AsyncOpenAI) -> None:
    result = Runner.run_streamed(agent_of(client), ROS, run_config=QUIET)
    text = ""
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            text += event.data.delta
    assert result.final_output == text
    assert "/docs/ros2/#what-is-ros-2" in text


# What cannot be done


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": " "}, "input.text"),
        ({"input": "x" * 4001}, "input"),
        ({"input": []}, "input"),
        ({"input": [{"role": "assistant", "content": "Hello"}]}, "input"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "x"}]}]},
            "input.items.0.user.content.parts.0.type",
        ),
        ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {}}}}, "text.format.type"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
    ],
)
async def test_what_cannot_be_done_is_refused_and_named(
    client: AsyncOpenAI, change: dict[str, Any], param: str
) -> None:
    body: dict[str, Any] = {"model": "preceptor", "input": ROS, **change}
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(**body)
    assert (caught.value.param, caught.value.code) == (param, "VALIDATION_ERROR")


@pytest.mark.parametrize("previous", ["resp_" + "0" * 56, "resp_1", "made-up"])
async def test_a_response_that_is_not_there_is_not_found(client: AsyncOpenAI, previous: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.responses.create(model="preceptor", input=ROS, previous_response_id=previous)
    assert caught.value.code == "SESSION_NOT_FOUND"


async def test_a_failure_in_the_stream_is_an_error(sample_index: Path, tmp_path: Path) -> None:
    settings = broken(sample_index, tmp_path, 'IndexUnreachable("https://hidden.example:6333", "refused")')
    with served(settings) as url:
        async with client_of(url) as client:
            with pytest.raises(openai.APIError, match="index cannot be reached") as caught:
                async for _ in await client.responses.create(model="preceptor", input=ROS, stream=True):
                    pass
            answer = await client.responses.with_raw_response.create(
                model="preceptor", input=ROS, stream=True
            )
            raw = await answer.http_response.aread()
    assert caught.value.code == "SERVICE_UNAVAILABLE"
    assert b"hidden.example" not in raw
    assert raw.rstrip().rpartition(b"event: ")[2].startswith(b"response.failed\n")


def test_a_reference_is_told_from_a_message_without_text() -> None:
    asked = ResponsesRequest.model_validate(
        {"input": [{"type": "item_reference", "id": 5}, 5, None, {"role": "user", "content": "And?"}]}
    )
    assert (asked.referred, asked.question_text) == (None, "And?")
