"""Many books in one service: each found by path, host or name, opened when it is asked, and apart from the others."""

import asyncio
import html
import json
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from starlette.testclient import TestClient

from preceptor.agents.prompts import instructions
from preceptor.books import read_books
from preceptor.errors import SettingsError
from preceptor.indexing.run import Indexing
from preceptor.library import open_engine
from preceptor.server import create_app
from preceptor.settings import Settings
from preceptor.tracing.filters import Filters
from preceptor.tracing.store import TraceStore
from tests.library.books import INFO
from tests.sample import sample_settings
from tests.server.loopback import served
from tests.server.reading import error_of

KEY = "the-key-of-the-garden"
BOOKS = f"""
[books.kitchen]
source = "kitchen"
title = "Bread at Home"
hosts = ["Kitchen.example"]
instructions = "Call flour by its type."
example_questions = ["Why does it rise?", 'Is "00" flour fine?']

[books.kitchen.site]
base_url = "/b/kitchen/"

[books.garden]
source = "garden"
title = "Soil & Seed"
reader_keys = ["{KEY}"]

[books.garden.limits]
rate = "3/minute"

[books.workshop]
source = "workshop"
title = "Wood and Tools"
"""
PAGES = {
    "kitchen": "# Sourdough\n\nA sourdough starter rises because wild yeast makes carbon dioxide in the dough.\n\n"
    "![A sourdough loaf](/img/loaf.png)\n",
    "garden": "# Compost\n\nCompost feeds the soil: bacteria turn leaves and peel into humus within a year.\n",
    "workshop": "# Planes\n\nA plane cuts thin shavings when its iron is sharp and its sole is flat.\n",
}
ASKED = {"kitchen": "Why does a sourdough starter rise?", "garden": "What does compost feed?"}
WITH_KEY = {"Authorization": f"Bearer {KEY}"}


def library_settings(folder: Path, **tables: dict[str, Any]) -> Settings:
    """Settings of a service of the books in a folder."""
    library = {"file": folder / "books.toml", **tables.pop("library", {})}
    return sample_settings(folder / "index", folder, library=library, book={"id": "", "title": ""}, **tables)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three indexed books and their `books.toml`."""
    made = tmp_path_factory.mktemp("library")
    (made / "books.toml").write_text(BOOKS, encoding="utf-8")
    for name, text in PAGES.items():
        (made / name / "docs").mkdir(parents=True)
        (made / name / "docs" / "page.md").write_text(text, encoding="utf-8")
    settings = library_settings(made)

    async def index() -> None:
        async with open_engine(settings) as engine:
            for book in read_books(made / "books.toml", settings).values():
                assert book.source is not None
                await Indexing(book.source, book.settings).into(engine)

    asyncio.run(index())
    return made


@pytest.fixture(scope="module")
def library(folder: Path) -> Generator[TestClient]:
    """A client of the service of all books, of which one may be open at a time."""
    app = create_app(library_settings(folder, library={"open": 1}))
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


def test_a_book_has_instructions_and_example_questions_of_its_own(library: TestClient, folder: Path) -> None:
    books = read_books(folder / "books.toml", library_settings(folder))
    told = {name: instructions(one.settings.book, INFO, book_only=True) for name, one in books.items()}
    assert "ask of you:\nCall flour by its type.\n\nQuotations" in told["kitchen"]
    assert "ask of you" not in told["garden"]
    page = library.get("/b/kitchen/").text
    (questions,) = re.findall('data-questions="([^"]*)"', page)
    assert json.loads(html.unescape(questions)) == ["Why does it rise?", 'Is "00" flour fine?']
    assert "data-questions" not in library.get("/b/workshop/").text


def test_the_books_are_listed_with_their_pages_for_programs_and_for_readers(library: TestClient) -> None:
    books = library.get("/api/v1/books").json()["books"]
    assert [(one["id"], one["title"], one["url"]) for one in books] == [
        ("kitchen", "Bread at Home", "/b/kitchen/"),
        ("garden", "Soil & Seed", "/b/garden/"),
        ("workshop", "Wood and Tools", "/b/workshop/"),
    ]
    page = library.get("/").text
    assert '<a href="b/garden/" lang="en" dir="auto">Soil &amp; Seed</a>' in page
    assert not re.search(r'(?:href|src)="/', page), "a proxy may serve it below a path"


@pytest.mark.parametrize("way", ["path", "host", "field", "query"])
def test_a_book_is_named_by_path_by_host_by_field_or_by_query(library: TestClient, way: str) -> None:
    path = {"path": "/b/kitchen/api/v1/search", "query": "/api/v1/search?book=kitchen"}.get(
        way, "/api/v1/search"
    )
    body = {"query": "yeast", **({"book": "kitchen"} if way == "field" else {})}
    headers = {"Host": "kitchen.example:8000"} if way == "host" else {}
    passages = library.post(path, json=body, headers=headers).json()["passages"]
    assert {one["book"] for one in passages} == {"kitchen"}


def test_each_book_answers_from_its_own_pages_under_its_own_title(library: TestClient) -> None:
    assert "<title>Bread at Home</title>" in library.get("/b/kitchen/").text
    assert library.get("/b/kitchen/about.json").json()["titles"] == ["Sourdough"]
    answer = library.post("/b/kitchen/api/v1/chat", json={"content": ASKED["kitchen"]}).json()
    assert [source["title"] for source in answer["sources"]] == ["Sourdough"]
    asked = {"content": ASKED["kitchen"], "book": "workshop"}
    assert library.post("/api/v1/chat", json=asked).json()["sources"] == []


def test_a_citation_opens_the_page_of_its_book(library: TestClient) -> None:
    answer = library.post("/b/kitchen/api/v1/chat", json={"content": ASKED["kitchen"]}).json()
    page = library.get(answer["sources"][0]["url"].partition("#")[0])
    assert page.status_code == 200
    assert "wild yeast" in page.text
    assert '<header><a href="/b/kitchen/">' in page.text
    assert '<script src="/b/kitchen/widget.js"' in page.text
    assert "/b/kitchen/docs/page.md" in library.get("/b/kitchen/llms.txt").text
    assert "wild yeast" in library.get("/b/kitchen/docs/page.md").text


def test_a_page_leads_to_the_other_books_where_there_are_some(
    library: TestClient, folder: Path, tmp_path: Path
) -> None:
    assert 'data-books="../../"' in library.get("/b/kitchen/").text
    answer = library.post("/b/kitchen/api/v1/chat", json={"content": ASKED["kitchen"]}).json()
    assert 'data-books="/"' in library.get(answer["sources"][0]["url"].partition("#")[0]).text
    # There, `/` is the page of the kitchen.
    assert "data-books" not in library.get("/b/garden/", headers={"Host": "kitchen.example"}).text
    alone = tmp_path / "books.toml"
    alone.write_text(
        BOOKS.partition("[books.garden]")[0].replace('"kitchen"', f'"{folder}/kitchen"'), "utf-8"
    )
    with TestClient(create_app(library_settings(folder, library={"file": alone}))) as client:
        page = client.get("/b/kitchen/").text
    assert "<title>Bread at Home</title>" in page
    assert "data-books" not in page


def test_a_source_shows_the_images_of_its_passage(library: TestClient) -> None:
    shown = [{"url": "/b/kitchen/img/loaf.png", "alt": "A sourdough loaf"}]
    answer = library.post("/b/kitchen/api/v1/chat", json={"content": ASKED["kitchen"]}).json()
    assert [source["images"] for source in answer["sources"]] == [shown]
    (turn,) = library.get(f"/b/kitchen/api/v1/sessions/{answer['session_id']}").json()["turns"]
    assert [source["images"] for source in turn["sources"]] == [shown]


def test_an_unknown_book_is_not_found_and_what_there_is_is_named(library: TestClient) -> None:
    for response in (
        library.post("/api/v1/chat", json={"content": "Why?", "book": "kitchn"}),
        library.get("/b/kitchn/api/v1/chapters"),
    ):
        assert "`kitchen`" in error_of(response, 404, "NOT_FOUND")["error"]
    other = library.post("/b/kitchen/api/v1/chat", json={"content": "Why does it rise?", "book": "workshop"})
    error_of(other, 404, "NOT_FOUND")


def test_a_request_that_names_no_book_is_told_how_to(library: TestClient) -> None:
    said = error_of(library.post("/api/v1/search", json={"query": "yeast"}), 400, "VALIDATION_ERROR")
    assert "/b/ID/" in said["error"]


def test_a_book_has_its_own_key_and_limits(library: TestClient) -> None:
    path = "/b/garden/api/v1/search"
    error_of(library.post(path, json={"query": "soil"}), 401, "AUTHENTICATION_ERROR")
    found = [library.post(path, json={"query": "soil"}, headers=WITH_KEY).status_code for _ in range(4)]
    assert found == [200, 200, 200, 429]
    # Another book's readers are not held up by it.
    assert library.post("/b/workshop/api/v1/search", json={"query": "iron"}).status_code == 200


def test_a_conversation_belongs_to_its_book(library: TestClient) -> None:
    answer = library.post("/b/kitchen/api/v1/chat", json={"content": ASKED["kitchen"]}).json()
    session = answer["session_id"]
    assert len(library.get(f"/b/kitchen/api/v1/sessions/{session}").json()["turns"]) == 1
    error_of(library.get(f"/b/workshop/api/v1/sessions/{session}"), 404, "SESSION_NOT_FOUND")
    said = {"content": "And the iron?", "session_id": session}
    error_of(library.post("/b/workshop/api/v1/chat", json=said), 404, "SESSION_NOT_FOUND")


def test_runs_are_found_by_their_book_and_take_a_readers_word(library: TestClient, folder: Path) -> None:
    answer = library.post("/b/kitchen/api/v1/chat", json={"content": ASKED["kitchen"]}).json()
    rated = library.post("/api/v1/feedback", json={"response_id": answer["response_id"], "rating": "up"})
    assert rated.status_code == 204
    store = TraceStore(folder / "traces.db", keep_runs=100, keep_days=1, include_text=True)
    try:
        of_kitchen = store.runs(100, filters=Filters(book="kitchen"))
        assert answer["trace_id"] in {one.trace_id for one in of_kitchen}
        assert store.runs(100, filters=Filters(book="garden")) == []
    finally:
        store.close()


def test_clients_of_openai_choose_a_book_as_a_model(library: TestClient) -> None:
    ids = [one["id"] for one in library.get("/v1/models").json()["data"]]
    assert ids == ["preceptor/kitchen", "preceptor/garden", "preceptor/workshop"]
    asked = {"model": ids[0], "messages": [{"role": "user", "content": ASKED["kitchen"]}]}
    said = library.post("/v1/chat/completions", json=asked).json()["choices"][0]["message"]["content"]
    assert "yeast" in said


def test_health_and_metrics_are_those_of_all_books(library: TestClient) -> None:
    library.post("/b/workshop/api/v1/search", json={"query": "iron"})
    health = library.get("/api/v1/health").json()
    assert health["status"] == "healthy"
    assert "Wood and Tools" in health["checks"]["qdrant"]["detail"]
    assert library.get("/livez").status_code == 200
    local = {"Host": "127.0.0.1"}
    assert library.get("/api/v1/metrics", headers=local).status_code in (200, 403)


async def test_mcp_clients_ask_each_book_at_its_own_address(folder: Path) -> None:
    with served(library_settings(folder, server={"mcp": True})) as url:
        for name, address in (("kitchen", "b/kitchen/mcp"), ("workshop", "b/workshop/mcp")):
            async with Client(f"{url}/{address}") as client:
                listed = await client.call_tool("list_chapters", {})
                assert [one["book"] for one in (listed.structured_content or {})["chapters"]] == [name]
                asked = await client.call_tool("ask_textbook", {"question": ASKED["kitchen"]})
                assert (asked.structured_content or {})["in_book"] is (name == "kitchen")
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        assert httpx2.post(f"{url}/mcp", json=body).status_code == 400
        # The book's own key, before anything of it is read.
        assert httpx2.post(f"{url}/b/garden/mcp", json=body).status_code == 401


def test_plug_ins_are_loaded_anew_in_a_service_of_one_book_only(folder: Path) -> None:
    with pytest.raises(SettingsError, match="`--reload-tools` goes with one book"):
        create_app(library_settings(folder), reload_tools=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is missing"),
        ("[books]\n", "is empty"),
        ('[books.a]\ntitel = "A"\n', "`books.a.titel` in `books.toml`: is not a key of a book"),
        ('[books.a]\nhosts = ["x.example"]\n[books.b]\nhosts = ["x.example"]\n', "host `x.example`"),
        ('[books.a]\ncollection = "b"\n[books.b]\n', "collection `b`"),
        ('[books.a.limits]\nrate = "often"\n', "`books.a.limits.rate`"),
        ("[books.a", "is not valid TOML"),
    ],
)
def test_a_wrong_table_is_named_before_the_service_starts(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "books.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        create_app(library_settings(tmp_path))
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("content", "why"), [(None, "it does not exist"), (b"# \n\xff", "it is not text in UTF-8 (line 2)")]
)
def test_a_list_of_books_that_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    if content is not None:
        (tmp_path / "books.toml").write_bytes(content)
    with pytest.raises(SettingsError) as raised:
        create_app(library_settings(tmp_path))
    assert f"`library.file`: `{tmp_path / 'books.toml'}` cannot be read: {why}." in str(raised.value)
