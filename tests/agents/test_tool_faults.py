"""A tool with a fault in it: the operator learns which, the model goes on without it, the reader gets an answer."""

import logging
from itertools import product
from pathlib import Path

import pytest

from preceptor.agents.answer import Answer, Question
from preceptor.agents.preceptor import open_preceptor
from tests.sample import sample_settings
from tests.standins.provider import Provider, call, calls, says

PLUGIN = '''
from agents import function_tool

from preceptor.tools.plugin import tell_model


def tools(deps):
    @function_tool{options}
    async def divide(number: int) -> str:
        """Divide a number by nothing."""
        return str(number / 0)

    return [divide]
'''


async def answered_with(plugin: Path, index: Path, folder: Path, gemini: Provider) -> Answer:
    """The answer of a tutor that has the tools of a plug-in."""
    settings = sample_settings(
        index,
        folder,
        tutor={"providers": ("gemini",), "book_only": False},
        gemini={"api_key": "test", "base_url": gemini.base_url, "attempts": 1},
        tools={"plugins": (str(plugin),)},
    )
    async with open_preceptor(settings) as preceptor:
        return await preceptor.ask(Question(text="What is a node?"))


@pytest.mark.parametrize(
    "options", ["(failure_error_function=tell_model)", ""], ids=["told", "the SDK's own"]
)
async def test_a_fault_in_a_tool_is_named_and_the_question_is_answered_with_the_rest(
    options: str, sample_index: Path, tmp_path: Path, gemini: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = tmp_path / "divide.py"
    plugin.write_text(PLUGIN.format(options=options), "utf-8")
    gemini.will(calls(call("divide", {"number": 3}, id="d", index=0)), says("A node is a process."))
    with caplog.at_level(logging.ERROR, "preceptor"):
        answer = await answered_with(plugin, sample_index, tmp_path, gemini)
    assert (answer.text, list(answer.failures)) == ("A node is a process.", [])
    assert gemini.messages[-1]["content"].startswith("The tool `divide` failed")
    [record] = [record for record in caplog.records if record.name.startswith("preceptor")]
    assert "`divide`" in record.getMessage()
    assert answer.trace_id in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


LEAVES = '''
import asyncio

from agents import function_tool


def tools(deps):
    @function_tool
    {kind} leave(number: int) -> str:
        """Leave."""
        {body}

    return [leave]
'''


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        *product(
            ("async def", "def"),
            (
                *(
                    "raise SystemExit(3)",
                    "raise KeyboardInterrupt",
                    "raise BaseException",
                    "raise GeneratorExit",
                    "raise StopIteration",
                ),
                "raise type('Mute', (Exception,), {'__str__': None})",
            ),
        ),
        ("async def", "asyncio.current_task().cancel(); await asyncio.sleep(0)"),
    ],
)
async def test_a_tool_that_exits_does_not_end_the_service(
    kind: str,
    body: str,
    sample_index: Path,
    tmp_path: Path,
    gemini: Provider,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plugin = tmp_path / "leave.py"
    plugin.write_text(LEAVES.format(kind=kind, body=body), "utf-8")
    gemini.will(calls(call("leave", {"number": 3}, id="d", index=0)), says("A node is a process."))
    with caplog.at_level(logging.ERROR, "preceptor"):
        answer = await answered_with(plugin, sample_index, tmp_path, gemini)
    assert (answer.text, list(answer.failures)) == ("A node is a process.", [])
    assert gemini.messages[-1]["content"].startswith("The tool `leave` failed")
    assert any("`leave`" in record.getMessage() for record in caplog.records)
