"""Who may ask, who may look, and what a browser is told."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient
from starlette.testclient import TestClient

from preceptor.errors import SettingsError
from preceptor.settings import Settings, load_settings
from tests.sample import sample_settings
from tests.server.inside import HERE, asking

READER, OTHER_READER, OPERATOR = (
    "reader-key-of-16-or-more",
    "another-reader-key-here",
    "operator-key-of-16-or-more",
)
ELSEWHERE = ("203.0.113.9", 50_000)


def settings_with(index: Path, folder: Path, **server: Any) -> Settings:
    return sample_settings(index, folder, server=server)


async def status(client: AsyncClient, path: str, headers: Mapping[str, str] | None = None) -> int:
    return (await client.get(path, headers=headers)).status_code


async def test_readers_need_one_of_the_keys_where_there_are_any(sample_index: Path, tmp_path: Path) -> None:
    settings = settings_with(sample_index, tmp_path, reader_keys=[READER, OTHER_READER])
    async with asking(settings, client=ELSEWHERE) as client:
        refused = await client.get("/api/v1/chapters")
        assert refused.status_code == 401
        assert refused.json()["code"] == "AUTHENTICATION_ERROR"
        assert refused.headers["www-authenticate"] == "Bearer"
        assert await status(client, "/api/v1/chapters", {"Authorization": f"Bearer {READER}"}) == 200
        assert await status(client, "/api/v1/chapters", {"X-API-Key": OTHER_READER}) == 200
        assert await status(client, "/api/v1/chapters", {"X-API-Key": READER[:-1]}) == 401
        assert await status(client, "/api/v1/chapters", {"Authorization": f"Basic {READER}"}) == 401
        chat = await client.post("/api/v1/chat", json={"content": "What is ROS 2?"})
        assert chat.status_code == 401


async def test_health_and_the_page_need_no_key(sample_index: Path, tmp_path: Path) -> None:
    async with asking(settings_with(sample_index, tmp_path, reader_keys=[READER])) as client:
        for path in ("/", "/static/chat.js", "/widget.js", "/livez", "/api/v1/health"):
            assert await status(client, path) == 200, path


async def test_where_readers_need_a_key_no_page_shows_the_book_without_one(
    sample_index: Path, tmp_path: Path
) -> None:
    async with asking(settings_with(sample_index, tmp_path)) as client:
        assert await status(client, "/docs/ros2/") == 200
    async with asking(settings_with(sample_index, tmp_path, reader_keys=[READER])) as client:
        assert await status(client, "/docs/ros2/") == 404
        assert await status(client, "/docs/ros2/", {"Authorization": f"Bearer {READER}"}) == 404


async def test_the_operators_pages_need_the_operators_key(sample_index: Path, tmp_path: Path) -> None:
    settings = settings_with(sample_index, tmp_path, operator_key=OPERATOR, reader_keys=[READER])
    async with asking(settings) as client:
        for path in ("/metrics", "/api/v1/metrics"):
            assert await status(client, path) == 401
            assert await status(client, path, {"Authorization": f"Bearer {READER}"}) == 401
            assert await status(client, path, {"Authorization": f"Bearer {OPERATOR}"}) == 200


@pytest.mark.parametrize(
    ("client", "host", "headers", "expected"),
    [
        pytest.param(HERE, "127.0.0.1:8000", {}, 200, id="from this machine"),
        pytest.param(("::1", 1), "localhost:8000", {}, 200, id="from this machine by its name"),
        pytest.param(("::1", 1), "[::1]:8000", {}, 200, id="from this machine by IPv6"),
        pytest.param(ELSEWHERE, "127.0.0.1:8000", {}, 403, id="from elsewhere"),
        pytest.param(ELSEWHERE, "127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 403, id="pretending"),
        pytest.param(HERE, "127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, 403, id="through a proxy"),
        pytest.param(HERE, "127.0.0.1", {"Via": "1.1 proxy"}, 403, id="through another proxy"),
        pytest.param(HERE, "rebound.example", {}, 403, id="from a page with a name of its own"),
        pytest.param(HERE, "127.0.0.1", {"Host": "["}, 403, id="by a name that is none"),
    ],
)
async def test_without_a_key_the_operators_pages_answer_only_this_machine(
    sample_index: Path,
    tmp_path: Path,
    client: tuple[str, int],
    host: str,
    headers: Mapping[str, str],
    expected: int,
) -> None:
    async with asking(settings_with(sample_index, tmp_path), client=client, host=host) as opened:
        response = await opened.get("/metrics", headers=headers)
    assert response.status_code == expected
    if expected == 403:
        assert response.json()["code"] == "FORBIDDEN"


async def test_a_client_behind_a_trusted_proxy_is_counted_by_its_own_address(
    sample_index: Path, tmp_path: Path
) -> None:
    tables: dict[str, dict[str, Any]] = {
        "server": {"trusted_proxies": ["10.0.0.0/8"]},
        "limits": {"rate": "1/minute"},
    }
    async with asking(sample_settings(sample_index, tmp_path, **tables), client=("10.1.2.3", 1)) as client:
        seen = [
            await status(client, "/api/v1/chapters", {"X-Forwarded-For": address})
            # The left part is what the client says of itself; the proxy adds the right one.
            for address in ("203.0.113.1", "203.0.113.2", "203.0.113.1", "6.6.6.6, 203.0.113.2")
        ]
    assert seen == [200, 200, 429, 429]


async def test_what_an_unknown_proxy_says_is_not_believed(sample_index: Path, tmp_path: Path) -> None:
    settings = sample_settings(sample_index, tmp_path, limits={"rate": "1/minute"})
    async with asking(settings, client=ELSEWHERE) as client:
        seen = [
            await status(client, "/api/v1/chapters", {"X-Forwarded-For": address})
            for address in ("203.0.113.1", "203.0.113.2")
        ]
    assert seen == [200, 429]


def test_every_response_tells_browsers_to_be_careful(client: TestClient) -> None:
    for response in (client.get("/livez"), client.get("/nowhere"), client.get("/api/v1/chapters")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "referrer-policy" in response.headers


async def test_pages_of_named_origins_may_ask_and_read_errors(sample_index: Path, tmp_path: Path) -> None:
    settings = settings_with(sample_index, tmp_path, cors_origins=["https://book.example"])
    async with asking(settings) as client:
        named = {"Origin": "https://book.example"}
        asked = await client.options(
            "/api/v1/chat",
            headers={
                **named,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "X-API-Key",
            },
        )
        assert asked.headers["access-control-allow-origin"] == "https://book.example"
        assert "access-control-allow-credentials" not in asked.headers
        refused = await client.post("/api/v1/chat", content=b"x" * 70_000, headers=named)
        assert refused.status_code == 413
        assert refused.headers["access-control-allow-origin"] == "https://book.example"
        other = await client.get("/api/v1/chapters", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    "wanted",
    [
        "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-retry-count",
        "content-type,x-requested-with",
        "cache-control,content-type,x-api-key,x-session-id",
    ],
)
async def test_clients_in_a_browser_may_send_their_own_headers_and_read_the_session(
    sample_index: Path, tmp_path: Path, wanted: str
) -> None:
    settings = settings_with(sample_index, tmp_path, cors_origins=["https://book.example"])
    async with asking(settings) as client:
        origin = {"Origin": "https://book.example"}
        asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
        asked = await client.options("/v1/chat/completions", headers={**origin, **asks})
        assert asked.status_code == 200
        assert set(wanted.split(",")) <= set(
            re.split(r",\s*", asked.headers["access-control-allow-headers"].lower())
        )
        evil = await client.options(
            "/v1/chat/completions", headers={"Origin": "https://evil.example", **asks}
        )
        assert "access-control-allow-origin" not in evil.headers
        body = {"messages": [{"role": "user", "content": "What is a node?"}]}
        answer = await client.post("/v1/chat/completions", json=body, headers=origin)
    assert answer.headers["x-session-id"]
    assert "X-Session-Id" in answer.headers["access-control-expose-headers"]


async def test_what_everybody_may_read_is_never_offered_with_cookies(
    sample_index: Path, tmp_path: Path
) -> None:
    settings = settings_with(
        sample_index, tmp_path, cors_origins=["https://book.example"], cors_credentials=True
    )
    async with asking(settings) as client:
        anybody = await client.get("/static/widget.js", headers={"Origin": "https://evil.example"})
        named = await client.get("/static/widget.js", headers={"Origin": "https://book.example"})
    assert anybody.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in anybody.headers
    assert named.headers["access-control-allow-origin"] == "https://book.example"
    assert named.headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ({"cors_origins": ["*"], "cors_credentials": True}, "name the origins"),
        ({"cors_origins": ["https://book.example/"]}, "scheme, host and port alone"),
        ({"cors_origins": ["book.example"]}, "scheme, host and port alone"),
        ({"trusted_proxies": ["*"]}, "an address or a network"),
        ({"operator_key": "short"}, "at least 16"),
        ({"reader_keys": ["short"]}, "at least 16"),
    ],
)
def test_what_would_open_the_service_to_everybody_is_refused_at_the_start(
    server: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        load_settings("demo", overrides={"server": server}, folder=tmp_path)
    assert "short" not in str(refused.value)


def test_keys_stand_in_no_output_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PRECEPTOR_SERVER__READER_KEYS", f'["{READER}"]')
    monkeypatch.setitem(os.environ, "PRECEPTOR_SERVER__OPERATOR_KEY", OPERATOR)
    monkeypatch.setitem(os.environ, "PRECEPTOR_LIMITS__STORAGE", "redis://:pass-of-redis@127.0.0.1/0")
    monkeypatch.setitem(os.environ, "PRECEPTOR_SESSION__URL", "redis://:pass%2Dof%2Dsessions@127.0.0.1/1")
    settings = load_settings("demo", folder=tmp_path)
    shown = f"{settings!r} {settings} {settings.model_dump_json()}"
    hidden = {READER, OPERATOR, "pass-of-redis", "pass%2Dof%2Dsessions"}
    assert [value for value in hidden if value in shown] == []
    assert {*hidden, "pass-of-sessions"} <= set(settings.secrets())
