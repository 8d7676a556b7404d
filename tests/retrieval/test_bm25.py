"""BM25 vectors: what counts as the same word, in which language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.text.tokens import Bm25, SparseVector


def tokens(language: str, text: str) -> set[int]:
    return set(Bm25(language, 50).question(text).indices)


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("en", "nodes computing", "node compute"),
        ("en", "résumé", "resume"),
        ("en", "ＲＯＳ ２", "ROS 2"),
        ("en", "ros2_control", "ros2 control"),
        ("es", "canciones", "canción"),
        ("de", "Straßen", "strasse"),
        ("ru", "нового", "новый"),
        ("ar", "كِتَابٌ", "كتاب"),
        ("ar", "الکتاب", "كتاب"),
        ("ar", "أحمد ١٢", "احمد 12"),
        ("ur", "یہ کتاب", "يه كتاب"),
        ("ur", "ہے", "ھے"),
        ("ur", "۲ nodes کیا ہیں", "2 node کیا ہیں"),
        ("fa", "می‌رود", "می رود"),
        ("hi", "हिन्‍दी", "हिन्दी"),
        ("zh", "机器人 2", "机器人２"),
        ("pt-BR", "robôs", "robo"),
    ],
)
def test_forms_of_one_word_are_one_token(language: str, one: str, other: str) -> None:
    assert tokens(language, one) == tokens(language, other) != set()


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [("en", "node", "topic"), ("en", "ROS 1", "ROS 2"), ("ru", "мой", "мои дом"), ("zh", "机器", "人机")],
)
def test_different_words_are_different_tokens(language: str, one: str, other: str) -> None:
    assert tokens(language, one) != tokens(language, other)


@pytest.mark.parametrize(
    ("language", "sentence", "word"),
    [
        ("zh", "机器人操作系统是一个框架", "操作系统"),
        ("ja", "ロボットは柔軟なフレームワークです", "ロボット"),
        ("ko", "로봇은 노드를 사용한다", "로봇"),
        ("th", "ระบบปฏิบัติการหุ่นยนต์", "หุ่นยนต์"),
        ("en", "The Chinese word for robot is 机器人.", "机器人"),
        ("zh", "水 = water", "水"),
    ],
)
def test_a_word_is_found_in_a_script_without_spaces(language: str, sentence: str, word: str) -> None:
    assert set[int]() < tokens(language, word) <= tokens(language, sentence)


@pytest.mark.parametrize(
    ("language", "sentence", "character"),
    [("zh", "地球上的水很多。", "水"), ("ja", "日本の水", "水"), ("th", "น้ำดี", "ด"), ("zh", "水水水", "水")],
)
def test_a_passage_is_found_by_one_character_of_it(language: str, sentence: str, character: str) -> None:
    passage, asked = Bm25(language, 50).passage(sentence), Bm25(language, 50).question(character)
    assert set[int]() < set(asked.indices) <= set(passage.indices)


def test_single_characters_change_nothing_for_longer_words() -> None:
    """An index that was made without them is searched as before."""
    bm25 = Bm25("zh", 50)
    passage = dict(zip(*_columns(bm25.passage("机器人操作系统")), strict=True))
    asked = bm25.question("操作系统")
    without = dict(zip(*_columns(bm25.passage("机器 器人 人操 操作 作系 系统")), strict=True))
    assert [passage[one] for one in asked.indices] == [without[one] for one in asked.indices]
    assert bm25.length("机器人操作系统") == 6


def _columns(vector: SparseVector) -> tuple[tuple[int, ...], tuple[float, ...]]:
    return vector.indices, vector.values


def test_stop_words_of_the_language_do_not_count() -> None:
    assert Bm25("en", 50).length("the node and the topic") == 2
    assert Bm25("es", 50).length("el nodo y la ruta") == 2
    assert Bm25("pl", 50).length("the node and the topic") == 5


@given(st.lists(st.sampled_from(["robot", "node", "ROS", "3", "کتاب"]), max_size=60))
def test_the_length_counts_repetitions(words: list[str]) -> None:
    assert Bm25("en", 50).length(" ".join(words)) == len(words)


def test_a_word_of_a_long_passage_weighs_less_than_that_of_a_short_one() -> None:
    bm25 = Bm25("en", 10)
    (word,) = tokens("en", "robot")
    long = bm25.passage("robot " + "arm " * 50)
    assert dict(zip(long.indices, long.values, strict=True))[word] < bm25.passage("robot").values[0]


@given(st.text(max_size=80), st.sampled_from(["en", "ur", "zh", "pl", "xx"]))
def test_any_text_gives_a_vector_without_repeated_tokens(text: str, language: str) -> None:
    bm25 = Bm25(language, 50)
    for vector in (bm25.question(text), bm25.passage(text)):
        assert len(set(vector.indices)) == len(vector.indices) == len(vector.values)
        assert all(value > 0 for value in vector.values)


def test_a_lone_surrogate_is_no_reason_to_fail() -> None:
    assert Bm25("en", 50).question("robot \udcff") == Bm25("en", 50).question("robot ?")
