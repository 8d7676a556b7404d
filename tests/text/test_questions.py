"""Questions are judged by their words."""

import pytest

from preceptor.text.questions import depends_on_previous, says_little, wants_code


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
    assert not wants_code("Is Gazebo open source?")
