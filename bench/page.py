"""Measures the page for readers in Chromium: first load, bytes, and long tasks under long answers.

`python -m bench.page` prints two tables. A long task is one of more than 50 ms in which the page cannot answer to a
key; they are Chromium's own (`PerformanceObserver`, `longtask`). On a busy machine the clock says little: beside them
stand the tasks that took more than 50 ms of the processor, from Chromium's trace. `--trace` says what the largest did.
"""

import argparse
import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.server.chromium import Browser, Step, chromium, done, reading, start

_ITEM = "- Item **{0}** has `code`, *stress* and the words that an item of a list has.\n"
_ROW = "| row {0} | the words of a *cell* | `code {0}` | 3.14 |\n"
_HEAD = "| a | b | c | d |\n|---|---|---|---|\n"
_LINE = "value_{0} = compute({0}, factor=2)  # line {0}\n"
_PARAGRAPH = "Paragraph {0} has **words**, `code` and $x_{0}^2$, as an answer has them.\n\n"

_LONG = 50.0
"""Milliseconds from which on a task is a long one."""

_OBSERVE = """() => {
    window.tasks = [];
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map((each) => each.duration)))
        .observe({ type: 'longtask' });
}"""

_LOADED = """() => new Promise((done) => {
    const found = { fcp: 0, lcp: 0, cls: 0, tbt: 0 };
    const watch = (type, take) => new PerformanceObserver((list) => list.getEntries().forEach(take))
        .observe({ type, buffered: true });
    watch('paint', (each) => { if (each.name === 'first-contentful-paint') found.fcp = each.startTime; });
    watch('largest-contentful-paint', (each) => (found.lcp = each.startTime));
    watch('layout-shift', (each) => (found.cls += each.hadRecentInput ? 0 : each.value));
    watch('longtask', (each) => (found.tbt += each.duration - 50));
    setTimeout(() => done(found), 1500);
})"""


def _of(line: str, length: int, head: str = "") -> str:
    lines: list[str] = []
    size = len(head)
    while size < length:
        lines.append(line.format(len(lines)))
        size += len(lines[-1])
    return head + "".join(lines)


def _answers() -> Mapping[str, tuple[str, int]]:
    """Returns texts with the slow-down of the CPU to show them under."""
    return {
        "list, 50k": (_of(_ITEM, 50_000), 1),
        "table, 50k": (_of(_ROW, 50_000, _HEAD), 1),
        "code, 50k": (_of(_LINE, 50_000, "```python\n"), 1),
        "prose, 50k": (_of(_PARAGRAPH, 50_000), 1),
        "table, 8k, CPU x4": (_of(_ROW, 8_000, _HEAD), 4),
    }


def _paced(text: str, pace: int, size: int = 40) -> list[Step]:
    """Returns the events of an answer that comes `pace` characters a second; 0: as fast as it can be sent."""
    steps: list[Step] = [start()]
    loop = asyncio.get_running_loop()
    for at in range(0, len(text), size):
        if pace:
            gate = asyncio.Event()
            loop.call_later(1.0 + at / pace, gate.set)
            steps.append(gate)
        steps.append(("token", {"content": text[at : at + size]}))
    return [*steps, done(text)]


_TRACED = ["devtools.timeline", "v8.execute", "toplevel"]


async def _stream(browser: Browser, text: str, slower: int, pace: int, trace: Path) -> list[float]:
    """Returns the long tasks, in ms, of a page that shows this answer; its trace is written."""
    async with reading(browser) as reader:
        if slower > 1:
            devtools = await reader.page.context.new_cdp_session(reader.page)
            await devtools.send("Emulation.setCPUThrottlingRate", {"rate": slower})
        # Nobody types a question in less.
        await reader.page.wait_for_timeout(1000)
        await reader.page.evaluate(_OBSERVE)
        await browser.start_tracing(page=reader.page, path=trace, categories=_TRACED)
        reader.script.answers(*_paced(text, pace))
        await reader.ask("Long?")
        await reader.page.locator(".turn:last-child footer").wait_for(timeout=120_000)
        await reader.page.wait_for_timeout(500)
        await browser.stop_tracing()
        tasks: list[float] = await reader.page.evaluate("window.tasks")
        return tasks


def _traced(trace: Path) -> list[dict[str, Any]]:
    """Returns what the page's own thread did, in order."""
    events: list[dict[str, Any]] = json.loads(trace.read_text())["traceEvents"]
    page = {
        (each["pid"], each["tid"])
        for each in events
        if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain"
    }
    found = [each for each in events if each.get("ph") == "X" and (each["pid"], each["tid"]) in page]
    return sorted(found, key=lambda each: (each["ts"], -each.get("dur", 0)))


def _tasks(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the tasks, the one with the most CPU first; one lies within another under two names."""
    tasks: list[dict[str, Any]] = []
    for each in events:
        if each["name"].endswith("RunTask") and not (
            tasks and each["ts"] < tasks[-1]["ts"] + tasks[-1]["dur"]
        ):
            tasks.append(each)
    return sorted(tasks, key=lambda each: -each.get("tdur", 0))


def _told(events: Sequence[dict[str, Any]], task: dict[str, Any]) -> str:
    """Returns what a task did, in ms of CPU."""
    parts: Counter[str] = Counter()
    for each in events:
        if each is not task and task["ts"] <= each["ts"] < task["ts"] + task["dur"]:
            parts[each["name"]] += each.get("tdur", 0)
    whole = f"{task['dur'] / 1000:.0f} (CPU {task['tdur'] / 1000:.0f}): "
    return whole + ", ".join(f"{name} {cpu / 1000:.0f}" for name, cpu in parts.most_common(9))


async def _load(browser: Browser) -> Mapping[str, float]:
    """Returns the figures of one first load of the page, and its bytes as they are sent."""
    sent = 0
    async with reading(browser) as reader:
        devtools = await reader.page.context.new_cdp_session(reader.page)
        await devtools.send("Network.enable")
        await devtools.send("Network.setCacheDisabled", {"cacheDisabled": True})

        def count(event: Mapping[str, Any]) -> None:
            nonlocal sent
            sent += int(event["encodedDataLength"])

        devtools.on("Network.loadingFinished", count)
        await reader.page.reload()
        found: dict[str, float] = await reader.page.evaluate(_LOADED)
    return {**found, "kB": sent / 1000}


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pace", type=int, nargs="*", default=[0, 5000], help="characters a second; 0: all at once"
    )
    parser.add_argument("--only", default="", help="answers whose name has this")
    parser.add_argument("--trace", type=Path, help="folder for traces")
    chosen = parser.parse_args()
    async with chromium() as browser:
        if not chosen.only:
            loads: Sequence[Mapping[str, float]] = [await _load(browser) for _ in range(3)]
            print("first load (median of 3): ", end="")
            print(", ".join(f"{name} {sorted(each[name] for each in loads)[1]:.3g}" for name in loads[0]))
        print(
            f"{'answer':20} {'pace':>6} {'tasks':>6} {'sum ms':>7} {'longest':>8} {'by CPU':>7} {'longest':>8}"
        )
        with tempfile.TemporaryDirectory() as nowhere:
            for name, (text, slower) in _answers().items():
                for pace in chosen.pace if chosen.only in name else ():
                    trace = (chosen.trace or Path(nowhere)) / f"{name}-{pace}.json"
                    tasks = await _stream(browser, text, slower, pace, trace)
                    events = _traced(trace)
                    largest = _tasks(events)
                    cpu = [each.get("tdur", 0) / 1000 for each in largest]
                    print(
                        f"{name:20} {pace or 'burst':>6} {len(tasks):6} {sum(tasks):7.0f} {max(tasks, default=0):8.0f}"
                        f" {sum(each > _LONG for each in cpu):7} {max(cpu, default=0):8.0f}",
                        flush=True,
                    )
                    for each in largest[:4] if chosen.trace else ():
                        print("   ", _told(events, each))


if __name__ == "__main__":
    asyncio.run(main())
