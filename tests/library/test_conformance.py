"""The duties of every engine, whichever holds the index: one suite over both, each of them real.

`Embedded` works in a folder. `QdrantCloud` talks HTTP to a stand-in on loopback that speaks Qdrant's REST.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from operator import mul
from pathlib import Path

import pytest

from preceptor.errors import (
    IndexHasNoPrevious,
    IndexIncompatible,
    IndexLocked,
    IndexNotFound,
    VectorInvalid,
)
from preceptor.library.cloud import QdrantCloud
from preceptor.library.embedded import Embedded
from preceptor.library.fusion import BEST, moved
from preceptor.library.protocol import Engine, Scores, Vectors
from preceptor.text.tokens import SparseVector
from tests.library.books import DIMENSIONS, INFO, again, book, vectors
from tests.library.engines import candidates, engine_at, everything, publish
from tests.standins.qdrant import QdrantStandIn


async def test_what_was_published_is_read_back_as_it_was(engine: Engine) -> None:
    await publish(engine, book())
    assert await everything(engine) == book()


async def test_the_outline_has_every_chapter_and_heading_in_reading_order(engine: Engine) -> None:
    await publish(engine, list(reversed(book(chapters=12))))
    index = await engine.open("robots")
    chapters = await index.chapters()
    assert [chapter.position for chapter in chapters] == list(range(12))
    assert chapters[3].id == "part-1/chapter-3"
    assert chapters[3].url == "/docs/part-1/chapter-3"
    assert [(one.anchor, one.heading, one.url) for one in chapters[3].sections] == [
        ("section-1", "Section 1", "/docs/part-1/chapter-3#section-1"),
        ("section-2", "Section 2", "/docs/part-1/chapter-3#section-2"),
    ]


async def test_a_passage_is_nearest_to_its_own_vectors(engine: Engine) -> None:
    passages = book()
    await publish(engine, passages)
    index = await engine.open("robots")
    for passage, own in zip(passages, vectors(passages), strict=True):
        found = await candidates(index, own, chapter=None, limit=5)
        assert found.dense[0] == (passage, pytest.approx(1.0, abs=1e-5))
        assert found.bm25[0][0] == passage
        assert all(score > 0 for _, score in found.bm25)
        assert len(found.dense) == 5


async def test_both_engines_give_the_same_order_and_scores(folder: Path) -> None:
    """Many texts are equal, so that most scores are tied: the smaller id comes first."""
    passages = [replace(passage, text="same", breadcrumb=("Same",)) for passage in book(chapters=9)]
    question = vectors(book())[4]
    with QdrantStandIn() as qdrant:
        found = []
        for engine in (Embedded(folder), QdrantCloud(qdrant.url)):
            await publish(engine, passages)
            found.append(await candidates(await engine.open("robots"), question, chapter=None, limit=30))
            await engine.close()
    embedded, cloud = found
    ids = sorted(passage.id for passage in passages)
    assert [passage.id for passage, _ in embedded.dense] == ids[:30]
    assert [passage for passage, _ in embedded.dense] == [passage for passage, _ in cloud.dense]
    assert [passage for passage, _ in embedded.bm25] == [passage for passage, _ in cloud.bm25]
    for mine, other in ((embedded.dense, cloud.dense), (embedded.bm25, cloud.bm25)):
        assert [score for _, score in mine] == pytest.approx([score for _, score in other], abs=1e-5)


async def test_a_search_within_a_chapter_finds_nothing_else(engine: Engine) -> None:
    passages = book()
    await publish(engine, passages)
    index = await engine.open("robots")
    found = await candidates(index, vectors(passages)[0], chapter="part-1/chapter-1", limit=50)
    assert {passage.chapter for passage, _ in [*found.dense, *found.bm25]} == {"part-1/chapter-1"}
    assert len(found.dense) == 5
    assert await index.passages("part-9/none") == []


def unit(vector: Sequence[float]) -> tuple[float, ...]:
    """The vector of length 1 in the same direction, as engines keep it."""
    return tuple(one / math.hypot(*vector) for one in vector)


async def test_feedback_asks_again_with_the_question_moved_towards_what_was_chosen_first(
    engine: Engine,
) -> None:
    passages = book()
    made = [unit(own.dense) for own in vectors(passages)]
    by_id = dict(zip((passage.id for passage in passages), made, strict=True))
    question = replace(vectors(passages)[0], dense=made[0])
    best = [passage.id for passage in passages[4 : 4 + BEST]]
    asked: list[Scores] = []

    def first_these_then_the_nearest(dense: Scores, bm25: Scores, feedback: Scores | None) -> Sequence[str]:
        if feedback is None:
            return [*best, passages[-1].id]
        asked.extend((dense, feedback))
        return list(feedback)[:2]

    await publish(engine, passages)
    index = await engine.open("robots")
    found = await index.chosen(
        question, first_these_then_the_nearest, chapter=None, limit=len(passages), feedback=True
    )
    dense, feedback = asked
    nearer = moved(question.dense, [by_id[one] for one in best])
    for vector, scores in ((question.dense, dense), (nearer, feedback)):
        assert scores == pytest.approx(
            {one: sum(map(mul, vector, own)) for one, own in by_id.items()}, abs=1e-5
        )
    assert [passage.id for passage in found] == list(feedback)[:2]


async def test_feedback_of_nothing_asks_nothing(engine: Engine) -> None:
    await publish(engine, book())
    index, calls = await engine.open("robots"), list[Scores | None]()

    def nothing(dense: Scores, bm25: Scores, feedback: Scores | None) -> Sequence[str]:
        calls.append(feedback)
        return []

    assert await index.chosen(vectors(book())[0], nothing, chapter=None, limit=3, feedback=True) == []
    assert calls == [None]


async def test_a_question_of_stop_words_has_no_bm25_half(engine: Engine) -> None:
    await publish(engine, book())
    index = await engine.open("robots")
    question = replace(vectors(book())[0], bm25=SparseVector((), ()))
    found = await candidates(index, question, chapter=None, limit=3)
    assert len(found.dense) == 3
    assert list(found.bm25) == []


async def test_a_passage_without_a_token_is_kept(engine: Engine) -> None:
    passages = book()[:2]
    writer = await engine.write("robots", INFO)
    await writer.put(passages, [replace(one, bm25=SparseVector((), ())) for one in vectors(passages)])
    await writer.publish(INFO, [passage.id for passage in passages])
    await writer.close()
    assert await everything(engine) == passages


async def test_an_index_says_what_it_was_built_for(engine: Engine) -> None:
    await publish(engine, book())
    index = await engine.open("robots")
    assert await index.info() == replace(INFO, points=len(book()))
    assert index.collection == "robots"
    assert await engine.collections() == ["robots"]


async def test_an_unchanged_book_is_neither_put_nor_published_again(engine: Engine) -> None:
    await publish(engine, book())
    assert await publish(engine, book(), info=replace(INFO, built_at=INFO.built_at.replace(year=2027))) == 0
    assert await (await engine.open("robots")).info() == replace(INFO, points=len(book()))
    with pytest.raises(IndexHasNoPrevious, match="robots"):
        await engine.rollback("robots")


async def test_only_what_changed_is_put_and_what_is_gone_is_removed(engine: Engine) -> None:
    first = book()
    await publish(engine, first)
    second = [*again(first[:2], edition="second"), *first[2:-1], *book(chapters=4)[-5:]]
    assert await publish(engine, second) == 2 + 5
    assert await everything(engine) == second


async def test_a_new_title_alone_is_told_without_a_new_version(engine: Engine) -> None:
    await publish(engine, book())
    await publish(engine, book(), info=replace(INFO, title="Robots, 2nd edition"))
    assert (await (await engine.open("robots")).info()).title == "Robots, 2nd edition"
    with pytest.raises(IndexHasNoPrevious):
        await engine.rollback("robots")


async def test_an_open_index_shows_what_is_published_later(engine: Engine) -> None:
    await publish(engine, book())
    index = await engine.open("robots")
    second = again(book(), edition="second")
    await publish(engine, second)
    assert (await candidates(index, vectors(second)[1], chapter=None, limit=1)).dense[0][0] == second[1]
    assert await index.passages(second[0].chapter) == second[:5]


async def test_readers_see_nothing_of_what_is_put_before_it_is_published(engine: Engine) -> None:
    await publish(engine, book())
    index = await engine.open("robots")
    writer = await engine.write("robots", INFO)
    second = again(book(), edition="second")
    await writer.put(second, vectors(second))
    assert await index.passages(second[0].chapter) == book()[:5]
    assert await everything(engine) == book()
    await writer.close()
    assert await everything(engine) == book()


async def test_what_an_interrupted_run_put_is_found_by_the_next_one(engine: Engine) -> None:
    await publish(engine, book())
    second = again(book(), edition="second")
    writer = await engine.write("robots", INFO)
    await writer.put(second[:6], vectors(second[:6]))
    await writer.close()
    assert await publish(engine, second) == len(second) - 6
    assert await everything(engine) == second


async def test_what_an_interrupted_run_put_and_the_book_lost_is_not_published(engine: Engine) -> None:
    writer = await engine.write("robots", INFO)
    await writer.put(book(), vectors(book()))
    await writer.close()
    assert await publish(engine, book(chapters=2)) == 0
    assert await everything(engine) == book(chapters=2)


async def test_what_an_interrupted_run_put_for_another_model_is_dropped(engine: Engine) -> None:
    writer = await engine.write("robots", INFO)
    await writer.put(book(), vectors(book()))
    await writer.close()
    writer = await engine.write("robots", replace(INFO, embedding_model="other/model"))
    assert await writer.written() == {}
    await writer.close()


@pytest.mark.parametrize(
    "changed",
    [
        {"embedding_model": "other/model"},
        {"dimensions": 128},
        {"chunk_size": 100},
        {"chunk_overlap": 20},
        {"bm25_avg_len": 90.0},
        {"language": "de"},
        {"multilingual_model": "other/model", "multilingual_dimensions": 64},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_another_way_of_making_vectors_uses_nothing_again_and_can_be_rolled_back(
    engine: Engine, changed: dict[str, object]
) -> None:
    await publish(engine, book())
    index = await engine.open("robots")
    other = replace(INFO, **changed)  # pyright: ignore[reportArgumentType]
    assert await publish(engine, book(), info=other) == len(book())
    assert await index.info() == replace(other, points=len(book()))
    assert await engine.rollback("robots") == replace(INFO, points=len(book()))
    found = await candidates(await engine.open("robots"), vectors(book())[0], chapter=None, limit=1)
    assert found.dense[0][0] == book()[0]


async def test_a_question_is_searched_by_the_vector_that_it_brings(engine: Engine) -> None:
    """With a second vector for each passage; the first of one passage is the second of another here."""
    info, passages = (
        replace(INFO, multilingual_model="other/model", multilingual_dimensions=DIMENSIONS),
        book(),
    )
    first = vectors(passages)
    second = [*first[1:], first[0]]
    writer = await engine.write("robots", info)
    both = [replace(one, multilingual=other.dense) for one, other in zip(first, second, strict=True)]
    await writer.put(passages, both)
    stored = {point: vector async for point, vector in writer.vectors([passages[3].id])}
    await writer.publish(info, [one.id for one in passages])
    await writer.close()
    index = await engine.open("robots")
    assert await index.info() == replace(info, points=len(passages))
    asked = first[3]
    by_first = await candidates(index, asked, chapter=None, limit=1)
    by_second = await candidates(
        index, replace(asked, dense=(), multilingual=asked.dense), chapter=None, limit=1
    )
    assert (by_first.dense[0][0], by_second.dense[0][0]) == (passages[3], passages[2])
    assert (by_first.dense[0][1], by_second.dense[0][1]) == pytest.approx((1.0, 1.0), abs=1e-5)
    for made, kept in (
        (both[3].dense, stored[passages[3].id].dense),
        (both[3].multilingual, stored[passages[3].id].multilingual),
    ):
        size = math.hypot(*made)  # the engines keep a cosine vector with length 1
        assert kept == pytest.approx([one / size for one in made], abs=1e-5)


async def test_an_index_with_two_dense_vectors_is_opened_again_and_again(
    engine: Engine, where: Path | str
) -> None:
    """The embedded engine writes their names in any order whenever it opens a shard."""
    await publish(
        engine, book(), info=replace(INFO, multilingual_model="other/model", multilingual_dimensions=8)
    )
    for _ in range(8):
        again_opened = engine_at(where)
        assert await everything(again_opened) == book()
        await again_opened.close()


async def test_a_question_for_a_vector_that_the_index_lacks_is_refused(engine: Engine) -> None:
    await publish(engine, book())
    index = await engine.open("robots")
    asked = replace(vectors(book())[0], dense=(), multilingual=vectors(book())[0].dense)
    with pytest.raises(IndexIncompatible):
        await candidates(index, asked, chapter=None, limit=1)


async def test_a_rebuild_makes_every_vector_again(engine: Engine) -> None:
    await publish(engine, book())
    assert await publish(engine, book(), rebuild=True) == len(book())
    assert await everything(engine) == book()


async def test_an_interrupted_rebuild_is_taken_up_by_the_next_rebuild_only(engine: Engine) -> None:
    writer = await engine.write("robots", INFO)
    await writer.put(book()[:3], vectors(book()[:3]))
    await writer.close()
    writer = await engine.write("robots", INFO, rebuild=True)
    assert await writer.written() == {}
    await writer.put(book()[:4], vectors(book()[:4]))
    await writer.close()
    assert await publish(engine, book(), rebuild=True) == len(book()) - 4


async def test_a_rollback_shows_the_version_before_and_the_next_one_the_new_again(engine: Engine) -> None:
    await publish(engine, book())
    index = await engine.open("robots")
    second = again(book(), edition="second")
    await publish(engine, second, info=replace(INFO, title="Second"))
    assert (await engine.rollback("robots")).title == "Robots"
    assert await index.passages(book()[0].chapter) == book()[:5]
    assert (await engine.rollback("robots")).title == "Second"
    assert await everything(engine) == second


async def test_a_run_after_a_rollback_goes_on_from_what_readers_see(engine: Engine) -> None:
    await publish(engine, book())
    await publish(engine, again(book(), edition="second"))
    await engine.rollback("robots")
    assert await publish(engine, book(chapters=4)) == 5
    assert await everything(engine) == book(chapters=4)
    await engine.rollback("robots")
    assert await everything(engine) == book()


async def test_only_the_version_before_the_last_is_kept(engine: Engine, where: Path | str) -> None:
    for edition in ("one", "two", "three", "four"):
        await publish(engine, again(book(), edition=edition))
    if isinstance(where, Path):
        kept = [one.name for one in (where / "robots").iterdir()]
        assert sorted(kept) == ["current.json", "v0003", "v0004"]
    else:
        assert isinstance(engine, QdrantCloud)
        versions = await (await engine._versions("robots")).all()  # pyright: ignore[reportPrivateUsage]
        assert sorted(versions) == ["robots__v0003", "robots__v0004"]
        found = await engine._connection.client.get_collections()  # pyright: ignore[reportPrivateUsage]
        for collection in (one.name for one in found.collections if one.name == "library__384"):
            held = await engine._connection.client.count(collection)  # pyright: ignore[reportPrivateUsage]
            assert held.count == 2 * len(book())


async def test_a_second_writer_is_refused_and_told_who_holds_the_lock(
    engine: Engine, where: Path | str
) -> None:
    writer = await engine.write("robots", INFO)
    other = engine_at(where)
    for refused in (other.write("robots", INFO), other.write("robots", INFO, rebuild=True)):
        with pytest.raises(IndexLocked, match=r"process \d+ on .+ since \d{4}-"):
            await refused
    await writer.publish(INFO, [])
    for refused in (other.rollback("robots"), other.delete("robots")):
        with pytest.raises(IndexLocked, match=r"process \d+ on"):
            await refused
    await writer.close()
    await writer.close()
    assert await publish(other, book()) == len(book())
    await other.close()


async def test_books_live_side_by_side(engine: Engine) -> None:
    await publish(engine, book(), collection="robots")
    await publish(engine, book(chapters=1), collection="robots-2", info=replace(INFO, dimensions=64))
    one, two = await engine.write("robots", INFO), await engine.write("robots-3", INFO)
    await two.publish(INFO, [])
    await one.close()
    await two.close()
    assert await engine.collections() == ["robots", "robots-2", "robots-3"]
    await engine.delete("robots-2")
    assert await engine.collections() == ["robots", "robots-3"]
    assert await everything(engine) == book()


async def test_an_empty_collection_can_be_made_and_opened(engine: Engine) -> None:
    await publish(engine, [])
    index = await engine.open("robots")
    assert (await index.info()).points == 0
    assert list(await index.chapters()) == []
    found = await candidates(index, vectors(book())[0], chapter=None, limit=3)
    assert (list(found.dense), list(found.bm25)) == ([], [])


async def test_a_collection_that_is_not_there_is_named_with_those_that_are(engine: Engine) -> None:
    await publish(engine, book(), collection="other")
    for missing in (engine.open("robots"), engine.rollback("robots"), engine.delete("robots")):
        with pytest.raises(IndexNotFound, match=r"`robots` at .+ \(found: other\)"):
            await missing


async def test_a_collection_that_only_an_interrupted_run_began_can_be_deleted(engine: Engine) -> None:
    writer = await engine.write("robots", INFO)
    await writer.put(book(), vectors(book()))
    await writer.close()
    assert await engine.collections() == []
    await engine.delete("robots")
    writer = await engine.write("robots", INFO)
    assert await writer.written() == {}
    await writer.close()


async def test_an_open_index_says_so_when_its_collection_is_deleted(engine: Engine) -> None:
    await publish(engine, book())
    index = await engine.open("robots")
    await engine.delete("robots")
    with pytest.raises(IndexNotFound):
        await candidates(index, vectors(book())[0], chapter=None, limit=3)
    with pytest.raises(IndexNotFound):
        await index.info()
    await index.close()
    await index.close()


async def test_stored_vectors_come_back_for_passages_that_moved(engine: Engine) -> None:
    passages = book(chapters=60)
    await publish(engine, passages)
    writer = await engine.write("robots", INFO)
    moved = again(passages[:1], edition="staged")
    await writer.put(moved, vectors(moved))
    found = dict([pair async for pair in writer.vectors([one.id for one in passages] + ["no-such-id"])])
    assert found.keys() == {one.id for one in passages}
    assert found[moved[0].id].bm25.values == pytest.approx(vectors(moved)[0].bm25.values, abs=1e-5)
    for passage, made in zip(passages[1:], vectors(passages)[1:], strict=True):
        stored = found[passage.id]
        length = sum(value * value for value in made.dense) ** 0.5
        assert math.dist(stored.dense, [value / length for value in made.dense]) < 1e-5
        assert stored.bm25.indices == made.bm25.indices
    await writer.close()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (Vectors((0.5,) * 383, SparseVector((), ())), "383 dimensions, the index has 384"),
        (Vectors((float("nan"),) * 384, SparseVector((), ())), "not a finite number"),
        (Vectors((0.5,) * 384, SparseVector((1,), (float("inf"),))), "not a finite number"),
        (Vectors((0.5,) * 384, SparseVector((1, 1), (1.0, 2.0))), "names a token twice"),
        (Vectors((0.5,) * 384, SparseVector((1,), ())), "1 tokens and 0 weights"),
    ],
    ids=["too short", "NaN", "infinite", "token twice", "no weight"],
)
async def test_a_vector_that_no_index_can_hold_is_refused(engine: Engine, bad: Vectors, said: str) -> None:
    writer = await engine.write("robots", INFO)
    with pytest.raises(VectorInvalid, match=said):
        await writer.put(book()[:1], [bad])
    await writer.close()
    await publish(engine, book())
    index = await engine.open("robots")
    with pytest.raises((VectorInvalid, IndexIncompatible)):
        await candidates(index, bad, chapter=None, limit=3)


async def test_a_question_of_another_dimension_names_the_command_that_fixes_it(engine: Engine) -> None:
    await publish(engine, book())
    index = await engine.open("robots")
    short = Vectors((0.5,) * 128, SparseVector((1,), (1.0,)))
    with pytest.raises(IndexIncompatible, match=r"dimension 384.+set to 128.+--rebuild"):
        await candidates(index, short, chapter=None, limit=3)


async def test_an_index_of_another_schema_is_refused_and_can_be_built_again(engine: Engine) -> None:
    await publish(engine, book(), info=replace(INFO, schema_version=0))
    with pytest.raises(IndexIncompatible, match=r"schema version 0.+set to 1.+--rebuild"):
        await engine.open("robots")
    assert await publish(engine, book()) == len(book())
    assert await everything(engine) == book()


async def test_publishing_what_was_never_put_is_a_mistake_and_changes_nothing(engine: Engine) -> None:
    await publish(engine, book())
    writer = await engine.write("robots", INFO)
    with pytest.raises(ValueError, match="never put"):
        await writer.publish(INFO, [book()[0].id, book(chapters=9)[-1].id])
    with pytest.raises(ValueError, match="not what the collection was opened for"):
        await writer.publish(replace(INFO, chunk_size=1), [])
    await writer.close()
    assert await everything(engine) == book()


@pytest.mark.parametrize("name", ["../robots", "", "robots/..", "a b", "ü"])
async def test_a_name_that_no_collection_has_leads_nowhere(engine: Engine, name: str) -> None:
    with pytest.raises(IndexNotFound):
        await engine.delete(name)
    with pytest.raises(IndexNotFound):
        await engine.open(name)


async def test_an_engine_that_answers_is_verified(engine: Engine) -> None:
    await engine.verify_connection()
    await publish(engine, book())
    await engine.verify_connection()
