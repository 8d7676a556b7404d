"""How good the offline tutor's answers are to the labelled questions of `tests/offline/answers.jsonl`, by book.

Each book goes the product's own way, and every question is asked as a reader asks it, follow-ups in the session of
the question before.

`good`: an answer stands in what is quoted, or the question is declined where the book does not answer.
`first`, `quoted`: an answer stands in the first paragraph of what is quoted, or in any, of the answerable questions
that were not declined. `lost`: share of the answerable ones that are declined; `near`: the same of those that are not.

    python -m bench.answers physical-ai zh ur
"""

import argparse
import asyncio
import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents import set_trace_processors

from preceptor.agents.answer import Question
from preceptor.agents.preceptor import open_preceptor
from preceptor.indexing.run import Indexing
from preceptor.library import open_engine
from preceptor.settings import load_settings
from tests.offline.labelled import BOOKS, Labelled, labelled

_MARKER = re.compile(r"\s*\[\d+\]")


async def measure(name: str, asked: Sequence[Labelled], work: Path) -> dict[str, Any]:
    """Index the book, ask all its questions, look for their answers."""
    book = BOOKS[name]
    overrides = {
        "book": {"id": name, "title": name, "language": book.language},
        "index": {"collection": "book", "path": work / "index", "backend": "embedded"},
        "session": {"url": f"sqlite:///{work}/sessions.db"},
    }
    settings = load_settings("demo", overrides=overrides, folder=work)
    async with open_engine(settings) as engine:
        await Indexing(book.source(work), settings).into(engine)
    set_trace_processors([])
    good: list[bool] = []
    first: list[bool] = []
    quoted: list[bool] = []
    lost: list[bool] = []
    near: list[bool] = []
    sessions: dict[str, str] = {}
    async with open_preceptor(settings) as preceptor:
        for one in asked:
            answer = await preceptor.ask(
                Question(text=one.question, session_id=sessions.get(one.after or ""))
            )
            sessions[one.id] = answer.session_id
            (lost if one.is_answered else near).append(not answer.in_book)
            text = _MARKER.sub("", answer.text)
            holds = answer.in_book and one.answered_by(text)
            good.append(holds if one.is_answered else not answer.in_book)
            if one.is_answered and answer.in_book:
                quoted.append(holds)
                first.append(one.answered_by(text.split("\n\n")[0]))
    return {
        "bench": "answers",
        "book": name,
        "questions": len(asked),
        **{
            key: round(sum(values) / max(len(values), 1), 3)
            for key, values in (
                *(("good", good), ("first", first), ("quoted", quoted)),
                *(("lost", lost), ("near", near)),
            )
        },
    }


def main() -> None:
    """Print the result of each book, as a line of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("books", nargs="*", default=list(BOOKS), metavar="BOOK")
    for name in parser.parse_args().books:
        with tempfile.TemporaryDirectory() as work:
            asked = [one for one in labelled() if one.book == name]
            print(json.dumps(asyncio.run(measure(name, asked, Path(work)))), flush=True)


if __name__ == "__main__":
    main()
