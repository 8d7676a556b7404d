"""The OpenAPI document: it is the service's own, it is committed, and the service keeps to it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.routing import BaseRoute, Route
from starlette.testclient import TestClient

from preceptor.server import create_app, openapi
from preceptor.server.openapi import document
from preceptor.settings import ServerSettings, Settings
from tests.server.loopback import served
from tests.server.reading import Json

ROOT = Path(__file__).parent.parent.parent
COMMITTED = ROOT / "docs/openapi.json"


@pytest.fixture(scope="module")
def described() -> Json:
    return document(create_app(Settings(env="demo")).routes)


def test_the_committed_document_is_that_of_the_service(described: Json) -> None:
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == described, "run `make openapi`"


def test_a_body_has_one_name_and_one_shape_in_the_document(described: Json) -> None:
    assert [name for name in described["components"]["schemas"] if not re.fullmatch("[A-Za-z]+", name)] == []


def test_every_link_of_the_document_names_an_operation(described: Json) -> None:
    operations = [said for methods in described["paths"].values() for said in methods.values()]
    linked = {
        link["operationId"]
        for said in operations
        for answer in said["responses"].values()
        for link in answer.get("links", {}).values()
    }
    names = [said["operationId"] for said in operations]
    assert linked <= set(names)
    assert len(set(names)) == len(names)


def test_the_service_gives_the_same_document(client: TestClient, described: Json) -> None:
    assert client.get("/openapi.json").json() == described


def test_every_endpoint_of_the_contract_is_described(described: Json) -> None:
    routes = [route for route in create_app(Settings(env="demo")).routes if isinstance(route, Route)]
    served = {
        (re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path), method.lower())
        for route in routes
        if route.path.startswith(("/api/", "/v1/"))
        for method in (route.methods or set()) - {"HEAD"}
    }
    told = {(path, method) for path, methods in described["paths"].items() for method in methods}
    assert served - told == set()


def test_the_document_tells_how_to_probe_the_providers(described: Json) -> None:
    [probe] = described["paths"]["/api/v1/health"]["get"]["parameters"]
    assert (probe["name"], probe["in"], probe["required"]) == ("probe", "query", False)


def test_where_readers_need_a_key_the_document_says_so() -> None:
    told = document(create_app(Settings(env="demo")).routes, keys=True)
    chat = told["paths"]["/api/v1/chat"]["post"]
    assert chat["security"] == [{"key": []}]
    assert "401" in chat["responses"]
    assert "security" not in told["paths"]["/api/v1/health"]["get"]


# The page for people


def test_the_page_shows_every_operation_and_every_body_and_every_link_leads_somewhere(
    client: TestClient,
) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    told = client.get("/openapi.json").json()
    for path, methods in told["paths"].items():
        for method in methods:
            assert f'<span class="method">{method}</span>{path}</code></h2>' in page.text
    for name in told["components"]["schemas"]:
        assert f'id="{name}"' in page.text
    targets = set(re.findall(r'href="#([^"]+)"', page.text))
    assert targets <= set(re.findall(r'id="([^"]+)"', page.text))
    assert re.findall(r"\bhref=\"(?!#)[^\"]*", page.text) == ['href="openapi.json']


def test_the_page_needs_no_script_and_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "<script" not in page.text
    assert " style=" not in page.text
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page.text)


def test_every_operation_with_a_body_has_an_example_beside_it(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    bodies = {
        said["operationId"]: said["requestBody"]["content"]["application/json"]
        for methods in paths.values()
        for said in methods.values()
        if "requestBody" in said
    }
    assert len(bodies) >= 4
    assert [name for name, body in bodies.items() if not body.get("example")] == []


def test_every_example_of_the_page_works(client: TestClient) -> None:
    page = client.get("/docs").text
    examples = re.findall(
        r"<pre>curl http://testserver(\S+) \\\n.*?-d &#x27;(.*?)&#x27;</pre>", page, re.DOTALL
    )
    assert len(examples) >= 4
    answer = client.post("/api/v1/chat", json={"content": "What is ROS 2?"}).json()
    for path, body in examples:
        sent = json.loads(body.replace("&quot;", '"').replace("…", answer["response_id"]))
        assert client.post(path, json=sent).status_code in (200, 204), path


def test_the_document_and_the_page_are_made_once(
    demo_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bool] = []

    def noted(routes: Iterable[BaseRoute], *, keys: bool) -> Json:
        made.append(keys)
        return document(routes, keys=keys)

    monkeypatch.setattr(openapi, "document", noted)
    settings = demo_settings.model_copy(update={"server": ServerSettings(reader_keys=(SecretStr("k" * 16),))})
    with TestClient(create_app(settings)) as client:
        pages = {host: client.get("/docs", headers={"Host": host}).text for host in ("one", "two", "one")}
        documents = [client.get("/openapi.json").json() for _ in range(3)]
    assert made == [True]
    assert documents == [document(create_app(settings).routes, keys=True)] * 3
    assert "curl http://one/api/v1/chat" in pages["one"]
    assert "curl http://two/api/v1/chat" in pages["two"]
    assert pages["one"].replace("http://one", "http://two") == pages["two"]


# The service keeps to it


@pytest.mark.long
def test_the_service_keeps_to_its_document(demo_settings: Settings, tmp_path: Path) -> None:
    """Schemathesis sends what the document allows and what it does not, and follows its links."""
    with served(demo_settings) as url:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"]
        options = ["--max-examples=10", "--seed=1", "--no-color", "--request-timeout=300"]
        found = subprocess.run(
            [*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    assert found.returncode == 0, found.stdout
    generated = re.search(r"(\d+) generated, (\d+) passed", found.stdout)
    assert generated, found.stdout
    assert int(generated[1]) == int(generated[2]) > 300
