"""The reader's message as a model reads it, and the passage that is made of a marked text."""

import pytest

from preceptor.agents.answer import Question
from preceptor.agents.prompts import prompt
from preceptor.tools.plugin import Ledger


def marked(page: str | None) -> str:
    """The address of the marked text as a source."""
    ledger = Ledger()
    prompt(Question(text="Why?", page=page, selection="A node is a process.", selection_only=True), ledger)
    [hit] = ledger
    return hit.passage.url


@pytest.mark.parametrize(
    "page",
    ["/", "/docs/nodes", "/docs/nodes#what", "/a?b=c:d", "https://book.example/docs", "HTTP://book.example"],
)
def test_a_marked_text_leads_to_its_page(page: str) -> None:
    assert marked(page) == page


@pytest.mark.parametrize(
    "page",
    [
        None,
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//evil.example",
        "/\\evil.example",
        "/\tdocs",
        "https:evil.example",
        "https:///evil.example",
        "https://book.example/a b",
        "intro",
        "docs/nodes.md",
    ],
)
def test_a_marked_text_leads_nowhere_else(page: str | None) -> None:
    assert marked(page) == ""
