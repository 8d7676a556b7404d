"""Graceful stop: running answers may finish before the service ends.

uvicorn closes its socket as soon as it gets a signal, so that new questions would meet a closed door. Here the
signal first closes the slots alone: new questions get a 503 with Retry-After, and health says `unhealthy`, so
that a load balancer turns away. Only when the last answer has ended does uvicorn learn of the signal. A second
signal cuts the answers, a third one reaches uvicorn at once. Other servers than uvicorn stop in their own way.

With several processes, Ctrl-C and systemd signal all of them, and uvicorn's supervisor then tells its workers once
more: what a worker hears shortly after the first signal is its echo.
"""

import asyncio
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

from preceptor.server.slots import Slots

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_ECHO_SECONDS = 3.0
"""Time within which a repeated signal is the supervisor's echo: it checks twice a second on an idle machine."""


@contextmanager
def drained_before_exit(slots: Slots, seconds: float) -> Generator[None]:
    """While this context is open, a signal to stop waits for the running answers.

    Args:
        slots: Slots of the running answers.
        seconds: How long it waits at most.
    """
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    # Signal handlers belong to the main thread, and other servers than uvicorn have their own way to stop.
    if threading.current_thread() is not threading.main_thread() or not _is_uvicorn(handlers):
        yield
        return
    loop = asyncio.get_running_loop()
    echo = _ECHO_SECONDS if multiprocessing.parent_process() else 0.0
    told, first = 0, 0.0
    draining: set[asyncio.Task[None]] = set()

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal told, first
        # With several processes the supervisor passes the signal on once more: that is no second Ctrl-C.
        if told and time.monotonic() - first < echo:
            return
        first = first or time.monotonic()
        told += 1
        tell: Any = handlers[signal.Signals(number)]
        # A handler may interrupt the loop anywhere; it touches the loop only in this way.
        if told == 1:
            loop.call_soon_threadsafe(drain, lambda: tell(number, frame))
        elif told == 2:
            loop.call_soon_threadsafe(slots.cut)
        else:
            tell(number, frame)

    def drain(then: Callable[[], None]) -> None:
        task = loop.create_task(slots.stop(seconds))
        task.add_done_callback(lambda _: then())
        # The loop itself keeps tasks by weak references only.
        draining.add(task)

    for number in _SIGNALS:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _is_uvicorn(handlers: dict[signal.Signals, Any]) -> bool:
    return all(
        isinstance(getattr(handler, "__self__", None), uvicorn.Server) for handler in handlers.values()
    )
