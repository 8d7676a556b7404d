"""Runs at a real OTLP receiver: HTTP on loopback, read by OpenTelemetry's own protobuf messages."""

import gzip
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from agents import flush_traces

from preceptor.errors import ExtraMissing
from preceptor.settings import TracesSettings
from preceptor.tracing.processor import install
from tests.tracing.sdk_run import PASSAGE, QUESTION, Ask, Install

KEY = "hunter2-of-the-provider"


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes what a collector takes."""

    bodies: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Be quiet."""


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[bytes]]]:
    """The receiver's address, and the bodies that it got."""
    handler = type("Handler", (Receiver,), {"bodies": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", handler.bodies
        server.shutdown()
        serving.join()


def spans_of(bodies: list[bytes]) -> list[Any]:
    pytest.importorskip("openinference.instrumentation.openai_agents", reason="needs `preceptor[otlp]`")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    requests: Any = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    return [
        span for one in requests for resource in one.resource_spans for scope in resource.scope_spans
        for span in scope.spans
    ]  # fmt: skip


@pytest.mark.parametrize("include_text", [True, False])
async def test_a_collector_gets_each_run_without_secrets(
    traces: Install, ask: Ask, receiver: tuple[str, list[bytes]], include_text: bool
) -> None:
    address, bodies = receiver
    spans_of([])
    store = traces((KEY,), otlp=address, include_text=include_text)

    await ask(f"{QUESTION} My key is {KEY}.", passage=f"{PASSAGE} {KEY}", trace_id="trace_" + "a" * 32)
    with pytest.raises(Exception, match="hunter2"):
        await ask(broken=RuntimeError(f"refused {KEY}"))
    flush_traces()

    spans = spans_of(bodies)
    assert len({span.trace_id for span in spans}) == 2
    assert {"search_textbook", "Gemini tutor", "Triage"} <= {span.name for span in spans}
    assert any(span.parent_span_id for span in spans)
    everything = b"".join(bodies)
    assert KEY.encode() not in everything
    assert (PASSAGE.encode() in everything) is include_text
    assert (QUESTION.encode() in everything) is include_text
    assert b"gemini-2.5-flash" in everything
    assert len(store.runs()) == 2


async def test_a_collector_that_is_not_there_costs_no_answer(traces: Install, ask: Ask) -> None:
    spans_of([])
    store = traces(otlp="http://127.0.0.1:9/v1/traces")

    assert (await ask()).final_output
    store.flush()
    assert len(store.runs()) == 1


def test_without_the_extra_the_start_says_what_to_install(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "preceptor.tracing.otlp", None)
    settings = TracesSettings(path=tmp_path / "traces.db", otlp="http://127.0.0.1:4318/v1/traces")
    with pytest.raises(ExtraMissing, match=r"preceptor\[otlp\]"):
        install(settings)


def test_opentelemetry_is_not_imported_unless_it_is_switched_on(tmp_path: Any) -> None:
    code = (
        "import sys; from pathlib import Path; from preceptor.settings import TracesSettings; "
        "from preceptor.tracing.processor import install; install(TracesSettings(path=Path(sys.argv[1]))); "
        "sys.exit(any(name.startswith(('opentelemetry.sdk', 'openinference')) for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "traces.db")], check=True)
