"""The fallback order: names of the tutors, who was passed over and why, and when to come back."""

import pytest

from preceptor.errors import AnswerUnusable
from preceptor.providers.breaker import Breaker
from preceptor.providers.failure import FailureNote
from preceptor.providers.order import FallbackOrder


def breaker(name: str, *, cool_down: float | None = None) -> Breaker:
    """A closed breaker, or one that is open for this number of seconds."""
    made = Breaker(name, failures=1, cool_down=cool_down or 1.0, clock=lambda: 100.0)
    if cool_down is not None:
        with pytest.raises(AnswerUnusable), made.guard():
            raise AnswerUnusable("server_error", "as scripted")
    return made


@pytest.fixture
def order() -> FallbackOrder:
    return FallbackOrder(
        {
            "gemini": breaker("gemini", cool_down=40),
            "openai": None,
            "claude": breaker("claude", cool_down=7),
            "local": breaker("local"),
        },
        {"openai": "OpenAI", "claude": ""},
    )


def test_a_tutor_bears_its_providers_label_or_its_name(order: FallbackOrder) -> None:
    names = {provider: order.agent_name(provider) for provider in (*order.breakers, "offline")}
    assert names == {
        "gemini": "Gemini tutor",
        "openai": "OpenAI tutor",
        "claude": "Claude tutor",
        "local": "Local tutor",
        "offline": "Offline tutor",
    }
    assert {provider: order.provider_of(name) for provider, name in names.items()} == {
        provider: provider for provider in names
    }
    assert order.provider_of("Triage") == "triage"


@pytest.mark.parametrize(
    ("behind", "for_", "passed"),
    [
        (None, None, ["gemini", "openai", "claude", "local"]),
        (None, "Gemini tutor", []),
        (None, "Claude tutor", ["gemini", "openai"]),
        ("gemini", "Claude tutor", ["openai"]),
        ("gemini", "OpenAI tutor", []),
        ("openai", None, ["claude", "local"]),
        ("openai", "Offline tutor", ["claude", "local"]),
        ("local", None, []),
        ("unheard of", "OpenAI tutor", ["gemini"]),
    ],
)
def test_those_between_the_last_one_and_the_next_were_passed_over(
    behind: str | None, for_: str | None, passed: list[str], order: FallbackOrder
) -> None:
    assert order.passed_over(behind=behind, for_=for_) == [
        FailureNote(name, "not_configured" if name == "openai" else "breaker_open") for name in passed
    ]


def test_the_first_breaker_that_lets_a_question_through_says_when_to_come_back(order: FallbackOrder) -> None:
    assert order.retry_after == 7
    assert FallbackOrder({"openai": None, "local": breaker("local")}, {}).retry_after is None
