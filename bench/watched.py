"""`preceptor` with the same arguments, which counts the CPU that tracing takes in it.

At each SIGUSR1 it adds a line of JSON to the file that `BENCH_WATCHED` names: seconds of CPU since its start.

- `all`: of the whole process.
- `writer`: of the thread that writes runs, all that it does.
- `loop`: of what tracing does on the event loop, by function: the SDK's spans and runs with our callbacks, what the SDK
  copies into a span, what the recorder and the store are told. Each is measured by the thread's own clock, whose time
  is taken off; a garbage collection that falls into a function counts as that function's.
- `events`: the number of events of models that went through the recorder. What one takes is too little to be measured;
  `bench/traces.py` measures many.
"""

import functools
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents.models import openai_chatcompletions
from agents.tracing.traces import TraceImpl

from preceptor.agents import recorded
from preceptor.cli import main
from preceptor.tracing.recorder import Recorder
from preceptor.tracing.spans import CheapSpan, Provider
from preceptor.tracing.store import TraceStore

_WATCHED: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (Provider, ("create_trace", "create_span")),
    (TraceImpl, ("start", "finish")),
    (CheapSpan, ("start", "finish")),
    (openai_chatcompletions, ("populate_generation_span",)),
    (Recorder, ("__init__", "spoke", "begins", "shows", "returned")),
    (TraceStore, ("annotate", "record")),
)
_clock = time.thread_time
_spent: dict[str, float] = {}
_events = 0
_inside = False


def watch(owner: Any, name: str) -> None:
    """Count the CPU of a function; of a call inside another that is counted, nothing."""
    function: Callable[..., Any] = getattr(owner, name)
    label = f"{owner.__name__.rpartition('.')[2]}.{name}"
    _spent[label] = 0.0

    @functools.wraps(function)
    def watched(*args: Any, **more: Any) -> Any:
        global _inside
        if _inside or threading.current_thread() is not threading.main_thread():
            return function(*args, **more)
        _inside, began = True, _clock()
        try:
            return function(*args, **more)
        finally:
            ended = _clock()
            _spent[label] += ended - began - (_clock() - ended)
            _inside = False

    setattr(owner, name, watched)


def count_events() -> None:
    """Count the events that go through the recorder, where its generator is closed."""
    inner = recorded._recorded  # pyright: ignore[reportPrivateUsage]

    async def counted(stream: Any, record: Any) -> Any:
        global _events
        async for event in inner(stream, record):
            _events += 1
            yield event

    recorded._recorded = counted  # pyright: ignore[reportPrivateUsage]


def told(*_: Any) -> None:
    """Write what was counted so far."""
    writer = next(thread for thread in threading.enumerate() if thread.name == "preceptor-traces")
    line = {
        "all": time.process_time(),
        "writer": time.clock_gettime(time.pthread_getcpuclockid(writer.ident or 0)),
        "loop": _spent,
        "events": _events,
    }
    with Path(os.environ["BENCH_WATCHED"]).open("a") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    for owner, names in _WATCHED:
        for name in names:
            watch(owner, name)
    count_events()
    signal.signal(signal.SIGUSR1, told)
    main()
