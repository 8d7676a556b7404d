"""Further paths, for front ends that exist."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from preceptor.errors import SettingsError
from preceptor.server import create_app
from preceptor.settings import load_settings
from tests.sample import sample_settings
from tests.server.reading import error_of

ALIASES = {
    "/api/chat": "/api/v1/chat",
    "/chat": "/api/v1/chat",
    "/api/Ask": "/api/v1/chat",
    "/health": "/api/v1/health",
}
QUESTION = {"question": "What is ROS 2?"}


def test_an_alias_is_the_path_that_it_means(sample_index: Path, tmp_path: Path) -> None:
    settings = sample_settings(sample_index, tmp_path, server={"aliases": ALIASES, "max_body": 2000})
    with TestClient(create_app(settings)) as client:
        for path in ("/api/chat", "/chat", "/api/ask", "/api/Ask"):
            assert client.post(path, json=QUESTION).json()["sources"]
        assert client.get("/health").json()["status"] == "healthy"
        error_of(client.get("/chat"), 405, "METHOD_NOT_ALLOWED")
        error_of(client.post("/chat", json={"question": "x" * 3000}), 413, "BODY_TOO_LARGE")
        assert client.post("/api/v1/chat", json=QUESTION).status_code == 200


def test_none_is_on_by_default(client: TestClient) -> None:
    for path in ALIASES:
        error_of(client.post(path, json=QUESTION), 404, "NOT_FOUND")


def test_an_alias_is_limited_and_closed_like_the_path_that_it_means(
    sample_index: Path, tmp_path: Path
) -> None:
    tables: dict[str, dict[str, Any]] = {
        "server": {"aliases": ALIASES, "reader_keys": ("a-reader-key-of-length",)},
        "limits": {"rate": "1/minute"},
    }
    with TestClient(create_app(sample_settings(sample_index, tmp_path, **tables))) as client:
        error_of(client.post("/chat", json=QUESTION), 401, "AUTHENTICATION_ERROR")
        key = {"Authorization": "Bearer a-reader-key-of-length"}
        assert client.post("/chat", json=QUESTION, headers=key).status_code == 200
        error_of(client.post("/chat", json=QUESTION, headers=key), 429, "RATE_LIMIT_EXCEEDED")


def test_aliases_are_read_from_a_file_and_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.toml").write_text('[default.server.aliases]\n"/api/ask.json" = "/api/v1/chat"\n')
    assert load_settings("demo", folder=tmp_path).server.aliases == {"/api/ask.json": "/api/v1/chat"}
    monkeypatch.setenv("PRECEPTOR_SERVER__ALIASES", '{"/chat" = "/api/v1/chat"}')
    assert load_settings("demo", folder=tmp_path).server.aliases["/chat"] == "/api/v1/chat"


@pytest.mark.parametrize("aliases", [{"chat": "/api/v1/chat"}, {"/chat": "api/v1/chat"}])
def test_an_alias_that_is_no_path_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aliases: dict[str, str]
) -> None:
    [(alias, path)] = aliases.items()
    (tmp_path / "settings.toml").write_text(f'[default.server.aliases]\n"{alias}" = "{path}"\n')
    with pytest.raises(SettingsError, match=r"server\.aliases"):
        load_settings("demo", folder=tmp_path)
