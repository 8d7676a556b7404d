"""Search, chapters, and one chapter: the book itself over HTTP."""

import asyncio
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.testclient import TestClient

from preceptor.indexing.run import Indexing
from preceptor.library import open_engine
from preceptor.server import create_app
from preceptor.settings import Settings
from tests.sample import ID, sample_settings
from tests.server.reading import Json, error_of, tells_nothing
from tests.standins.qdrant import QdrantStandIn

SEARCH = "/api/v1/search"


def test_a_search_gives_passages_best_first_with_their_links(client: TestClient) -> None:
    response = client.post(SEARCH, json={"query": "What is ROS 2?", "limit": 4})
    assert response.status_code == 200
    passages = response.json()["passages"]
    assert len(passages) == 4
    assert passages[0]["url"].endswith("#what-is-ros-2")
    assert passages[0]["breadcrumb"][-1] == passages[0]["heading"] == "What is ROS 2?"
    assert passages[0]["book"] == ID
    scores = [each["relevance_score"] for each in passages]
    assert scores == sorted(scores, reverse=True)
    tells_nothing(response)


def test_a_search_stays_in_the_chapter_and_the_book_that_it_names(client: TestClient) -> None:
    chapter = client.post(SEARCH, json={"query": "What is a node?", "limit": 1}).json()["passages"][0][
        "chapter"
    ]
    body = {"query": "simulation", "chapter": chapter, "book": ID, "limit": 20}
    assert {each["chapter"] for each in client.post(SEARCH, json=body).json()["passages"]} == {chapter}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"query": " "}, "query"),
        ({"query": "x" * 4001}, "query"),
        ({"query": None}, "query"),
        ({"limit": 0}, "limit"),
        ({"limit": 21}, "limit"),
        ({"limit": "3"}, "limit"),
        ({"limit": True}, "limit"),
        ({"chapter": ["a"]}, "chapter"),
    ],
)
def test_a_search_that_does_not_fit_is_refused(client: TestClient, more: Json, field: str) -> None:
    body = error_of(client.post(SEARCH, json={"query": "What is a node?", **more}), 400, "VALIDATION_ERROR")
    assert field in body["details"]


def test_nothing_fits_a_query_without_a_letter_or_a_digit(client: TestClient) -> None:
    response = client.post(SEARCH, json={"query": "?! …"})
    assert (response.status_code, response.json()) == (200, {"passages": []})


def test_a_whole_number_may_have_a_point(client: TestClient) -> None:
    assert len(client.post(SEARCH, json={"query": "node", "limit": 2.0}).json()["passages"]) == 2


def test_an_unknown_chapter_or_book_is_not_found_and_what_there_is_is_named(client: TestClient) -> None:
    body = error_of(client.post(SEARCH, json={"query": "node", "chapter": "ros2/nodess"}), 404, "NOT_FOUND")
    assert "`ros2/" in body["error"]
    body = error_of(client.post(SEARCH, json={"query": "node", "book": "another"}), 404, "NOT_FOUND")
    assert f"`{ID}`" in body["error"]


def test_chapters_come_in_reading_order_with_their_outline(client: TestClient) -> None:
    chapters = client.get("/api/v1/chapters").json()["chapters"]
    assert len(chapters) >= 16
    assert chapters[0]["id"] == "intro"
    assert all(chapter["book"] == ID for chapter in chapters)
    for chapter in chapters:
        for section in chapter["sections"]:
            assert section["url"] == f"{chapter['url']}#{section['anchor']}"


def test_every_chapter_that_is_listed_can_be_read(client: TestClient) -> None:
    for listed in client.get("/api/v1/chapters").json()["chapters"]:
        response = client.get(f"/api/v1/chapters/{listed['id']}")
        assert response.status_code == 200
        chapter = response.json()
        passages = chapter.pop("passages")
        assert chapter == listed
        assert {each["chapter"] for each in passages} == {listed["id"]}
        assert all(each["text"].strip() for each in passages)


def test_an_id_may_come_with_its_slash_encoded(client: TestClient) -> None:
    chapter = next(
        each["id"] for each in client.get("/api/v1/chapters").json()["chapters"] if "/" in each["id"]
    )
    assert client.get(f"/api/v1/chapters/{chapter.replace('/', '%2F')}").json()["id"] == chapter


@pytest.mark.parametrize(
    "chapter", ["nope", "module-1/nope", "", "%00", "..%2F..%2Fsecrets", "%F0%9F%A4%96", "%FF"]
)
def test_an_unknown_chapter_cannot_be_read(client: TestClient, chapter: str) -> None:
    error_of(client.get(f"/api/v1/chapters/{chapter}"), 404, "NOT_FOUND")


def test_an_index_that_does_not_answer_is_a_503_for_every_part_of_the_book(tmp_path: Path) -> None:
    pages = tmp_path / "book" / "docs"
    pages.mkdir(parents=True)
    (pages / "intro.md").write_text("# Nodes\n\nA node is a process that computes.\n", encoding="utf-8")
    with QdrantStandIn() as qdrant:
        settings = sample_settings(
            tmp_path,
            tmp_path,
            index={"backend": "cloud", "collection": "small"},
            qdrant={"endpoint": qdrant.url, "api_key": "hidden-key", "attempts": 1},
        )
        asyncio.run(_index(pages.parent, settings))
        with TestClient(create_app(settings), raise_server_exceptions=False) as client:
            assert client.post(SEARCH, json={"query": "What is a node?"}).json()["passages"]
            assert client.get("/api/v1/chapters/intro").status_code == 200
            qdrant.script.extend([_broken] * 10)
            for response in (
                client.post(SEARCH, json={"query": "What is a node?"}),
                client.get("/api/v1/chapters/intro"),
            ):
                error_of(response, 503, "SERVICE_UNAVAILABLE")
                assert qdrant.url not in response.text
                assert "hidden" not in response.text
                assert int(response.headers["retry-after"]) > 0


async def _index(source: Path, settings: Settings) -> None:
    engine = open_engine(settings)
    try:
        await Indexing(source, settings).into(engine)
    finally:
        await engine.close()


async def _broken(request: Request) -> Response:
    return JSONResponse({"status": {"error": "disk at /hidden/storage is gone"}}, status_code=500)
