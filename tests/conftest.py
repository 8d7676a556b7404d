"""Fixtures that every test may use."""

import asyncio
import hashlib
import logging
import shutil
import ssl
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpcore2
import pytest
from filelock import FileLock
from tokenizers import Tokenizer

from preceptor.indexing.run import Indexing
from preceptor.library import embedding, graph, open_engine
from preceptor.log_levels import LOG_LEVELS
from preceptor.settings import Settings, shipped
from tests.command_line import Cli, run
from tests.sample import SOURCE, sample_settings

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "preceptor"
_IN_MEMORY = Path("/dev/shm")


@pytest.hookimpl(trylast=True)  # when those that are not run are gone
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In several processes, begin with the files that have few tests.

    Those start servers and browsers, a few tests of them take half a minute, and at the end they would be waited for
    by processes that have nothing left to do.
    """
    if hasattr(config, "workerinput"):
        tests = Counter(item.path for item in items)
        items.sort(key=lambda item: (tests[item.path], item.path))


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder, in memory where there is such a place: an index waits for the disk at every step."""
    with tempfile.TemporaryDirectory(
        dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None,
        ignore_cleanup_errors=True,  # a thread of the engine may still be writing there
    ) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real books and evaluation sets: whole ones where they lie beside the checkout, else the slices of them."""
    whole = ROOT.parent / "shared"
    return whole if (whole / "books").is_dir() else ROOT / "tests/real"


@pytest.fixture(autouse=True, scope="session")
def models_opened_once() -> Iterator[None]:
    """A shipped model is opened once for all tests: it takes half a second of CPU, and most tests open a book."""
    opened, folder_of_all = embedding._opened, shipped("library/models")  # pyright: ignore[reportPrivateUsage]
    kept = cache(opened)

    def once(model: str, folder: Path | None, **options: Any) -> object:
        is_shipped = folder is not None and folder.is_relative_to(folder_of_all)
        return (kept if is_shipped else opened)(model, folder, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding, "_opened", once)
        patch.setattr(graph, "opened", cache(graph.opened))
        yield


@pytest.fixture(autouse=True, scope="session")
def tokenizers_read_once() -> Iterator[None]:
    """A shipped tokenizer is read once for all tests: the multilingual one takes two seconds of CPU."""
    made = embedding.DenseEmbedder.__dict__["tokenizer"].func
    kept: dict[str, Tokenizer] = {}

    def once(embedder: embedding.DenseEmbedder) -> Tokenizer:
        if embedder._shipped is None:  # pyright: ignore[reportPrivateUsage]
            return made(embedder)
        if embedder.model not in kept:
            kept[embedder.model] = made(embedder)
        return kept[embedder.model]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding.DenseEmbedder, "tokenizer", property(once))
        yield


@pytest.fixture(autouse=True, scope="session")
def certificates_read_once() -> Iterator[None]:
    """The authorities' certificates are read once for all tests: each HTTP client would take 40 ms of CPU for it."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((ssl, "create_default_context"), (httpcore2, "default_ssl_context")):
            patch.setattr(module, name, cache(getattr(module, name)))
        yield


_LEVELS = [(logger, logger.level) for logger in map(logging.getLogger, (None, "preceptor", *LOG_LEVELS))]
"""What is logged before any command runs, be it in a fixture of a whole module."""


@pytest.fixture(autouse=True)
def levels_of_logs() -> None:
    """A command that ran in the tests' own process set what is logged, which the next test must not notice."""
    for logger, level in _LEVELS:
        logger.setLevel(level)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command in this process; gives its exit code, standard output and standard error."""

    def cli(*words: object) -> tuple[int, str, str]:
        code = run(monkeypatch, *words)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return cli


@pytest.fixture(scope="session")
def sample_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an embedded index of the sample book: for reading only.

    To build it takes half a minute of CPU, so that it is kept from run to run, until the book or the code changes
    that it is made with.
    """
    kept = Path(tempfile.gettempdir()) / f"preceptor-sample-{_fingerprint()}"
    folder = tmp_path_factory.mktemp("sample-index")
    with FileLock(f"{kept}.lock"):
        if not kept.is_dir():
            asyncio.run(_build(folder))
            shutil.copytree(folder, f"{kept}.new")
            Path(f"{kept}.new").rename(kept)
            return folder
    return shutil.copytree(kept, folder, dirs_exist_ok=True)


async def _build(folder: Path) -> None:
    settings = sample_settings(folder, folder)
    async with open_engine(settings) as engine:
        summary = await Indexing(SOURCE, settings).into(engine)
    assert summary.failed == []


def _fingerprint() -> str:
    """A hash of the sample book and of the code that indexes it."""
    parts = ("errors.py", "settings.py", "text", "library", "indexing")
    files = [file for part in parts for file in [PACKAGE / part, *(PACKAGE / part).rglob("*")]]
    found = hashlib.sha256(sys.version.encode())
    for file in sorted(file for file in [*files, *SOURCE.rglob("*")] if file.is_file()):
        if file.suffix != ".pyc":
            found.update(f"{file.name}\0".encode() + file.read_bytes())
    return found.hexdigest()[:16]


@pytest.fixture
def demo_settings(sample_index: Path, tmp_path: Path) -> Settings:
    """Settings that serve the sample book with the offline tutor; sessions and traces are the test's own."""
    return sample_settings(sample_index, tmp_path)
