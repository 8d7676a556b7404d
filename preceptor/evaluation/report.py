"""The report of an evaluation: counted, printed, saved and read back."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from preceptor.errors import ReportInvalid


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CaseResult(_Model):
    """Result of one case. Sections are written `chapter#anchor`."""

    name: str
    question: str
    chapter: str | None
    language: str
    kind: str
    expected_in_book: bool
    expected_sections: tuple[str, ...]
    found: tuple[str, ...] = ()
    """Sections of the first k passages of the search, best first."""
    cited: tuple[str, ...] = ()
    """Sections that the answer cites."""
    in_book: bool | None = None
    """Whether the answer rests on the book; None if the case raised."""
    answer: str | None = None
    seconds: float | None = None
    assertions: dict[str, bool] = {}
    """`found`, `cited`, `answered` or `refused`, and those of the author's own evaluators."""
    error: str | None = None
    traceback: str | None = None

    @property
    def missed(self) -> tuple[str, ...]:
        """Names of the assertions that do not hold."""
        return tuple(name for name, holds in self.assertions.items() if not holds)


@dataclass(frozen=True, slots=True)
class Rate:
    """Number of judged cases, and of those among them that hold an assertion."""

    held: int
    judged: int

    @property
    def share(self) -> float:
        """The rate, in [0, 1]."""
        return self.held / self.judged


class Report(_Model):
    """Results of all cases."""

    dataset: str
    book: str = ""
    """Title of the book; empty if the caller did not give one."""
    collection: str = ""
    """Collection that holds the book."""
    began: datetime
    k: int
    thresholds: dict[str, float]
    """Smallest acceptable share by assertion."""
    cases: tuple[CaseResult, ...]

    @property
    def problems(self) -> list[str]:
        """Reasons why the evaluation did not pass, one sentence each; empty if it did."""
        found = rates(self.cases)
        problems = [
            f"`{name}` is {rate.share:.0%} ({rate.held} of {rate.judged}), below {least:.0%}."
            for name, least in self.thresholds.items()
            if (rate := found.get(name)) is not None and rate.share < least
        ]
        if not any(case.found or case.error for case in self.cases):
            problems.append("No search gave any passage: the index is empty. Fill it with `preceptor index`.")
        return problems

    @property
    def passed(self) -> bool:
        """Whether every threshold is reached and the index holds something."""
        return not self.problems

    def by(self, label: Callable[[CaseResult], str]) -> dict[str, dict[str, Rate]]:
        """Rates of the cases that share a label, by label and assertion."""
        labels = sorted({label(case) for case in self.cases})
        return {value: rates(case for case in self.cases if label(case) == value) for value in labels}

    def to_json(self) -> str:
        """Returns the report for machines and for `preceptor evaluate --compare`."""
        counted = {
            "passed": self.passed,
            "problems": self.problems,
            "metrics": _plain(rates(self.cases)),
            "by_language": {name: _plain(found) for name, found in self.by(_language).items()},
            "by_kind": {name: _plain(found) for name, found in self.by(_kind).items()},
        }
        return json.dumps(counted | self.model_dump(mode="json"), ensure_ascii=False, indent=2)

    @classmethod
    def load(cls, path: Path) -> "Report":
        """Reads a report that `to_json` wrote.

        Raises:
            ReportInvalid: The file is missing or is not such a report.
        """
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{name: data[name] for name in cls.model_fields})
        except FileNotFoundError:
            raise ReportInvalid(path, "the file does not exist") from None
        except KeyError as error:
            raise ReportInvalid(path, f"it has no {error}") from None
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise ReportInvalid(path, f"`{where}`: {fault['msg']}") from None
        except (OSError, ValueError, TypeError) as error:
            raise ReportInvalid(path, str(error)) from None


def rates(cases: Iterable[CaseResult]) -> dict[str, Rate]:
    """Counts for each assertion, in order of first use, the judged cases and those that hold it."""
    verdicts: dict[str, list[bool]] = {}
    for case in cases:
        for name, holds in case.assertions.items():
            verdicts.setdefault(name, []).append(holds)
    return {name: Rate(sum(given), len(given)) for name, given in verdicts.items()}


def render(report: Report) -> RenderableType:
    """Renders the rates, the cases that failed, and why the evaluation did not pass."""
    problems = (Text(problem, "red") for problem in report.problems)
    return Group(_rates(report), Text(), *_failures(report.cases), Text(), *problems)


def _rates(report: Report) -> Table:
    overall = rates(report.cases)
    shown = Table(title=Text(_title(report)), title_style="italic", box=None, header_style="bold")
    shown.add_column("")
    for name in overall:
        shown.add_column(f"found@{report.k}" if name == "found" else name, justify="right")
    shown.add_row("all", *(_cell(overall.get(name), report.thresholds.get(name)) for name in overall))
    for title, label in (("language", _language), ("kind", _kind)):
        shown.add_section()
        for value, found in report.by(label).items():
            shown.add_row(f"{title} {value}", *(_cell(found.get(name), None) for name in overall))
    return shown


def _title(report: Report) -> str:
    asked = f", asked of {report.book} in `{report.collection}`" if report.collection else ""
    return f"{report.dataset}: {len(report.cases)} cases{asked}"


def _cell(rate: Rate | None, least: float | None) -> Text:
    if rate is None:
        return Text("–", "dim")
    style = "default" if least is None else "red" if rate.share < least else "green"
    return Text(f"{rate.held}/{rate.judged} {rate.share:4.0%}", style)


def _failures(cases: Sequence[CaseResult]) -> Iterable[RenderableType]:
    for case in cases:
        if case.missed:
            yield Text.assemble((case.name, "bold"), " ", (f"not {', '.join(case.missed)}", "red"))
            expected = f"expected {_listed(case.expected_sections, 'to be declined')}; {_came(case)}"
            yield Padding(Text.assemble(case.question, "\n", (expected, "dim")), (0, 0, 0, 2))


def _came(case: CaseResult) -> str:
    if case.error:
        return f"raised {case.error}"
    cited = f"cited {_listed(case.cited)}"
    return f"{cited}; found {_listed(case.found)}" if "found" in case.missed else cited


def _listed(sections: Sequence[str], none: str = "nothing") -> str:
    return ", ".join(sections) or none


def _plain(found: dict[str, Rate]) -> dict[str, dict[str, float]]:
    return {
        name: {"held": rate.held, "judged": rate.judged, "share": round(rate.share, 4)}
        for name, rate in found.items()
    }


def _language(case: CaseResult) -> str:
    return case.language


def _kind(case: CaseResult) -> str:
    return case.kind
