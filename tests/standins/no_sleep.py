"""Waits of a test's own loop, noted and not waited."""

import asyncio
import threading

import pytest


def no_sleep(patch: pytest.MonkeyPatch) -> list[float]:
    """Let `asyncio.sleep` return at once in this thread, and note the seconds asked for, in order.

    A server of another test may still run in a thread of its own: its waits are real, and not noted.
    """
    slept: list[float] = []
    sleep, own = asyncio.sleep, threading.get_ident()

    async def at_once(seconds: float) -> None:
        if threading.get_ident() != own:
            await sleep(seconds)
            return
        if seconds:
            slept.append(seconds)
        await sleep(0)

    patch.setattr("asyncio.sleep", at_once)
    return slept
