"""Judges a real model's answers: a file of questions, asked of a service whose one provider is that model.

The file is a list of `{"id", "q", "in"}` as JSON: the question, and whether the book answers it. Beside that it may
have `after` (the id of the question that it follows in one conversation) and `says` (words of which a right answer has
all; alternatives are set apart by `|`). The sample book is served once for each way in which it may be searched, and
every question is asked as a reader's. Words do not make an answer right: all of them are printed, to be read.

`says`: answers in the book that have their words and a source.  `tutor`, `offline`: answers in the book with a source,
of the model and of the offline tutor.  `declined`: no source, although the book answers.  `kept out`: questions that
the book does not answer and that were declined.  `recited`: answers with six words in a row from the instructions.
`asked`: calls of the model.

    python bench/real_model.py QUESTIONS.json --provider http://127.0.0.1:11434/v1 --model qwen [--retrieval first …]
"""

import argparse
import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from service import environment, index_sample_book, serving

from preceptor.agents.prompts import rules
from preceptor.settings import Retrieval
from preceptor.text.languages import words

Json = dict[str, Any]
_PATIENCE = 3600.0
"""Seconds for one answer: a model on a small machine reads some dozens of tokens a second."""
_ROW = 6


def ask(port: int, question: Json, sessions: dict[str, str]) -> Json:
    """One question over HTTP, in the conversation that it belongs to."""
    body = {"content": question["q"], "session_id": sessions.get(question.get("after", ""))}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/chat",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    began = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        answer = {"answer": "", "sources": [], "provider": f"HTTP {error.code}", "failover": []}
    sessions[question["id"]] = answer.get("session_id", "")
    return {**question, **answer, "seconds": round(time.perf_counter() - began, 1)}


def has_words(one: Json) -> bool:
    """Whether an answer has the words that a right one has."""
    said = one["answer"].casefold()
    return all(any(way in said for way in word.casefold().split("|")) for word in one.get("says", ()))


def recites(text: str) -> bool:
    """Whether an answer has this number of words in a row from the instructions."""
    own = {gram for rule in rules() for gram in rows(words(rule))}
    return not own.isdisjoint(rows(words(text)))


def rows(found: list[str]) -> set[tuple[str, ...]]:
    return {tuple(found[place : place + _ROW]) for place in range(len(found) - _ROW + 1)}


def summary(name: str, answers: Sequence[Json]) -> Json:
    """The row of the table."""
    within = [one for one in answers if one["in"]]
    without = [one for one in answers if not one["in"]]
    cited = [one for one in within if one["sources"]]
    usage = [one.get("usage") or {} for one in answers]
    return {
        "retrieval": name,
        "in": len(within),
        "says": sum(has_words(one) for one in cited),
        "tutor": sum(one["provider"] != "offline" for one in cited),
        "offline": sum(one["provider"] == "offline" for one in cited),
        "declined": len(within) - len(cited),
        "out": len(without),
        "kept out": sum(not one["sources"] for one in without),
        "recited": sum(recites(one["answer"]) for one in answers),
        "asked": sum(one.get("requests", 0) for one in usage),
        "tokens in": sum(one.get("input_tokens", 0) for one in usage),
        "tokens out": sum(one.get("output_tokens", 0) for one in usage),
        "seconds": round(sum(one["seconds"] for one in answers)),
    }


def show(one: Json) -> None:
    """An answer, to be read."""
    left = " ".join(f"{note['from']}:{note['reason']}" for note in one["failover"])
    mark = "words" if one.get("says") and has_words(one) else ""
    print(f"## {one['id']} ({'in' if one['in'] else 'out'}) {one['q']}")
    print(f"-- {one['provider']} confidence={one.get('confidence_score')} {left} {one['seconds']} s {mark}")
    print(one["answer"])
    for source in one["sources"]:
        print(f"   [{source['n']}] {source['url']} support={source.get('support')}")
    print(flush=True)


def main() -> None:
    """Ask, print the answers, then the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("questions", nargs="+", type=Path, help="files of questions")
    parser.add_argument("--provider", required=True, metavar="URL", help="an OpenAI-compatible address")
    parser.add_argument("--model", default="model", help="its name there")
    parser.add_argument(
        "--retrieval", nargs="+", choices=get_args(Retrieval), default=list(get_args(Retrieval))
    )
    parser.add_argument("--offline", action="store_true", help="also ask the offline tutor alone")
    parser.add_argument("--only", nargs="+", metavar="ID", help="these questions alone")
    parser.add_argument("--set", nargs="+", default=[], metavar="SECTION.NAME=VALUE", help="further settings")
    parser.add_argument("--out", type=Path, help="a file to which the answers are added, one JSON line each")
    args = parser.parse_args()
    questions = [one for file in args.questions for one in json.loads(file.read_text(encoding="utf-8"))]
    questions = [one for one in questions if not args.only or one["id"] in args.only]
    row = {
        "base_url": args.provider,
        "model": args.model,
        "needs_key": False,
        "temperature": 0.0,
        "attempts": 1,
        "timeout": _PATIENCE / 4,
        "first_token": _PATIENCE / 4,
    }
    more = dict(one.split("=", 1) for one in args.set)
    index_sample_book()
    table: list[Json] = []
    for name in [*(["offline"] if args.offline else []), *args.retrieval]:
        variables = environment(
            PRECEPTOR_TUTOR__DEADLINE=str(_PATIENCE),
            PRECEPTOR_TUTOR__PROVIDERS="@json " + json.dumps([] if name == "offline" else ["local"]),
            PRECEPTOR_PROVIDERS="@json " + json.dumps({"local": {**row, "retrieval": name}}),
            **{f"PRECEPTOR_{key.upper().replace('.', '__')}": value for key, value in more.items()},
        )
        if name == "offline":
            del variables["PRECEPTOR_PROVIDERS"]
        answers: list[Json] = []
        print(f"# {name}\n")
        with serving(variables) as (port, _):
            sessions: dict[str, str] = {}
            for question in questions:
                answers.append(ask(port, question, sessions))
                show(answers[-1])
                if args.out:
                    with args.out.open("a", encoding="utf-8") as file:
                        line = {"retrieval": name, **answers[-1]}
                        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        table.append(summary(name, answers))
    print(" | ".join(table[0]))
    for line in table:
        print(" | ".join(str(value) for value in line.values()))


if __name__ == "__main__":
    main()
