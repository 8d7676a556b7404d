"""Secrets are taken out of a run before it is written, and the rest is left alone."""

import json
from pathlib import Path

import pytest

from preceptor.tracing.redaction import Redactor

# Put together here, so that no scan for secrets finds one in this file.
KEYS = {
    "openai": "sk-" + "proj-Ab1_Ab1-Ab1_Ab1-Ab1_",
    "google": "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
    "google, newer": "AQ." + "Ab8RN6Kx1234567890abcdefghijklmnopqrstuv",
    "qdrant cloud": "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJhY2Nlc3MiOiJyIn0." + "c2lnbmF0dXJl",
    "github": "ghp_" + "0123456789abcdefghij0123",
    "bearer": "Bearer " + "0123456789abcdef0123",
    "url": "://reader:" + "correct-horse@",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_what_has_the_shape_of_a_key_is_removed(key: str) -> None:
    cleaned = Redactor([])(json.dumps({"said": f"look: {key}host and on"}))

    assert "[removed]" in json.loads(cleaned)["said"]
    assert key.removeprefix("Bearer ").strip(":/@") not in cleaned
    assert json.loads(cleaned)["said"].endswith("on")


def test_a_configured_secret_is_removed_however_often_it_was_escaped() -> None:
    secret = 'pass"word\\1'
    once = json.dumps({"key": secret})
    twice = json.dumps({"arguments": once})

    for text in (secret, once, twice):
        cleaned = Redactor([secret])(text)
        assert "[removed]" in cleaned
        assert "word" not in cleaned


@pytest.mark.parametrize("secret", ["line\nbreak-ü-😀", r"[a-z]{3}.*(?P<x>\d)#", "half \ud83d a pair"])
def test_a_configured_secret_may_hold_any_sign(secret: str) -> None:
    assert Redactor([secret])(f"it is {secret}, keep it") == "it is [removed], keep it"


def test_a_key_is_removed_from_text_that_is_not_unicode() -> None:
    assert Redactor([])(f"half \ud83d a pair, {KEYS['google']}!") == "half \ud83d a pair, [removed]!"


def test_of_two_secrets_where_one_begins_the_other_nothing_is_left() -> None:
    assert Redactor(["longer-secret", "longer-secret-still"])("longer-secret-still") == "[removed]"


def test_a_secret_of_a_few_characters_does_not_blank_out_the_text() -> None:
    assert Redactor(["", "a", "key"])("a key to the chapter") == "a key to the chapter"


def test_ordinary_text_passes_untouched() -> None:
    text = (
        "See /docs/task-" + "planning-with-language-models#risk-" + "of-a-collision-in-1234567890, "
        "https://book.example:8080/a, user@book.example, @theme/Tabs, eyJ, AIza, sk-learn, کیا ہے؟"
    )
    assert Redactor(["some-configured-key"])(text) == text


def test_no_sentence_of_a_real_book_is_touched(shared: Path) -> None:
    redacted = Redactor(["some-configured-key"])
    pages = [*(shared / "books").rglob("*.md"), *(shared / "books").rglob("*.mdx")]

    touched = [page.name for page in pages if redacted(text := page.read_text(errors="replace")) != text]
    assert pages
    assert touched == []
