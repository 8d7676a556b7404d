"""The circuit breaker of one provider: after repeated failures it is left alone, then probed once.

    closed ──failures in a row──▶ open ──cool-down over──▶ half_open ──probe answered──▶ closed
                                   ▲                          │
                                   └──────probe failed────────┘

Only failures that speak of the provider's health count. A key or a model name that is wrong does not get
better within a cool-down: it opens the breaker at once and for longer. A rate limit with a Retry-After opens
it for that long. A question that a filter refused, or a bad answer to it, says nothing about the next one.
"""

import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Literal

from preceptor.errors import AnswerUnusable
from preceptor.providers.failure import Failure, FailureClass, classify

logger = logging.getLogger(__name__)

BreakerState = Literal["closed", "open", "half_open"]

# What speaks of the provider, and not of this question or of this answer to it.
_ILL: frozenset[FailureClass] = frozenset(
    {
        "rate_limited",
        "server_error",
        "unreachable",
        "connect_timeout",
        "read_timeout",
        "too_slow",
        "stream_cut",
        "not_an_api",
    }
)
_LASTING: frozenset[FailureClass] = frozenset({"bad_key", "forbidden", "unknown_model"})
# Nobody puts a key right within a cool-down.
_LASTING_COOL_DOWNS = 10
# A header that asks for a week is a mistake, or a day's quota; a probe in an hour costs one call.
_LONGEST_RETRY_AFTER = 3600.0


class Breaker:
    """Counts one provider's failures in a row; shared by all runs of a process, on one event loop."""

    def __init__(
        self, name: str, *, failures: int, cool_down: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make a closed breaker.

        Args:
            name: The provider, for the log.
            failures: Calls in a row that must fail before it opens.
            cool_down: Seconds until a probe is let through.
            clock: Seconds from any beginning.
        """
        self.name = name
        self.last_failure: FailureClass | None = None
        """Class of the last failure of any kind."""
        self.told: Callable[[str, float], None] | None = None
        """Called with its name when it opens here, and for how many seconds; 0: it closed."""
        self._failures = failures
        self._cool_down = cool_down
        self._clock = clock
        self._in_a_row = 0
        self._open_until: float | None = None
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """The current state."""
        if self._open_until is None:
            return "closed"
        return "open" if self._clock() < self._open_until else "half_open"

    @property
    def retry_after(self) -> float:
        """Seconds until a probe is let through; 0 unless it is open."""
        return max(0.0, (self._open_until or 0.0) - self._clock())

    def allows(self) -> bool:
        """Whether a call would be let through now."""
        state = self.state
        return state == "closed" or (state == "half_open" and not self._probing)

    @contextmanager
    def guard(self) -> Generator[None]:
        """Make one call inside; its outcome is counted.

        A cancelled call does not count; if it was the probe, the next call becomes the probe.

        Raises:
            AnswerUnusable: The call is not let through (`breaker_open`).
        """
        if not self.allows():
            raise AnswerUnusable("breaker_open", f"it is left alone for {self.retry_after:.0f} s more")
        # Known before the call: by its end the state may be another one.
        probe = self.state == "half_open"
        self._probing = self._probing or probe
        try:
            yield
        except Exception as error:
            self._failed(classify(error), probe=probe)
            raise
        else:
            self._answered(probe=probe)
        finally:
            # Also where it was cancelled: else no call would ever be let through again.
            if probe:
                self._probing = False

    def adopt(self, seconds: float) -> None:
        """Be open for so many seconds, as that of another process is; 0: closed."""
        if not seconds:
            self._open_until, self._in_a_row = None, 0
        elif self.retry_after < seconds:
            self._open_until = self._clock() + seconds
            logger.info("%s is left alone for %.0f s, as another process says", self.name, seconds)

    def _answered(self, *, probe: bool) -> None:
        # A call that began before the breaker opened and answers now does not close it: the probe does.
        if probe:
            logger.warning("%s answers again", self.name)
            self._open_until = None
            self._tell(0.0)
        self._in_a_row = 0

    def _failed(self, failure: Failure, *, probe: bool) -> None:
        self.last_failure = failure.reason
        # Calls that began before it opened and fail now must not prolong the cool-down; only the probe does.
        if failure.reason not in _ILL | _LASTING or (self._open_until is not None and not probe):
            return
        self._in_a_row += 1
        # The provider itself says that the next call will fail as well.
        told = failure.reason in _LASTING or failure.retry_after is not None
        if probe or told or self._in_a_row >= self._failures:
            seconds = self._seconds(failure)
            self._open_until = self._clock() + seconds
            logger.warning("%s is left alone for %.0f s (%s)", self.name, seconds, failure.reason)
            self._tell(seconds)

    def _tell(self, seconds: float) -> None:
        if self.told is not None:
            self.told(self.name, seconds)

    def _seconds(self, failure: Failure) -> float:
        if failure.reason in _LASTING:
            return self._cool_down * _LASTING_COOL_DOWNS
        if failure.retry_after is not None:
            return min(failure.retry_after, _LONGEST_RETRY_AFTER)
        return self._cool_down
