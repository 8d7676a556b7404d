"""Qdrant Cloud alone: a network, keys, strict mode, collections of others, and ways to go wrong."""

import asyncio
import logging
import re
import socket
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
import respx
import stamina
from pydantic import SecretStr
from qdrant_client import models
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from preceptor.errors import (
    IndexAnswerInvalid,
    IndexFieldNotIndexed,
    IndexForbidden,
    IndexIncompatible,
    IndexLocked,
    IndexNotFound,
    IndexRateLimited,
    IndexSuspended,
    IndexTimeout,
    IndexUnauthorized,
    IndexUnreachable,
    VectorIndexError,
)
from preceptor.library import open_engine
from preceptor.library.cloud import QdrantCloud
from preceptor.library.embedded import Embedded
from preceptor.settings import IndexSettings, QdrantSettings, Settings
from tests.library.books import INFO, again, book, vectors
from tests.library.engines import candidates, everything, publish
from tests.standins.qdrant import QdrantStandIn

Connect = Callable[..., QdrantCloud]
KEY = "a-key-that-must-not-be-seen"


@pytest.fixture
def qdrant() -> Iterator[QdrantStandIn]:
    """A stand-in that asks for no key."""
    with QdrantStandIn() as standin:
        yield standin


@pytest.fixture
async def connect() -> AsyncGenerator[Connect]:
    """Makes engines, and closes them at the end."""
    made: list[QdrantCloud] = []

    def connect(*arguments: Any, **options: Any) -> QdrantCloud:
        made.append(QdrantCloud(*arguments, **options))
        return made[-1]

    yield connect
    for engine in made:
        await engine.close()


@pytest.fixture
def no_waits() -> Iterator[None]:
    """Tries follow each other at once; there are still three."""
    stamina.set_testing(True, attempts=3, cap=True)
    yield
    stamina.set_testing(False)


# What is asked for


async def test_payload_indexes_are_made_before_the_first_point(
    qdrant: QdrantStandIn, connect: Connect
) -> None:
    await publish(connect(qdrant.url), book())
    writes = [(one.method, one.path) for one in qdrant.writes() if "robots__v0001" in one.path]
    assert writes[:3] == [
        ("PUT", "/collections/robots__v0001"),
        ("PUT", "/collections/robots__v0001/index"),
        ("PUT", "/collections/robots__v0001/index"),
    ]
    indexed = [one.body for one in qdrant.asked if one.path.endswith("/index")]
    assert indexed == [
        {"field_name": "chapter", "field_schema": "keyword"},
        {"field_name": "ordinal", "field_schema": "integer"},
    ]
    made = next(one.body for one in qdrant.asked if one.path == "/collections/robots__v0001" and one.body)
    assert made["vectors"] == {"dense": {"size": 384, "distance": "Cosine"}}
    assert made["sparse_vectors"] == {"bm25": {"modifier": "idf"}}


async def test_payload_indexes_are_made_again_when_a_run_was_killed_before_them(
    qdrant: QdrantStandIn, connect: Connect
) -> None:
    engine = connect(qdrant.url)
    writer = await engine.write("robots", INFO)
    await writer.put(book()[:1], vectors(book()[:1]))
    await writer.close()
    qdrant.asked.clear()
    await publish(engine, book())
    assert [one.method for one in qdrant.writes() if one.path.endswith("__v0001/index")] == ["PUT", "PUT"]


async def test_only_fields_with_an_index_are_filtered_on(qdrant: QdrantStandIn, connect: Connect) -> None:
    """The stand-in refuses others as strict mode does; here the requests themselves are looked at."""
    engine = connect(qdrant.url)
    await publish(engine, book())
    await everything(engine)
    index = await engine.open("robots")
    await candidates(index, vectors(book())[0], chapter="part-0/chapter-0", limit=3)
    await publish(engine, book(chapters=1))
    await engine.rollback("robots")
    await engine.delete("robots")
    assert set().union(*(one.filtered() for one in qdrant.asked)) == {"chapter", "ordinal"}


async def test_every_change_of_points_waits_until_it_is_done(qdrant: QdrantStandIn, connect: Connect) -> None:
    engine = connect(qdrant.url)
    await publish(engine, book(chapters=9))
    writer = await engine.write("robots", INFO)
    await writer.put(again(book(), edition="staged"), vectors(book()))
    await writer.close()
    await publish(engine, book(chapters=1))
    changes = [one for one in qdrant.writes() if "/points" in one.path or one.path.endswith("/index")]
    assert len(changes) > 8
    assert {one.query.get("wait") for one in changes} == {"true"}


async def test_a_search_is_one_request(qdrant: QdrantStandIn, connect: Connect) -> None:
    engine = connect(qdrant.url)
    await publish(engine, book())
    index = await engine.open("robots")
    qdrant.asked.clear()
    await candidates(index, vectors(book())[0], chapter=None, limit=3)
    assert [one.path for one in qdrant.asked] == ["/collections/robots/points/query/batch"]
    assert [one["using"] for one in qdrant.asked[0].body["searches"]] == ["dense", "bm25"]


async def test_no_request_has_more_than_256_points(qdrant: QdrantStandIn, connect: Connect) -> None:
    engine = connect(qdrant.url)
    passages = book(chapters=120)
    writer = await engine.write("robots", INFO)
    await writer.put(passages, vectors(passages))
    await writer.publish(INFO, [passage.id for passage in passages])
    await writer.close()
    await publish(engine, book(chapters=119))  # copies the others
    sizes = [len(one.body["points"]) for one in qdrant.asked if one.method == "PUT" and "/points" in one.path]
    assert sorted(sizes) == [83, 88, 256, 256, 256, 256]
    assert len(await (await engine.open("robots")).chapters()) == 119


async def test_an_unchanged_book_writes_nothing_but_the_lock(qdrant: QdrantStandIn, connect: Connect) -> None:
    engine = connect(qdrant.url)
    await publish(engine, book())
    qdrant.asked.clear()
    assert await publish(engine, book()) == 0
    assert {one.path for one in qdrant.writes()} == {"/collections/robots__lock"}


async def test_reading_needs_no_more_than_a_read_only_key(connect: Connect) -> None:
    with QdrantStandIn(keys={"writer": "write", "reader": "read"}) as qdrant:
        writer, reader = (connect(qdrant.url, api_key=key) for key in ("writer", "reader"))
        await publish(writer, book())
        await reader.verify_connection()
        assert await everything(reader) == book()
        index = await reader.open("robots")
        assert (await candidates(index, vectors(book())[0], chapter=None, limit=1)).dense[0][0] == book()[0]
        assert await reader.collections() == ["robots"]
        assert not [one for one in qdrant.writes() if one.key == "reader"]
        for refused in (reader.write("robots", INFO), reader.rollback("robots"), reader.delete("robots")):
            with pytest.raises(IndexForbidden, match=r"create the collection.+read-only key"):
                await refused
        with pytest.raises(IndexUnauthorized, match="QDRANT_API_KEY"):
            await connect(qdrant.url, api_key="old").verify_connection()
        with pytest.raises(IndexUnauthorized):
            await connect(qdrant.url).open("robots")


# Collections of others


def make_original(qdrant: QdrantStandIn) -> None:
    """The collection as the system before Preceptor made it."""
    qdrant.local.create_collection(
        "textbook_content", vectors_config=models.VectorParams(size=384, distance=models.Distance.COSINE)
    )
    qdrant.local.upsert(
        "textbook_content", [models.PointStruct(id=1, vector=[0.1] * 384, payload={"content": "ROS 2"})]
    )


async def test_the_original_collection_is_refused_and_left_as_it_is(
    qdrant: QdrantStandIn, connect: Connect
) -> None:
    make_original(qdrant)
    engine = connect(qdrant.url)
    for refused in (
        engine.open("textbook_content"),
        engine.write("textbook_content", INFO),
        engine.write("textbook_content", INFO, rebuild=True),
        engine.rollback("textbook_content"),
    ):
        with pytest.raises(IndexIncompatible) as caught:
            await refused
        assert "one unnamed vector (384, Cosine)" in str(caught.value)
        assert "PRECEPTOR_INDEX__COLLECTION=NAME preceptor index --source BOOK" in str(caught.value)
        assert "preceptor index --delete textbook_content" in str(caught.value)
    assert qdrant.local.count("textbook_content").count == 1
    assert [one.path for one in qdrant.writes()] == []


async def test_the_original_collection_is_deleted_when_that_is_asked_for(
    qdrant: QdrantStandIn, connect: Connect
) -> None:
    make_original(qdrant)
    engine = connect(qdrant.url)
    await engine.delete("textbook_content")
    await publish(engine, book(), collection="textbook_content")
    assert await engine.collections() == ["textbook_content"]


async def test_collections_and_aliases_of_others_are_neither_listed_nor_touched(
    qdrant: QdrantStandIn, connect: Connect
) -> None:
    make_original(qdrant)
    engine = connect(qdrant.url)
    await publish(engine, book())
    make = models.CreateAlias(collection_name="textbook_content", alias_name="live")
    qdrant.local.update_collection_aliases([models.CreateAliasOperation(create_alias=make)])
    assert await engine.collections() == ["robots"]
    for refused in (engine.open("live"), engine.write("live", INFO)):
        with pytest.raises(IndexIncompatible):
            await refused
    assert qdrant.local.collection_exists("live")


async def test_a_lock_that_another_program_made_is_not_taken_over(
    qdrant: QdrantStandIn, connect: Connect
) -> None:
    qdrant.local.create_collection("robots__lock", vectors_config={})
    with pytest.raises(IndexLocked, match="not Preceptor"):
        await connect(qdrant.url).write("robots", INFO)


# The lock


def lock_of(qdrant: QdrantStandIn, **holder: Any) -> dict[str, Any]:
    """Change the note of the lock; give it back as it was."""
    note = (qdrant.local.get_collection("robots__lock").config.metadata or {})["preceptor_lock"]
    changed = {"holder": {**note["holder"], **holder}, "renewed": holder.pop("renewed", note["renewed"])}
    changed["holder"].pop("renewed", None)
    qdrant.local.update_collection("robots__lock", metadata={"preceptor_lock": changed})
    return note


async def test_a_holder_on_another_host_is_believed_until_its_time_has_run_out(
    qdrant: QdrantStandIn, connect: Connect
) -> None:
    engine = connect(qdrant.url)
    lost = await engine.write("robots", INFO)
    await lost.put(book(), vectors(book()))
    lock_of(qdrant, host="elsewhere", pid=1, renewed=time.time() - 590)
    with pytest.raises(IndexLocked, match=r"process 1 on elsewhere since .+free in \d+ s"):
        await engine.write("robots", INFO)
    lock_of(qdrant, host="elsewhere", pid=1, renewed=time.time() - 610)
    assert await publish(engine, book()) == 0


async def test_a_writer_whose_lock_was_taken_over_publishes_nothing(
    qdrant: QdrantStandIn, connect: Connect
) -> None:
    engine = connect(qdrant.url)
    lost = await engine.write("robots", INFO)
    await lost.put(book(), vectors(book()))
    lock_of(qdrant, token="another")
    with pytest.raises(IndexLocked, match="process"):
        await lost.publish(INFO, [passage.id for passage in book()])
    await lost.close()
    assert qdrant.local.collection_exists("robots__lock"), "it removed the lock of another"
    with pytest.raises(IndexNotFound):
        await engine.open("robots")


# Tries and deadlines


def answer(status: int, **headers: str) -> Callable[[Request], Any]:
    """A scripted answer of the stand-in."""

    async def give(request: Request) -> Response:
        return JSONResponse({"status": {"error": "as scripted"}}, status, headers=headers)

    return give


async def test_what_may_pass_is_tried_three_times(
    qdrant: QdrantStandIn, no_waits: None, connect: Connect
) -> None:
    engine = connect(qdrant.url)
    for status in (429, 502, 503, 504):
        qdrant.script.extend([answer(status), answer(status)])
        await engine.verify_connection()
        qdrant.script.extend([answer(status)] * 4)
        with pytest.raises((IndexRateLimited, IndexAnswerInvalid), match=str(status)):
            await engine.verify_connection()
        assert len(qdrant.script) == 1
        qdrant.script.clear()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 500, 507])
async def test_what_will_not_pass_is_tried_once(qdrant: QdrantStandIn, status: int, connect: Connect) -> None:
    qdrant.script.append(answer(status))
    with pytest.raises(VectorIndexError):
        await connect(qdrant.url).verify_connection()
    assert len(qdrant.asked) == 1


async def test_the_wait_that_the_server_asks_for_is_kept(qdrant: QdrantStandIn, connect: Connect) -> None:
    qdrant.script.append(answer(429, **{"Retry-After": "1"}))
    started = time.monotonic()
    await connect(qdrant.url).verify_connection()
    assert time.monotonic() - started >= 1.0
    assert len(qdrant.asked) == 2


@pytest.mark.parametrize("seconds", [3, 7, 60])
@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_longer_than_a_reader_has_is_told_at_once(
    qdrant: QdrantStandIn, connect: Connect, status: int, seconds: int
) -> None:
    qdrant.script.append(answer(status, **{"Retry-After": str(seconds)}))
    with pytest.raises((IndexRateLimited, IndexAnswerInvalid)) as caught:
        await connect(qdrant.url).verify_connection()
    if isinstance(caught.value, IndexRateLimited):
        assert caught.value.retry_after == seconds
    assert len(qdrant.asked) == 1


async def test_the_deadline_of_a_request_is_one(qdrant: QdrantStandIn, connect: Connect) -> None:
    """Each piece of this answer is in time for the client, the whole is not."""

    async def trickle(request: Request) -> Response:
        async def drops() -> AsyncGenerator[bytes]:
            for _ in range(100):
                yield b" "
                await asyncio.sleep(0.05)
            yield b'{"result": {"collections": []}, "status": "ok", "time": 0}'

        return StreamingResponse(drops())

    qdrant.script.append(trickle)
    engine = connect(qdrant.url, timeout=0.3, attempts=1)
    with pytest.raises(IndexTimeout, match=r"within 0.3 s"):
        await engine.verify_connection()


async def test_requests_that_wait_for_a_connection_have_the_same_deadline(connect: Connect) -> None:
    """A listener that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        engine = connect(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.3, attempts=1)
        async with asyncio.timeout(60):  # for a test that hangs
            found = await asyncio.gather(
                *(engine.verify_connection() for _ in range(150)), return_exceptions=True
            )
        assert {type(one) for one in found} == {IndexTimeout}


async def test_a_write_that_was_done_though_its_answer_was_lost_is_not_done_twice(
    qdrant: QdrantStandIn, no_waits: None, connect: Connect
) -> None:
    """The lock and the first version are made, but the first try of each gets no answer."""
    engine = connect(qdrant.url)
    done = qdrant._answer  # pyright: ignore[reportPrivateUsage]
    lost = {"/collections/robots__lock", "/collections/robots__v0001"}

    async def lose(request: Request) -> Response:
        answered = await done(request)
        if request.method == "PUT" and request.url.path in lost:
            lost.remove(request.url.path)
            return Response("upstream gone", 502)
        qdrant.script.append(lose)
        return answered

    qdrant.script.append(lose)
    writer = await engine.write("robots", INFO)
    await writer.put(book(), vectors(book()))
    await writer.publish(INFO, [passage.id for passage in book()])
    await writer.close()
    assert await everything(engine) == book()


# What no engine gives

HTML = "<html><body><h1>Sign in to the hotel's network</h1></body></html>"
QDRANT_404 = {"status": {"error": "Not found: Collection `robots` doesn't exist!"}, "time": 0.0}
IN_A_DAY = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)


def refusal(message: str) -> httpx.Response:
    return httpx.Response(400, json={"status": {"error": message}, "time": 0.0})


@contextmanager
def answering(found: httpx.Response | Exception) -> Generator[respx.MockRouter]:
    """Every request is answered so."""
    with respx.mock(assert_all_called=False) as router:
        if isinstance(found, Exception):
            router.route().mock(side_effect=found)
        else:
            router.route().mock(return_value=found)
        yield router


@pytest.mark.parametrize(
    ("found", "error", "said"),
    [
        (
            httpx.Response(401, text="Must provide an API key or an Authorization bearer token"),
            IndexUnauthorized,
            "QDRANT_API_KEY",
        ),
        (httpx.Response(403, json={"status": {"error": "Forbidden"}}), IndexForbidden, "not search"),
        (httpx.Response(404, json=QDRANT_404), IndexNotFound, "`robots`.+preceptor index --source"),
        (httpx.Response(404, text=""), IndexSuspended, "resume it in the Qdrant Cloud console"),
        (httpx.Response(404, html=HTML), IndexSuspended, "QDRANT_CLUSTER_ENDPOINT"),
        (httpx.Response(429, headers={"Retry-After": "3600"}), IndexRateLimited, "in 3600 s"),
        (httpx.Response(429, headers={"Retry-After": "3600.5"}), IndexRateLimited, r"in 3600\.5 s"),
        (httpx.Response(429, headers={"Retry-After": IN_A_DAY}), IndexRateLimited, r"in 8[4-6]\d\d\d"),
        (httpx.Response(429, headers={"Retry-After": "soon"}), IndexRateLimited, "in a minute"),
        (httpx.Response(429), IndexRateLimited, "in a minute"),
        (
            httpx.Response(500, json={"status": {"error": "Service internal error: disk"}}),
            IndexAnswerInvalid,
            "disk",
        ),
        (httpx.Response(503, html=HTML), IndexAnswerInvalid, "503 Service Unavailable"),
        (
            httpx.Response(507, json={"status": {"error": "No space left"}}),
            IndexAnswerInvalid,
            "No space left",
        ),
        (httpx.Response(200, html=HTML), IndexAnswerInvalid, "a proxy's page"),
        (httpx.Response(200, json={"hello": 1}), IndexAnswerInvalid, "a proxy's page"),
        (httpx.Response(200, json=[1]), IndexAnswerInvalid, "a proxy's page"),
        (httpx.Response(204), IndexAnswerInvalid, "204"),
        (httpx.Response(302, headers={"Location": "https://login.example"}), IndexAnswerInvalid, "302"),
        (
            refusal(
                'Bad request: Index required but not found for "chapter" of one of the following types: …'
            ),
            IndexFieldNotIndexed,
            "no payload index on `chapter`.+--rebuild",
        ),
        (
            refusal("Wrong input: Vector dimension error: expected dim: 768, got 384"),
            IndexIncompatible,
            "dimension 768.+set to 384.+--rebuild",
        ),
        (
            refusal("Wrong input: Not existing vector name error: dense"),
            IndexIncompatible,
            "one named `dense`.+--rebuild",
        ),
        (refusal("Bad request: something new"), IndexAnswerInvalid, "400.+something new"),
        (httpx.ConnectError("[Errno -2] Name or service not known"), IndexUnreachable, "Name or service"),
        (httpx.ConnectError("All connection attempts failed"), IndexUnreachable, "attempts failed"),
        (
            httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"),
            IndexUnreachable,
            "certificate is not trusted",
        ),
        (httpx.ReadError(""), IndexUnreachable, "ReadError"),
        (httpx.ReadTimeout(""), IndexTimeout, "within 10 s"),
        (httpx.PoolTimeout(""), IndexTimeout, "within 10 s"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_each_way_to_go_wrong_has_a_name_and_says_what_to_do(
    published: QdrantStandIn,
    found: httpx.Response | Exception,
    error: type[VectorIndexError],
    said: str,
    no_waits: None,
    caplog: pytest.LogCaptureFixture,
    connect: Connect,
) -> None:
    caplog.set_level(logging.DEBUG)
    engine = connect(published.url, api_key=KEY)
    if not await engine.collections():
        await publish(engine, book())
    index = await engine.open("robots")
    with answering(found), pytest.raises(error, match=said) as caught:
        await candidates(index, vectors(book())[0], chapter="part-0/chapter-0", limit=3)
    assert type(caught.value) is error
    assert published.url in str(caught.value) or "`robots`" in str(caught.value)
    assert KEY not in str(caught.value) + caplog.text


@pytest.fixture(scope="module")
def published() -> Iterator[QdrantStandIn]:
    """A stand-in that wants a key, for the tests that only need an index to have been opened."""
    with QdrantStandIn(keys={KEY: "write"}) as standin:
        yield standin


async def test_https_to_a_port_that_speaks_http_is_told(
    qdrant: QdrantStandIn, no_waits: None, connect: Connect
) -> None:
    with pytest.raises(IndexUnreachable, match=r"perhaps it is an `http://` address"):
        await connect(qdrant.url.replace("http:", "https:")).verify_connection()


async def test_http_to_a_port_that_speaks_https_is_told(no_waits: None, connect: Connect) -> None:
    async def alert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(bytes([21, 3, 1, 0, 2, 2, 70]))  # TLS: fatal, protocol version
        writer.close()

    server = await asyncio.start_server(alert, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(IndexUnreachable, match=r"perhaps it is an `https://` address"):
        await connect(f"http://127.0.0.1:{port}").verify_connection()
    server.close()


async def test_nothing_at_the_address_is_told(no_waits: None, connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    with pytest.raises(IndexUnreachable, match=rf"{url} cannot be reached.+QDRANT_CLUSTER_ENDPOINT"):
        await connect(url).verify_connection()


async def test_a_run_whose_network_goes_away_says_why_and_can_be_taken_up(
    qdrant: QdrantStandIn, no_waits: None, connect: Connect
) -> None:
    engine = connect(qdrant.url)
    writer = await engine.write("robots", INFO)
    await writer.put(book()[:6], vectors(book()[:6]))
    with answering(httpx.ConnectError("Network is unreachable")):
        with pytest.raises(IndexUnreachable, match="Network is unreachable"):
            await writer.put(book()[6:], vectors(book()[6:]))
        await writer.close()  # cannot remove the lock, and does not hide the reason
    lock_of(qdrant, pid=2**22 + 1)  # as after the end of this process
    assert await publish(engine, book()) == len(book()) - 6
    assert await everything(engine) == book()


async def test_an_older_qdrant_without_metadata_is_told(qdrant: QdrantStandIn, connect: Connect) -> None:
    done = qdrant._answer  # pyright: ignore[reportPrivateUsage]

    async def forget(request: Request) -> Response:
        answered = await done(request)
        if request.method == "PUT" and request.url.path.endswith("__v0001"):
            qdrant.local.get_collection("robots__v0001")
            qdrant.local.update_collection("robots__v0001", metadata={"preceptor": None})
        qdrant.script.append(forget)
        return answered

    qdrant.script.append(forget)
    with pytest.raises(IndexAnswerInvalid, match="a newer Qdrant is needed"):
        await publish(connect(qdrant.url), book())


# What is logged, and what the settings choose


async def test_every_operation_is_logged_with_its_duration_and_never_with_the_key(
    caplog: pytest.LogCaptureFixture, connect: Connect
) -> None:
    caplog.set_level(logging.DEBUG)
    with QdrantStandIn(keys={KEY: "write"}) as qdrant:
        engine = connect(qdrant.url, api_key=KEY)
        await publish(engine, book())
        index = await engine.open("robots")
        await candidates(index, vectors(book())[0], chapter=None, limit=3)
        await engine.delete("robots")
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("preceptor")]
    for said in (
        r"create the collection robots__v0001: \d+ ms",
        r"write 7 passages into robots__v0001: \d+ ms",
        r"published robots: 15 passages",
        r"search robots: \d+ ms",
        r"delete robots__v0001: \d+ ms",
    ):
        assert any(re.match(said, one) for one in ours), said
    assert KEY not in caplog.text
    assert KEY not in repr(vars(engine))


async def test_a_key_on_the_open_road_is_warned_of(
    caplog: pytest.LogCaptureFixture, connect: Connect
) -> None:
    connect("http://cluster.example:6333", api_key=KEY)
    assert "unencrypted" in caplog.text
    assert KEY not in caplog.text


def test_the_settings_choose_the_engine(tmp_path: Any) -> None:
    cloud = open_engine(
        Settings(
            env="production",
            qdrant=QdrantSettings(endpoint="https://c.example:6333", api_key=SecretStr("k\n")),
        )
    )
    assert isinstance(cloud, QdrantCloud)
    assert cloud.where == "https://c.example:6333"
    embedded = open_engine(Settings(env="demo", index=IndexSettings(backend="embedded", path=tmp_path)))
    assert isinstance(embedded, Embedded)
    assert embedded.where == str(tmp_path)


def test_an_endpoint_that_is_no_address_is_told() -> None:
    with pytest.raises(IndexUnreachable, match="not an address"):
        QdrantCloud("https://cluster.example:99999")
