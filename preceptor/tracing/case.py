"""Writes cases of an evaluation, those of runs among them, in YAML as a person would write it."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

import yaml

from preceptor.errors import CasesInvalid
from preceptor.text.languages import language_of
from preceptor.tracing.run import RecordedRun
from preceptor.tracing.tape import Tape

_WORDS = 6
_TOP_LEVEL = re.compile(r"^[^\s#-]", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftCase:
    """A case that is not in a file yet."""

    question: str
    sections: tuple[str, ...] = ()
    """Sections that answer it, as `chapter#anchor`; empty: the book does not cover it."""
    chapter: str | None = None
    """Chapter that the question is limited to."""
    remark: str = ""
    """Comment above the case: where it comes from, and whether it has to be checked."""


def drafts(runs: Iterable[tuple[RecordedRun, Tape | None]]) -> list[DraftCase]:
    """Returns the cases of runs whose question is kept: the question, and the sections that the answer cites.

    A case of a run that a reader or an operator found bad says so, because its sections have to be checked.
    """
    found: list[DraftCase] = []
    for run, tape in runs:
        known = run.summary
        answer = (tape.answer if tape else None) or {}
        if known.question:
            found.append(
                DraftCase(
                    question=known.question,
                    sections=tuple(
                        dict.fromkeys(
                            f"{one['chapter']}#{one['anchor']}" for one in answer.get("sources", ())
                        )
                    ),
                    chapter=(tape and tape.asked.get("chapter")) or None,
                    remark=f"{known.trace_id}, {known.started:%Y-%m-%d}{_doubt(run)}",
                )
            )
    return found


def file_text(name: str, cases: Iterable[DraftCase]) -> str:
    """Returns a file of cases, each question once."""
    return f"name: {name}\ncases:\n" + "".join(_texts(cases, set(), set()))


def add_cases(path: Path, cases: Iterable[DraftCase]) -> int:
    """Add cases to a file, which is made if it is not there; a question that is in it is left out.

    What is in the file stays as it is, with its comments.

    Returns:
        Number of cases that were added.

    Raises:
        CasesInvalid: The file is there and is no file of cases.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else file_text(path.stem, [])
    added = _texts(cases, *_known(path, text))
    if added:
        path.write_text(_with(path, text, "".join(added)), encoding="utf-8")
    return len(added)


def known_questions(path: Path) -> set[str]:
    """Returns the questions in a file of cases; empty if it is not there.

    Raises:
        CasesInvalid: The file is there and is no file of cases.
    """
    return _known(path, path.read_text(encoding="utf-8"))[0] if path.exists() else set()


def _texts(cases: Iterable[DraftCase], questions: set[str], names: set[str]) -> list[str]:
    """Returns the text of cases whose question is new; `questions` and `names` are those that there are."""
    added: list[str] = []
    for case in cases:
        if case.question in questions:
            continue
        plain = _name(case.question)
        name = next(
            name for name in chain([plain], map(f"{plain}-{{}}".format, count(2))) if name not in names
        )
        questions.add(case.question)
        names.add(name)
        added.append(_text(case, name))
    return added


def _text(case: DraftCase, name: str) -> str:
    asked = f"question: {_quoted(case.question)}"
    if case.chapter:
        asked += f", chapter: {_quoted(case.chapter)}"
    expected = (
        "in_book: true, sections: [" + ", ".join(map(_quoted, case.sections)) + "]"
        if case.sections
        else "in_book: false"
    )
    return "\n".join(
        [
            *([f"  # {case.remark}"] if case.remark else []),
            f"  - name: {name}",
            f"    inputs: {{{asked}}}",
            f"    expected_output: {{{expected}}}",
            f"    metadata: {{language: {language_of(case.question) or 'en'}, kind: asked}}",
            "",
        ]
    )


def _known(path: Path, text: str) -> tuple[set[str], set[str]]:
    """Returns the questions and the names of the cases in a file."""
    try:
        data = yaml.safe_load(text)
        cases = data["cases"] or []
        return {case["inputs"]["question"] for case in cases}, {str(case.get("name")) for case in cases}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise CasesInvalid(path, ["the file must hold a list named `cases`, each with `inputs`"]) from None


def _with(path: Path, text: str, cases: str) -> str:
    """Returns a file's text with cases at the end of its list, and checks that it is still one."""
    start = re.search(r"^cases:.*\n?", text, re.MULTILINE)
    if start is None or (
        start[0].strip() not in ("cases:", "cases: []") and not start[0].startswith("cases: #")
    ):
        raise CasesInvalid(path, ["`cases:` must stand on a line of its own, so that cases can be added"])
    begin = "cases:\n" if start[0].strip() == "cases: []" or not start[0].endswith("\n") else start[0]
    after = _TOP_LEVEL.search(text, start.end())
    end = after.start() if after else len(text)
    body = text[start.end() : end].rstrip("\n")
    indent = re.search(r"^( *)- ", body, re.MULTILINE)
    if indent and indent[1] != "  ":
        cases = re.sub(r"^  ", indent[1], cases, flags=re.MULTILINE)
    made = f"{text[: start.start()]}{begin}{body}{chr(10) if body else ''}{cases}{text[end:]}"
    _known(path, made)
    return made


def _doubt(run: RecordedRun) -> str:
    known = run.summary
    why = ""
    if known.rating == -1:
        why = f": a reader disliked the answer{f' ({known.comment})' if known.comment else ''}"
    if known.verdict == "bad":
        why = f": marked bad{f' ({known.why})' if known.why else ''}"
    return " ".join(f"{why}; check what is expected".split()) if why else ""


def _name(question: str) -> str:
    words = re.findall(r"\w+", question.lower())[:_WORDS]
    name = "-".join(words) or "case"
    # YAML would read `1`, `no` or `null` as something else than text.
    return name if isinstance(yaml.safe_load(name), str) else f"case-{name}"


def _quoted(text: str) -> str:
    # JSON's string is YAML's, too; half a pair of surrogates is neither.
    return json.dumps(text.encode(errors="replace").decode(), ensure_ascii=False)
