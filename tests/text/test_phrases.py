"""Preceptor's own sentences, in the reader's language."""

from dataclasses import fields

from preceptor.text.languages import Phrases, phrases
from tests.text.questions import QUESTIONS


def test_every_language_has_phrases_of_its_own() -> None:
    said = [phrases(questions[0]) for questions in QUESTIONS.values()]
    for sentence in fields(Phrases):
        assert len({getattr(one, sentence.name) for one in said}) == len(QUESTIONS)


def test_a_language_without_phrases_is_answered_in_english() -> None:
    assert phrases("რა არის ROS 2?") == phrases("What is ROS 2?")
