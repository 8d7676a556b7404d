"""Redis and PostgreSQL on loopback, started for the tests that need them; skipped where they are not installed."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from glob import glob
from pathlib import Path

import pytest


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def redis_server(folder: Path) -> Generator[str]:
    """A running Redis that keeps nothing; gives its URL."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("needs redis-server (Debian's package `redis-server`)")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert any("Ready to accept connections" in line for line in process.stdout)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


@contextmanager
def postgres_server() -> Generator[str]:
    """A running PostgreSQL; gives the URL of its database for asyncpg."""
    found = [
        *sorted(glob("/usr/lib/postgresql/*/bin"), reverse=True),
        os.path.dirname(shutil.which("initdb") or ""),
    ]
    programs = next((Path(place) for place in found if place and (Path(place) / "initdb").exists()), None)
    if programs is None:
        pytest.skip("needs PostgreSQL (Debian's package `postgresql`)")
    port = free_port()
    # The server refuses to run as root, and pytest's own folders are open to nobody else.
    user = "nobody" if os.geteuid() == 0 else None

    def run(*command: str) -> None:
        done = subprocess.run(
            [str(programs / command[0]), *command[1:]], user=user, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"PostgreSQL does not start here: {done.stderr.strip()[-200:]}")

    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        if user:
            shutil.chown(folder, user)
        data = f"{folder}/data"
        run("initdb", "-D", data, "-U", "preceptor", "--auth=trust", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        run("pg_ctl", "-D", data, "-l", f"{folder}/log", "-w", "-o", options, "start")
        try:
            yield f"postgresql+asyncpg://preceptor@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
