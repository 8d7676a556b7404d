"""Which sections and sentences teach, and which set tasks, promise, sum up or refer."""

import re

import pytest

from preceptor.text.languages import languages
from preceptor.text.roles import ROLES, is_aside, limits_previous, roles_of, sets_task

SPOKEN = [one for one in languages().values() if one.phrases]


@pytest.mark.parametrize(
    ("language", "heading", "role"),
    [
        ("en", "Exercises", "tasks"),
        ("en", "Quiz [[quiz]]", "tasks"),
        ("en", "Learning objectives", "promises"),
        ("en", "What's Next?", "promises"),
        ("en", "Key takeaways", "summaries"),
        ("en", "Further reading", "references"),
        ("en", "3. References and further reading", "references"),
        ("en", "Table of contents", "references"),
        ("de", "Übungen", "tasks"),
        ("de", "Lernziele", "promises"),
        ("es", "Resumen", "summaries"),
        ("fr", "Pour aller plus loin", "references"),
        ("ru", "Контрольные вопросы", "tasks"),
        ("ar", "أهداف التعلم", "promises"),
        ("ur", "سیکھنے کے نتائج", "promises"),
        ("hi", "सारांश", "summaries"),
        ("zh", "思考题", "tasks"),
        ("zh", "本章小结", "summaries"),
        ("ja", "参考文献", "references"),
        ("ko", "연습 문제", "tasks"),
    ],
)
def test_a_heading_tells_a_section_that_does_not_teach(language: str, heading: str, role: str) -> None:
    assert roles_of(("Chapter 1", heading), language) == {role}


@pytest.mark.parametrize(
    ("language", "heading"),
    [
        ("en", "What is a node?"),
        ("en", "Frequently asked questions"),
        ("en", "API reference"),
        ("en", "Reference"),
        ("en", "Links and joints"),
        ("en", "Inline authors"),
        ("de", "Links auf Seiten"),
        ("zh", "创建链接"),
        ("de", "Häufige Fragen"),
        ("fr", "Foire aux questions"),
        ("zh", "什么是节点？"),
        ("ur", "فزیکل AI کیا ہے؟"),
    ],
)
def test_a_heading_that_names_its_subject_has_no_role(language: str, heading: str) -> None:
    assert not roles_of((heading,), language)


def test_a_section_below_exercises_is_one_of_them() -> None:
    assert roles_of(("Exercises", "Level 1"), "en-GB") == {"tasks"}


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "In this chapter, you will learn how nodes talk."),
        ("en", "Let's recap what we have discussed:"),
        ("en", "For more details, see the guide."),
        ("en", "Please refer to the guiding principles."),
        ("en", "See the notes below."),
        ("en", "You can also check out the guide."),
        ("de", "Siehe die Anleitung."),
        ("ja", "詳細はこちらを参照してください。"),
        ("hi", "नोड वाला पृष्ठ देखें।"),
        ("en", "How nodes are named is out of the scope of this page."),
        ("de", "In diesem Kapitel lernen Sie die Knoten kennen."),
        ("de", "Für weitere Informationen siehe die Anleitung."),
        ("es", "En este capítulo veremos los nodos."),
        ("pt", "Para mais informações, veja o guia."),
        ("ur", "اس باب میں ہم نوڈز دیکھیں گے۔"),
        ("zh", "本章介绍节点。"),
    ],
)
def test_a_sentence_that_speaks_of_the_book_is_an_aside(language: str, sentence: str) -> None:
    assert is_aside(sentence, language)
    assert not is_aside("ROS 2 node 40.", language)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "Explain how a node differs from a process."),
        ("en", "1. **Describe** the layers."),
        ("en", "A node is a process, or not?"),
        ("de", "Beschreiben Sie die Schichten."),
        ("zh", "请解释节点的作用。"),
        ("ur", "نوڈ کی وضاحت کریں۔"),
    ],
)
def test_a_sentence_that_wants_something_of_the_reader_sets_a_task(language: str, sentence: str) -> None:
    assert sets_task(sentence, language)


def test_a_sentence_that_says_something_sets_none() -> None:
    assert not sets_task("A node is a process that computes.", "en")
    assert not sets_task("You see the node, and so does the guide.", "en")


def test_code_at_the_beginning_of_a_sentence_sets_no_task() -> None:
    assert sets_task("Name the node.", "en")
    assert not sets_task("`name`: the label of the node.", "en")
    assert not sets_task("**`select`** takes the state.", "en")


def test_a_sentence_may_take_back_a_part_of_the_one_before() -> None:
    assert limits_previous("However, the timer must be set.", "en")
    assert limits_previous("但是，需要时钟。", "zh")
    assert not limits_previous("The timer must be set.", "en")


def test_of_a_language_without_a_record_nothing_is_told() -> None:
    assert not roles_of(("Exercises",), "xx")
    assert not is_aside("In this chapter", "xx")
    assert not sets_task("Explain it.", "xx")
    assert sets_task("Explain it?", "xx")
    assert not limits_previous("However, no.", "xx")


@pytest.mark.parametrize("tag", [one.tag for one in SPOKEN])
def test_every_language_that_the_tutor_speaks_has_all_of_it(tag: str) -> None:
    record = languages()[tag]
    assert tuple(record.roles) == ROLES
    assert set(record.asks) == {"what", "why", "how", "count", "compare", "who", "when", "where"}
    assert set(record.tells) == {"why", "how", "compare"}
    for pattern in (*record.roles.values(), *record.asks.values(), *record.tells.values()):
        assert re.compile(pattern)
        assert not re.search(pattern, "")
    assert all((record.asides, record.tasks, record.exceptions, record.leads))
