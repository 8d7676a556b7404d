"""The language of a question, and what Preceptor says in it."""

from dataclasses import fields

import pytest

from preceptor.text.phrases import Phrases, language_of, phrases, wants_code

QUESTIONS = {
    "en": [
        "What is ROS 2?",
        "why dose one slow calback freeze my hole node",
        "Can URDF describe a closed loop?",
    ],
    "es": ["¿Qué es ROS 2?", "que es un nodo", "diferencia entre servicio y acción"],
    "fr": ["Qu'est-ce que ROS 2 ?", "pourquoi utiliser un simulateur", "C'est quoi un topic ?"],
    "de": ["Was ist ein Knoten?", "Wie funktioniert der Kalman-Filter?", "Welche Grafikkarte brauche ich?"],
    "pt": ["O que é ROS 2?", "Como funciona o filtro de Kalman?", "Quais são os estados de um nó?"],
    "id": ["Apa itu ROS 2?", "Bagaimana cara kerja filter Kalman?"],
    "tr": ["ROS 2 nedir?", "Kalman filtresi nasıl çalışır?"],
    "ur": ["فزیکل اے آئی سے کیا مراد ہے؟", "ROS 2 میں سروس اور ایکشن میں کیا فرق ہے؟"],
    "ar": ["ما هو روبوت بشري؟", "كيف يعمل مرشح كالمان؟"],
    "fa": ["فیلتر کالمن چگونه کار می‌کند؟", "تفاوت بین سرویس و اکشن چیست؟"],
    "hi": ["ROS 2 क्या है?"],
    "zh": ["ROS 2 是什么？"],
    "ja": ["ROS 2とは何ですか？"],
    "ko": ["칼만 필터는 어떻게 작동하나요?"],
    "ru": ["Как работает фильтр Калмана?"],
    "it": ["Che cos'è un nodo?", "Come funziona il filtro di Kalman?"],
    "nl": ["Wat is een knooppunt?", "Hoe werkt het Kalmanfilter?"],
    "uk": ["Що таке вузол і як він працює?"],
    "el": ["Τι είναι το ROS 2;"],
    "he": ["מה זה ROS 2?"],
    "th": ["โหนดคืออะไร"],
    "bn": ["একটি নোড কী?"],
}


@pytest.mark.parametrize(
    ("language", "question"), [(key, one) for key, many in QUESTIONS.items() for one in many]
)
def test_the_language_of_a_question_is_told(language: str, question: str) -> None:
    assert language_of(question) == language


@pytest.mark.parametrize("question", ["qos_profile_sensor_data depth reliability", "ZMP", "2 + 2 = ?", ""])
def test_the_language_of_bare_terms_is_not_guessed(question: str) -> None:
    assert language_of(question) is None


def test_every_language_has_phrases_of_its_own() -> None:
    said = [phrases(questions[0]) for questions in QUESTIONS.values()]
    for sentence in fields(Phrases):
        assert len({getattr(one, sentence.name) for one in said}) == len(QUESTIONS)


def test_a_language_without_phrases_is_answered_in_english() -> None:
    assert phrases("რა არის ROS 2?") == phrases("What is ROS 2?")


def test_a_question_that_wants_code_is_told_from_one_that_does_not() -> None:
    assert wants_code("How do I write a publisher in C++?")
    assert wants_code("Muéstrame el código")
    assert not wants_code("Is Gazebo open source?")
