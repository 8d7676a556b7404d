"""A process that writes a book and can be killed: `python -m tests.library.writing WHERE`.

It imports everything once, then forks for each command on its standard input, so that a round takes
milliseconds. What a fork prints was true before it was printed.

    write EDITION   `put ID …` after each batch, `publishing`, `published`
    hold            takes the lock, prints `holding`, and waits to be killed
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from preceptor.library.passage import Passage
from preceptor.library.protocol import Written
from tests.library.books import INFO, again, book, vectors
from tests.library.engines import engine_at


class Writing:
    """The process seen from the test. Every command ends with the line `ended`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(self, command: str) -> int:
        """Begin a command; give back the process to kill."""
        assert self._process.stdin
        print(command, file=self._process.stdin, flush=True)
        return int(self.line().removeprefix("pid "))

    def line(self) -> str:
        """The next line that it prints."""
        assert self._process.stdout
        return self._process.stdout.readline().rstrip()

    def rest(self) -> list[str]:
        """All lines until the command has ended."""
        return list(iter(self.line, "ended"))


@contextmanager
def writing(where: Path | str) -> Generator[Writing]:
    """The process, to its end."""
    command = [sys.executable, "-m", "tests.library.writing", str(where)]
    root = Path(__file__).parent.parent.parent
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        yield Writing(process)
        assert process.stdin
        process.stdin.close()
        assert process.wait() == 0


def passages(name: str) -> list[Passage]:
    """The book that `write NAME` writes: from name to name three passages of five change."""
    first = book(chapters=7)
    return [again([one], edition=name)[0] if one.ordinal == 0 else one for one in first]


async def _write(where: Path | str, name: str) -> None:
    writer = await engine_at(where).write("robots", INFO)
    known = await writer.written()
    new = [passage for passage in passages(name) if known.get(passage.id) != Written.of(passage)]
    for start in range(0, len(new), 3):
        batch = new[start : start + 5]
        await writer.put(batch, vectors(batch))
        _say("put", *(passage.id for passage in batch))
    _say("publishing")
    await writer.publish(INFO, [passage.id for passage in passages(name)])
    _say("published")
    await writer.close()


async def _hold(where: Path | str) -> None:
    await engine_at(where).write("robots", INFO)
    _say("holding")
    signal.pause()


def _say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())  # at once, and as a whole


def main() -> None:
    """See the module."""
    where = sys.argv[1] if "://" in sys.argv[1] else Path(sys.argv[1])
    for command in sys.stdin:
        if (child := os.fork()) == 0:
            _say("pid", os.getpid())
            what, *name = command.split()
            asyncio.run(_write(where, *name) if what == "write" else _hold(where))
            os._exit(0)
        os.waitpid(child, 0)
        _say("ended")


if __name__ == "__main__":
    main()
