"""A citation of a book without a site of its own opens the heading on the tutor's own host."""

import re
from pathlib import Path

from starlette.testclient import TestClient

from preceptor.indexing.run import Indexing
from preceptor.library import open_engine
from tests.sample import sample_settings
from tests.server.inside import asking


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
    policy = opened.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert not re.search(r"<script(?![^>]*\bsrc=\"/)|<style|\sstyle=|\son\w+=", opened.text)


def test_a_chapter_has_an_outline_and_leads_to_its_neighbours(client: TestClient) -> None:
    chapters = client.get("/api/v1/chapters").json()["chapters"]
    pages = [chapter["url"].partition("#")[0] for chapter in chapters]
    for place, chapter in enumerate(chapters):
        opened = client.get(pages[place]).text
        for section in chapter["sections"]:
            if section["anchor"] and section["heading"] != chapter["title"]:
                assert f'<li><a href="#{section["anchor"]}"' in opened
        before, after = (re.findall(rf'<a rel="{name}" href="([^"]*)"', opened) for name in ("prev", "next"))
        assert before == pages[place - 1 : place] if place else before == []
        assert after == pages[place + 1 : place + 2]


def test_what_is_no_chapter_is_not_found_in_the_contract_s_form(client: TestClient) -> None:
    for path in ("/docs/nothing", "/nothing.php", "/%2e%2e/etc/passwd"):
        missing = client.get(path)
        assert missing.status_code == 404
        assert missing.json()["code"] == "NOT_FOUND"


async def test_a_chapter_whose_name_has_spaces_or_another_script_opens_too(tmp_path: Path) -> None:
    (tmp_path / "book/docs").mkdir(parents=True)
    for name in ("two words", "روبوٹ"):
        (tmp_path / f"book/docs/{name}.md").write_text(
            f"# {name}\n\nA robot is a machine that acts by itself.\n"
        )
    settings = sample_settings(tmp_path / "index", tmp_path)
    engine = open_engine(settings)
    try:
        await Indexing(tmp_path / "book", settings).into(engine)
    finally:
        await engine.close()
    async with asking(settings) as client:
        chapters = (await client.get("/api/v1/chapters")).json()["chapters"]
        assert any("%20" in chapter["url"] for chapter in chapters)
        for chapter in chapters:
            opened = await client.get(chapter["url"])
            assert opened.status_code == 200, chapter["url"]
            assert chapter["title"] in opened.text


async def test_chapters_are_read_no_faster_here_than_through_the_api(
    sample_index: Path, tmp_path: Path
) -> None:
    settings = sample_settings(sample_index, tmp_path, limits={"rate": "1/minute"})
    async with asking(settings) as client:
        assert [(await client.get("/docs/ros2/")).status_code for _ in range(2)] == [200, 429]
