"""Writers that die, and readers who must not notice: with real processes and real signals, on both engines."""

import asyncio
import os
import random
import signal
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from preceptor.errors import IndexLocked
from preceptor.library.passage import Passage
from preceptor.library.protocol import Engine, Written
from tests.library.books import INFO, vectors
from tests.library.engines import candidates, everything, publish
from tests.library.writing import Writing, passages, writing


def timed(process: Writing, edition: str) -> list[float]:
    """Let it write to the end; give back the seconds that each step takes, up to its line."""
    began = time.perf_counter()
    process.start(f"write {edition}")
    ends = [began]
    while process.line() != "ended":
        ends.append(time.perf_counter())
    return [after - before for before, after in pairwise(ends)]


def killed_at_a_random_moment(
    process: Writing, edition: str, chance: random.Random, steps: list[float]
) -> list[str]:
    """Let it write, kill it within a step; give back all that it said."""
    pid = process.start(f"write {edition}")
    said: list[str] = []
    step = chance.randrange(len(steps))
    for _ in range(step):
        said.append(process.line())
        if said[-1] == "ended":
            return said[:-1]
    # Not a wait for something: the moment itself is what is tried.
    time.sleep(chance.uniform(0, steps[step]))
    with suppress(ProcessLookupError):  # it was quicker
        os.kill(pid, signal.SIGKILL)
    return said + process.rest()


async def check(engine: Engine, said: list[str], old: list[Passage], new: list[Passage]) -> list[Passage]:
    """What readers find is the old or the new book, and what was acknowledged is still known."""
    found = await everything(engine)
    if "published" in said:
        assert found == new
    elif "publishing" in said:
        assert found in (old, new)
    else:
        assert found == old
    acknowledged = {point for line in said if line.startswith("put ") for point in line.split()[1:]}
    writer = await engine.write("robots", INFO)
    known = await writer.written()
    await writer.close()
    expected = {passage.id: Written.of(passage) for passage in new if passage.id in acknowledged}
    assert {point: known.get(point) for point in expected} == expected
    return found


@pytest.mark.long
async def test_killed_at_any_moment_a_writer_loses_nothing_and_leaves_a_whole_book(
    engine: Engine, where: Path | str
) -> None:
    chance = random.Random(20260102)
    rounds, published, interrupted = 20 if isinstance(where, Path) else 6, 0, 0
    old = passages("one")
    await publish(engine, passages("zero"))
    with writing(where) as process:
        steps = timed(process, "one")
        for _ in range(rounds):
            edition = f"edition-{published}"
            said = killed_at_a_random_moment(process, edition, chance, steps)
            found = await check(engine, said, old, passages(edition))
            interrupted += "published" not in said
            if found != old:
                old, published = found, published + 1
        process.start("write last")
        assert process.rest()[-1] == "published"
    assert await everything(engine) == passages("last")
    assert interrupted >= rounds / 4, "too few were killed in time: the moments have to be chosen anew"
    assert published >= 1, "too few came to their end: the moments have to be chosen anew"


async def test_a_reader_sees_the_old_or_the_new_book_at_every_moment(
    engine: Engine, where: Path | str
) -> None:
    old, new = passages("old"), passages("new")
    await publish(engine, old)
    index = await engine.open("robots")
    chapter = old[0].chapter
    allowed = [[one for one in book if one.chapter == chapter] for book in (old, new)]
    seen: list[int] = []
    with writing(where) as process:
        process.start("write new")
        rest = asyncio.create_task(asyncio.to_thread(process.rest))
        while not rest.done():
            seen.append(allowed.index(list(await index.passages(chapter))))
            found = await candidates(index, vectors(old)[0], chapter=None, limit=50)
            assert len(found.dense) == len(old)
        assert (await rest)[-1] == "published"
    assert seen == sorted(seen), "an older book came back"
    assert await index.passages(chapter) == allowed[1]


async def test_the_lock_names_the_process_that_holds_it_and_ends_with_it(
    engine: Engine, where: Path | str
) -> None:
    with writing(where) as process:
        pid = process.start("hold")
        assert process.line() == "holding"
        with pytest.raises(IndexLocked, match=rf"process {pid} on .+ since"):
            await engine.write("robots", INFO)
        os.kill(pid, signal.SIGKILL)
        process.rest()
        await publish(engine, passages("after"))
    assert await everything(engine) == passages("after")
