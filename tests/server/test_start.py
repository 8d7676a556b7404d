"""The start of a service: what is not switched on is not imported."""

import re
from pathlib import Path

from tests.server.serving import serving
from tests.standins.provider import Provider, says

_UNUSED = {
    "fastembed", "httpx", "huggingface_hub", "loguru", "matplotlib", "mcp.client", "mcp.server", "opentelemetry.sdk",
    "PIL", "preceptor.indexing", "preceptor.library.cloud", "preceptor.server.mcp", "pydantic_evals", "qdrant_client",
    "ray", "redis", "requests", "rich", "sqlalchemy", "tree_sitter",
}  # fmt: skip
"""Packages and modules that serving a book of the embedded engine with a provider takes nothing of."""
_imported = re.compile(r"import time: .*\| +([\w.]+)").match


def test_what_no_question_needs_is_not_imported(sample_index: Path, folder: Path) -> None:
    with (
        Provider() as provider,
        serving(sample_index, folder, provider=provider, PYTHONPROFILEIMPORTTIME="1") as service,
    ):
        provider.will(says("A node is a process that computes."))
        assert service.ask().status_code == 200
        service.stop()
        service.ended()
    names = [found[1].split(".") for line in service.log if (found := _imported(line))]
    imported = {".".join(name[:depth]) for name in names for depth in range(1, len(name) + 1)}
    assert {"agents", "onnxruntime", "preceptor.server.app"} <= imported
    assert _UNUSED & imported == set()
