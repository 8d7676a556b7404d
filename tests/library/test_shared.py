"""Many books in one collection: apart from one another, published one by one, and scored as if each were alone."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace

import pytest

from preceptor.errors import IndexForbidden, IndexNotFound
from preceptor.library.cloud import QdrantCloud
from preceptor.library.cloud_move import move_all
from preceptor.library.passage import Passage, passage_id
from preceptor.library.protocol import Index, Vectors
from tests.library.books import INFO, again, book, vectors
from tests.library.engines import candidates, everything, publish
from tests.standins.qdrant import QdrantStandIn


@pytest.fixture
def qdrant() -> Iterator[QdrantStandIn]:
    """A cluster with a key that may write and one that may read."""
    with QdrantStandIn(keys={"writer": "write", "reader": "read"}) as opened:
        yield opened


@pytest.fixture
async def shared(qdrant: QdrantStandIn) -> AsyncGenerator[QdrantCloud]:
    """The cluster in the shared layout."""
    async with QdrantCloud(qdrant.url, api_key="writer", shared="library") as opened:
        yield opened


def named(name: str) -> list[Passage]:
    """A book like the others in everything but its id and its passages' ids."""
    return [
        replace(one, book=name, id=passage_id(name, one.chapter, one.anchor, one.ordinal)) for one in book()
    ]


async def _found(index: Index, asked: Vectors) -> list[tuple[str, float]]:
    both = await candidates(index, asked, chapter=None, limit=20)
    return [(one.text, round(score, 5)) for half in (both.dense, both.bm25) for one, score in half]


async def test_a_search_finds_one_book_alone_and_scores_it_as_if_it_were_alone(
    qdrant: QdrantStandIn, shared: QdrantCloud
) -> None:
    asked = vectors(book())
    async with QdrantCloud(qdrant.url, api_key="writer") as separate:
        await publish(separate, book())
        alone = [await _found(await separate.open("robots"), one) for one in asked]
    await publish(shared, book())
    for name in ("arms", "legs"):
        await publish(shared, named(name), info=replace(INFO, book=name), collection=name)
    index = await shared.open("robots")
    assert [await _found(index, one) for one in asked] == alone
    for name in ("arms", "legs"):
        assert {one.book for one in await everything(shared, name)} == {name}
    assert await shared.collections() == ["arms", "legs", "robots"]


async def test_publishing_one_book_changes_no_other(shared: QdrantCloud) -> None:
    await publish(shared, book())
    await publish(shared, named("arms"), info=replace(INFO, book="arms"), collection="arms")
    index = await shared.open("arms")
    before = [await _found(index, one) for one in vectors(book())]
    await publish(shared, again(book(), edition="second"))
    await shared.rollback("robots")
    assert [await _found(index, one) for one in vectors(book())] == before
    await shared.delete("robots")
    assert [await _found(index, one) for one in vectors(book())] == before
    with pytest.raises(IndexNotFound, match="arms"):
        await shared.open("robots")


async def test_a_book_is_published_by_one_request(qdrant: QdrantStandIn, shared: QdrantCloud) -> None:
    """Before that request readers see the whole old version, after it the whole new one."""
    await publish(shared, book())
    second = again(book(), edition="second")
    reader = QdrantCloud(qdrant.url, api_key="reader", shared="library")
    index = await reader.open("robots")
    seen: list[set[str]] = []
    writer = await shared.write("robots", INFO)
    await writer.put(second, vectors(second))
    seen.append({one.text for one in await everything(reader)})
    await writer.publish(INFO, [one.id for one in second])
    await writer.close()
    seen.append({text for one in vectors(second) for text, _ in await _found(index, one)})
    assert seen == [{one.text for one in book()}, {one.text for one in second}]
    await reader.close()


async def test_a_reader_follows_versions_that_were_swept_meanwhile(shared: QdrantCloud) -> None:
    await publish(shared, book())
    index = await shared.open("robots")
    for edition in ("second", "third", "fourth"):
        await publish(shared, again(book(), edition=edition))
    last = again(book(), edition="fourth")
    assert (await candidates(index, vectors(last)[0], chapter=None, limit=1)).dense[0][0] == last[0]
    assert await index.passages(last[0].chapter) == last[:5]


async def test_a_service_reads_with_a_key_that_may_only_read(
    qdrant: QdrantStandIn, shared: QdrantCloud
) -> None:
    await publish(shared, book())
    written = len(qdrant.writes())
    async with QdrantCloud(qdrant.url, api_key="reader", shared="library") as reader:
        assert await everything(reader) == book()
        await _found(await reader.open("robots"), vectors(book())[0])
        assert len(qdrant.writes()) == written
        with pytest.raises(IndexForbidden):
            await reader.write("robots", INFO)


async def test_every_request_for_passages_is_for_one_book_and_one_version(
    qdrant: QdrantStandIn, shared: QdrantCloud
) -> None:
    await publish(shared, book())
    index = await shared.open("robots")
    qdrant.asked.clear()
    await _found(index, vectors(book())[0])
    await index.chapters()
    await index.passages(book()[0].chapter)
    of_passages = [one for one in qdrant.asked if "library__384" in one.path]
    assert len(of_passages) == 3
    assert all({"tenant", "version"} <= one.filtered() for one in of_passages)


async def test_books_move_into_the_shared_collection_and_back_with_their_vectors(
    qdrant: QdrantStandIn, shared: QdrantCloud
) -> None:
    async with QdrantCloud(qdrant.url, api_key="writer") as separate:
        for name in ("robots", "arms"):
            await publish(separate, named(name), info=replace(INFO, book=name), collection=name)
        alone = [await _found(await separate.open("arms"), one) for one in vectors(book())]
        assert await move_all(separate, shared) == ["arms", "robots"]
        assert await move_all(separate, shared) == []
        assert await everything(shared, "arms") == named("arms")
        assert [await _found(await shared.open("arms"), one) for one in vectors(book())] == alone
        assert (await (await shared.open("arms")).info()).built_at == INFO.built_at
        await separate.delete("arms")
        assert await move_all(shared, separate) == ["arms"]
        assert await everything(separate, "arms") == named("arms")
