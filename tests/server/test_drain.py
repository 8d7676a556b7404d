"""The service stops: running answers end, new questions are refused, nothing is left behind."""

import signal
import threading
from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest

from tests.server.serving import Service, hanging, held, serving, streaming
from tests.standins.provider import Provider, says


@pytest.fixture
def gemini() -> Generator[Provider]:
    with Provider() as provider:
        yield provider


def until_unhealthy(service: Service) -> httpx2.Response:
    """Ask for the service's health until it says that it is being stopped."""
    return service.until(lambda page: page.status_code == 503, "/api/v1/health")


def test_a_running_answer_ends_while_new_questions_are_refused(
    sample_index: Path, tmp_path: Path, gemini: Provider
) -> None:
    go_on = threading.Event()
    gemini.will(held("A node is a process.", go_on))
    with serving(sample_index, tmp_path, provider=gemini) as service:
        with streaming(service) as (_, events):
            assert next(data for name, data in events if name == "token")["content"] == "A node is a process."
            service.stop()
            assert "stopped" in until_unhealthy(service).json()["checks"]["server"]["detail"]
            refused = service.ask()
            go_on.set()
            name, data = list(events)[-1]
        code = service.ended()
    assert (refused.status_code, refused.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert int(refused.headers["retry-after"]) > 0
    assert name == "done"
    assert data["answer"] == "A node is a process. And more."
    assert code == -signal.SIGTERM
    assert service.wrong() == []


def test_an_answer_that_takes_too_long_ends_with_an_error(
    sample_index: Path, tmp_path: Path, gemini: Provider
) -> None:
    gemini.will(hanging("A node is"))
    with serving(sample_index, tmp_path, provider=gemini, PRECEPTOR_SERVER__DRAIN_SECONDS="0.2") as service:
        with streaming(service) as (_, events):
            assert next(data for name, data in events if name == "token")["content"] == "A node is"
            service.stop()
            name, data = list(events)[-1]
        assert service.ended() == -signal.SIGTERM
    assert (name, data["code"]) == ("error", "SERVICE_UNAVAILABLE")
    assert gemini.hung_up.wait(15)
    assert service.wrong() == []


def test_a_second_signal_cuts_the_answers(sample_index: Path, tmp_path: Path, gemini: Provider) -> None:
    gemini.will(hanging("A node is"))
    with serving(sample_index, tmp_path, provider=gemini) as service:
        with streaming(service) as (_, events):
            assert next(data for name, data in events if name == "token")
            service.stop()
            until_unhealthy(service)
            service.stop()
            name, data = list(events)[-1]
        assert service.ended() == -signal.SIGTERM
    assert (name, data["code"]) == ("error", "SERVICE_UNAVAILABLE")
    assert service.wrong() == []


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_processes_at_once_lets_the_answers_end(
    sample_index: Path, tmp_path: Path, gemini: Provider, number: signal.Signals
) -> None:
    """Ctrl-C and systemd tell the supervisor and its workers; the supervisor then tells the workers once more."""
    go_on = threading.Event()
    gemini.will(held("A node is a process.", go_on))
    with serving(sample_index, tmp_path, provider=gemini, workers=2) as service:
        with streaming(service) as (_, events):
            assert next(data for name, data in events if name == "token")
            service.stop_all(number)
            service.logged("Waiting for child process")  # when each has been told once more
            go_on.set()
            name, data = list(events)[-1]
        service.ended()
    assert (name, data.get("answer")) == ("done", "A node is a process. And more.")
    assert service.wrong() == []


def test_several_processes_serve_one_index_and_stop_together(
    sample_index: Path, tmp_path: Path, gemini: Provider
) -> None:
    gemini.will(*[says("A node is a process.")] * 8)
    with serving(sample_index, tmp_path, provider=gemini, workers=2) as service:
        answers = [service.ask().json()["answer"] for _ in range(8)]
        service.stop()
        service.ended()
    assert answers == ["A node is a process."] * 8
    assert service.wrong() == []
    assert len([line for line in service.log if "Finished server process" in line]) == 2


def test_a_service_that_cannot_start_says_why_without_a_traceback(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match=r"No collection `demo`.*preceptor index") as refused,
        serving(tmp_path, tmp_path),
    ):
        pass
    assert "Traceback" not in str(refused.value)
