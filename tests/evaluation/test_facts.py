"""The facts of a case: whether an answer says them."""

import json
from pathlib import Path

import pytest

from preceptor.errors import CasesInvalid
from preceptor.evaluation.dataset import Fact, load_cases
from preceptor.evaluation.facts import is_said
from preceptor.evaluation.interval import kappa
from preceptor.evaluation.report import CaseResult, came, explained
from preceptor.evaluation.run import evaluate
from preceptor.library.passage import Hit
from preceptor.settings import EvaluationSettings
from tests.evaluation.example import Reply, cases_file, hits, passage

PAIRS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "facts.jsonl").read_text(encoding="utf-8").splitlines()
]
"""An answer, a fact, and whether the answer says it, labelled by hand.

With those that are `held_out` no choice was made.
"""

CASES = """
name: tiny
cases:
  - name: jazzy
    inputs: {question: "How long is Jazzy supported?"}
    expected_output:
      in_book: true
      sections: ["ros2/index"]
      facts:
        - "Jazzy is supported until **May 2029**"
        - {text: "It runs on **Ubuntu 24.04**", importance: okay, aliases: {Ubuntu 24.04: [Noble]}}
"""


@pytest.mark.parametrize(("held_out", "least"), [(False, 0.85), (True, 0.75)])
def test_it_agrees_with_labels_by_hand(held_out: bool, least: float) -> None:
    pairs = [pair for pair in PAIRS if pair["held_out"] == held_out]
    judged = [is_said(_fact(pair), pair["answer"]) for pair in pairs]
    found = kappa([pair["said"] for pair in pairs], judged)

    print(  # noqa: T201 - shown with `-s`
        f"\nκ {found:.2f} on {len(pairs)} pairs, {'held out' if held_out else 'chosen with'}"
    )
    assert len(pairs) == 150
    assert found is not None
    assert found >= least


def _fact(pair: dict[str, object]) -> Fact:
    return Fact.model_validate({"text": pair["fact"], "aliases": pair.get("aliases", {})})


def test_a_fact_whose_key_words_stand_far_apart_is_not_said() -> None:
    fact = Fact.model_validate("Jazzy is supported until **May 2029**")
    far = "It came in May. Then this. Then that. Then more. Support ends in 2029."

    assert is_said(fact, "Jazzy ends late. In May 2029 [1].")
    assert not is_said(fact, far.replace(". ", ".\n\n"))
    assert not is_said(fact, " ".join([far, *["And so on."] * 5]))


async def test_a_case_holds_when_every_vital_fact_is_said_and_tells_those_that_are_not(
    tmp_path: Path,
) -> None:
    said = "Until May 2029."

    async def ask(question: str, /, *, chapter: str | None = None) -> Reply:
        return Reply(said, [passage("ros2/index#a")], in_book=True)

    async def search(query: str, /, *, chapter: str | None = None, limit: int) -> list[Hit]:
        return hits("ros2/index#a")

    async def run() -> CaseResult:
        cases = load_cases(cases_file(tmp_path, CASES))
        report = await evaluate(cases, ask, search, k=5, thresholds=EvaluationSettings())
        return report.cases[0]

    case = await run()
    assert case.assertions["facts"]
    assert [fact.said for fact in case.facts] == [True, False], "the second one is only okay"

    said = "It runs on Noble."
    case = await run()
    assert not case.assertions["facts"]
    assert [fact.said for fact in case.facts] == [False, True]
    assert explained([case]) == "does not say every vital fact"
    assert "not said: “Jazzy is supported until May 2029”" in came(case)


@pytest.mark.parametrize(
    ("change", "into", "told"),
    [
        ("**May 2029**", "May 2029", "jazzy`, `expected_output.facts.0`: mark the words"),
        ("{Ubuntu 24.04: [Noble]}", "{Ubuntu: [Noble]}", "`Ubuntu`, which is no key word"),
        ("importance: okay", "importance: nice", "expected_output.facts.1.importance"),
        ("in_book: true\n      sections: [\"ros2/index\"]", "in_book: false", "`facts` must be empty"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_fact_is_named(tmp_path: Path, change: str, into: str, told: str) -> None:
    assert change in CASES
    with pytest.raises(CasesInvalid) as caught:
        load_cases(cases_file(tmp_path, CASES.replace(change, into, 1)))
    assert told in str(caught.value)
