"""The embedded engine alone: files, and processes that share them."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from qdrant_edge import (
    CountRequest,
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    Modifier,
    PayloadSchemaType,
    Point,
    UpdateOperation,
)

from preceptor.errors import IndexDamaged, IndexFolderUnusable, IndexNotFound
from preceptor.library import edge, schema, versions
from preceptor.library.embedded import Embedded
from preceptor.library.versions import Versions
from tests.library.books import INFO, again, book, vectors
from tests.library.engines import candidates, everything, publish

READ = """
import asyncio, sys
from pathlib import Path
from preceptor.library.embedded import Embedded
from tests.library.books import book, vectors
from tests.library.engines import candidates

async def main():
    engine = Embedded(Path(sys.argv[1]))
    index = await engine.open("robots")
    print("open", flush=True)
    sys.stdin.readline()  # until all of them are open
    for passage, own in zip(book(), vectors(book()), strict=True):
        found = await candidates(index, own, chapter=None, limit=3)
        assert found.dense[0][0] == found.bm25[0][0] == passage
    assert list(await index.passages(book()[0].chapter)) == book()[:5]
    await engine.close()

asyncio.run(main())
"""


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(one): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


def python(code: str, *arguments: object) -> "subprocess.Popen[str]":
    """A process that runs this code beside the tests."""
    root = Path(__file__).parent.parent.parent
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=root)


def pages_in_memory(folder: Path) -> int:
    """KiB of the files with dense vectors below a folder that this process has in memory."""
    maps = Path("/proc/self/smaps").read_text(encoding="utf-8").split("VmFlags:")
    own = [one for one in maps if f"{folder}/" in one and "/vectors/" in one]
    return sum(int(re.findall(r"Rss: +(\d+) kB", one)[0]) for one in own)


def engine_threads() -> set[str]:
    """The threads of this process with which the engine searches, by their number."""
    tasks = Path("/proc/self/task")
    found: set[str] = set()
    for one in tasks.iterdir():
        with suppress(OSError):  # other threads end meanwhile
            if (one / "comm").read_text("utf-8").startswith("edge-search"):
                found.add(one.name)
    return found


async def test_what_a_killed_process_left_of_a_file_under_way_is_no_damage(folder: Path) -> None:
    """Opening a shard replaces one of its files by an equal one, by way of a folder of its own."""
    await publish(Embedded(folder), book())
    left = folder / "robots/v0001/shard/.atomicwriteQ1w2e3"
    left.mkdir()
    (left / "tmpfile.tmp").write_text("{")
    assert await everything(Embedded(folder)) == book()
    assert await publish(Embedded(folder), again(book(), edition="second")) == len(book())


async def test_several_processes_read_at_once_and_change_nothing(folder: Path) -> None:
    await publish(Embedded(folder), book())
    before = contents(folder)
    readers = [python(READ, folder) for _ in range(3)]
    for reader in readers:
        assert reader.stdout
        assert reader.stdout.readline() == "open\n"
    for reader in readers:
        _, trouble = reader.communicate("\n")
        assert reader.returncode == 0, trouble
    assert contents(folder) == before


async def test_an_index_in_use_survives_the_removal_of_its_version(folder: Path) -> None:
    engine, writer = Embedded(folder), Embedded(folder)
    await publish(writer, book())
    shard = (await engine.open("robots")).reopen()
    for edition in ("two", "three", "four"):
        await publish(writer, again(book(), edition=edition))
    assert not (folder / "robots/v0001").exists()
    assert shard.count(CountRequest()) == len(book())
    (kept,) = shard.retrieve([book()[3].id], True, False)
    assert (kept.payload or {})["text"] == book()[3].text


async def test_what_a_killed_run_left_unfinished_is_removed_by_the_next(folder: Path) -> None:
    engine = Embedded(folder)
    await publish(engine, book())
    shutil.copytree(folder / "robots/v0001", folder / "robots/v0007")  # killed before it was published
    (folder / "robots/v0008.new/shard").mkdir(parents=True)  # killed before it was complete
    await publish(engine, again(book(), edition="second"))
    assert sorted(one.name for one in (folder / "robots").iterdir()) == ["current.json", "v0001", "v0002"]


async def test_a_run_leaves_no_staged_vectors_behind(folder: Path) -> None:
    engine = Embedded(folder)
    writer = await engine.write("robots", INFO)
    await writer.put(book(), vectors(book()))
    assert (folder / "robots/staging").is_dir()
    await writer.publish(INFO, [passage.id for passage in book()])
    await writer.close()
    assert not (folder / "robots/staging").exists()


async def test_a_run_that_puts_nothing_stages_nothing(folder: Path) -> None:
    engine = Embedded(folder)
    await publish(engine, book())
    before = contents(folder / "robots")
    writer = await engine.write("robots", INFO)
    assert contents(folder / "robots") == before
    await writer.publish(INFO, [passage.id for passage in book()])
    await writer.close()
    assert contents(folder / "robots") == before


async def test_staged_files_that_are_damaged_cost_only_the_staged_work(folder: Path) -> None:
    engine = Embedded(folder)
    await publish(engine, book())
    writer = await engine.write("robots", INFO)
    await writer.put(again(book(), edition="second"), vectors(book()))
    await writer.close()
    (folder / "robots/staging/shard/edge_config.json").write_text("{")
    assert await publish(engine, again(book(), edition="second")) == len(book())
    assert await everything(engine) == again(book(), edition="second")


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0x55
    file.write_bytes(content)


@pytest.mark.parametrize("harm", [cut, flip, Path.unlink], ids=["cut", "flipped", "missing"])
async def test_a_damaged_file_is_named_before_the_engine_sees_it(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """In the engine itself some of these end the process, some give other passages or no passage."""
    engine = Embedded(tmp_path)
    await publish(engine, book(chapters=1))
    files = [one for one in (tmp_path / "robots/v0001/shard").rglob("*") if one.is_file()]
    tried = [one for one in files if 1 < one.stat().st_size < 2**20]  # the others hold mostly nothing
    assert len(tried) > 20
    for file in tried:
        whole = file.read_bytes()
        harm(file)
        with pytest.raises(IndexDamaged, match=r"robots/v0001/shard.+--rebuild"):
            await engine.open("robots")
        file.write_bytes(whole)
    await engine.open("robots")


@pytest.mark.parametrize("file", ["current.json", "v0001/index.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"info": {}}', "\x00\x01"])
async def test_a_damaged_note_is_an_error_that_a_rebuild_repairs(
    folder: Path, file: str, content: str
) -> None:
    engine = Embedded(folder)
    await publish(engine, book())
    (folder / "robots" / file).write_text(content)
    with pytest.raises(IndexDamaged, match="--rebuild"):
        await engine.open("robots")
    with pytest.raises(IndexDamaged, match="--rebuild"):
        await engine.write("robots", INFO)
    assert await publish(engine, book(), rebuild=True) == len(book())
    assert await everything(engine) == book()


async def test_a_damaged_shard_is_an_error_that_a_rebuild_repairs(folder: Path) -> None:
    engine = Embedded(folder)
    await publish(engine, book())
    next((folder / "robots/v0001/shard/segments").glob("*/segment.json")).unlink()
    with pytest.raises(IndexDamaged):
        await engine.write("robots", INFO)
    assert await publish(engine, book(), rebuild=True) == len(book())
    assert await everything(engine) == book()


async def test_a_damaged_previous_version_is_not_rolled_back_to(folder: Path) -> None:
    engine = Embedded(folder)
    await publish(engine, book())
    await publish(engine, again(book(), edition="second"))
    flip(folder / "robots/v0001/index.json")
    flip(next((folder / "robots/v0001/shard/segments").glob("*/segment.json")))
    with pytest.raises(IndexDamaged):
        await engine.rollback("robots")
    assert await everything(engine) == again(book(), edition="second")


@pytest.mark.parametrize("file", ["edge_config.json", "status.dat"], ids=["refuses", "panics"])
async def test_an_index_that_only_the_engine_cannot_read_is_damaged_too(folder: Path, file: str) -> None:
    """As after a change of the engine's format: the files are as they were written."""
    engine = Embedded(folder)
    await publish(engine, book())
    shard, note = folder / "robots/v0001/shard", folder / "robots/v0001/index.json"
    next(shard.rglob(file)).write_bytes(b"")
    digest = versions._digest(shard)  # pyright: ignore[reportPrivateUsage]
    note.write_text(json.dumps({**json.loads(note.read_text("utf-8")), "digest": digest}))
    with pytest.raises(IndexDamaged, match=r"robots/v0001/shard.+--rebuild"):
        await engine.open("robots")


async def test_a_folder_that_is_a_file_is_named(folder: Path) -> None:
    (folder / "index").write_text("a file")
    engine = Embedded(folder / "index")
    for refused in (engine.verify_connection(), engine.write("robots", INFO)):
        with pytest.raises(IndexFolderUnusable, match=str(folder / "index")):
            await refused
    with pytest.raises(IndexNotFound):
        await engine.open("robots")


WITHOUT_RIGHTS = """
import asyncio, os, sys
from pathlib import Path
from preceptor.errors import IndexFolderUnusable
from preceptor.library.embedded import Embedded
from tests.library.books import INFO

if os.getuid() == 0:
    os.setuid(65534)

async def main():
    engine = Embedded(Path(sys.argv[1]))
    for refused in (engine.verify_connection(), engine.open("robots"), engine.write("robots", INFO)):
        try:
            await refused
        except IndexFolderUnusable as error:
            print(str(error))

asyncio.run(main())
"""


def allow(folder: Path, *, writing: bool) -> None:
    """Let everybody read, and the owner write or not."""
    for one in [folder, *folder.rglob("*")]:
        one.chmod((0o755 if one.is_dir() else 0o644) - (0 if writing else 0o200))


async def test_a_folder_without_the_rights_is_named_and_so_are_the_rights(folder: Path) -> None:
    await publish(Embedded(folder), book())
    allow(folder, writing=False)
    try:
        said, trouble = python(WITHOUT_RIGHTS, folder).communicate()
    finally:
        allow(folder, writing=True)
    assert said.count("cannot be used: ") == 3, trouble
    assert said.count("needs to read and write there") == 3


async def test_a_writer_that_is_closed_at_work_keeps_the_lock_until_it_is_done(folder: Path) -> None:
    engine = Embedded(folder)
    writer = await engine.write("robots", INFO)
    at_work = asyncio.create_task(writer.put(book(), vectors(book())))
    await asyncio.sleep(0)  # it has begun
    at_work.cancel()
    await writer.close()
    writer = await engine.write("robots", INFO)
    assert set(await writer.written()) in (set(), {passage.id for passage in book()})
    await writer.close()


async def test_a_folder_that_is_not_there_yet_is_no_trouble(folder: Path) -> None:
    engine = Embedded(folder / "not/yet")
    await engine.verify_connection()
    assert await engine.collections() == []
    with pytest.raises(IndexNotFound, match="found: none"):
        await engine.open("robots")
    assert not (folder / "not").exists()


async def test_the_note_of_a_version_is_readable_by_people(folder: Path) -> None:
    await publish(Embedded(folder), book(), info=replace(INFO, title="روبوٹ"))
    note = json.loads((folder / "robots/v0001/index.json").read_text("utf-8"))
    assert note["info"]["title"] == "روبوٹ"
    assert note["info"]["points"] == len(book())


async def test_a_version_that_lacks_a_passage_is_not_published(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Embedded(folder)
    await publish(engine, book())
    whole = edge.upsert

    def all_but_one(shard: EdgeShard, points: list[Point]) -> None:
        whole(shard, points[:-1])

    monkeypatch.setattr(edge, "upsert", all_but_one)
    with pytest.raises(IndexDamaged, match=rf"holds \d+ passages of {len(book())}"):
        await publish(engine, again(book(), edition="second"), rebuild=True)
    monkeypatch.undo()
    assert await everything(engine) == book()


LARGE_BOOK = book(chapters=12, sections=4, pieces=3)


@pytest.fixture
def compressing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A book is large from ten passages on."""
    monkeypatch.setattr(edge, "LARGE", 10)


def shard_of(folder: Path) -> Path:
    """The published shard."""
    return folder / "robots/v0001/shard"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is in memory")
async def test_the_vectors_of_a_small_book_take_no_memory_for_those_that_are_not_there(folder: Path) -> None:
    """The engine's file for vectors has room for 32 MiB of them, of which this book has a few kB."""
    await publish(Embedded(folder), book())
    engine = Embedded(folder)
    assert await candidates(await engine.open("robots"), vectors(book())[0], chapter=None, limit=3)
    resident = pages_in_memory(shard_of(folder))
    await engine.close()
    assert sum(one.stat().st_size for one in shard_of(folder).rglob("vectors/*.mmap")) > 2**24
    assert resident < 1024


@pytest.mark.usefixtures("compressing")
async def test_a_large_book_is_compressed_and_searched_by_its_true_vectors(folder: Path) -> None:
    engine = Embedded(folder / "large")
    await publish(engine, LARGE_BOOK)
    shard = edge.load(shard_of(folder / "large"))
    assert shard.info().indexed_vectors_count == 2 * len(LARGE_BOOK)  # of both kinds
    shard.close()
    index = await engine.open("robots")
    assert await everything(engine) == LARGE_BOOK
    for passage, own in zip(LARGE_BOOK, vectors(LARGE_BOOK), strict=True):
        for chapter in (None, passage.chapter):
            found = await candidates(index, own, chapter=chapter, limit=3)
            assert found.dense[0] == (passage, pytest.approx(1.0, abs=1e-5))
            assert found.bm25[0][0] == passage


async def test_compression_changes_no_result(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, large = Embedded(folder / "plain"), Embedded(folder / "large")
    await publish(plain, LARGE_BOOK)
    monkeypatch.setattr(edge, "LARGE", 10)
    await publish(large, LARGE_BOOK)
    one, other = await plain.open("robots"), await large.open("robots")
    for asked in vectors(again(LARGE_BOOK[:40], edition="asked")):
        expected = await candidates(one, asked, chapter=None, limit=20)
        found = await candidates(other, asked, chapter=None, limit=20)
        assert [passage for passage, _ in found.dense] == [passage for passage, _ in expected.dense]
        assert [score for _, score in found.dense] == pytest.approx(
            [score for _, score in expected.dense], abs=1e-5
        )
        assert [passage for passage, _ in found.bm25] == [passage for passage, _ in expected.bm25]
        assert [score for _, score in found.bm25] == pytest.approx([score for _, score in expected.bm25])


@pytest.mark.usefixtures("compressing")
async def test_the_vectors_of_a_compressed_book_are_kept_for_the_next_run(folder: Path) -> None:
    engine = Embedded(folder)
    await publish(engine, LARGE_BOOK)
    writer = await engine.write("robots", INFO)
    kept = {one: both async for one, both in writer.vectors([passage.id for passage in LARGE_BOOK])}
    await writer.close()
    for passage, both in zip(LARGE_BOOK, vectors(LARGE_BOOK), strict=True):
        length = sum(one * one for one in both.dense) ** 0.5
        assert kept[passage.id].dense == pytest.approx([one / length for one in both.dense], abs=1e-6)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the threads of a process")
async def test_an_open_book_has_one_thread_that_searches(folder: Path) -> None:
    """The engine's default is one for each core and more: hundreds of books would have thousands."""
    await publish(Embedded(folder), book())
    before = engine_threads()
    opened = await Embedded(folder).open("robots")
    assert await candidates(opened, vectors(book())[0], chapter=None, limit=3)
    await asyncio.sleep(0.2)  # a thread gives itself its name when it runs
    assert len(engine_threads() - before) == 1
    await opened.close()


def test_scores_that_agree_to_five_decimals_are_in_the_order_of_their_ids() -> None:
    found = [("c", 12.3456711), ("a", 12.3456709), ("b", 12.345)]
    assert [one for one, _ in schema.best_first(found, limit=3)] == ["a", "c", "b"]


async def test_an_index_of_before_is_searched(folder: Path) -> None:
    """Its parts are copied into memory, many threads search it, and its ordinals are indexed, too."""
    written = Versions(folder / "robots")
    shard = EdgeShard.create(
        str(path := written.begin()),
        EdgeConfig(
            vectors={"dense": EdgeVectorParams(size=INFO.dimensions, distance=Distance.Cosine)},
            sparse_vectors={"bm25": EdgeSparseVectorParams(modifier=Modifier.Idf)},
            wal_enabled=False,
        ),
    )
    for field, kind in {
        "chapter": PayloadSchemaType.Keyword,
        "ordinal": PayloadSchemaType.Integer,
    }.items():
        shard.update(UpdateOperation.create_field_index(field, kind))
    edge.upsert(shard, [edge.as_point(*both) for both in zip(book(), vectors(book()), strict=True)])
    shard.close()
    edge.load(path).close()  # as the writer does: the first to open a shard still writes
    written.publish(path, replace(INFO, points=len(book())), ())
    engine = Embedded(folder)
    index = await engine.open("robots")
    for passage, own in zip(book(), vectors(book()), strict=True):
        for chapter in (None, passage.chapter):
            found = await candidates(index, own, chapter=chapter, limit=3)
            assert found.dense[0][0] == found.bm25[0][0] == passage
    more = book(chapters=4)[: len(book()) + 1]
    assert await publish(engine, more) == 1
    assert await everything(engine) == more
    await engine.close()


async def test_the_outline_is_kept_with_the_version(folder: Path) -> None:
    engine = Embedded(folder)
    await publish(engine, book())
    index = await engine.open("robots")

    def make(*_: object, **__: object) -> None:
        pytest.fail("made from the passages")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge, "scroll", make)
        kept = await index.chapters()
    note = folder / "robots/v0001/index.json"
    old = json.loads(note.read_text("utf-8"))
    del old["outline"]
    note.write_text(json.dumps(old), "utf-8")
    (folder / "robots/v0001/outline.jsonl").unlink()
    earlier = await Embedded(folder).open("robots")  # as one of before there were outlines
    assert list(await earlier.chapters()) == list(kept)


async def test_the_outline_is_that_of_the_version_published_last(folder: Path) -> None:
    engine = Embedded(folder)
    await publish(engine, book())
    index = await engine.open("robots")
    assert len(await index.chapters()) == 3
    await publish(engine, book(chapters=5))
    assert len(await index.chapters()) == 5
    await engine.rollback("robots")
    assert len(await index.chapters()) == 3


@pytest.mark.parametrize("harm", [cut, flip, Path.unlink], ids=["cut", "flipped", "missing"])
async def test_a_damaged_outline_is_named(folder: Path, harm: Callable[[Path], None]) -> None:
    engine = Embedded(folder)
    await publish(engine, book())
    harm(folder / "robots/v0001/outline.jsonl")
    index = await engine.open("robots")
    with pytest.raises(IndexDamaged, match=r"outline\.jsonl.+--rebuild"):
        await index.chapters()


async def test_an_index_with_a_digest_of_before_is_opened_and_still_guarded(folder: Path) -> None:
    await publish(Embedded(folder), book())
    note = folder / "robots/v0001/index.json"
    digest = versions._digest(shard_of(folder), fast=False)  # pyright: ignore[reportPrivateUsage]
    assert len(digest) == 64
    note.write_text(json.dumps({**json.loads(note.read_text("utf-8")), "digest": digest}), "utf-8")
    opened = await Embedded(folder).open("robots")
    await opened.close()  # it may write its files again when it is closed
    flip(next(shard_of(folder).rglob("segment.json")))
    with pytest.raises(IndexDamaged):
        await Embedded(folder).open("robots")
