"""The outcomes of a run that has not ended, line by line beside its report, so that a stopped run goes on."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from pydantic import ValidationError

from preceptor.evaluation.dataset import CaseInput
from preceptor.evaluation.outcome import Outcome, Verdict
from preceptor.private import make_private

Asked: TypeAlias = tuple[CaseInput, int]
"""A question, and the number of the time that it is asked, from 1."""

Outcomes: TypeAlias = Mapping[Asked, Outcome]


class Record:
    """A file that holds the outcomes so far; it begins with the fingerprint of the conditions they came about in."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        """Read what is there.

        Args:
            path: The file; it need not exist.
            fingerprint: Outcomes of other conditions are not taken up.
        """
        self.path = path
        self.outcomes: dict[Asked, Outcome] = {}
        self.verdicts: dict[str, Verdict] = {}
        """A judge's, by the digest of what it was told."""
        self.other = False
        """Whether the file held outcomes of other conditions, which are dropped."""
        self._head = json.dumps({"conditions": fingerprint})
        self._read()

    def __enter__(self) -> Self:
        """Begin to write."""
        make_private(self.path)
        self._file = self.path.open("w", encoding="utf-8")
        self._line(self._head)
        for asked, outcome in self.outcomes.items():
            self._line(_line(asked, outcome))
        for verdict in self.verdicts.values():
            self._line(verdict.model_dump_json())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop writing; what is written stays."""
        self._file.close()

    def add(self, asked: Asked, outcome: Outcome) -> None:
        """Keep an outcome. One by the offline tutor in another's place is asked anew by a run that goes on."""
        if not outcome.degraded:
            self.outcomes[asked] = outcome
            self._line(_line(asked, outcome))

    def add_verdict(self, verdict: Verdict) -> None:
        """Keep a verdict; where there is none, the judge is asked again."""
        if verdict.good is not None:
            self.verdicts[verdict.asked] = verdict
            self._line(verdict.model_dump_json())

    def remove(self) -> None:
        """Remove the file: the run is whole."""
        self.path.unlink(missing_ok=True)

    def _line(self, text: str) -> None:
        self._file.write(text + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self) -> None:
        try:
            head, *lines = self.path.read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError):
            return
        self.other = head != self._head
        for line in [] if self.other else lines:
            try:
                kept = json.loads(line)
                if "good" in kept:
                    self.verdicts[kept["asked"]] = Verdict(**kept)
                    continue
                asked = CaseInput(**kept["asked"]), int(kept["time"])
                self.outcomes[asked] = Outcome(**kept["outcome"])
            except (ValueError, KeyError, TypeError, ValidationError):  # the line in which a run was killed
                break


def _line(asked: Asked, outcome: Outcome) -> str:
    question, time = asked
    kept = {
        "asked": question.model_dump(mode="json"),
        "time": time,
        "outcome": outcome.model_dump(mode="json"),
    }
    return json.dumps(kept, ensure_ascii=False)
