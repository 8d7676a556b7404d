"""The offline tutor: no provider; it searches, then quotes the sentences that fit best, each with its key."""

import json
from collections.abc import Sequence
from contextvars import ContextVar

from agents import Handoff, Tool

from preceptor.agents.coverage import covered
from preceptor.agents.local_model import Call, Items, LocalModel
from preceptor.agents.phrases import phrases
from preceptor.agents.sentences import overlap, sentences
from preceptor.library.passage import Hit
from preceptor.tools.plugin import Run

current_run: ContextVar[Run] = ContextVar("current_run")
"""The question that is being answered: the SDK gives a model no context of its own."""

_PASSAGES = 4
_SENTENCES = 3


class OfflineModel(LocalModel):
    """Calls `search_textbook` once, then answers with sentences of the passages that were shown."""

    name = "offline"

    async def next(self, input: Items, tools: Sequence[Tool], handoffs: Sequence[Handoff]) -> str | Call:
        """The search, then the quotations."""
        run = current_run.get()
        if (
            not len(run.ledger)
            and not _searched(input)
            and any(tool.name == "search_textbook" for tool in tools)
        ):
            return Call("search_textbook", json.dumps({"query": run.question}))
        hits = sorted(run.ledger, key=lambda hit: -hit.score)
        say = phrases(run.question)
        if not covered(run.question, hits):
            nearest = list(dict.fromkeys(hit.passage.title for hit in hits))[:3]
            return say.not_covered + (f" {say.nearest} {', '.join(nearest)}." if nearest else "")
        return "\n\n".join(f"{sentence} [{key}]" for sentence, key in best_sentences(run.question, hits))


def best_sentences(question: str, hits: Sequence[Hit]) -> list[tuple[str, str]]:
    """The sentences that answer best, with their keys, best first and none twice."""
    scored = [
        (overlap(question, sentence) + hit.score, sentence, hit.passage.key)
        for hit in hits[:_PASSAGES]
        for sentence in sentences(hit.passage.text, hit.passage.language)
    ]
    scored.sort(key=lambda entry: -entry[0])
    chosen: dict[str, str] = {}
    for _, sentence, key in scored:
        chosen.setdefault(sentence, key)
    return list(chosen.items())[:_SENTENCES]


def _searched(input: Items) -> bool:
    return any(item.get("type") == "function_call_output" for item in input)
