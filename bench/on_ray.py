"""Fifty small books: two plain processes with half of the books each, and two nodes of Ray with one core each.

Both are the command as an author types it, from its start to its end, with one thread of the embedding model for each
core: `preceptor index --library half.toml` twice at a time, and `preceptor index --library books.toml --on ADDRESS`.
The cluster is there before (its start is told, and not counted); that the command connects, that Ray starts workers,
and that these import and load the model, is counted. The two take turns, so that what else the machine does falls on
both, and CPU is counted beside the clock: all of it, that of Ray's own processes included.

    python bench/on_ray.py [--books 50] [--pages 12] [--rounds 3]

Exit code 1 when the rate on Ray is too small a part (`--ratio`) of that of the plain processes.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORDS = [
    "robot",
    "node",
    "topic",
    "sensor",
    "filter",
    "policy",
    "reward",
    "message",
    "queue",
    "state",
    "camera",
    "torque",
    "joint",
    "path",
    "motor",
    "map",
    "pose",
    "gripper",
    "frame",
    "clock",
    "action",
    "goal",
    "service",
    "timer",
    "buffer",
    "planner",
    "controller",
    "encoder",
    "battery",
    "wheel",
]
TICK = os.sysconf("SC_CLK_TCK")


def write_books(folder: Path, *, books: int, pages: int) -> None:
    """Write books of one passage for each page, and the lists of all of them and of two halves."""
    tables: list[str] = []
    for count in range(books):
        chance, name = random.Random(count), f"book-{count}"
        (folder / name).mkdir(parents=True)
        for page in range(pages):
            said = " ".join(
                f"The {chance.choice(WORDS)} sends the {chance.choice(WORDS)} to a {chance.choice(WORDS)}."
                for _ in range(16)
            )
            (folder / name / f"{page}.md").write_text(f"# Page {page} of {name}\n\n{said}\n")
        tables.append(f'[books.{name}]\nsource = "{name}"\n')
    for name, chosen in (("books", tables), ("even", tables[::2]), ("odd", tables[1::2])):
        (folder / f"{name}.toml").write_text("\n".join(chosen))


def below(process: int) -> Iterator[int]:
    """A process and all that it started, as far as they live."""
    yield process
    try:
        tasks = [*Path(f"/proc/{process}/task").iterdir()]
        started = [int(one) for task in tasks for one in (task / "children").read_text().split()]
    except OSError:
        return
    for one in started:
        yield from below(one)


class Watched:
    """What this process and all that it started have used, looked at again and again.

    Ray lets the system forget its workers when they end, so that their CPU is not among that of their parent.
    """

    def __init__(self, marks: Sequence[str]) -> None:
        self._marks = marks
        """Words of the commands whose memory counts."""
        self._cpu: dict[int, float] = {}
        self._before: dict[int, float] = {}
        self._peaks: dict[int, float] = {}
        self.look()
        self._before = dict(self._cpu)

    def look(self) -> None:
        """Look at all processes."""
        for process in below(os.getpid()):
            try:
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                command = Path(f"/proc/{process}/cmdline").read_text()
                lines = Path(f"/proc/{process}/status").read_text().splitlines()
            except OSError:
                continue
            self._cpu[process] = sum(map(int, fields[11:13])) / TICK
            if any(mark in command for mark in self._marks):
                found = next((line for line in lines if line.startswith("VmHWM")), "VmHWM: 0 kB")
                self._peaks[process] = int(found.split()[1]) / 1024

    @property
    def cpu(self) -> float:
        """Seconds since the beginning."""
        return sum(used - self._before.get(process, 0.0) for process, used in self._cpu.items())

    @property
    def memory(self) -> float:
        """Largest memory that one of the processes with the words ever had, in MiB."""
        return max(self._peaks.values(), default=0.0)


@dataclass(frozen=True, slots=True)
class Took:
    """What indexing all books took."""

    seconds: float
    cpu: float
    memory: float
    """Largest memory of one of the processes that embed, in MiB."""


def index(folder: Path, marks: Sequence[str], *commands: Sequence[str]) -> Took:
    """Run commands at the same time, each as `preceptor index …`, into an index of their own."""
    with tempfile.TemporaryDirectory() as made:
        variables = {
            **os.environ,
            "PRECEPTOR_ENV": "demo",
            "PRECEPTOR_INDEX__PATH": f"{made}/index",
            "PRECEPTOR_EMBEDDING__THREADS": "1",
        }
        watched, began = Watched(marks), time.perf_counter()
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "preceptor", "index", "--quiet", "--library", *command],
                cwd=folder,
                env=variables,
                stdout=subprocess.DEVNULL,
            )
            for command in commands
        ]
        while any(one.poll() is None for one in running):
            watched.look()
            time.sleep(0.1)
        took = Took(time.perf_counter() - began, watched.cpu, watched.memory)
        if any(one.returncode for one in running):
            sys.exit("a command failed")
        return took


def plain(folder: Path) -> Took:
    """Two processes, each with half of the books."""
    return index(folder, ["preceptor\0index"], ["even.toml"], ["odd.toml"])


def on_ray(folder: Path) -> tuple[Took, float]:
    """Two nodes with a core each, and how long they took to be there."""
    from ray.cluster_utils import Cluster

    began = time.perf_counter()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    start = time.perf_counter() - began
    try:
        return index(folder, ["ray::_"], ["books.toml", "--on", str(cluster.address)]), start
    finally:
        cluster.shutdown()


def median(rows: Sequence[Took]) -> Mapping[str, float]:
    """The middle of several runs."""
    return {
        "seconds": round(statistics.median(row.seconds for row in rows), 1),
        "cpu": round(statistics.median(row.cpu for row in rows), 1),
        "memory_mib": round(max(row.memory for row in rows)),
    }


def tell(what: str, took: Took) -> None:
    """Show one run, as its end is far."""
    print(json.dumps({what: median([took])}), file=sys.stderr, flush=True)


def main() -> None:
    """Print a JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--books", type=int, default=50)
    parser.add_argument("--pages", type=int, default=12, help="of a book, each of which is a passage")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ratio", type=float, default=0.85, help="smallest rate on Ray over the plain one")
    args = parser.parse_args()
    # Else Ray reports to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    here, there, starts = list[Took](), list[Took](), list[float]()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_books(folder, books=args.books, pages=args.pages)
        for _ in range(args.rounds):
            here.append(plain(folder))
            tell("plain", here[-1])
            took, start = on_ray(folder)
            there.append(took)
            starts.append(start)
            tell("ray", took)
    one, other = median(here), median(there)
    row: dict[str, Any] = {
        "bench": "on_ray",
        "books": args.books,
        "passages": args.books * args.pages,
        "plain": one,
        "ray": other,
        "cluster_start_s": round(statistics.median(starts), 1),
        "rate_ratio": round(
            statistics.median(a.seconds / b.seconds for a, b in zip(here, there, strict=True)), 2
        ),
        "cpu_ratio": round(statistics.median(a.cpu / b.cpu for a, b in zip(here, there, strict=True)), 2),
    }
    print(json.dumps(row))
    sys.exit(1 if row["rate_ratio"] < args.ratio else 0)


if __name__ == "__main__":
    main()
