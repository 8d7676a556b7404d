"""Questions are judged by their words."""

import pytest

from preceptor.text.questions import depends_on_previous, kinds, names_subject, says_little, wants_code


@pytest.mark.parametrize(
    ("language", "question"),
    [
        ("en", "Why is it useful?"),
        ("en", "And how does that differ from services?"),
        ("en", "What about its layers?"),
        ("en", "How is that measured?"),
        ("de", "Und wozu dient das Modell?"),
        ("es", "¿Y cómo se mide?"),
        ("fr", "Comment mesurer cela ?"),
        ("ru", "Как его измерить?"),
        ("ur", "اس کا کیا فائدہ ہے؟"),
        ("zh", "它有什么用？"),
        ("ja", "それは何に使いますか？"),
    ],
)
def test_a_question_that_points_to_the_one_before_it_leans(language: str, question: str) -> None:
    assert depends_on_previous(question, language)


@pytest.mark.parametrize(
    "question",
    [
        "What is a node in ROS 2?",
        "What is the sensor that measures distance?",
        "Is it possible to run ROS on a Mac without Docker?",
        "How do topics and services differ?",
        "",
    ],
)
def test_a_question_that_says_what_it_is_about_stands_alone(question: str) -> None:
    assert not depends_on_previous(question, "en")


def test_a_question_of_a_word_or_two_says_little() -> None:
    assert says_little("Why useful?", "en")
    assert not says_little("How does a costmap mark obstacles?", "en")


def test_a_pronoun_with_vowel_signs_is_one_word() -> None:
    """`re` takes the vowel signs of Hindi for what separates words."""
    assert depends_on_previous("इसका क्या लाभ है?", "hi")


def test_the_region_of_a_tag_does_not_matter() -> None:
    assert depends_on_previous("And how does that differ from services?", "en-GB")
    assert depends_on_previous("它有什么用？", "zh-TW")


def test_a_question_that_wants_code_is_told_from_one_that_does_not() -> None:
    assert wants_code("How do I write a publisher in C++?")
    assert wants_code("Muéstrame el código")
    assert wants_code("nodes.json example")
    assert not wants_code("Is Gazebo open source?")
    assert not wants_code("Does it run on other systems, for example on Windows?")


@pytest.mark.parametrize(
    ("language", "question", "kind"),
    [
        ("en", "What is a node?", "what"),
        ("en", "why does it fail", "why"),
        ("en", "How do topics and services differ?", "compare"),
        ("en", "How many newtons does it close with?", "count"),
        ("en", "Who wrote ROS?", "who"),
        ("en", "Show me the code of a timer", "code"),
        ("de", "Wie viele Finger hat er?", "count"),
        ("es", "¿Por qué falla?", "why"),
        ("fr", "Comment l’installer ?", "how"),
        ("ur", "نوڈ کیا ہے؟", "what"),
        ("hi", "नोड क्यों रुकता है?", "why"),
        ("zh", "如何安装？", "how"),
        ("zh", "话题和服务有什么区别？", "compare"),
        ("ja", "ノードとは何ですか？", "what"),
    ],
)
def test_the_kind_of_a_question_is_told_in_its_language(language: str, question: str, kind: str) -> None:
    assert kind in kinds(question, language)


def test_a_heading_without_a_question_has_no_kind() -> None:
    assert not kinds("Layers", "en")


@pytest.mark.parametrize(
    ("question", "does"),
    [
        ("And what is a topic?", True),
        ("And how does that differ from services?", False),
        ("And in C++?", False),
        ("And why?", False),
    ],
)
def test_a_question_that_goes_on_may_name_its_own_subject(question: str, does: bool) -> None:
    assert depends_on_previous(question, "en")
    assert names_subject(question, "en") is does
