"""The manifests in `deploy/` are valid, and name settings, paths and metrics that there are."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from preceptor.server import create_app
from preceptor.settings import Settings, load_settings

DEPLOY = Path(__file__).parent.parent / "deploy"


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def kubernetes() -> dict[str, Any]:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    return {f"{one['kind']} {one['metadata']['name']}": one for one in documents}


@pytest.fixture(scope="module")
def container(kubernetes: dict[str, Any]) -> Any:
    return kubernetes["Deployment preceptor"]["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(
    "command",
    [
        ["check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")],
        ["kubernetes_validate", "--strict", str(DEPLOY / "kubernetes.yaml")],
    ],
    ids=["compose", "kubernetes"],
)
def test_a_manifest_is_valid(command: list[str]) -> None:
    found = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("kind", ["compose", "kubernetes"])
def test_the_settings_of_the_replicas_are_settings(
    kind: str, compose: Any, kubernetes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = (
        compose["services"]["preceptor"]["environment"]
        if kind == "compose"
        else kubernetes["ConfigMap preceptor"]["data"]
    )
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = load_settings("demo")
    assert settings.server.trusted_proxies
    assert settings.session.url.get_secret_value().startswith("redis://")
    assert settings.limits.storage.get_secret_value().startswith("redis://")


def test_the_probes_ask_paths_that_there_are(container: Any) -> None:
    paths = {getattr(route, "path", "") for route in create_app(Settings(env="demo")).routes}
    asked = {
        container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert asked <= paths


def test_a_replica_has_the_time_to_drain(compose: Any, kubernetes: dict[str, Any], container: Any) -> None:
    drains = Settings(env="demo").server.drain_seconds + 7
    waited = int(container["lifecycle"]["preStop"]["exec"]["command"][-1])
    pod = kubernetes["Deployment preceptor"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= drains + waited
    assert int(compose["services"]["preceptor"]["stop_grace_period"].removesuffix("s")) >= drains


def test_replicas_are_added_by_a_metric_that_there_is(kubernetes: dict[str, Any]) -> None:
    (metric,) = kubernetes["HorizontalPodAutoscaler preceptor"]["spec"]["metrics"]
    source = (DEPLOY.parent / "preceptor/server/metrics.py").read_text()
    assert f'"{metric["pods"]["metric"]["name"]}"' in source
