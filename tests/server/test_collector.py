"""The garbage collector: it leaves the start alone, and an answer leaves nothing to it."""

import asyncio
import gc
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest
from agents import RunContextWrapper, RunResult

from preceptor.server.collector import collected_rarely
from preceptor.tools.plugin import Run
from tests.sample import sample_settings
from tests.server.loopback import served
from tests.standins.provider import Provider, call, calls, says, whole

QUESTION = "What is a node?"
CHATS = 6
# What stands for a run, its result, its request and its end.
KINDS = (Run, RunContextWrapper, RunResult, asyncio.Timeout, asyncio.CancelledError)


def test_the_collector_is_as_before_when_the_service_has_ended() -> None:
    before: Any = gc.get_threshold(), gc.get_freeze_count()
    gc.disable()  # as `preceptor serve` does for its imports
    with collected_rarely():
        assert gc.isenabled()
        assert gc.get_freeze_count() > before[1] + 1000
        assert gc.get_threshold() != before[0]
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before[0], 0)


@pytest.mark.parametrize("stream", [False, True])
def test_what_an_answer_was_made_of_goes_with_it_and_waits_for_no_collection(
    stream: bool, sample_index: Path, tmp_path: Path
) -> None:
    with Provider() as provider:
        settings = sample_settings(
            sample_index,
            tmp_path,
            tutor={"providers": ("gemini",)},
            gemini={"api_key": "key", "base_url": provider.base_url},
        )
        search = call("search_textbook", {"query": QUESTION}, id="call_1", index=0)
        said = "A node is a process that computes."
        for _ in range(CHATS):
            if stream:
                provider.will(calls(search), says(said))
            else:
                provider.will(
                    whole({"content": None, "tool_calls": [search]}, "tool_calls"), whole({"content": said})
                )
        # Nothing is looked at while the service runs: whoever holds on to an object that another
        # thread is just making (a tuple out of a generator) breaks it.
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            with served(settings) as url:
                for _ in range(CHATS):
                    asked = {"content": QUESTION, "stream": stream}
                    assert httpx2.post(f"{url}/api/v1/chat", json=asked, timeout=60).status_code == 200
            gc.collect()
            left = Counter(type(one).__name__ for one in gc.garbage if isinstance(one, KINDS))
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    # The service's own end leaves one or two.
    assert {kind: count for kind, count in left.items() if count >= CHATS} == {}
