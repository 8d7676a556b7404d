"""The embedding model: what it gives, what it costs to be wrong."""

import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.errors import EmbeddingModelDamaged, EmbeddingModelUnavailable
from preceptor.library import embedding
from preceptor.library.counterparts import Read, counterparts
from preceptor.library.embedding import ENGLISH, MULTILINGUAL, DenseEmbedder, Vector, models_for
from preceptor.settings import EmbeddingSettings, shipped

SHIPPED = shipped("library/models/bge-small-en-v1.5-int8")
SHIPPED_MULTILINGUAL = shipped("library/models/multilingual-e5-small-int4")


def cosine(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_a_question_lies_nearest_to_the_passage_that_answers_it(embedder: DenseEmbedder) -> None:
    texts = [
        "A node is a process that computes.",
        "Feed the sourdough twice a day.",
        "The zero-moment point.",
    ]
    question = await embedder.question("What is a node in ROS?")
    near = [cosine(question, vector) for vector in embedder.passages(texts)]
    assert near.index(max(near)) == 0


async def test_every_vector_has_the_models_dimensions_and_length_one(embedder: DenseEmbedder) -> None:
    question = await embedder.question("What is a node?")
    for vector in (question, *embedder.passages(["A node computes.", ""])):
        assert len(vector) == embedder.dimensions == 384
        assert cosine(vector, vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", [ENGLISH, MULTILINGUAL])
async def test_what_is_read_with_its_tokens_has_the_same_vector(name: str) -> None:
    model = DenseEmbedder(EmbeddingSettings(), model=name)
    try:
        text = "The gripper closes with 40 newtons."
        for read, vector in (
            (await model.read(text), await model.text(text)),
            (await model.read(text, is_question=True), await model.question(text)),
        ):
            assert read.vector == pytest.approx(vector, abs=1e-5)
            # Neither the tokens of the prefix nor the special ones.
            assert "".join(text[max(start, 0) : end] for start, end in read.places).replace(
                " ", ""
            ) == text.replace(" ", "")
    finally:
        model.close()


@pytest.mark.parametrize("name", [ENGLISH, MULTILINGUAL])
async def test_a_word_has_its_counterpart_in_a_text_that_means_it(name: str) -> None:
    model = DenseEmbedder(EmbeddingSettings(), model=name)
    try:
        question = await model.read("Which licence does the program have?", is_question=True)
        bread, licence = [
            dict(counterparts(question, await model.read(text)))
            for text in ("Bread rises overnight in the oven.", "This software is under the MIT license.")
        ]
        assert list(bread) == ["Which", "licence", "does", "the", "program", "have"]
        assert bread["licence"] < 0.5 < licence["licence"]
        assert bread["program"] < licence["program"]
    finally:
        model.close()


def test_a_text_without_tokens_has_no_counterparts() -> None:
    import numpy as np

    asked, empty = Read("Why?", (1.0,), ((0, 3),), np.ones((1, 1))), Read("", (1.0,), (), np.ones((0, 1)))
    assert counterparts(asked, empty) == counterparts(empty, asked) == ()
    assert counterparts(asked, asked) == (("Why", 1.0),)


async def test_a_model_of_the_authors_own_gives_no_counterparts() -> None:
    """Its centre is not known."""
    model = DenseEmbedder(EmbeddingSettings(path=SHIPPED))
    try:
        question, text = await model.read("What is a node?", is_question=True), await model.read("A node.")
        assert question.vector == await model.question("What is a node?")
        assert counterparts(question, text) == ()
    finally:
        model.close()


async def test_as_many_questions_are_remembered_as_the_settings_say() -> None:
    embedder = DenseEmbedder(EmbeddingSettings(cache_size=1))
    await embedder.question("What is a node?")
    last = await embedder.question("What is a topic?")
    embedder.close()  # from here on nothing can be embedded
    assert await embedder.question("What is a topic?") == last
    with pytest.raises(RuntimeError):
        await embedder.question("What is a node?")


@pytest.mark.parametrize("model", [ENGLISH, MULTILINGUAL])
def test_the_tokenizer_of_a_model_that_is_loaded_is_the_one_of_its_file(model: str) -> None:
    """With the model it shares the vocabulary; without, it reads a file of its own."""
    alone, loaded = (DenseEmbedder(EmbeddingSettings(), model=model) for _ in range(2))
    loaded.load()
    assert loaded.tokenizer.to_str() == alone.tokenizer.to_str()
    for one in (alone, loaded):
        one.close()


def test_passages_come_in_the_order_in_which_they_were_given(embedder: DenseEmbedder) -> None:
    texts = [f"Robot {number} " + "walks on " * (number * 7 % 11) for number in range(40)]
    together = list(embedder.passages(texts, batch_size=4))
    alone = [next(embedder.passages([text])) for text in texts[::9]]
    assert [cosine(one, other) for one, other in zip(together[::9], alone, strict=True)] == pytest.approx(
        [1.0] * len(alone), abs=1e-6
    )


def test_a_passages_vector_does_not_depend_on_its_neighbours(embedder: DenseEmbedder) -> None:
    alone = next(embedder.passages(["A short one."]))
    among = next(embedder.passages(["A short one.", "A much longer one. " * 40]))
    assert cosine(alone, among) == pytest.approx(1, abs=1e-6)


def test_passages_are_read_as_they_are_needed(embedder: DenseEmbedder) -> None:
    read = 0

    def texts() -> Iterator[str]:
        nonlocal read
        for number in range(100_000):
            read += 1
            yield f"passage {number}"

    next(embedder.passages(texts(), batch_size=1))
    assert read < 1000


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Z", "C", "M"]), max_size=40))
@settings(max_examples=25, deadline=None)
def test_no_text_is_too_strange_to_embed(embedder: DenseEmbedder, text: str) -> None:
    assert len(next(embedder.passages([text]))) == 384
    assert 0 <= embedder.vocabulary_coverage(text) <= 1


def test_the_tokenizer_counts_all_tokens_of_a_text(embedder: DenseEmbedder) -> None:
    assert len(embedder.tokenizer.encode("robot " * 1000, add_special_tokens=False)) == 1000
    assert len(embedder.tokenizer.encode_batch(["a", "robots walk"])[0]) == 3


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("What is the zero-moment point?", 0.9, 1.0),
        ("C++ 3.14 ???", 1.0, 1.0),
        ("¿Cuántos puntos dejaron escapar en defensa?", 0.3, 0.8),
        ("Wie kalibriere ich die Kamera?", 0.3, 0.8),
        ("روبوٹ کیا ہے؟", 0.0, 0.1),
        ("机器人是什么", 0.0, 0.1),
        ("Что такое узел?", 0.0, 0.1),
        ("ሮቦት ምንድን ነው", 0.0, 0.1),
    ],
)
def test_a_language_that_the_model_can_only_spell_is_noticed(
    embedder: DenseEmbedder, text: str, low: float, high: float
) -> None:
    assert low <= embedder.vocabulary_coverage(text) <= high


@pytest.mark.parametrize(
    ("question", "coverage"),
    [
        ("Что такое узел?", 1),
        ("¿Qué es un nodo?", 1),
        ("What is a node?", 1),
        ("نوڈ کیا ہوتا ہے اور یہ کیا کرتا ہے؟", 1),
        ("कैमरे का अंशांकन कैसे किया जाता है?", 1),
        ("机器人是什么", 1),
        ("ロボットとは何ですか", 1),
        ("로봇이란 무엇입니까", 1),
        ("հձաե թդ ե՛ ձօհձլ օրտօ՛", 0),
        ("ሀቨሖዐ ዘረደ ቨዐጸዐ", 0),
    ],
)
def test_what_the_multilingual_model_can_only_spell_is_noticed(
    multilingual: DenseEmbedder, question: str, coverage: float
) -> None:
    assert multilingual.vocabulary_coverage(question) == coverage
    assert multilingual.reads(question)


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("What is the zero-moment point?", True),
        ("qos depth", True),
        ("Ly6C hi monocytes have a lower inflammatory capacity", True),
        ("Radioiodine treatment of non-toxic multinodular goitre", True),
        ("colcon build --symlink-install", True),
        ("Who was Schrödinger?", True),
        ("What is ROS 2? 🤖", True),
        ("", True),
        ("¿Cuántos puntos dejaron escapar en defensa?", False),
        ("Was ist ein ROS 2 Node?", False),
        ("Wie kalibriere ich die Kamera?", False),
        ("Comment calibrer la caméra ?", False),
        ("calibración de cámara", False),
        ("ROS 2 میں node کیا ہے؟", False),
        ("什么是 ROS 2 node?", False),
        ("Что такое узел?", False),
    ],
)
def test_an_english_model_knows_what_it_does_not_read(
    embedder: DenseEmbedder, text: str, *, reads: bool
) -> None:
    assert embedder.reads(text) is reads


async def test_the_multilingual_model_finds_what_answers_a_question_in_another_language(
    multilingual: DenseEmbedder,
) -> None:
    texts = ["Feed the sourdough twice a day.", "A node is a process that computes."]
    found = list(multilingual.passages(texts))
    for question in ("روبوٹ میں نوڈ کیا ہے؟", "¿Qué es un nodo?", "什么是节点?"):
        asked = await multilingual.question(question)
        near = [cosine(asked, vector) for vector in found]
        assert near.index(max(near)) == 1
        assert len(asked) == multilingual.dimensions == 384


def test_a_multilingual_vector_does_not_depend_on_its_neighbours(multilingual: DenseEmbedder) -> None:
    alone = next(multilingual.passages(["ایک مختصر جملہ۔"]))
    among = next(multilingual.passages(["ایک مختصر جملہ۔", "A much longer one. " * 40]))
    assert cosine(alone, among) == pytest.approx(1, abs=1e-6)


def test_a_name_in_the_settings_is_another_model_than_the_one_asked_for(tmp_path: Path) -> None:
    """The folder in the settings holds the files of the model in the settings, and of no other."""
    settings = EmbeddingSettings(path=tmp_path)
    DenseEmbedder(settings, model=MULTILINGUAL).load()
    with pytest.raises(EmbeddingModelUnavailable, match=str(tmp_path)):
        DenseEmbedder(settings).load()


def test_an_unknown_model_is_answered_with_those_that_read_the_books_language() -> None:
    unknown = EmbeddingSettings(model="BAAI/bge-smal-en-v1.6")
    with pytest.raises(EmbeddingModelUnavailable) as urdu:
        DenseEmbedder(unknown, tag="ur").load()
    assert "models that read Urdu: `intfloat/multilingual-e5-small` (comes with Preceptor" in str(urdu.value)
    assert "paraphrase-multilingual-MiniLM-L12-v2` (0.22 GB" in str(urdu.value)
    assert "-en-v1.5" not in str(urdu.value)
    with pytest.raises(
        EmbeddingModelUnavailable, match=r"read English: `BAAI/bge-small-en-v1\.5` \(comes with"
    ):
        DenseEmbedder(unknown).load()


@pytest.mark.parametrize(
    ("tag", "named", "not_named"),
    [
        ("zh", "BAAI/bge-small-zh-v1.5", "bge-small-en"),
        ("de", "jina-embeddings-v2-base-de", "jina-embeddings-v2-base-es"),
        ("xx", "multilingual-e5-large", "jina-embeddings-v2-base-code"),
    ],
)
def test_models_are_named_by_language(tag: str, named: str, not_named: str) -> None:
    found = " ".join(models_for(tag))
    assert named in found
    assert not_named not in found


@pytest.mark.parametrize("download", [False, True])
def test_a_model_that_is_not_here_is_an_error_without_a_wait(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, download: bool
) -> None:
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    model = EmbeddingSettings(model="sentence-transformers/all-MiniLM-L6-v2", download=download)
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    with pytest.raises(EmbeddingModelUnavailable, match="all-MiniLM-L6-v2"):
        DenseEmbedder(model).load()
    assert sum(waits) < 2


@pytest.mark.parametrize("missing", ["model_optimized.onnx", "tokenizer.json", "tokenizer_config.json"])
def test_a_folder_that_lacks_a_file_is_named(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(SHIPPED, folder)
    (folder / missing).unlink()
    with pytest.raises(EmbeddingModelUnavailable, match=str(folder)):
        DenseEmbedder(EmbeddingSettings(path=folder)).load()


def test_files_of_another_model_are_recognised_by_their_dimensions() -> None:
    with pytest.raises(EmbeddingModelUnavailable, match=r"384 dimensions.*768"):
        DenseEmbedder(EmbeddingSettings(model="BAAI/bge-base-en-v1.5", path=SHIPPED)).load()


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (ENGLISH, "model_optimized.onnx"),
        (ENGLISH, "questions.onnx"),
        (MULTILINGUAL, "model.onnx"),
        (MULTILINGUAL, "tokenizer.json"),
        (ENGLISH, "centre.json"),
    ],
)
def test_a_shipped_file_that_was_changed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, name: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(SHIPPED if model == ENGLISH else SHIPPED_MULTILINGUAL, folder)
    with (folder / name).open("r+b") as file:
        file.seek(2000)
        file.write(b"\0\1\2\3")

    def damaged(_: str) -> Path:
        return folder

    monkeypatch.setattr(embedding, "shipped", damaged)
    with pytest.raises(EmbeddingModelDamaged, match="Install Preceptor again"):
        DenseEmbedder(EmbeddingSettings(), model=model).load()


@pytest.mark.parametrize("text", ["What is a node?", "", "ما هي العقدة؟", "Which of these are nodes? " * 200])
@pytest.mark.parametrize(
    ("name", "folder", "before", "pooling"),
    [
        (ENGLISH, SHIPPED, "Represent this sentence for searching relevant passages: ", PoolingType.CLS),
        (MULTILINGUAL, SHIPPED_MULTILINGUAL, "query: ", PoolingType.MEAN),
    ],
)
async def test_a_question_has_the_vector_that_fastembed_makes_of_it(
    name: str, folder: Path, before: str, pooling: PoolingType, text: str
) -> None:
    """To the bit: indexes and evaluations of before stay as they are."""
    model, embedder = fastembeds(name, folder, pooling), DenseEmbedder(EmbeddingSettings(), model=name)
    (vector,) = model.query_embed([before + text])
    assert await embedder.question(text) == tuple(vector.tolist())
    embedder.close()


@cache
def fastembeds(name: str, folder: Path, pooling: PoolingType) -> TextEmbedding:
    """The graph for single texts, run by fastembed."""
    TextEmbedding.add_custom_model(
        model=f"{name}:single",
        pooling=pooling,
        normalization=True,
        sources=ModelSource(url="shipped"),
        dim=384,
        model_file="questions.onnx" if name == ENGLISH else "model.onnx",
    )
    return TextEmbedding(f"{name}:single", specific_model_path=str(folder), threads=1)


async def test_both_graphs_of_the_shipped_model_agree(embedder: DenseEmbedder) -> None:
    """The one for questions rounds more; what is nearest must stay nearest."""
    text = "Which graphics card does the simulation need?"
    whole = DenseEmbedder(EmbeddingSettings(path=SHIPPED))
    assert cosine(await embedder.question(text), await whole.question(text)) > 0.99
    whole.close()
