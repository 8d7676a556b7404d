"""Turns runs into cases of an evaluation, in YAML as a person would write it."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from preceptor.errors import CasesInvalid
from preceptor.text.languages import language_of
from preceptor.tracing.run import RecordedRun
from preceptor.tracing.tape import Tape

_WORDS = 6
_TOP_LEVEL = re.compile(r"^[^\s#-]", re.MULTILINE)


def case_text(run: RecordedRun, tape: Tape | None) -> str:
    """Returns the case of a run: its question, and the sections that its answer cites.

    A case of a run that a reader or an operator found bad says so, because its sections have to be checked.
    """
    known = run.summary
    question = known.question or ""
    answer = (tape.answer if tape else None) or {}
    sections = list(dict.fromkeys(f"{one['chapter']}#{one['anchor']}" for one in answer.get("sources", ())))
    asked = f"question: {_quoted(question)}"
    if chapter := tape and tape.asked.get("chapter"):
        asked += f", chapter: {_quoted(chapter)}"
    expected = (
        "in_book: true, sections: [" + ", ".join(map(_quoted, sections)) + "]"
        if sections
        else "in_book: false"
    )
    return "\n".join(
        [
            f"  # {known.trace_id}, {known.started:%Y-%m-%d}{_doubt(run)}",
            f"  - name: {_name(question)}",
            f"    inputs: {{{asked}}}",
            f"    expected_output: {{{expected}}}",
            f"    metadata: {{language: {language_of(question) or 'en'}, kind: asked}}",
            "",
        ]
    )


def file_text(name: str, runs: Iterable[tuple[RecordedRun, Tape | None]]) -> str:
    """Returns a file of cases, each question once."""
    return f"name: {name}\ncases:\n" + "".join(_cases(runs, set(), set()))


def add_cases(path: Path, runs: Iterable[tuple[RecordedRun, Tape | None]]) -> int:
    """Add runs to a file of cases, which is made if it is not there; a question that is in it is left out.

    What is in the file stays as it is, with its comments.

    Returns:
        Number of cases that were added.

    Raises:
        CasesInvalid: The file is there and is no file of cases.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else file_text(path.stem, [])
    added = _cases(runs, *_known(path, text))
    if added:
        path.write_text(_with(path, text, "".join(added)), encoding="utf-8")
    return len(added)


def _cases(
    runs: Iterable[tuple[RecordedRun, Tape | None]], questions: set[str], names: set[str]
) -> list[str]:
    """Returns the cases of runs whose question is new; `questions` and `names` are those that there are."""
    added: list[str] = []
    for run, tape in runs:
        question = run.summary.question
        if not question or question in questions:
            continue
        case, name = case_text(run, tape), _name(question)
        if name in names:
            other = f"{name}-{run.summary.trace_id[6:14]}"
            case, name = case.replace(f"- name: {name}\n", f"- name: {other}\n", 1), other
        questions.add(question)
        names.add(name)
        added.append(case)
    return added


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
