"""A citation of a book without a site of its own opens the heading on the tutor's own host."""

import re

from starlette.testclient import TestClient


def test_every_source_of_an_answer_opens_its_heading(client: TestClient) -> None:
    sources = client.post("/api/v1/chat", json={"content": "What is a node?"}).json()["sources"]
    assert sources
    for source in sources:
        page, _, anchor = source["url"].partition("#")
        opened = client.get(page)
        assert opened.status_code == 200
        assert f'id="{anchor}"' in opened.text
        first_words = re.findall(r"\w+", source["quote"])[:4]
        assert " ".join(first_words[:2]) in opened.text


def test_text_of_the_book_is_text_and_nothing_of_it_runs(client: TestClient) -> None:
    opened = client.get("/docs/ros2/")
    assert opened.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "<script" not in opened.text


def test_what_is_no_chapter_is_not_found_in_the_contract_s_form(client: TestClient) -> None:
    for path in ("/docs/nothing", "/nothing.php", "/%2e%2e/etc/passwd"):
        missing = client.get(path)
        assert missing.status_code == 404
        assert missing.json()["code"] == "NOT_FOUND"
