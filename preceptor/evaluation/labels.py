"""A person's labels on the answers of a report, in a file beside it: a JSON object on each line.

    {"seed": 0}
    {"case": "ros2-node", "verdict": "good", "answer": "3f2a91c0d4e5"}
    {"case": "qos-depth", "verdict": "bad", "why": "it names the wrong policy"}

`answer` is the digest of the answer that was labelled: another answer to the same question has no label. Without it, as
a person writes a line, the label is of whatever the report has. Of two lines for one answer the later one holds.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from preceptor.errors import LabelsInvalid
from preceptor.evaluation.outcome import Label
from preceptor.evaluation.report import CaseResult, Report


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Head(_Model):
    seed: int


class _Line(_Model):
    case: str = Field(min_length=1)
    verdict: Literal["good", "bad"]
    why: str = ""
    answer: str = ""


class Labels:
    """The labels of a file, and the seed by which answers are drawn."""

    def __init__(self, path: Path, *, seed: int = 0) -> None:
        """Read what is there.

        Args:
            path: The file; it need not exist.
            seed: Seed of a file that does not exist yet.

        Raises:
            LabelsInvalid: A line is wrong.
        """
        self.path = path
        self.seed = seed
        self._lines: dict[tuple[str, str], _Line] = {}
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                if number == 1 and "seed" in json.loads(line):
                    self.seed = _Head.model_validate_json(line).seed
                else:
                    self._keep(_Line.model_validate_json(line))
            except ValidationError as error:
                fault = error.errors()[0]
                where = ".".join(map(str, fault["loc"]))
                raise LabelsInvalid(
                    path, number, f"`{where}`: {fault['msg']}" if where else fault["msg"]
                ) from None
            except (ValueError, TypeError) as error:
                raise LabelsInvalid(path, number, str(error)) from None

    @classmethod
    def beside(cls, report: Path, *, seed: int = 0) -> "Labels":
        """Returns the labels of a saved report: those of `report.json` are in `report.labels.jsonl`."""
        return cls(report.with_suffix(".labels.jsonl"), seed=seed)

    def of(self, case: CaseResult) -> Label | None:
        """Returns the label of an answer; None if it has none."""
        line = self._lines.get((case.name, answer_digest(case))) or self._lines.get((case.name, ""))
        return line and Label(verdict=line.verdict, why=line.why)

    def add(self, case: CaseResult, verdict: Literal["good", "bad"], why: str = "") -> None:
        """Label an answer; it is in the file when this returns."""
        line = _Line(case=case.name, verdict=verdict, why=why, answer=answer_digest(case))
        begun = self.path.exists() and self.path.stat().st_size
        with self.path.open("a", encoding="utf-8") as file:
            if not begun:
                file.write(_Head(seed=self.seed).model_dump_json() + "\n")
            elif not self.path.read_bytes().endswith(b"\n"):  # as a person's editor may leave it
                file.write("\n")
            file.write(json.dumps(line.model_dump(exclude_defaults=True), ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._keep(line)

    def _keep(self, line: _Line) -> None:
        self._lines[line.case, line.answer] = line

    def written_into(self, report: Report) -> Report:
        """Returns the report with the labels of its answers."""
        first = report.first_times
        cases = tuple(
            case.model_copy(update={"label": self.of(case) if first[case.name] is case else None})
            for case in report.cases
        )
        labelled = any(case.label for case in cases)
        return report.model_copy(update={"cases": cases, "label_seed": self.seed if labelled else None})


def answer_digest(case: CaseResult) -> str:
    """Returns the digest of a question and its answer."""
    told = json.dumps([case.question, case.turns, case.answer], ensure_ascii=False)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def next_to_label(sample: Sequence[CaseResult], labels: Labels) -> CaseResult | None:
    """Returns the first answer of a sample without a label."""
    return next((case for case in sample if labels.of(case) is None), None)
