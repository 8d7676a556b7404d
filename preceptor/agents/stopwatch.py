"""Measures the times of a run: until the first token, and of each phase."""

import time

from preceptor.agents.answer import Event, Status, Timings, Token


class Stopwatch:
    """Starts when constructed."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self._first_token: float | None = None
        self._phases: dict[str, float] = {}
        self._phase = "starting"
        self._since = self.began

    def note(self, event: Event) -> None:
        """Register the next event for the reader."""
        if isinstance(event, Token):
            if self._first_token is None:
                self._first_token = time.perf_counter() - self.began
        elif isinstance(event, Status):
            self._turn_to(event.phase)

    def stop(self) -> tuple[float, Timings]:
        """Returns the total time and the duration of each phase, in seconds."""
        self._turn_to("")
        return self._since - self.began, Timings(self._first_token, self._phases)

    def _turn_to(self, phase: str) -> None:
        now = time.perf_counter()
        self._phases[self._phase] = self._phases.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now
