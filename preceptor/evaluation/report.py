"""The report of an evaluation: counted, printed, saved and read back."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from preceptor.errors import ReportInvalid, TooFewLabels, why_unread
from preceptor.evaluation.conditions import Conditions
from preceptor.evaluation.interval import LEAST_LABELS, Estimate, estimate, kappa
from preceptor.evaluation.outcome import Label, Outcome, SaidFact, Verdict
from preceptor.text.number import counted

SCHEMA_VERSION = 2
"""Version of a saved report; docs/evaluation.md describes it."""

_UNSAID = frozenset({"found", "cited", "answered", "refused", "facts"})
"""Assertions that `_whys` has sentences for."""


SHARES = ("citation_recall", "citation_precision")
"""Names of what is judged of a case by a share in [0, 1], beside the assertions."""


_NAMED = 10
"""Cases that are named in one line."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CaseResult(Outcome):
    """Result of asking the question of one case once. Sections are written `chapter#anchor`."""

    name: str
    repeat: int = 1
    """Number of the time that it was asked, from 1."""
    question: str
    chapter: str | None
    turns: tuple[str, ...] = ()
    """Questions that were asked before in the same conversation."""
    language: str
    kind: str
    expected_in_book: bool
    expected_sections: tuple[str, ...]
    assertions: dict[str, bool] = Field(default_factory=dict)
    """`found`, `cited`, `answered` or `refused`; `facts`, `tools`, `language`; those of the author's own evaluators."""
    reasons: dict[str, str] = Field(default_factory=dict)
    """Why assertions do not hold, where the name alone does not say it."""
    citation_recall: float | None = None
    """Share of the answer's statements that their citations support; None: there was nothing to judge."""
    citation_precision: float | None = None
    """Share of the answer's citations that are needed."""
    unsupported: tuple[str, ...] = ()
    """Statements of the answer that their citations do not support."""
    needless: tuple[str, ...] = ()
    """Citations that are not needed, each as `[2]` with the statement that it stands behind."""
    facts: tuple[SaidFact, ...] = ()
    """The facts of the case, each with whether the answer says it."""
    judge: Verdict | None = None
    """Verdict of a model; None if no model judges, or no answer came."""
    label: Label | None = None
    """Verdict of a person; None if nobody has labelled this answer. Only the first one to a question is labelled."""
    error: str | None = None
    traceback: str | None = None

    @property
    def outcome(self) -> Outcome:
        """The part that does not depend on what is expected."""
        return Outcome(**{name: getattr(self, name) for name in Outcome.model_fields})

    @property
    def tags(self) -> tuple[str, str]:
        """The labels by which results are broken down, as `language en`."""
        return f"language {self.language}", f"kind {self.kind}"

    @property
    def shares(self) -> dict[str, float]:
        """The degree to which each thing holds that the case was judged by, in [0, 1]: 0 or 1 for assertions."""
        found: dict[str, float] = dict(self.assertions)
        return found | {name: share for name in SHARES if (share := getattr(self, name)) is not None}

    @property
    def missed(self) -> tuple[str, ...]:
        """Names of the assertions that do not hold."""
        return tuple(name for name, holds in self.assertions.items() if not holds)


@dataclass(frozen=True, slots=True)
class Rate:
    """Number of judged cases, and of those among them that hold an assertion; or the sum of their shares."""

    held: float
    judged: int

    @property
    def share(self) -> float:
        """The rate, in [0, 1]."""
        return self.held / self.judged

    @property
    def count(self) -> str:
        """Both numbers, as `18/20`; of shares, the first one is rounded."""
        return f"{round(self.held, 1):g}/{self.judged}"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of a judge with a person's labels, and the share of good answers that both give."""

    answers: int
    """Answers of the report that can be labelled."""
    labels: int
    good: int
    """Answers that the person calls good."""
    drawn: int
    """Labels on a random sample of the answers; the others do not count for the estimate."""
    both: int
    """Labelled answers that the judge judged, too."""
    agreed: int
    kappa: float | None
    estimate: Estimate | None
    """Estimated share of good answers; None: the random sample has too few labels."""


class Report(_Model):
    """Results of all cases."""

    schema_version: int = SCHEMA_VERSION
    dataset: str
    book: str = ""
    """Title of the book; empty if the caller did not give one."""
    collection: str = ""
    """Collection that holds the book."""
    began: datetime
    k: int
    thresholds: dict[str, float]
    """Smallest acceptable share by assertion."""
    tag_thresholds: dict[str, dict[str, float]] = Field(default_factory=dict)
    """The same by tag, as `language en`, for the cases that have it."""
    cases: tuple[CaseResult, ...]
    conditions: Conditions | None = None
    """Conditions under which the answers came about; None if the caller did not give them."""
    stopped: str | None = None
    """Reason why not every question was asked."""
    judge: str = ""
    """The judge's provider, model and version of its instructions, as `openai gpt-5-mini, prompt 1`; empty: none."""
    label_seed: int | None = None
    """Seed by which answers are drawn to be labelled; None: no answer has a label."""
    not_in_index: tuple[str, ...] = ()
    """Expected sections that the index does not have, as ``case: `chapter#anchor` (nearest: `…`)``."""
    allow_degraded: bool = False
    """Whether the offline tutor may answer in a provider's place."""

    @property
    def problems(self) -> list[str]:
        """Reasons why the evaluation did not pass, one sentence each; empty if it did."""
        problems = list(_below(self.thresholds, self.cases))
        for tag, limits in self.tag_thresholds.items():
            problems += _below(limits, self.tagged(tag), f" for {tag}")
        if not any(case.found or case.error for case in self.cases):
            problems.append("No search gave any passage: the index is empty. Fill it with `preceptor index`.")
        stood_in = [case for case in self.cases if case.degraded]
        if stood_in and not self.allow_degraded:
            problems.append(
                f"{len(stood_in)} of {len(self.cases)} questions were answered by the offline tutor in another's place "
                f"({_reasons(stood_in)}): the run does not show how that one answers. Run it again when the provider "
                "answers, or accept this with `--allow-degraded`."
            )
        return [*problems, *filter(None, [self.stopped])]

    @property
    def passed(self) -> bool:
        """Whether every threshold is reached, the index holds something and the tutors that should answer did."""
        return not self.problems

    @property
    def notes(self) -> list[str]:
        """Facts about the run that a reader of the rates must know, one sentence each."""
        others = [case for case in self.cases if _asked(case) and (self.allow_degraded or not case.degraded)]
        notes = [
            f"{count} of {len(self.cases)} questions were answered by {name} after another failed "
            f"({_reasons([case for case in others if case.provider == name])})."
            for name, count in Counter(case.provider for case in others).items()
        ]
        unpriced = sorted({f"{case.provider} {case.model}" for case in self.cases if _is_unpriced(case)})
        if self.not_in_index:
            notes.append(
                f"Expected, but not in the index, so that no answer can cite it: {'; '.join(self.not_in_index)}. Name "
                "the section that answers now, or index the book again."
            )
        unheld = [tag for tag in self.tag_thresholds if not self.tagged(tag)]
        if unheld:
            notes.append(
                f"There is a threshold for {', '.join(unheld)}, and no case of that: nothing is held to it. Correct "
                "the name under `evaluation` in settings.toml, or add cases."
            )
        if unpriced:
            notes.append(f"No price is known for answers of {', '.join(unpriced)}.")
        return notes

    @property
    def repeats(self) -> int:
        """Times that each case was asked."""
        return max((case.repeat for case in self.cases), default=1)

    @property
    def cost(self) -> float:
        """US dollars of all answers and of the judge, as far as prices are known."""
        return sum((case.cost or 0.0) + ((case.judge and case.judge.cost) or 0.0) for case in self.cases)

    @property
    def first_times(self) -> dict[str, CaseResult]:
        """The result of each case's first time, by its name."""
        return {case.name: case for case in reversed(self.cases)}

    def sample(self, seed: int) -> list[CaseResult]:
        """Returns the first answer to each question in the order in which a person labels them.

        Each case has a place by chance, which cases that are added or removed leave as it is: any number of answers
        from the beginning is a random sample.
        """

        def place(case: CaseResult) -> str:
            return hashlib.sha256(f"{seed} {case.name}".encode()).hexdigest()

        return sorted((case for case in self.first_times.values() if case.answer is not None), key=place)

    @property
    def agreement(self) -> Agreement | None:
        """Agreement of the judge with the labels; None if there are no labels."""
        if self.label_seed is None:
            return None
        drawn = self.sample(self.label_seed)
        # One that was left out, or labelled out of turn, was not left to chance.
        in_turn = list(takewhile(lambda case: case.label, drawn))
        found: Estimate | None = None
        with suppress(TooFewLabels):
            found = estimate(
                [case.label is not None and case.label.verdict == "good" for case in in_turn],
                [_opinion(case) for case in in_turn],
                [_opinion(case) for case in drawn[len(in_turn) :]],
            )
        labelled = [case for case in drawn if case.label]
        both = [
            (case.label.verdict == "good", case.judge.good)
            for case in labelled
            if case.label and case.judge and case.judge.good is not None
        ]
        return Agreement(
            answers=len(drawn),
            labels=len(labelled),
            good=sum(case.label is not None and case.label.verdict == "good" for case in labelled),
            drawn=len(in_turn),
            both=len(both),
            agreed=sum(label == verdict for label, verdict in both),
            kappa=kappa([label for label, _ in both], [verdict for _, verdict in both]),
            estimate=found,
        )

    def tagged(self, tag: str) -> list[CaseResult]:
        """Returns the results of the cases that have a tag; settings do not keep its capitals."""
        return [case for case in self.cases if tag.casefold() in map(str.casefold, case.tags)]

    def limits(self, tag: str) -> dict[str, float]:
        """Returns the smallest acceptable shares for the cases of a tag alone, by assertion."""
        held = {name.casefold(): limits for name, limits in self.tag_thresholds.items()}
        return held.get(tag.casefold(), {})

    def by(self, label: Callable[[CaseResult], str]) -> dict[str, dict[str, Rate]]:
        """Rates of the cases that share a label, by label and assertion."""
        labels = sorted({label(case) for case in self.cases})
        return {value: rates(case for case in self.cases if label(case) == value) for value in labels}

    def to_json(self) -> str:
        """Returns the report for machines and for `preceptor evaluate --compare`."""
        counted = {
            "passed": self.passed,
            "problems": self.problems,
            "notes": self.notes,
            "cost": round(self.cost, 6),
            "metrics": _plain(rates(self.cases)),
            "failing": {
                name: why for name, results in grouped(self.cases).items() if (why := explained(results))
            },
            "agreement": None if self.agreement is None else asdict(self.agreement),
            "every_time": _plain(every_time(self.cases)),
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
            data: Any = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(data, dict):
                raise ReportInvalid(path, "it holds no JSON object")
            if data.get("schema_version", SCHEMA_VERSION) > SCHEMA_VERSION:
                raise ReportInvalid(path, "a newer version of Preceptor wrote it")
            return cls(**{name: data[name] for name in cls.model_fields if name in data})
        except (OSError, UnicodeDecodeError) as error:
            raise ReportInvalid(path, why_unread(error)) from None
        except json.JSONDecodeError as error:
            raise ReportInvalid(path, f"it is not JSON (line {error.lineno})") from None
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise ReportInvalid(path, f"`{where}`: {fault['msg']}") from None
        except (ValueError, TypeError, AttributeError) as error:
            raise ReportInvalid(path, str(error)) from None


def rates(cases: Iterable[CaseResult]) -> dict[str, Rate]:
    """Counts for each assertion, in order of first use, the judged cases and those that hold it; shares are added."""
    verdicts: dict[str, list[float]] = {}
    for case in cases:
        for name, holds in case.shares.items():
            verdicts.setdefault(name, []).append(holds)
    return {name: Rate(sum(verdicts[name]), len(verdicts[name])) for name in ordered(verdicts)}


def every_time(cases: Iterable[CaseResult]) -> dict[str, Rate]:
    """Counts for each assertion the judged cases, and those that hold it each time they are asked (pass^k).

    Of shares, the smallest one counts.
    """
    verdicts: dict[str, dict[str, float]] = {}
    for case in cases:
        for name, holds in case.shares.items():
            held = verdicts.setdefault(name, {})
            held[case.name] = min(holds, held.get(case.name, holds))
    return {name: Rate(sum(verdicts[name].values()), len(verdicts[name])) for name in ordered(verdicts)}


def ordered(names: Iterable[str]) -> list[str]:
    """Returns names of assertions and shares in their order, those of shares last."""
    return sorted(names, key=lambda name: name in SHARES)


def grouped(cases: Iterable[CaseResult]) -> Mapping[str, Sequence[CaseResult]]:
    """Returns the results by the name of their case."""
    found: dict[str, list[CaseResult]] = {}
    for case in cases:
        found.setdefault(case.name, []).append(case)
    return found


def explained(results: Sequence[CaseResult]) -> str:
    """Returns why a case failed, as `declined, though the book answers it (2 of 3 times)`; empty if it held each time.

    Args:
        results: Results of one case.
    """
    whys = Counter(why for result in results for why in _whys(result))
    times = f" of {len(results)} times)" if len(results) > 1 else ""
    return "; ".join(f"{why} ({count}{times}" if times else why for why, count in whys.items())


def _whys(case: CaseResult) -> Iterator[str]:
    """Yields the reasons why a case missed something, each to be understood without the names of assertions."""
    missed = case.missed
    if missed and case.in_book is None and case.error:
        yield "no answer came, but an error"
        return
    if "refused" in missed:
        yield "answered, though the book does not cover it"
    if {"cited", "answered"} & set(missed):
        # That a declined question has no citation either is no second fault.
        if case.in_book is False:
            yield "declined, though the book answers it"
        else:
            yield f"answered, but {'cited no expected section' if case.cited else 'cited nothing'}"
    if "found" in missed:
        yield "the search found no expected section"
    if "facts" in missed and case.in_book:
        yield "does not say every vital fact"
    yield from (case.reasons.get(name, f"`{name}` does not hold") for name in missed if name not in _UNSAID)


def render(report: Report) -> RenderableType:
    """Renders the rates, the cases that failed, how they were answered, and why the evaluation did not pass."""
    problems = (Text(problem, "red") for problem in report.problems)
    notes = (Text(note, "yellow") for note in report.notes)
    told = [Text(line, "dim") for line in (answered_by(report), unsupported_in(report)) if line]
    judge = map(Text, judged(report))
    return Group(_rates(report), Text(), *_failures(report.cases), Text(), *told, *judge, *notes, *problems)


def unsupported_in(report: Report) -> str:
    """Returns the cases whose answers have statements without support, in one line; empty if there are none."""
    cases = grouped(report.cases).items()
    bare = [name for name, results in cases if any(one.unsupported for one in results)]
    if not bare:
        return ""
    have = "answer has" if len(bare) == 1 else "answers have"
    named = ", ".join(bare[:_NAMED]) + (f" and {len(bare) - _NAMED} more" if len(bare) > _NAMED else "")
    return f"{len(bare)} {have} statements that their citations do not support: {named}."


def _opinion(case: CaseResult) -> float:
    """Returns a judge's verdict as a number; what it did not judge is half good and half bad."""
    return 0.5 if case.judge is None or case.judge.good is None else float(case.judge.good)


def judged(report: Report) -> list[str]:
    """Returns what a judge and a person say of the answers, in sentences, with the judge's reasons against some."""
    bad = called_bad(report) if report.judge else []
    against = [f"Bad, by the judge: {case.name}: {reason}" for case, reason in bad]
    more = [f"Bad, by the judge: {len(against) - _NAMED} more"] if len(against) > _NAMED else []
    return [*opinions(report), *against[:_NAMED], *more]


def opinions(report: Report) -> list[str]:
    """Returns what a judge and a person say of the answers, in sentences."""
    return [*_by_person(report), *_by_judge(report)]


def called_bad(report: Report) -> list[tuple[CaseResult, str]]:
    """Returns the answers that the judge calls bad, each with its reason."""
    return [(case, case.judge.reason) for case in report.cases if case.judge and case.judge.good is False]


def _by_person(report: Report) -> Iterator[str]:
    found = report.agreement
    if found is None:
        return
    told = f"A person labelled {counted(found.labels, 'answers')}, {found.good} of them good"
    if found.both:
        beyond = "; all labels or all verdicts are alike, so that no κ can be told"
        beyond = beyond if found.kappa is None else f" (κ {found.kappa:.2f})"
        told += f"; the judge says the same of {found.agreed} of {found.both}{beyond}"
    yield f"{told}."
    if found.estimate:
        by = f"{found.drawn} labels" + (" and the judge's verdicts on all answers" if report.judge else "")
        yield (
            f"Of answers to questions such as these {found.estimate.share:.0%} are good: between "
            f"{found.estimate.low:.0%} and {found.estimate.high:.0%} with 95% confidence, by {by}."
        )
    elif found.answers < LEAST_LABELS:
        yield (
            f"No interval: it needs {LEAST_LABELS} labels, and there are {counted(found.answers, 'answers')}. "
            "Write more cases."
        )
    else:
        yield f"No interval: {TooFewLabels(found.drawn, LEAST_LABELS)}"
    if found.labels > found.drawn:
        yield (
            f"{counted(found.labels - found.drawn, 'labels')} out of turn: they may not be of a random sample, and do "
            "not count for the interval until those before them are there."
        )


def _by_judge(report: Report) -> list[str]:
    if not report.judge:
        return []
    cases = [(case, case.judge) for case in report.cases if case.judge]
    said = [verdict for _, verdict in cases if verdict.good is not None]
    good = sum(bool(verdict.good) for verdict in said)
    unjudged = Counter(verdict.reason for _, verdict in cases if verdict.good is None)
    told = f"The judge ({report.judge}) calls {good} of {counted(len(said), 'answers')} good"
    told += f" ({good / len(said):.0%})" if said else ""
    if unjudged:
        reasons = ", ".join(f"{reason} ×{count}" for reason, count in unjudged.items())
        told += f"; {unjudged.total()} not judged ({reasons})"
    tokens = sum((verdict.input_tokens or 0) + (verdict.output_tokens or 0) for verdict in said)
    costs = [verdict.cost for verdict in said]
    dollars = "at a price that is not known" if None in costs else f"${sum(filter(None, costs)):.4f}"
    lines = [f"{told}; {tokens:,} tokens, {dollars}." if tokens else f"{told}."]
    if report.label_seed is None:
        lines.append(
            "Nobody has labelled answers, so that its verdicts claim nothing: `preceptor evaluate label`."
        )
    if any(report.judge.startswith(f"{case.provider} {case.model},") for case, _ in cases):
        lines.append("It judges its own answers, which models favour: let another one judge.")
    return lines


def answered_by(report: Report) -> str:
    """Returns who answered, how long it took and what it cost, in one line."""
    tutors = Counter(_tutor(case) for case in report.cases if case.in_book is not None)
    told = [", ".join(f"{tutor} ×{count}" for tutor, count in tutors.most_common()) or "nobody"]
    seconds = sorted(case.seconds for case in report.cases if case.seconds is not None)
    if seconds:
        told.append(f"median {seconds[len(seconds) // 2]:.1f} s, longest {seconds[-1]:.1f} s")
    tokens = sum((case.input_tokens or 0) + (case.output_tokens or 0) for case in report.cases)
    if tokens:
        told.append(f"{tokens:,} tokens, ${sum(case.cost or 0.0 for case in report.cases):.4f}")
    facts = Counter((fact.importance, fact.said) for case in report.cases for fact in case.facts)
    for importance in ("vital", "okay"):
        said = facts[importance, True]
        if number := said + facts[importance, False]:
            told.append(f"{said} of {number} {importance} facts said")
    return "answered by " + "; ".join(told)


def _tutor(case: CaseResult) -> str:
    named = case.provider or "a system that does not say its name"
    return f"{named} {case.model}" if case.model and case.model != case.provider else named


def _asked(case: CaseResult) -> bool:
    """Whether a provider was asked in vain before."""
    return any(failed.reason != "not_configured" for failed in case.failover)


def _reasons(cases: Iterable[CaseResult]) -> str:
    found = Counter(f"{failed.tutor}: {failed.reason}" for case in cases for failed in case.failover)
    return ", ".join(f"{reason} ×{count}" for reason, count in found.items())


def _is_unpriced(case: CaseResult) -> bool:
    return bool(case.input_tokens or case.output_tokens) and case.cost is None


def _rates(report: Report) -> Table:
    overall = rates(report.cases)
    shown = Table(
        title=Text(_title(report)),
        title_style="italic",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        header_style="bold",
    )
    shown.add_column("")
    for name in overall:
        # In two lines, and its cells without the count, so that the table fits into 80 columns.
        shown.add_column(heading(name, report.k).replace(" ", "\n"), justify="right")
    shown.add_row("all", *(_cell(name, overall, report.thresholds) for name in overall))
    if report.repeats > 1:
        always = every_time(report.cases)
        shown.add_row(f"pass^{report.repeats}", *(_cell(name, always, {}) for name in overall))
    for title, label in (("language", _language), ("kind", _kind)):
        shown.add_section()
        for value, found in report.by(label).items():
            limits = report.limits(f"{title} {value}")
            shown.add_row(f"{title} {value}", *(_cell(name, found, limits) for name in overall))
    return shown


def heading(name: str, k: int) -> str:
    """Returns the heading of a column of rates."""
    return f"found@{k}" if name == "found" else name.replace("citation_", "citation ")


def _title(report: Report) -> str:
    asked = f", asked of {report.book} in `{report.collection}`" if report.collection else ""
    times = f" {report.repeats} times" if report.repeats > 1 else ""
    return f"{report.dataset}: {counted(len(grouped(report.cases)), 'cases')}{asked}{times}"


def _below(limits: Mapping[str, float], cases: Sequence[CaseResult], where: str = "") -> Iterator[str]:
    """Yields a sentence for each share that is below its limit."""
    found = rates(cases)
    for name, least in limits.items():
        rate = found.get(name)
        if rate is not None and rate.share < least:
            yield f"`{name}`{where} is {rate.share:.0%} ({rate.count.replace('/', ' of ')}), below {least:.0%}."


def _cell(name: str, found: Mapping[str, Rate], limits: Mapping[str, float]) -> Text:
    rate, least = found.get(name), limits.get(name)
    if rate is None:
        return Text("–", "dim")
    style = "default" if least is None else "red" if rate.share < least else "green"
    return Text(f"{rate.share:.0%}" if name in SHARES else f"{rate.count} {rate.share:4.0%}", style)


def _failures(cases: Sequence[CaseResult]) -> Iterable[RenderableType]:
    for name, results in grouped(cases).items():
        failed = [result for result in results if result.missed]
        if failed:
            first = failed[0]
            yield Text.assemble((name, "bold"), ": ", (explained(results), "red"))
            yield Padding(Text.assemble(first.question, "\n", (came(first), "dim")), (0, 0, 0, 2))


def came(case: CaseResult) -> str:
    """Returns what was expected of a case that failed, and what came."""
    expected = f"expected {_listed(case.expected_sections, 'to be declined')}"
    if case.error:
        return f"{expected}; raised {case.error}"
    said = "declined" if case.in_book is False else "answered"
    cited = f"{expected}; {said}, cited {_listed(case.cited)}"
    found = f"{cited}; found {_listed(case.found)}" if "found" in case.missed else cited
    unsaid = [fact.text for fact in case.facts if not fact.said and fact.importance == "vital"]
    if unsaid and case.in_book:
        found += "; not said: " + " ".join(f"“{text}”" for text in unsaid)
    return f"{found}; {case.trace_id}" if case.trace_id else found


def _listed(sections: Sequence[str], none: str = "nothing") -> str:
    return ", ".join(sections) or none


def _plain(found: dict[str, Rate]) -> dict[str, dict[str, float]]:
    return {
        name: {"held": round(rate.held, 4), "judged": rate.judged, "share": round(rate.share, 4)}
        for name, rate in found.items()
    }


def _language(case: CaseResult) -> str:
    return case.language


def _kind(case: CaseResult) -> str:
    return case.kind
