"""Benches of the service share this: the sample book indexed, and processes that are started and ended."""

import os
import re
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PLACE = Path(".preceptor/bench").absolute()
_READY = "Application startup complete"


def environment(**settings: str) -> dict[str, str]:
    """Variables of a service without limits that serves the sample book from an index of the benches' own."""
    return {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PRECEPTOR_", "QDRANT_"))
        },
        "PRECEPTOR_ENV": "demo",
        "PRECEPTOR_BOOK__READERS": '@json ["en", "ur"]',
        "PRECEPTOR_INDEX__PATH": str(PLACE / "index"),
        "PRECEPTOR_TRACES__PATH": str(PLACE / "traces.db"),
        "PRECEPTOR_SESSION__URL": f"sqlite:///{PLACE}/sessions.db",
        "PRECEPTOR_LIMITS__CONCURRENT": "2000",
        **settings,
    }


def index_sample_book() -> None:
    """Index it, or find that it is indexed already."""
    PLACE.mkdir(parents=True, exist_ok=True)
    source = Path(__file__).parent.parent / "examples/physical-ai"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "preceptor",
            "index",
            "--source",
            str(source),
            "--env",
            "demo",
            "--quiet",
            "--json",
        ],
        env=environment(),
        stdout=subprocess.DEVNULL,
        check=True,
    )


@contextmanager
def provider(**delays: float) -> Generator[str]:
    """A provider of fixed delays (`bench/provider.py`); gives its address."""
    arguments = [part for name, value in delays.items() for part in (f"--{name}", str(value))]
    with started([str(Path(__file__).parent / "provider.py"), *arguments], os.environ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"


@contextmanager
def serving(
    variables: Mapping[str, str], program: Sequence[str] = ("-m", "preceptor")
) -> Generator[tuple[int, int]]:
    """`preceptor serve` with these variables; gives its port and its process id when it is ready."""
    arguments = [*program, "serve", "--env", variables["PRECEPTOR_ENV"], "--port", "0"]
    log = PLACE / "serve.log"
    with log.open("w+") as written, started(arguments, variables, stderr=written.fileno()) as process:
        with log.open() as read:
            text = ""
            while not (
                _READY in text and (found := re.search(r"running on http://127\.0\.0\.1:(\d+)", text))
            ):
                text += read.readline()
                if process.poll() is not None:
                    sys.exit(f"The service did not start:\n{text}{read.read()}")
        yield int(found[1]), process.pid


@contextmanager
def started(
    arguments: list[str], variables: Mapping[str, str], *, stderr: int | None = None
) -> Generator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *arguments], env=dict(variables), stdout=subprocess.PIPE, stderr=stderr, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def memory(pid: int, what: str = "VmRSS") -> float:
    """MiB of a process: `VmRSS` now, `VmHWM` at its peak (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used, all its threads (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
