"""The log: one line for each request, that says nothing of the reader, and errors that can be found."""

import json
import logging
import logging.config
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.routing import Route

from preceptor.server import create_app
from preceptor.server.log import JsonLines, PlainLines, log_config
from preceptor.settings import ServerSettings
from tests.sample import sample_settings
from tests.server.inside import asking

SECRET = "seen-nowhere"


def record(message: str, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("preceptor.request", logging.INFO, "", 0, message, None, None)
    made.fields = fields
    return made


def test_plain_lines_show_fields_as_key_and_value() -> None:
    line = PlainLines().format(record("request", method="GET", status=200))
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO preceptor\.request request method=GET status=200", line
    )


def test_json_lines_hold_each_field() -> None:
    line = json.loads(JsonLines().format(record("request", method="GET", status=200)))
    assert line["message"] == "request"
    assert (line["method"], line["status"], line["level"]) == ("GET", 200, "INFO")


@pytest.mark.parametrize("kind", [PlainLines, JsonLines])
def test_no_secret_stands_in_a_line_or_in_a_traceback(kind: type[PlainLines] | type[JsonLines]) -> None:
    made = record(f"refused {SECRET}")
    try:
        raise ValueError(f"with {SECRET}")
    except ValueError as error:
        made.exc_info = (type(error), error, error.__traceback__)
    line = kind(secret_values=[SECRET]).format(made)
    assert "ValueError" in line
    assert SECRET not in line


@pytest.mark.parametrize("form", ["plain", "json"])
def test_the_configuration_is_one_that_logging_takes(form: str) -> None:
    config = log_config(ServerSettings.model_validate({"log_format": form}), [SECRET])
    assert logging.config.DictConfigurator(config).configure_formatter(config["formatters"]["lines"])


async def test_a_request_is_one_line_with_its_trace_and_without_what_was_asked(
    sample_index: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = sample_settings(sample_index, tmp_path)
    async with asking(settings, client=("203.0.113.9", 1)) as client:
        answered = (await client.post("/api/v1/chat", json={"content": "What is a flibbertigibbet?"})).json()
        async with client.stream(
            "POST", "/api/v1/chat", json={"content": "What is a flibbertigibbet?", "stream": True}
        ) as response:
            await response.aread()
    lines = [entry.__dict__["fields"] for entry in caplog.records if entry.name == "preceptor.request"]
    assert len(lines) == 2
    assert lines[0]["trace"] == answered["trace_id"]
    assert lines[1]["trace"].startswith("trace_")
    assert all(line["method"] == "POST" and line["route"] == "/api/v1/chat" for line in lines)
    assert all(line["status"] == 200 and line["ms"] > 0 for line in lines)
    assert lines[0]["client"] == lines[1]["client"]
    assert "flibbertigibbet" not in caplog.text
    assert "203.0.113" not in caplog.text


async def test_an_unexpected_error_has_a_number_that_finds_it_in_the_log(
    sample_index: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: Request) -> None:
        raise RuntimeError("/etc/a/path and a key")

    settings = sample_settings(sample_index, tmp_path, server={"cors_origins": ["https://book.example"]})
    app = create_app(settings)
    app.router.routes.append(Route("/broken", broken))
    async with asking(app) as client:
        response = await client.get("/broken", headers={"Origin": "https://book.example"})
    told = response.json()
    assert response.status_code == 500
    assert told["code"] == "INTERNAL_ERROR"
    assert told["error_id"] in told["error"]
    assert "path" not in response.text
    assert response.headers["access-control-allow-origin"] == "https://book.example"
    found = [entry for entry in caplog.records if told["error_id"] in entry.getMessage()]
    assert len(found) == 1
    assert found[0].exc_info is not None
    assert sum(entry.exc_info is not None for entry in caplog.records) == 1
