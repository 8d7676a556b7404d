"""The records of languages, and the detection of a text's language."""

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from qdrant_edge import Bm25 as EdgeBm25
from qdrant_edge import Bm25Config

import preceptor.text.languages
from preceptor.text.languages import Language, Phrases, language, language_of, languages, words
from preceptor.text.questions import kinds
from tests.text.questions import QUESTIONS

FILE = Path(preceptor.text.languages.__file__).with_name("languages.json")
CODE = "```python\nfor name in names:\n    if name is not None and name in this or that:\n        pass\n```\n"
GERMAN = "Ein Knoten ist ein Prozess, der mit den anderen über Themen spricht, und er ist nicht der einzige. "


@pytest.mark.parametrize(
    ("language", "question"), [(key, one) for key, many in QUESTIONS.items() for one in many]
)
def test_the_language_of_a_question_is_told(language: str, question: str) -> None:
    assert language_of(question) == language


@pytest.mark.parametrize("question", ["qos_profile_sensor_data depth reliability", "ZMP", "2 + 2 = ?", ""])
def test_the_language_of_bare_terms_is_not_guessed(question: str) -> None:
    assert language_of(question) is None


@pytest.mark.parametrize(
    "question", ["चालक क्या करता है", "慣性計測装置とは", "რა არის ROS 2?", "ROS 2 என்றால் என்ன?"]
)
def test_the_script_of_a_question_is_enough(question: str) -> None:
    assert language_of(question) in {"hi", "ja", "ka", "ta"}


def test_two_languages_of_one_script_are_told_by_their_letters() -> None:
    assert language_of("慣性計測装置とは何か") == "ja"
    assert language_of("惯性测量单元是什么") == "zh"


@pytest.mark.parametrize(
    ("book", "text", "found"),
    [
        ("en-GB", "A node is a process.", "en-GB"),
        ("en-GB", "یہ صفحہ اردو میں ہے۔", "ur"),
        ("zh-TW", "節點是一個程序。", "zh-TW"),
        ("sr", "Чвор је процес.", "sr"),
        ("en", GERMAN * 5, "de"),
        ("de-AT", GERMAN * 5, "de-AT"),
        ("de", CODE * 5 + "Ein Knoten ist das.", "de"),
        ("en", "Le prix Nobel de la Paix", "en"),
        ("sv", "En nod är en process, och den är inte den enda som man har i ett system. " * 9, "sv"),
        ("eo", "A node is a process of the system, and it is not the only one in it. " * 5, "eo"),
        ("en", "", "en"),
    ],
)
def test_a_page_is_in_the_books_language_unless_most_of_it_says_otherwise(
    book: str, text: str, found: str
) -> None:
    assert language_of(text, default=book) == found


@pytest.mark.parametrize("tag", ["en", "en-GB", "EN-us", "en_GB"])
def test_a_region_is_split_off_a_tag_in_whatever_way_it_is_written(tag: str) -> None:
    assert language(tag) is language("en")


def test_a_language_without_a_record_is_named_by_its_tag() -> None:
    assert language("eo-XX").tag == "eo"
    assert language("eo").name == "the language `eo`"


def test_a_word_keeps_its_vowel_signs() -> None:
    assert words("ROS 2 क्या है? Qu'est-ce") == ["ros", "क्या", "है", "qu", "est", "ce"]


def test_every_record_is_complete_enough_to_be_used() -> None:
    for tag, record in languages().items():
        assert tag == record.tag
        assert tag in json.loads(FILE.read_text(encoding="utf-8"))["languages"]
        assert record.name
        assert record.scripts
        for pattern in (
            *(
                "follow_up",
                "announcement",
                "copulas",
                "negation",
                "conjunctions",
                "contrast",
                "instead",
                "code_request",
            ),
        ):
            assert not re.compile(getattr(record, pattern) or "x").search("")
        assert all(one.islower() or not one.isupper() for one in record.function_words)
        assert all(figure.isdecimal() and words(word) == [word] for word, figure in record.numbers.items())
        assert not record.phrases or set(record.phrases) == {one.name for one in fields(Phrases)}
        if record.stemmer:
            assert EdgeBm25(Bm25Config(language=record.stemmer)).embed_query("robot").indices


def test_words_that_tell_a_language_are_words_to_the_code_that_looks_for_them() -> None:
    """A word with an apostrophe or a vowel sign that is cut in two would never be found."""
    for record in languages().values():
        for word in record.function_words | record.joining | record.pointing if record.spaced else ():
            assert words(word) == [word], (record.tag, word)


def test_a_field_that_no_record_has_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    data["languages"]["en"]["nmae"] = "English"
    file = tmp_path / "languages.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    code = (
        "import pathlib, preceptor.text.languages as it; "
        f"it._FILE = pathlib.Path({str(file)!r}); it.language('en')"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "nmae" in found.stderr


def test_records_are_read_without_anything_heavy() -> None:
    code = "import sys, preceptor.text.languages as it; it.language_of('Was ist das?'); print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"qdrant_edge", "sentencex", "pydantic", "yaml", "numpy"} & set(found.stdout.split())


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        language("en").name = "Latin"  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(language("en"), Language)


def test_text_that_tells_nothing_has_the_presumed_language_even_where_there_is_none() -> None:
    assert language_of("000") is None
    assert language_of("000", default="") == ""
    assert kinds("000", "") == frozenset()
