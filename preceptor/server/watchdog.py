"""Notices a tool that blocks the event loop, and names it: until it is done, nobody else is answered.

Tools of plug-ins run on loops of their own; Preceptor's tools, and those of MCP servers, run on this one, like all
else. What waits there without `await`, no deadline can end; all that can be done is to say which tool it is.
"""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from preceptor.tools.plugin import ToolContext

logger = logging.getLogger(__name__)

_EVERY = 4
"""Looks during the time after which a tool is named."""


@contextmanager
def watched(seconds: float = 1.0) -> Generator[None]:
    """Watch the running loop from a thread.

    Args:
        seconds: For how long a tool may block the loop before it is named.
    """
    loop, thread = asyncio.get_running_loop(), threading.get_ident()
    alive = time.monotonic()
    timer: asyncio.TimerHandle | None = None
    over = threading.Event()

    def beat() -> None:
        nonlocal alive, timer
        alive = time.monotonic()
        timer = loop.call_later(seconds / _EVERY, beat)

    def watch() -> None:
        told = 0.0
        while not over.wait(seconds / _EVERY):
            last = alive
            if time.monotonic() - last > seconds and last != told:
                told = last
                # The interpreter's documented way to see another thread's stack, despite its name.
                _tell(sys._current_frames().get(thread), seconds)  # pyright: ignore[reportPrivateUsage]

    beat()
    watcher = threading.Thread(target=watch, name="preceptor-watchdog", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()
        over.set()
        watcher.join()


def _tell(frame: FrameType | None, seconds: float) -> None:
    where = frame
    while frame is not None:
        for value in list(frame.f_locals.values()):
            if isinstance(value, ToolContext):
                assert where is not None
                logger.warning(
                    "the tool `%s` has blocked the whole service for %g s, in %s, line %d: nobody else is answered, "
                    "and no deadline holds. Let it `await`, or make it a plain `def`, see docs/tools.md",
                    value.tool_name,
                    seconds,
                    where.f_code.co_filename,
                    where.f_lineno,
                )
                return
        frame = frame.f_back
