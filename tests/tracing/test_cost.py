"""What a run's model calls cost."""

import subprocess
import sys

import pytest

from preceptor.tracing.cost import ModelCall, cost_of

GOOGLE = "https://generativelanguage.googleapis.com/v1beta/openai/"
OPENAI = "https://api.openai.com/v1/"
AT = 1_790_000_000.0


def usage(read: int, written: int, cached: int = 0) -> dict[str, object]:
    return {"input_tokens": read, "output_tokens": written, "input_tokens_details": {"cached_tokens": cached}}


def test_the_calls_of_a_run_are_added_up_with_the_table_and_the_day_of_the_prices() -> None:
    calls = [
        ModelCall("gemini-2.5-flash", GOOGLE, usage(1_000_000 // 10, 0)),
        ModelCall("gemini-2.5-flash", GOOGLE, usage(0, 10_000)),
    ]
    found = cost_of(calls, started=AT)
    assert found["usd"] == pytest.approx(0.3 / 10 + 2.5 / 100)
    assert found["prices"].startswith("genai-prices ")
    assert found["on"] == "2026-09-21"


def test_cached_tokens_cost_less_and_never_more_than_were_read() -> None:
    def cost(cached: int) -> float:
        return cost_of([ModelCall("gpt-4.1-mini", OPENAI, usage(1000, 0, cached))], started=AT)["usd"]

    assert 0 < cost(1000) < cost(500) < cost(0)
    assert cost(5000) == cost(1000)


def test_a_large_call_costs_what_the_table_says_for_it() -> None:
    small = cost_of([ModelCall("gemini-2.5-pro", GOOGLE, usage(90_000, 0))], started=AT)["usd"]
    large = cost_of([ModelCall("gemini-2.5-pro", GOOGLE, usage(900_000, 0))], started=AT)["usd"]
    assert large > 10 * small * 1.5


@pytest.mark.parametrize(
    ("model", "base_url"),
    [("nonsense", OPENAI), ("gpt-4.1-mini", "http://127.0.0.1:11434/v1"), ("llama3", None)],
    ids=["unknown model", "own server", "no address"],
)
def test_a_model_without_a_price_is_named(model: str, base_url: str | None) -> None:
    known = ModelCall("gpt-4.1-mini", OPENAI, usage(10, 10))
    assert cost_of([known, ModelCall(model, base_url, usage(10, 10))], started=AT) == {"unknown": [model]}


def test_a_run_without_tokens_costs_nothing_and_reads_no_table() -> None:
    code = (
        "import sys; from preceptor.tracing.cost import ModelCall, cost_of;"
        "print(cost_of([ModelCall('triage', None, {'input_tokens': 0})], started=1.0), 'genai_prices' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "{'usd': 0.0} False"
