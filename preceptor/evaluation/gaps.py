"""The gap report: what readers asked and did not get, and how the service fared; all of it made on this machine."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

from preceptor.evaluation.likeness import MOST, Embedded, groups
from preceptor.library.passage import Chapter, Hit
from preceptor.text.number import counted

WEAK = 0.5
"""Confidence below which an answer counts as weakly supported."""
_NEAREST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRun:
    """One run, as far as the report looks at it."""

    day: date
    seconds: float | None
    question: str | None
    in_book: bool | None
    """Whether the book answered; None if nobody did."""
    confidence: float | None
    cited: tuple[str, ...]
    """Keys of the passages that the answer cites."""
    rating: int | None
    fell_over: bool
    cost: float | None


@dataclass(frozen=True, slots=True)
class Nearest:
    """A section near to a question that it does not answer."""

    section: str
    heading: str
    url: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Questions that ask the same, and were not answered or only weakly."""

    question: str
    """The one that is most like all of them."""
    asked: int
    unanswered: int
    weak: int
    questions: tuple[str, ...]
    """The different ones among them, most asked first."""
    nearest: tuple[Nearest, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """Runs of one day."""

    day: str
    runs: int
    unanswered: int
    median_seconds: float | None
    p95_seconds: float | None
    failovers: int
    cost: float | None
    """US dollars, as far as prices are known."""


@dataclass(frozen=True, slots=True)
class Disliked:
    """A section that was cited in answers that readers disliked."""

    section: str
    disliked: int
    liked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GapReport:
    """The report."""

    runs: int
    unanswered: int
    weak: int
    gaps: tuple[Gap, ...]
    """Most asked first."""
    seldom: int
    """Questions of this kind that were asked too seldom to be a gap."""
    never_cited: tuple[str, ...]
    """Chapters that no answer cited."""
    disliked: tuple[Disliked, ...]
    days: tuple[Day, ...]
    book: str = ""
    """Title of the book, where there are several."""

    @property
    def title(self) -> str:
        """Title of the report."""
        return f"What readers did not get: {self.book}" if self.book else "What readers did not get"

    def to_json(self) -> str:
        """Returns the report for machines."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)


Vectors = Callable[[Sequence[str]], Awaitable[Sequence[Embedded]]]
"""Embeds questions."""

Search = Callable[[str], Awaitable[Sequence[Hit]]]
"""Finds the passages nearest to a question."""


async def gap_report(
    runs: Sequence[AskedRun],
    vectors: Vectors,
    search: Search,
    *,
    chapters: Sequence[Chapter],
    places: Mapping[str, str],
    least: int = 3,
    book: str = "",
) -> GapReport:
    """Returns what readers did not get.

    Args:
        runs: The runs, oldest first.
        vectors: Embeds the questions.
        search: Finds the nearest sections.
        chapters: The book's outline.
        places: `chapter#anchor` of each passage, by its key.
        least: Fewest times that something is asked to be a gap.
        book: Title of the book, where there are several.
    """
    asked = [run for run in runs if run.question]
    missing = [run for run in asked if is_unanswered(run) or is_weak(run)]
    by_words: dict[str, list[AskedRun]] = {}
    for run in missing:
        by_words.setdefault(_plain(run.question or ""), []).append(run)
    spoken = sorted(by_words.values(), key=len, reverse=True)
    asked_seldom = sum(len(together) for together in spoken[MOST:])
    questions = [together[0].question or "" for together in spoken[:MOST]]
    found = await vectors(questions)
    gaps: list[Gap] = []
    # In a thread: a service that makes the report goes on answering meanwhile.
    for members in await asyncio.to_thread(groups, questions, found):
        together = [spoken[place] for place in members]
        if sum(map(len, together)) < least:
            asked_seldom += sum(map(len, together))
        else:
            gaps.append(await _gap(together, [found[place][1] for place in members], search))
    cited = [places[key] for run in runs for key in dict.fromkeys(run.cited) if key in places]
    read = {section.partition("#")[0] for section in cited}
    return GapReport(
        runs=len(runs),
        unanswered=sum(map(is_unanswered, asked)),
        weak=sum(map(is_weak, asked)),
        gaps=tuple(sorted(gaps, key=lambda gap: -gap.asked)),
        seldom=asked_seldom,
        never_cited=tuple(chapter.id for chapter in chapters if chapter.id not in read),
        disliked=tuple(_disliked(runs, places)),
        days=tuple(_days(runs)),
        book=book,
    )


def asked_run(started: float, seconds: float | None, facts: Mapping[str, Any]) -> AskedRun:
    """Returns a run from what the traces keep of it.

    Args:
        started: Seconds since 1970.
        seconds: Duration.
        facts: See `preceptor.tracing.run.Facts`.
    """
    feedback: Mapping[str, Any] = facts.get("feedback") or {}
    failover: Sequence[Mapping[str, str]] = facts.get("failover") or ()
    return AskedRun(
        day=datetime.fromtimestamp(started, UTC).date(),
        seconds=seconds,
        question=facts.get("question"),
        in_book=facts.get("in_book"),
        confidence=facts.get("confidence"),
        cited=tuple(facts.get("sources") or ()),
        rating=feedback.get("rating"),
        fell_over=any(left.get("reason") != "not_configured" for left in failover),
        cost=facts.get("cost"),
    )


def is_unanswered(run: AskedRun) -> bool:
    """Whether somebody answered, and the book did not cover it; an outage is no gap of the book."""
    return run.in_book is False


def is_weak(run: AskedRun) -> bool:
    """Whether the book answered, and the passages hardly support it."""
    return bool(run.in_book) and run.confidence is not None and run.confidence < WEAK


async def _gap(
    spoken: Sequence[Sequence[AskedRun]], vectors: Sequence[Sequence[float]], search: Search
) -> Gap:
    """Describes a group.

    Args:
        spoken: The runs of each different question in it.
        vectors: Vectors of these questions.
        search: Finds the nearest sections.
    """
    runs = [run for together in spoken for run in together]
    weights = [len(together) for together in spoken]
    centre = [
        sum(weight * value for weight, value in zip(weights, column, strict=True))
        for column in zip(*vectors, strict=True)
    ]
    likeness = [sum(a * b for a, b in zip(centre, vector, strict=True)) for vector in vectors]
    middle = spoken[max(range(len(spoken)), key=lambda place: likeness[place])][0].question or ""
    near = {f"{hit.passage.chapter}#{hit.passage.anchor}": hit.passage for hit in await search(middle)}
    return Gap(
        question=middle,
        asked=len(runs),
        unanswered=sum(map(is_unanswered, runs)),
        weak=sum(map(is_weak, runs)),
        questions=tuple(together[0].question or "" for together in sorted(spoken, key=len, reverse=True)),
        nearest=tuple(
            Nearest(section, " › ".join(passage.breadcrumb[1:]) or passage.title, passage.url)
            for section, passage in list(near.items())[:_NEAREST]
        ),
    )  # fmt: skip


def _plain(question: str) -> str:
    return " ".join("".join(letter if letter.isalnum() else " " for letter in question.casefold()).split())


def _disliked(runs: Iterable[AskedRun], places: Mapping[str, str]) -> list[Disliked]:
    against, in_favour = Counter[str](), Counter[str]()
    for run in runs:
        rated = {places[key] for key in run.cited if key in places}
        if run.rating is not None:
            (against if run.rating < 0 else in_favour).update(rated)
    return [Disliked(section, count, in_favour[section]) for section, count in against.most_common()]


def _days(runs: Iterable[AskedRun]) -> Iterable[Day]:
    by_day: dict[date, list[AskedRun]] = {}
    for run in runs:
        by_day.setdefault(run.day, []).append(run)
    for day, together in sorted(by_day.items()):
        seconds = sorted(run.seconds for run in together if run.seconds is not None)
        costs = [run.cost for run in together if run.cost is not None]
        yield Day(
            day=day.isoformat(),
            runs=len(together),
            unanswered=sum(map(is_unanswered, together)),
            median_seconds=round(seconds[len(seconds) // 2], 2) if seconds else None,
            p95_seconds=round(seconds[min(len(seconds) - 1, int(len(seconds) * 0.95))], 2)
            if seconds
            else None,
            failovers=sum(run.fell_over for run in together),
            cost=round(sum(costs), 4) if costs else None,
        )


def to_markdown(report: GapReport) -> str:
    """Returns the report as Markdown."""
    lines = [
        f"# {_text(report.title)}",
        "",
        f"{counted(report.runs, 'runs')}: {report.unanswered} not answered by the book, {report.weak} answered weakly.",
        "",
        "## Asked and not answered",
        "",
    ]
    for gap in report.gaps:
        lines += [f"### {_text(gap.question)}", "", *_told(gap), ""]
    if not report.gaps:
        lines += ["Nothing that was asked more than once or twice.", ""]
    if report.seldom:
        lines += [f"Further questions of this kind, asked too seldom: {report.seldom}.", ""]
    lines += [
        "## Chapters that no answer cited",
        "",
        *(f"- `{chapter}`" for chapter in report.never_cited),
        "",
    ]
    lines += ["## Sections cited in answers that readers disliked", ""]
    lines += [f"- `{one.section}`: {one.disliked} disliked, {one.liked} liked" for one in report.disliked]
    lines += ["", "## Day by day", "", "| day | runs | not answered | median s | p95 s | failovers | $ |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|"]
    lines += [
        f"| {day.day} | {day.runs} | {day.unanswered} | {_figure(day.median_seconds)} | {_figure(day.p95_seconds)} | "
        f"{day.failovers} | {_figure(day.cost)} |"
        for day in report.days
    ]
    return "\n".join(lines) + "\n"


def to_issue(gap: Gap) -> str:
    """Returns a gap as the text of an issue for the book's authors; its first line is the title."""
    return "\n".join(
        [
            f"Readers ask: {_text(gap.question)}",
            "",
            *_told(gap),
            "",
            "Should the book answer this, and where?",
            "",
        ]
    )


def to_cases(gaps: Sequence[Gap]) -> str:
    """Returns evaluation cases, as YAML, that hold as soon as the book answers what was asked."""
    lines = ["cases:"]
    for gap in gaps:
        chapters = dict.fromkeys(near.section.partition("#")[0] for near in gap.nearest)
        lines.append(
            f"  # Asked {counted(gap.asked, 'times')} and not answered. Name the section once it is written, or say"
        )
        lines.append("  # `{in_book: false}` if the book shall not cover it.")
        lines.append(f"  - name: {json.dumps(gap.question, ensure_ascii=False)}")
        lines.append(f"    inputs: {{question: {json.dumps(gap.question, ensure_ascii=False)}}}")
        expected = f"{{in_book: true, sections: {json.dumps(list(chapters)[:1], ensure_ascii=False)}}}"
        lines.append(f"    expected_output: {expected if chapters else '{in_book: false}'}")
        lines.append("    metadata: {kind: gap}")
    return "\n".join(lines) + "\n" if gaps else "cases: []\n"


def _told(gap: Gap) -> list[str]:
    lines = [
        f"Asked {counted(gap.asked, 'times')}: {gap.unanswered} not answered, {gap.weak} answered weakly.",
        "",
    ]
    lines += [f"- {_text(question)}" for question in gap.questions[:_SHOWN]]
    if len(gap.questions) > _SHOWN:
        lines.append(f"- and {len(gap.questions) - _SHOWN} more")
    lines += ["", "Nearest in the book:", ""]
    lines += [f"- [{_text(near.heading)}]({near.url})" for near in gap.nearest]
    return lines


_SHOWN = 5
_SPECIAL = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>#@|"})


def _text(text: str) -> str:
    """Returns a reader's text so that Markdown and GitHub take it for text."""
    return " ".join(text.split()).translate(_SPECIAL)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"
