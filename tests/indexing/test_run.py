"""A run as its author sees it: what it did, what it cost, and what readers then find."""

import asyncio
import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from preceptor.errors import (
    BookEmpty,
    BookNotFound,
    IndexForbidden,
    IndexLocked,
    IndexNotFound,
    IndexSuspended,
    IndexUnreachable,
    PassagesTooLong,
)
from preceptor.indexing import write
from preceptor.indexing.report import summary_text
from preceptor.indexing.run import Indexing, PageFailure, Summary, prepare
from preceptor.library import open_engine
from preceptor.library.embedding import ENGLISH, MULTILINGUAL
from preceptor.library.library import open_library
from preceptor.library.passage import Passage
from preceptor.library.protocol import IndexInfo, Vectors
from preceptor.settings import Settings, shipped
from tests.standins.qdrant import QdrantStandIn

Put = Callable[..., Path]

PAGES = {
    "01-nodes.md": "# Nodes\n\nA node is a process that computes.\n\n## Life\n\nIt starts, spins and ends.\n",
    "02-topics.md": "# Topics\n\nA topic carries messages from publishers to subscribers.\n",
    "03-services.md": "# Services\n\nA service answers one request with one response.\n\n## Calls\n\nCalls wait.\n",
}
PASSAGES = 5


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Writes pages of the book `robots`; None removes one. Gives the book's folder."""

    def put(pages: Mapping[str, str | bytes | None] = PAGES, *, book: str = "robots") -> Path:
        docs = tmp_path / book / "docs"
        docs.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            if text is None:
                (docs / name).unlink()
            else:
                (docs / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return docs.parent

    return put


@pytest.fixture
def embedded(folder: Path) -> Settings:
    """Settings of an embedded index."""
    return _settings({"backend": "embedded", "path": folder / "index"})


@pytest.fixture
def qdrant() -> Iterator[QdrantStandIn]:
    """A stand-in for Qdrant Cloud with two keys."""
    with QdrantStandIn(keys={"writes-too": "write", "reads-only": "read"}) as standin:
        yield standin


@pytest.fixture(params=["embedded", "cloud"])
def settings(request: pytest.FixtureRequest) -> Settings:
    """Settings of either backend."""
    if request.param == "embedded":
        return request.getfixturevalue("embedded")
    return _cloud(request.getfixturevalue("qdrant"))


qdrant_with_the_long_ones = pytest.mark.parametrize(
    "settings", ["embedded", pytest.param("cloud", marks=pytest.mark.long)], indirect=True
)
"""For what a run decides before its backend has a part in it: `make test-long` tries it with Qdrant, too."""


def _settings(index: Mapping[str, Any], **tables: Mapping[str, Any]) -> Settings:
    return Settings.model_validate({"env": "demo", "index": {"collection": "robots", **index}, **tables})


def _cloud(qdrant: QdrantStandIn, key: str = "writes-too") -> Settings:
    access = {"endpoint": qdrant.url, "api_key": key, "attempts": 1}
    return _settings({"backend": "cloud", "batch_size": 2}, qdrant=access)


async def run(source: Path, settings: Settings, *, rebuild: bool = False, progress: Any = None) -> Summary:
    """Index the book."""
    engine = open_engine(settings)
    try:
        return await Indexing(source, settings, progress=progress).into(engine, rebuild=rebuild)
    finally:
        await engine.close()


async def found(settings: Settings) -> list[Passage]:
    """Every passage that readers find, in reading order."""
    engine = open_engine(settings)
    try:
        index = await engine.open(settings.index.collection)
        chapters = await index.chapters()
        passages = [one for chapter in chapters for one in await index.passages(chapter.id)]
        await index.close()
    finally:
        await engine.close()
    return passages


async def vectors(settings: Settings) -> dict[str, Vectors]:
    """Both vectors of every passage by its id."""
    engine = open_engine(settings)
    try:
        index = await engine.open(settings.index.collection)
        writer = await engine.write(settings.index.collection, await index.info())
        stored = {point: both async for point, both in writer.vectors(list(await writer.written()))}
        await writer.close()
        await index.close()
    finally:
        await engine.close()
    return stored


async def info(settings: Settings) -> IndexInfo:
    """The index's description."""
    engine = open_engine(settings)
    try:
        index = await engine.open(settings.index.collection)
        said = await index.info()
        await index.close()
    finally:
        await engine.close()
    return said


def counts(summary: Summary) -> dict[str, int]:
    """The counts of a summary, without zeros."""
    names = ("added", "changed", "moved", "unchanged", "removed", "embedded")
    return {name: getattr(summary, name) for name in names if getattr(summary, name)}


# What a run does, and what it leaves alone


async def test_the_first_run_adds_everything_and_the_next_one_nothing(put: Put, settings: Settings) -> None:
    source = put()
    first = await run(source, settings)
    assert (first.pages, first.passages) == (3, PASSAGES)
    assert counts(first) == {"added": PASSAGES, "embedded": PASSAGES}
    again = await run(source, settings)
    assert (again.pages, again.passages) == (3, PASSAGES)
    assert counts(again) == {"unchanged": PASSAGES}
    assert [one.text for one in await found(settings)][:2] == [
        "A node is a process that computes.",
        "It starts, spins and ends.",
    ]


async def test_an_unchanged_book_writes_nothing(put: Put, qdrant: QdrantStandIn) -> None:
    source, settings = put(), _cloud(qdrant)
    await run(source, settings)
    qdrant.asked.clear()
    assert counts(await run(source, settings)) == {"unchanged": PASSAGES}
    assert qdrant.writes() == []


async def test_only_what_changed_is_embedded(put: Put, settings: Settings) -> None:
    await run(put(), settings)
    before = await vectors(settings)
    source = put({"02-topics.md": PAGES["02-topics.md"].replace("messages", "typed messages")})
    assert counts(await run(source, settings)) == {"changed": 1, "embedded": 1, "unchanged": PASSAGES - 1}
    assert "typed messages" in (await found(settings))[2].text
    after = await vectors(settings)
    assert sum(after[point].dense != before[point].dense for point in after) == 1


@qdrant_with_the_long_ones
async def test_a_removed_page_is_gone(put: Put, settings: Settings) -> None:
    await run(put(), settings)
    assert counts(await run(put({"03-services.md": None}), settings)) == {"removed": 2, "unchanged": 3}
    assert {one.chapter for one in await found(settings)} == {"nodes", "topics"}


async def test_a_renamed_page_moves_with_its_vectors(put: Put, settings: Settings) -> None:
    await run(put(), settings)
    source = put({"01-nodes.md": None, "01-processes.md": PAGES["01-nodes.md"]})
    assert counts(await run(source, settings)) == {"moved": 2, "unchanged": 3}
    assert [one.url for one in await found(settings)][:2] == ["/docs/processes", "/docs/processes#life"]


@qdrant_with_the_long_ones
async def test_pages_behind_a_new_one_only_move(put: Put, settings: Settings) -> None:
    await run(put(), settings)
    source = put({"00-start.md": "# Start\n\nRead on.\n"})
    assert counts(await run(source, settings)) == {"added": 1, "embedded": 1, "moved": PASSAGES}
    assert [one.position for one in await found(settings)] == [0, 1, 1, 2, 3, 3]


PARAGRAPHS = [
    f"Paragraph {number} tells of the robot's part number {number * 37}. " * 4 for number in range(8)
]


@pytest.mark.long
@pytest.mark.parametrize(
    "order",
    [
        [1, 0, 2, 3, 4, 5, 6, 7],
        [3, 0, 1, 2, 4, 5, 6, 7],
        [7, 6, 5, 4, 3, 2, 1, 0],
        [1, 2, 3, 4, 5, 6, 7],
        [0, 0, 1, 2, 3, 4, 5, 6, 7],
    ],
)
async def test_passages_that_change_places_keep_their_own_vectors(
    put: Put, embedded: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: list[int]
) -> None:
    """A place is overwritten while another passage still needs the vectors that it holds."""
    monkeypatch.setattr(write, "_WINDOW", 2)
    small = {"chunk_size": 64, "batch_size": 1}
    settings = _settings({"backend": "embedded", "path": tmp_path / "index", **small})
    fresh = _settings({"backend": "embedded", "path": tmp_path / "fresh", **small})

    def page(order: list[int]) -> dict[str, str]:
        return {"a.md": "# Robot\n\n" + "\n\n".join(PARAGRAPHS[number] for number in order)}

    await run(put(page(list(range(8)))), settings)
    source = put(page(order))
    summary = await run(source, settings)
    await run(source, fresh)
    assert await found(settings) == await found(fresh)
    expected, made = await vectors(fresh), await vectors(settings)
    assert made.keys() == expected.keys()
    for point, both in expected.items():
        assert math.dist(made[point].dense, both.dense) < 1e-3
    assert summary.embedded < len(order), "nothing was used again"


async def test_another_splitter_makes_everything_anew_and_a_rollback_brings_the_old_one_back(
    put: Put, settings: Settings
) -> None:
    source = put()
    await run(source, settings)
    before = await found(settings)
    other = settings.model_copy(update={"index": settings.index.model_copy(update={"chunk_size": 64})})
    assert counts(await run(source, other)) == {"added": PASSAGES, "embedded": PASSAGES}
    assert (await info(settings)).chunk_size == 64
    engine = open_engine(settings)
    assert (await engine.rollback("robots")).chunk_size == 200
    await engine.close()
    assert await found(settings) == before
    assert counts(await run(source, other))["embedded"] == PASSAGES, "readers saw the old one"


@qdrant_with_the_long_ones
async def test_a_rebuild_takes_nothing_from_what_is_there(put: Put, settings: Settings) -> None:
    source = put()
    await run(source, settings)
    assert counts(await run(source, settings, rebuild=True)) == {"added": PASSAGES, "embedded": PASSAGES}


async def test_a_book_that_grows_a_little_keeps_its_vectors(put: Put, embedded: Settings) -> None:
    await run(put(), embedded)
    first = (await info(embedded)).bm25_avg_len
    source = put(
        {"04-long.md": "# Long\n\n" + "A long passage tells of many robots and their many parts. " * 9}
    )
    assert counts(await run(source, embedded)) == {"added": 1, "embedded": 1, "unchanged": PASSAGES}
    assert (await info(embedded)).bm25_avg_len == first > 1


async def test_a_stub_that_becomes_a_book_is_measured_again(put: Put, embedded: Settings) -> None:
    """BM25 would take every passage for a long one, by the mean of the first."""
    await run(put({"a.md": "# A\n\nStub.\n"}), embedded)
    first = (await info(embedded)).bm25_avg_len
    long = "# Part {0}\n\n" + "A passage tells of robot {0} and of its many parts. " * 9
    source = put({f"{number}.md": long.format(number) for number in range(4)})
    assert counts(await run(source, embedded)) == {"added": 5, "embedded": 5}
    assert (await info(embedded)).bm25_avg_len > 4 * first


@qdrant_with_the_long_ones
async def test_passages_of_another_length_are_measured_again(put: Put, settings: Settings) -> None:
    long = "A passage tells of robot {0} and of its many parts. " * 30
    source = put({"a.md": "# A\n\n" + long})
    await run(source, settings)
    small = settings.model_copy(update={"index": settings.index.model_copy(update={"chunk_size": 64})})
    fresh = small.model_copy(update={"index": small.index.model_copy(update={"collection": "fresh"})})
    before = (await info(settings)).bm25_avg_len
    await run(source, small)
    await run(source, fresh)
    assert (await info(small)).bm25_avg_len == (await info(fresh)).bm25_avg_len < before / 2


async def test_another_book_is_measured_again(put: Put, embedded: Settings) -> None:
    long = "A passage tells of robot {0} and of its many parts. " * 9
    await run(put({"a.md": "# A\n\n" + long}), embedded)
    before = (await info(embedded)).bm25_avg_len
    await run(put({"a.md": "# A\n\nKnead.\n"}, book="bread"), embedded)
    assert (await info(embedded)).bm25_avg_len < before / 4


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder of one's own with the embedding model's files."""
    folder = tmp_path / "model"
    shutil.copytree(shipped("library/models/bge-small-en-v1.5-int8"), folder)
    return folder


def _with_model(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(update={"embedding": settings.embedding.model_copy(update={"path": folder})})


def _change(model: Path, name: str) -> None:
    """Other bytes that are read as before."""
    with (model / name).open(
        "ab"
    ) as file:  # a field that no reader of ONNX knows, a space that JSON does not mind
        file.write(b"\xc2\x3e\x01x" if name.endswith("onnx") else b" ")


@pytest.mark.parametrize(
    "name", ["model_optimized.onnx", pytest.param("tokenizer.json", marks=pytest.mark.long)]
)
async def test_other_files_of_the_model_make_everything_anew(
    put: Put, embedded: Settings, model: Path, name: str
) -> None:
    source, own = put(), _with_model(embedded, model)
    await run(source, own)
    assert counts(await run(source, own)) == {"unchanged": PASSAGES}
    _change(model, name)
    assert counts(await run(source, own))["embedded"] == PASSAGES
    assert counts(await run(source, own)) == {"unchanged": PASSAGES}


async def test_other_files_of_the_model_are_seen_after_a_run_with_a_failed_page(
    put: Put, embedded: Settings, model: Path
) -> None:
    source, own = put({**PAGES, "bad.md": b"\xff\xfe\xfa"}), _with_model(embedded, model)
    await run(source, own)
    assert "embedded" not in counts(await run(source, own)), "a failed page makes nothing anew"
    _change(model, "model_optimized.onnx")
    assert counts(await run(source, own))["embedded"] == PASSAGES
    put({"bad.md": None})
    assert "embedded" not in counts(await run(source, own))
    assert "embedded" not in counts(await run(source, own))


async def test_a_change_of_docs_beside_the_site_is_seen(put: Put, embedded: Settings, tmp_path: Path) -> None:
    put()
    (tmp_path / "site").mkdir()
    site = embedded.site.model_copy(update={"docs_dir": "../robots/docs"})
    beside = embedded.model_copy(update={"site": site})
    assert counts(await run(tmp_path / "site", beside)) == {"added": PASSAGES, "embedded": PASSAGES}
    put({"02-topics.md": "# Topics\n\nAnother text.\n"})
    assert counts(await run(tmp_path / "site", beside))["changed"] == 1


async def test_what_the_links_depend_on_is_said(put: Put, embedded: Settings, tmp_path: Path) -> None:
    source = put()
    shutil.move(source, tmp_path / "website")
    (tmp_path / "repository").mkdir()
    shutil.move(tmp_path / "website", tmp_path / "repository/website")
    summary = await run(tmp_path / "repository", embedded)
    assert "If the site is in `website`" in summary.as_json()["notes"][0]
    assert "\nnote: there is no folder `docs`" in summary_text(summary)


async def test_a_book_of_headings_alone_is_told_from_one_without_pages(put: Put, embedded: Settings) -> None:
    with pytest.raises(BookEmpty, match=r"pages without text, but for headings: 1"):
        await run(put({"a.md": "# A\n\n## B\n"}), embedded)


async def test_a_page_that_changes_while_the_run_is_on_is_taken_as_it_was_read(
    put: Put, embedded: Settings
) -> None:
    source = put()
    changed = {"01-nodes.md": "# Nodes\n\nAll of this page is another one now.\n"}

    def edit(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("reading", total):
            put(changed)

    await run(source, embedded, progress=edit)
    assert (await found(embedded))[0].text == "A node is a process that computes."
    assert counts(await run(source, embedded)) == {"changed": 1, "embedded": 1, "removed": 1, "unchanged": 3}


async def test_progress_tells_of_pages_while_reading_and_of_passages_afterwards(
    put: Put, embedded: Settings
) -> None:
    told: list[tuple[str, int, int]] = []
    await run(put(), embedded, progress=lambda *step: told.append(step))  # pyright: ignore[reportUnknownLambdaType]
    assert told == [
        ("reading", 1, 3),
        ("reading", 2, 3),
        ("reading", 3, 3),
        ("embedding", PASSAGES, PASSAGES),
        ("publishing", 0, PASSAGES),
        ("publishing", PASSAGES, PASSAGES),
    ]


async def test_a_dry_run_gives_the_passages_that_a_run_writes(put: Put, embedded: Settings) -> None:
    source = put({**PAGES, "_part.md": "A part.", "draft.md": "---\ndraft: true\n---\n# Draft\n\nNo.\n"})
    pages = list(Indexing(source, embedded).pages())
    assert {page.source: page.status for page, made in pages if not made} == {
        "docs/_part.md": "partial",
        "docs/draft.md": "draft",
    }
    assert not embedded.index.path.exists()
    await run(source, embedded)
    assert [one for _, made in pages for one in made] == await found(embedded)


# What goes wrong


@qdrant_with_the_long_ones
async def test_a_page_that_cannot_be_read_is_named_and_the_others_are_indexed(
    put: Put, settings: Settings
) -> None:
    source = put({**PAGES, "bad.md": b"\xff\xfe\xfa", "worse.md": "---\ntitle: [\n---\n# Worse\n"})
    for _ in range(2):  # it is told again as long as it is so
        summary = await run(source, settings)
        assert (summary.pages, summary.passages) == (3, PASSAGES)
        assert [failure.source for failure in summary.failed] == ["docs/bad.md", "docs/worse.md"]
        assert "front matter" in summary.failed[1].reason
    source = put({"bad.md": "# Good\n\nIt can be read now.\n", "worse.md": None})
    summary = await run(source, settings)
    assert (counts(summary), summary.failed) == ({"added": 1, "embedded": 1, "unchanged": PASSAGES}, [])


async def test_what_is_left_out_is_told_with_the_reason(put: Put, embedded: Settings) -> None:
    source = put({**PAGES, "_part.md": b"\xff\xff", "draft.md": "---\ndraft: true\n---\n# Draft\n\nNo.\n"})
    for _ in range(2):
        summary = await run(source, embedded)
        assert summary.left_out == {
            "its name, or a folder's above it, begins with `_`": ["docs/_part.md"],
            "its front matter says `draft: true`": ["docs/draft.md"],
        }
        assert summary.failed == [], "a partial is no page, readable or not"


async def test_a_book_of_which_no_page_can_be_read_leaves_the_index_as_it_is(
    put: Put, embedded: Settings
) -> None:
    await run(put(), embedded)
    source = put({**dict.fromkeys(PAGES), "bad.md": b"\xff\xff"})
    with pytest.raises(BookEmpty, match=r"`docs/bad.md` cannot be read: it is not UTF-8 text"):
        await run(source, embedded)
    assert len(await found(embedded)) == PASSAGES


async def test_a_folder_that_is_not_there_or_empty_is_said_so(
    put: Put, embedded: Settings, tmp_path: Path
) -> None:
    with pytest.raises(BookNotFound, match="does not exist"):
        await run(tmp_path / "nope", embedded)
    with pytest.raises(BookEmpty, match="at least one published"):
        await run(put({}), embedded)


async def test_passages_that_the_model_would_cut_are_refused(put: Put, embedded: Settings) -> None:
    settings = embedded.model_copy(update={"index": embedded.index.model_copy(update={"chunk_size": 513})})
    with pytest.raises(PassagesTooLong, match="reads 512"):
        await run(put(), settings)


async def test_a_read_only_key_is_explained_before_the_first_page_is_read(
    put: Put, qdrant: QdrantStandIn
) -> None:
    told: list[object] = []
    with pytest.raises(IndexForbidden, match="read-only key serves a book and cannot index it"):
        await run(put(), _cloud(qdrant, "reads-only"), progress=lambda *step: told.append(step))  # pyright: ignore[reportUnknownLambdaType]
    assert told == []


async def test_the_second_of_two_runs_is_refused_before_the_first_page_is_read(
    put: Put, settings: Settings
) -> None:
    source = put()
    await run(source, settings)
    put({"02-topics.md": "# Topics\n\nSomething else.\n"})
    engine = open_engine(settings)
    writer = await engine.write("robots", await info(settings))
    told: list[object] = []
    with pytest.raises(IndexLocked, match=r"being indexed by process \d+ on .+ since"):
        await run(source, settings, progress=lambda *step: told.append(step))  # pyright: ignore[reportUnknownLambdaType]
    assert told == []
    await writer.close()
    await engine.close()
    assert counts(await run(source, settings))["changed"] == 1


async def test_a_run_that_loses_the_network_goes_on_where_it_was(put: Put, qdrant: QdrantStandIn) -> None:
    pages = {f"{number}.md": f"# Page {number}\n\nIt tells of robot {number}.\n" for number in range(8)}
    source, settings = put(pages), _cloud(qdrant)

    async def gone(request: Request) -> Response:
        """Hangs up in the middle of an answer."""
        return Response(b"{", headers={"content-length": "100"})

    def cut(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("embedding", 4):
            qdrant.script.append(gone)

    with pytest.raises(IndexUnreachable) as lost:
        await run(source, settings, progress=cut)
    assert lost.value.__notes__ == ["4 passages are embedded and kept: run it again to go on."]
    with pytest.raises(IndexNotFound):
        await info(settings)
    summary = await run(source, settings)
    assert (summary.passages, summary.embedded) == (8, 4)
    assert len(await found(settings)) == 8


async def test_a_suspended_cluster_is_explained(put: Put, qdrant: QdrantStandIn) -> None:
    async def suspended(request: Request) -> Response:
        return PlainTextResponse("", 404)

    qdrant.script.extend([suspended] * 5)
    with pytest.raises(IndexSuspended, match="resume it in the Qdrant Cloud console"):
        await run(put(), _cloud(qdrant))


async def test_a_cancelled_run_ends_soon_and_keeps_what_it_wrote(put: Put, embedded: Settings) -> None:
    pages = {f"{number}.md": f"# Page {number}\n\nIt tells of robot {number}.\n" for number in range(8)}
    settings = embedded.model_copy(update={"index": embedded.index.model_copy(update={"batch_size": 1})})
    source = put(pages)
    running: asyncio.Task[Summary]

    def cancel(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("embedding", 3):
            running.cancel()

    running = asyncio.create_task(run(source, settings, progress=cancel))
    with pytest.raises(asyncio.CancelledError):
        await running
    summary = await run(source, settings)
    assert (summary.passages, summary.unchanged) == (8, 8 - summary.embedded)
    assert 3 <= summary.unchanged < 8


async def test_what_is_done_to_the_index_is_logged_without_the_key(
    put: Put, qdrant: QdrantStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "preceptor")
    await run(put(), _cloud(qdrant))
    for line in (
        rf"connected to {qdrant.url}: \d+ ms",
        r"create the collection robots__lock: \d+ ms",
        r"write 2 passages into robots__v0001: \d+ ms",
        r"let readers see robots__v0001: \d+ ms",
        r"published robots: 5 passages, \d\.\d s",
        r"indexed: \{'collection': 'robots', 'pages': 3, 'passages': 5, 'added': 5",
    ):
        assert re.search(line, caplog.text), line
    assert "writes-too" not in caplog.text


# Collections


@qdrant_with_the_long_ones
async def test_a_collection_can_be_made_without_a_page(put: Put, settings: Settings) -> None:
    engine = open_engine(settings)
    assert await prepare(engine, settings) is True
    assert (await info(settings)).points == 0
    summary = await run(put(), settings)
    assert (counts(summary), summary.replaced) == ({"added": PASSAGES, "embedded": PASSAGES}, "")
    assert await prepare(engine, settings) is False, "one that is there stays as it is"
    assert len(await found(settings)) == PASSAGES
    await engine.close()


async def test_making_a_collection_makes_its_payload_indexes(qdrant: QdrantStandIn) -> None:
    settings = _cloud(qdrant)
    engine = open_engine(settings)
    await prepare(engine, settings)
    await engine.close()
    indexed = [one.body["field_name"] for one in qdrant.writes() if one.path.endswith("/index")]
    assert indexed == ["chapter", "ordinal"]


@qdrant_with_the_long_ones
async def test_another_book_in_the_same_collection_is_told(put: Put, settings: Settings) -> None:
    await run(put(), settings)
    summary = await run(put({"a.md": "# Bread\n\nFeed the sourdough.\n"}, book="bread"), settings)
    assert summary.replaced == "robots"
    assert [one.book for one in await found(settings)] == ["bread"]
    engine = open_engine(settings)
    assert (await engine.rollback("robots")).book == "robots"
    await engine.close()


async def test_a_server_searches_several_books_and_a_reader_can_choose_one(
    put: Put, settings: Settings
) -> None:
    await run(put(), settings)
    index = settings.index.model_copy(update={"collection": "bread"})
    await run(
        put({"a.md": "# Dough\n\nA node of flour: feed the sourdough twice a day.\n"}, book="bread"),
        settings.model_copy(update={"index": index}),
    )
    both = settings.model_copy(update={"index": settings.index.model_copy(update={"also": ("bread",)})})
    engine = open_engine(both)
    library = await open_library(engine, both)
    try:
        hits = await library.search("What is a node?", limit=10)
        assert {hit.passage.book for hit in hits} == {"robots", "bread"}
        assert hits[0].passage.book == "robots"
        alone = await library.search("What is a node?", book="bread", limit=10)
        assert {hit.passage.book for hit in alone} == {"bread"}
        assert [one.book for one in await library.chapters()] == ["robots"] * 3 + ["bread"]
    finally:
        await library.close()
        await engine.close()


async def test_an_open_library_finds_what_is_indexed_later(put: Put, settings: Settings) -> None:
    await run(put(), settings)
    engine = open_engine(settings)
    library = await open_library(engine, settings)
    try:
        await run(
            put({"04-actions.md": "# Actions\n\nAn action reports feedback until its goal is reached.\n"}),
            settings,
        )
        hits = await library.search("How does an action report feedback?", limit=1)
        assert hits[0].passage.url == "/docs/actions"
    finally:
        await library.close()
        await engine.close()


async def test_an_index_of_before_the_digest_is_read_and_brought_up_to_date(
    put: Put, embedded: Settings
) -> None:
    source = put()
    await run(source, embedded)
    engine = open_engine(embedded)
    said = await info(embedded)
    writer = await engine.write("robots", said)
    await writer.publish(replace(said, digest=""), list(await writer.written()))
    await writer.close()
    await engine.close()
    assert (await info(embedded)).digest == ""
    assert counts(await run(source, embedded)) == {"unchanged": PASSAGES}
    assert (await info(embedded)).digest == said.digest


@pytest.mark.parametrize("name", ["docs/_category_.json", "parts/_note.md"])
async def test_a_change_of_a_file_that_is_no_page_but_part_of_one_is_seen(
    put: Put, embedded: Settings, name: str
) -> None:
    page = "import Note from '@site/parts/_note.md'\n\n# Nodes\n\nA node computes.\n\n<Note />\n"
    source = put({"sub.mdx": page})
    (source / "parts").mkdir()
    (source / "parts/_note.md").write_text("Mind the gap.\n")
    (source / "docs/folder").mkdir()
    shutil.move(source / "docs/sub.mdx", source / "docs/folder/sub.mdx")
    await run(source, embedded)
    place = source / name.replace("docs/", "docs/folder/")
    place.write_text('{"label": "Another module"}' if name.endswith("json") else "Mind the wide gap.\n")
    assert counts(await run(source, embedded)) == {"changed": 1, "embedded": 1}


@qdrant_with_the_long_ones
async def test_what_could_not_be_taken_in_is_told_by_every_run(put: Put, settings: Settings) -> None:
    source = put(
        {**PAGES, "04-arm.mdx": "# Arm\n\nText\n\n{load()}\n\n{more()}\n", "05-empty.md": "# Empty\n"}
    )
    for _ in range(2):  # the second one has nothing to do
        summary = await run(source, settings)
        assert [(kind.kind, kind.count, kind.places) for kind in summary.missing] == [
            ("`{…}` expressions left out", 2, ["docs/04-arm.mdx:5 (load())", "docs/04-arm.mdx:7 (more())"]),
            ("pages without text", 1, ["docs/05-empty.md"]),
        ]
        told = summary_text(summary)
        assert "not taken in: 2 `{…}` expressions left out: docs/04-arm.mdx:5 (load()), docs/04-arm" in told
        assert summary.as_json()["missing"][1] == {
            "kind": "pages without text", "count": 1, "places": ["docs/05-empty.md"],
        }  # fmt: skip
    put({"04-arm.mdx": "# Arm\n\nText\n", "05-empty.md": None})
    assert (await run(source, settings)).missing == []


async def test_a_page_in_a_language_that_the_model_does_not_read_is_told(
    put: Put, embedded: Settings
) -> None:
    source = put({**PAGES, "04-urdu.md": "# بازو\n\n" + "روبوٹ کا بازو بارہ کلو گرام وزن اٹھاتا ہے۔ " * 5})
    summary = await run(source, embedded)
    assert [(kind.kind, kind.places) for kind in summary.missing] == [
        (
            "pages in a language that the embedding model `BAAI/bge-small-en-v1.5` does not read",
            ["docs/04-urdu.md (ur)"],
        )
    ]


SPANISH = "El robot levanta una caja de doce kilos con el brazo y la deja en la mesa de la cocina. " * 3
URDU = "روبوٹ کا بازو بارہ کلو گرام وزن اٹھاتا ہے۔ " * 5
CHINESE = "机器人的手臂可以举起十二公斤的重物，然后把它放在厨房的桌子上。" * 5


@pytest.mark.parametrize(
    ("texts", "chosen"),
    [
        (PAGES, ENGLISH),
        ({"a.md": f"# A\n\n{SPANISH}"}, MULTILINGUAL),
        ({"a.md": f"# A\n\n{URDU}"}, MULTILINGUAL),
        ({"a.md": f"# A\n\n{CHINESE}"}, MULTILINGUAL),
        (
            {"a.md": f"# A\n\n{CHINESE}", "b.md": "# B\n\n" + "A node is a process that computes. " * 5},
            MULTILINGUAL,
        ),
        ({"a.md": "# A\n\n```python\n" + "nodo = robot.crear_nodo()\n" * 50 + "```\n\nA node.\n"}, ENGLISH),
    ],
    ids=["short English", "Spanish", "Urdu", "Chinese", "half Chinese", "code"],
)
async def test_a_book_is_embedded_by_the_model_that_reads_it(
    put: Put, embedded: Settings, texts: dict[str, str], chosen: str
) -> None:
    source, told = put(texts), list[str]()
    async with open_engine(embedded) as engine:
        await Indexing(source, embedded, tell=told.append).into(engine)
        async with await open_library(engine, embedded) as library:
            assert library.models == [chosen]
    said = await info(embedded)
    assert (said.embedding_model, said.dimensions, said.multilingual_model) == (chosen, 384, "")
    assert f"; embedded with `{chosen}`" in told[0]
    assert ("does not read" in told[0]) is (chosen == MULTILINGUAL)
    assert counts(await run(source, embedded)) == {"unchanged": said.points}


@pytest.mark.parametrize(
    ("text", "tag", "said"),
    [
        (SPANISH, "en", 'in Spanish and the book is indexed as English: set `book.language = "es"`'),
        (SPANISH, "es-MX", ""),
        (URDU, "ur", ""),
        ("A node is a process that computes, and it has a name. " * 5, "de", '`book.language = "en"`'),
        ("A node is a process that computes, and it has a name. " * 5, "en-GB", ""),
    ],
)
async def test_a_book_in_another_language_than_the_settings_say_is_told(
    put: Put, embedded: Settings, text: str, tag: str, said: str
) -> None:
    told = list[str]()
    async with open_engine(embedded) as engine:
        await Indexing(
            put({"a.md": f"# A\n\n{text}"}), _with(embedded, "book", language=tag), tell=told.append
        ).into(engine)
    assert ("seem to be in" in told[0]) is bool(said)
    assert said in told[0]


async def test_an_index_of_the_english_model_is_still_good(put: Put, embedded: Settings) -> None:
    """One that was made when the settings named the model."""
    by_name = _with(embedded, "embedding", model=ENGLISH)
    await run(put(), by_name)
    assert counts(await run(put(), embedded)) == {"unchanged": PASSAGES}


async def test_a_model_that_is_named_is_taken_whatever_the_book_says(put: Put, embedded: Settings) -> None:
    source = put({"a.md": f"# A\n\n{SPANISH}"})
    summary = await run(source, _with(embedded, "embedding", model=ENGLISH))
    assert (await info(embedded)).embedding_model == ENGLISH
    assert [kind.places for kind in summary.missing] == [["docs/a.md (es)"]]


async def test_readers_of_other_languages_get_a_vector_of_their_own(put: Put, settings: Settings) -> None:
    source, others = put(), _with(settings, "book", readers=("en", "ur"))
    await run(source, settings)
    assert not any(both.multilingual for both in (await vectors(settings)).values())
    summary = await run(source, others)
    assert counts(summary) == {"added": PASSAGES, "embedded": PASSAGES}, "every vector is made again"
    assert summary.site.endswith(f"and with `{MULTILINGUAL}` for readers of Urdu")
    assert (await info(others)).multilingual_model == MULTILINGUAL
    assert all(len(both.multilingual) == 384 for both in (await vectors(others)).values())
    assert counts(await run(source, others)) == {"unchanged": PASSAGES}
    put({"02-topics.md": "# Topics\n\nA topic is a channel.\n"})
    assert counts(await run(source, others)) == {"unchanged": PASSAGES - 1, "changed": 1, "embedded": 1}
    assert all(len(both.multilingual) == 384 for both in (await vectors(others)).values())


async def test_english_readers_and_books_in_other_languages_need_no_second_vector(
    put: Put, embedded: Settings
) -> None:
    await run(put(), _with(embedded, "book", readers=("en", "en-GB")))
    assert (await info(embedded)).multilingual_model == ""
    await run(put({"a.md": f"# A\n\n{URDU}"}, book="urdu"), _with(embedded, "book", readers=("en", "ur")))
    said = await info(embedded)
    assert (said.embedding_model, said.multilingual_model) == (MULTILINGUAL, "")


async def test_with_a_vector_for_other_readers_no_page_is_unread(put: Put, embedded: Settings) -> None:
    source = put({**PAGES, "04-urdu.md": f"# بازو\n\n{URDU}"})
    assert (await run(source, _with(embedded, "book", readers=("ur",)))).missing == []


def _with(settings: Settings, section: str, **values: object) -> Settings:
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


@qdrant_with_the_long_ones
async def test_a_text_that_stands_on_many_pages_is_kept_once(put: Put, settings: Settings) -> None:
    stubs = {f"1{number}-stub.md": f"# Stub {number}\n\nComing soon\n" for number in range(11)}
    source = put({**PAGES, **stubs})
    for _ in range(2):
        summary = await run(source, settings)
        assert (summary.passages, len(await found(settings))) == (PASSAGES + 1, PASSAGES + 1)
        assert [(one.text, one.place, one.pages, one.left_out) for one in summary.repeated] == [
            ("Coming soon", "/docs/stub", 11, 10)
        ]
        assert "kept once: `Coming soon`, which stands on 11 pages" in summary_text(summary)
    put({"10-stub.md": None})
    summary = await run(source, settings)
    assert (summary.passages, summary.repeated) == (PASSAGES + 10, [])


async def test_a_change_of_a_file_that_is_taken_in_is_seen(
    put: Put, embedded: Settings, tmp_path: Path
) -> None:
    (tmp_path / "robots/.git").mkdir(parents=True)
    shared = tmp_path / "robots/shared"
    shared.mkdir()
    (shared / "part.mdx").write_text("import C from '!!raw-loader!./code.py'\n\n<CodeBlock>{C}</CodeBlock>\n")
    (shared / "code.py").write_text("lift(12)")
    source = put({"a.mdx": "import P from '../shared/part.mdx'\n\n<P />\n"}) / "docs"
    assert (await run(source, embedded)).added == 1
    assert (await run(source, embedded)).unchanged == 1
    (shared / "code.py").write_text("lift(13)")
    assert (await run(source, embedded)).changed == 1
    assert "lift(13)" in (await found(embedded))[0].text


@pytest.mark.parametrize(
    ("preset", "page", "part"),
    [
        ("mdbook", "```py\n{{#include ../../parts/code.py:2}}\n```", "parts/code.py"),
        ("mkdocs", '--8<-- "parts/code.py:2"', "parts/code.py"),
        ("mkdocs", "--8<--\nparts/more.md\n--8<--", "parts/code.py"),
    ],
)
async def test_a_change_of_what_a_generator_includes_is_seen(
    put: Put, tmp_path: Path, preset: str, page: str, part: str
) -> None:
    settings = _settings(
        {"backend": "embedded", "path": tmp_path / "index"}, site={"preset": preset, "docs_dir": "docs/src"}
    )
    root = tmp_path / "robots"
    for name in ("docs/src", "parts"):
        (root / name).mkdir(parents=True)
    (root / "book.toml").write_text("[book]\n")
    (root / "parts/more.md").write_text('--8<-- "parts/code.py"\n')
    (root / part).write_text("one\nlift(12)\n")
    summary = {"src/SUMMARY.md": "# Summary\n\n- [A](a.md)\n"} if preset == "mdbook" else {}
    source = put({"src/a.md": f"# A\n\n{page}\n", **summary})
    assert (await run(source, settings)).added == 1
    (root / part).write_text("one\nlift(13)\n")
    assert (await run(source, settings)).changed == 1
    assert "lift(13)" in (await found(settings))[0].text


def test_failures_are_named_by_page_and_reason_in_json() -> None:
    summary = Summary(
        "robots", pages=1, passages=10, failed=[PageFailure("a.md", "it is no text")], duration=2.0
    )
    said = summary.as_json()
    assert said["failed"] == [{"source": "a.md", "reason": "it is no text"}]
    assert (said["duration"], said["pages_per_minute"], said["passages_per_second"]) == (2.0, 30.0, 5.0)
