"""Urdu questions on English pages: sixty of them, by chapter, on two books that are indexed for Urdu readers.

The questions in `urdu.jsonl` were written for this test; no native reader has seen them.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import yaml

from preceptor.indexing.run import Indexing
from preceptor.library import open_engine
from preceptor.library.library import Library, open_library
from preceptor.library.passage import Hit
from preceptor.settings import Settings
from tests.sample import SOURCE

pytestmark = pytest.mark.long

QUESTIONS = [
    json.loads(line)
    for line in Path(__file__).with_name("urdu.jsonl").read_text(encoding="utf-8").splitlines()
]
FIRST = 5
"""Hits among which the right one has to be."""


def settings(folder: Path, **tables: Any) -> Settings:
    index = {"backend": "embedded", "path": folder, "collection": "sample", "also": ("textbook",)}
    return Settings.model_validate({"env": "local", "index": index, **tables})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    """The sample book and a textbook, indexed for Urdu readers."""
    folder = tmp_path_factory.mktemp("urdu")
    asyncio.run(_build(folder, "sample", SOURCE, "physical-ai"))
    asyncio.run(_build(folder, "textbook", shared / "books/physical-ai-textbook", "physical-ai-textbook"))
    return folder


async def _build(folder: Path, collection: str, source: Path, book: str) -> None:
    own = settings(folder, book={"id": book, "readers": ("en", "ur")})
    own = own.model_copy(update={"index": own.index.model_copy(update={"collection": collection})})
    async with open_engine(own) as engine:
        await Indexing(source, own).into(engine)


@pytest.fixture
async def library(folder: Path) -> AsyncGenerator[Library]:
    """Both books, open at once."""
    async with (
        open_engine(settings(folder)) as engine,
        await open_library(engine, settings(folder)) as opened,
    ):
        yield opened


async def test_urdu_questions_find_the_right_chapter_of_an_english_book(library: Library) -> None:
    assert len(QUESTIONS) == 60
    missed: list[str] = []
    for one in QUESTIONS:
        hits = await library.search(one["question"], book=one["book"], limit=FIRST)
        if one["chapter"] not in {hit.passage.chapter for hit in hits}:
            missed.append(one["question"])
    assert len(missed) <= 5, missed


async def test_all_urdu_cases_of_the_sample_are_found(library: Library) -> None:
    cases = yaml.safe_load((SOURCE / "evaluation.yaml").read_text(encoding="utf-8"))["cases"]
    urdu = [one for one in cases if one["metadata"]["language"] == "ur" and one["expected_output"]["in_book"]]
    assert len(urdu) == 7
    for case in urdu:
        hits = await library.search(case["inputs"]["question"], book="physical-ai", limit=FIRST)
        assert set(map(_section, hits)) & set(case["expected_output"]["sections"]), case["name"]


def _section(hit: Hit) -> str:
    return f"{hit.passage.chapter}#{hit.passage.anchor}"
