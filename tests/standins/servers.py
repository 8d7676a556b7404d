"""Redis, PostgreSQL and a proxy on loopback, for the tests that need them; skipped where they are not installed."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
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
def proxy(folder: Path, *behind: str) -> Generator[str]:
    """A running nginx in front of services that are asked in turn, set as `docs/deploy.md` has it; gives its URL."""
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("needs nginx (Debian's package `nginx-light`)")
    port = free_port()
    servers = " ".join(f"server {url.removeprefix('http://')};" for url in behind)
    (folder / "nginx.conf").write_text(
        f"""
        daemon off;
        master_process off;
        pid {folder}/nginx.pid;
        error_log stderr notice;
        events {{ worker_connections 4096; }}
        http {{
            access_log off;
            client_body_temp_path {folder}/body;
            proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi;
            uwsgi_temp_path {folder}/uwsgi;
            scgi_temp_path {folder}/scgi;
            upstream tutors {{ {servers} }}
            server {{
                listen 127.0.0.1:{port};
                location / {{
                    proxy_pass http://tutors;
                    proxy_http_version 1.1;
                    proxy_set_header Connection "";
                    proxy_set_header Host $host;
                    proxy_buffering off;
                    proxy_read_timeout 300s;
                }}
            }}
        }}
        """
    )
    command = [program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert any("event method" in line for line in process.stderr)
            # Nobody else reads on: its log would fill the pipe, and it would stand still.
            reader = threading.Thread(target=process.stderr.read)
            reader.start()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
    reader.join()


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
