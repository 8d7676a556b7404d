"""The open index as its users see it: real vectors in the real embedded engine."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from preceptor.errors import (
    EmptyQuery,
    IndexEmpty,
    IndexIncompatible,
    IndexNotFound,
    UnknownBook,
    UnknownChapter,
)
from preceptor.library.embedded import Embedded
from preceptor.library.embedding import ENGLISH, MULTILINGUAL, DenseEmbedder
from preceptor.library.library import Embedders, Library, open_library
from preceptor.library.passage import Passage, is_key
from preceptor.library.protocol import Choose, Index, IndexInfo, Vectors
from preceptor.settings import EmbeddingSettings, IndexSettings, SearchSettings, Settings
from tests.retrieval.shelf import KITCHEN, ROBOTS, describe, passages, publish


def settings(*also: str) -> Settings:
    return Settings(
        env="local",
        index=IndexSettings(backend="embedded", collection="robots", also=also),
        search=SearchSettings(limit=3),
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, embedder: DenseEmbedder) -> Path:
    """Two books, published once."""
    where = tmp_path_factory.mktemp("index")

    async def write() -> None:
        for name, pages in (("robots", ROBOTS), ("kitchen", KITCHEN)):
            await publish(where, name, describe(name, embedder), passages(name, pages), embedder)

    asyncio.run(write())
    return where


@pytest.fixture
async def robots(folder: Path) -> AsyncGenerator[Library]:
    """One book."""
    engine = Embedded(folder)
    library = await open_library(engine, settings())
    yield library
    await library.close()
    await engine.close()


@pytest.fixture
async def both(folder: Path) -> AsyncGenerator[Library]:
    """Two books, searched together."""
    engine = Embedded(folder)
    library = await open_library(engine, settings("kitchen"))
    yield library
    await library.close()
    await engine.close()


@pytest.mark.parametrize(
    ("question", "chapter"),
    [
        ("What is a node in ROS?", "middleware/nodes"),
        ("Which GPU do I need for the simulator?", "simulation/isaac"),
        ("What is the latency trap?", "simulation/latency"),
        ("difference between on-policy and off-policy", "learning/policies"),
        ("Why does a humanoid fall over?", "humanoids/balance"),
        ("ZMP", "humanoids/balance"),
    ],
)
async def test_the_best_hit_answers_the_question(robots: Library, question: str, chapter: str) -> None:
    hits = await robots.search(question)
    assert len(hits) == 3
    if question != "ZMP":  # an abbreviation that the book does not use is found by luck only
        assert hits[0].passage.chapter == chapter


async def test_a_question_that_has_nothing_to_do_with_the_book_scores_low(robots: Library) -> None:
    inside = await robots.search("What is the latency trap of remote steering?")
    outside = await robots.search("Who won the football world cup in 1954?")
    assert inside[0].score > 0.5
    assert outside[0].score < 0.1


async def test_a_search_can_be_kept_to_one_chapter(robots: Library) -> None:
    hits = await robots.search("What is a node?", chapter="simulation/isaac")
    assert [hit.passage.chapter for hit in hits] == ["simulation/isaac"]


async def test_an_unknown_chapter_names_the_closest(robots: Library) -> None:
    for asked in (robots.search("nodes", chapter="middleware/node"), robots.chapter("middleware/node")):
        with pytest.raises(UnknownChapter, match="`middleware/nodes`"):
            await asked


async def test_a_chapter_asked_for_by_its_title_is_the_closest(robots: Library) -> None:
    with pytest.raises(UnknownChapter, match="Closest: `simulation/latency`"):
        await robots.chapter("Latency")


@pytest.mark.parametrize("query", ["", "  \n", "\u200b", "??", "😀"])
async def test_an_empty_question_is_refused(robots: Library, query: str) -> None:
    with pytest.raises(EmptyQuery):
        await robots.search(query)


@pytest.mark.parametrize("query", ["the of and", "روبوٹ کیا ہے؟", "\udcff\ud800 node", "x" * 4000])
async def test_no_question_is_too_strange(robots: Library, query: str) -> None:
    assert all(0 <= hit.score <= 1 for hit in await robots.search(query, limit=6))


class Asked:
    """An index that notes whether feedback was asked for, and may say that it has many passages."""

    def __init__(self, index: Index, *, points: int) -> None:
        self.collection, self.where = index.collection, index.where
        self.feedback: list[bool] = []
        self.passages, self.chapters, self.close = index.passages, index.chapters, index.close
        self._index, self._points = index, points

    async def info(self) -> IndexInfo:
        return replace(await self._index.info(), points=self._points)

    async def chosen(
        self, vectors: Vectors, choose: Choose, *, chapter: str | None, limit: int, feedback: bool = False
    ) -> Sequence[Passage]:
        self.feedback.append(feedback)
        return await self._index.chosen(vectors, choose, chapter=chapter, limit=limit, feedback=feedback)


@pytest.mark.parametrize(("points", "feedback"), [(6, True), (4_999, True), (5_000, False)])
async def test_what_is_found_first_moves_the_question_but_in_a_large_book(
    folder: Path, points: int, feedback: bool
) -> None:
    engine = Embedded(folder)
    index = Asked(await engine.open("robots"), points=points)
    library = Library([index], Embedders(EmbeddingSettings()), settings=SearchSettings())
    found = await library.search("Why does a humanoid fall over?")
    assert index.feedback == [feedback]
    assert found[0].passage.chapter == "humanoids/balance"
    await library.close()
    await engine.close()


async def test_how_many_are_wanted_does_not_change_which_is_best(robots: Library) -> None:
    for question in ("robot", "What does a camera driver know?", "memory", "Who learns from whom?"):
        many = await robots.search(question, limit=6)
        few = [await robots.search(question, limit=limit) for limit in (1, 2, 3)]
        assert [len(found) for found in few] == [1, 2, 3]
        assert all(found == many[: len(found)] for found in few)


async def test_equal_questions_get_equal_answers(robots: Library) -> None:
    assert await robots.search("nodes") == await robots.search("nodes")


async def test_a_chapter_comes_with_its_passages(robots: Library) -> None:
    chapter, found = await robots.chapter("learning/policies")
    assert chapter.title == "Policies"
    assert [passage.text for passage in found] == [ROBOTS["learning/policies"]]


async def test_the_outline_is_in_reading_order(robots: Library) -> None:
    assert [chapter.id for chapter in await robots.chapters()] == list(ROBOTS)


async def test_two_books_are_searched_together(both: Library) -> None:
    assert (await both.search("How long do bones simmer?"))[0].passage.book == "kitchen"
    assert (await both.search("What is a node?"))[0].passage.book == "robots"
    assert [info.book for info in await both.books()] == ["robots", "kitchen"]
    assert len(await both.chapters()) == len(ROBOTS) + len(KITCHEN)


async def test_a_search_can_be_kept_to_one_book(both: Library) -> None:
    hits = await both.search("What is a node?", book="kitchen")
    assert {hit.passage.book for hit in hits} == {"kitchen"}
    with pytest.raises(UnknownBook, match="`robots`, `kitchen`"):
        await both.search("What is a node?", book="garden")


async def test_chapters_of_one_id_in_two_books_are_both_found(
    tmp_path: Path, embedder: DenseEmbedder
) -> None:
    texts = {"robots": "A node is a process that computes.", "kitchen": "Feed the sourdough twice a day."}
    for name, text in texts.items():
        await publish(tmp_path, name, describe(name, embedder), passages(name, {"intro": text}), embedder)
    engine = Embedded(tmp_path)
    library = await open_library(engine, settings("kitchen"))
    hits = await library.search("How is sourdough fed?", chapter="intro")
    assert [hit.passage.book for hit in hits] == ["kitchen", "robots"]
    for only in (
        library.search("How is sourdough fed?", chapter="robots:intro"),
        library.search("How is sourdough fed?", chapter="intro", book="robots"),
    ):
        assert [hit.passage.book for hit in await only] == ["robots"]
    for read in (library.chapter("intro", book="kitchen"), library.chapter("kitchen:intro")):
        chapter, found = await read
        assert chapter.book == "kitchen"
        assert [passage.text for passage in found] == [texts["kitchen"]]
    assert (await library.chapter("intro"))[0].book == "robots"
    with pytest.raises(UnknownChapter, match="`robots:intro`"):
        await library.chapter("robots:intro", book="kitchen")
    await library.close()
    await engine.close()


async def test_a_key_names_one_passage_of_all_open_books(tmp_path: Path, embedder: DenseEmbedder) -> None:
    """Keys are unique in a book; these two have one in common."""
    chapters = [f"page-{number}" for number in range(3000)]
    in_robots = {passages("robots", {one: ""})[0].key: one for one in chapters}
    in_kitchen = next(one for one in chapters if passages("kitchen", {one: ""})[0].key in in_robots)
    key = passages("kitchen", {in_kitchen: ""})[0].key
    for name, chapter in (("robots", in_robots[key]), ("kitchen", in_kitchen)):
        book = passages(name, {chapter: "A node is a process that computes."})
        await publish(tmp_path, name, describe(name, embedder), book, embedder)
    engine = Embedded(tmp_path)
    library = await open_library(engine, settings("kitchen"))
    keys = {hit.passage.book: hit.passage.key for hit in await library.search("What is a node?")}
    assert keys["robots"] == key
    assert keys["kitchen"] != key
    assert is_key(keys["kitchen"])
    (read,) = (await library.chapter(in_kitchen, book="kitchen"))[1]
    assert read.key == keys["kitchen"]
    await library.close()
    await engine.close()


async def test_a_missing_collection_is_named(folder: Path) -> None:
    with pytest.raises(IndexNotFound, match="garden"):
        await open_library(Embedded(folder), settings("garden"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"embedding_model": "sentence-transformers/all-MiniLM-L6-v2"}, "all-MiniLM-L6-v2"),
        ({"schema_version": 99}, "99"),
        ({"dimensions": 768}, "768"),
    ],
)
async def test_an_index_that_was_built_otherwise_is_refused_with_the_command_that_fixes_it(
    tmp_path: Path, embedder: DenseEmbedder, change: dict[str, object], said: str
) -> None:
    info = replace(describe("robots", embedder), **change)  # pyright: ignore[reportArgumentType]
    await publish(tmp_path, "robots", info, [], embedder)
    with pytest.raises(IndexIncompatible, match=f"{said}.*--rebuild"):
        await open_library(Embedded(tmp_path), settings())


async def test_a_book_published_with_another_model_under_an_open_library_is_refused_until_it_is_mended(
    tmp_path: Path, embedder: DenseEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors of another model with as many dimensions would give any passage at all."""
    monkeypatch.setattr("preceptor.library.library._OUTLINE_SECONDS", 0.0)
    info = describe("robots", embedder)
    await publish(tmp_path, "robots", info, passages("robots", ROBOTS), embedder)
    engine = Embedded(tmp_path)
    library = await open_library(engine, settings())
    other = replace(info, embedding_model="sentence-transformers/all-MiniLM-L6-v2")
    await publish(tmp_path, "robots", other, passages("robots", ROBOTS), embedder)
    with pytest.raises(IndexIncompatible, match=r"all-MiniLM-L6-v2.*--rebuild"):
        await library.search("What is a node?")
    assert len(await library.chapters()) == len(ROBOTS), "it can still be read"
    await publish(tmp_path, "robots", info, passages("robots", ROBOTS), embedder)
    assert (await library.search("What is a node?"))[0].passage.chapter == "middleware/nodes"
    await library.close()
    await engine.close()


async def test_an_empty_index_is_refused(tmp_path: Path, embedder: DenseEmbedder) -> None:
    await publish(tmp_path, "robots", describe("robots", embedder), [], embedder)
    with pytest.raises(IndexEmpty, match="preceptor index"):
        await open_library(Embedded(tmp_path), settings())


async def test_what_is_published_anew_is_found(tmp_path: Path, embedder: DenseEmbedder) -> None:
    info = describe("robots", embedder)
    await publish(tmp_path, "robots", info, passages("robots", KITCHEN), embedder)
    engine = Embedded(tmp_path)
    library = await open_library(engine, settings())
    assert [chapter.id for chapter in await library.chapters()] == list(KITCHEN)
    await publish(tmp_path, "robots", info, passages("robots", ROBOTS), embedder)
    assert (await library.search("What is a node?"))[0].passage.chapter == "middleware/nodes"
    assert (await library.chapter("simulation/isaac"))[0].title == "Isaac"
    assert [info.points for info in await library.verify()] == [len(ROBOTS)]
    await library.close()
    await engine.close()


async def test_an_urdu_book_is_searched_by_its_words(tmp_path: Path, embedder: DenseEmbedder) -> None:
    pages = {
        "nodes": "نوڈ ایک عمل ہے جو حساب کرتا ہے۔ نوڈز پیغامات کے ذریعے بات کرتے ہیں۔",
        "isaac": "آئزک سم کو آٹھ گیگا بائٹ ویڈیو میموری والا گرافکس کارڈ چاہیے۔",
        "latency": "تاخیر کا جال: دور کے ڈیٹا سینٹر سے چلنے والا روبوٹ بہت دیر سے ردعمل دیتا ہے۔",
    }
    info = describe("robots", embedder, language="ur")
    await publish(tmp_path, "robots", info, passages("robots", pages, language="ur"), embedder)
    engine = Embedded(tmp_path)
    library = await open_library(engine, settings())
    for question, chapter in (("گرافکس کارڈ کون سا چاہیے؟", "isaac"), ("تاخير كا جال كيا ہے", "latency")):
        best = (await library.search(question))[0]
        assert best.passage.chapter == chapter
    await library.close()
    await engine.close()


async def test_an_index_is_searched_by_the_model_that_made_it(
    tmp_path: Path, embedder: DenseEmbedder, multilingual: DenseEmbedder
) -> None:
    """An English book and an Urdu one, open at once: the settings name no model."""
    urdu = {"nodes": "نوڈ ایک عمل ہے جو حساب کرتا ہے۔", "isaac": "آئزک سم کو گرافکس کارڈ چاہیے۔"}
    await publish(tmp_path, "robots", describe("robots", embedder), passages("robots", ROBOTS), embedder)
    info = describe("kitchen", multilingual, language="ur")
    await publish(tmp_path, "kitchen", info, passages("kitchen", urdu, language="ur"), multilingual)
    engine = Embedded(tmp_path)
    library = await open_library(engine, settings("kitchen"))
    assert library.models == [ENGLISH, MULTILINGUAL]
    for question, book in (("What is a node?", "robots"), ("What does a GPU have to do with it?", "kitchen")):
        found = await library.search(question, book=book)
        assert found[0].passage.chapter == ("middleware/nodes" if book == "robots" else "isaac")
        assert found[0].dense is not None
    await library.close()
    await engine.close()


@pytest.fixture
async def bilingual(
    tmp_path: Path, embedder: DenseEmbedder, multilingual: DenseEmbedder
) -> AsyncGenerator[Library]:
    """An English book for readers of other languages."""
    info = describe("robots", embedder, second=multilingual)
    await publish(tmp_path, "robots", info, passages("robots", ROBOTS), embedder, multilingual)
    engine = Embedded(tmp_path)
    library = await open_library(engine, settings())
    yield library
    await library.close()
    await engine.close()


@pytest.mark.parametrize(
    ("question", "chapter"),
    [
        ("نوڈ کیا ہے اور یہ کیا کرتا ہے؟", "middleware/nodes"),
        ("سمیولیٹر کے لیے کون سا گرافکس کارڈ چاہیے؟", "simulation/isaac"),
        ("¿Por qué se cae un robot humanoide?", "humanoids/balance"),
        ("机器人被远程控制时会发生什么?", "simulation/latency"),
    ],
)
async def test_readers_ask_an_english_book_in_their_language(
    bilingual: Library, question: str, chapter: str
) -> None:
    assert (await bilingual.search(question))[0].passage.chapter == chapter


async def test_a_page_in_the_readers_language_leaves_room_for_those_that_answer(
    tmp_path: Path, embedder: DenseEmbedder, multilingual: DenseEmbedder
) -> None:
    """Its passages are nearer to any question in that language, and only they have its small words."""
    urdu = [
        "یہ کتاب روبوٹ کے بارے میں ہے۔ روبوٹ کیا ہے اور یہ کیا کرتا ہے؟",
        "روبوٹ میں سینسر ہوتے ہیں اور وہ دنیا کو محسوس کرتا ہے۔",
        "چائے کے لیے پانی ابالیں اور پھر اس میں دودھ ڈالیں۔",
    ]
    own = passages("robots", {f"urdu/{place}": text for place, text in enumerate(urdu)}, language="ur")
    book = [*passages("robots", ROBOTS), *own]
    await publish(
        tmp_path, "robots", describe("robots", embedder, second=multilingual), book, embedder, multilingual
    )
    engine = Embedded(tmp_path)
    library = await open_library(engine, settings())
    found = await library.search("روبوٹ گرنے سے کیسے بچتا ہے اور اس کا توازن کیا ہے؟")
    assert "humanoids/balance" in [hit.passage.chapter for hit in found]
    assert all(hit.dense is None or hit.dense > 0.7 for hit in found)
    await library.close()
    await engine.close()


async def test_english_questions_are_searched_as_if_there_were_no_other_readers(
    bilingual: Library, robots: Library
) -> None:
    for question in ("What is a node?", "qos depth", "Why does a humanoid fall over?"):
        found, as_ever = await bilingual.search(question), await robots.search(question)
        assert [hit.passage for hit in found] == [hit.passage for hit in as_ever]
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in as_ever], abs=1e-5)


async def test_no_server_loads_a_model_that_no_index_needs(robots: Library, bilingual: Library) -> None:
    await robots.search("نوڈ کیا ہے؟")
    assert robots.models == [ENGLISH]
    assert bilingual.models == [ENGLISH, MULTILINGUAL]


async def test_the_likeness_of_a_sentence_is_told_in_every_language_that_a_model_reads(
    bilingual: Library, robots: Library
) -> None:
    texts = ["A node is a process that computes.", "Feed the starter twice a day."]
    for question in ("What is a node?", "نوڈ کیا ہے؟"):
        near, far = await bilingual.likeness(question, texts)
        assert near.cosine > far.cosine
        assert [word for word, _ in near.words] == question.rstrip("?؟").split()
        # The node of the question is in the first sentence, in whichever language it was asked for.
        assert max(cosine for _, cosine in near.words) > max(cosine for _, cosine in far.words)
    assert await robots.likeness("نوڈ کیا ہے؟", texts) == []


async def test_tokens_are_those_of_the_embedding_model(robots: Library) -> None:
    assert robots.tokens("robots walk") == 2
    assert robots.tokens("") == 0
