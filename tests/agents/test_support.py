"""How well the cited passages bear an answer."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from preceptor.agents import support as support_module
from preceptor.agents.citations import Mark
from preceptor.agents.support import (
    MEASURES,
    SUPPORTED,
    are_comparable,
    check,
    claim_of,
    claims,
    invents,
    likelihood,
    names,
    support,
)
from preceptor.library.passage import Passage
from tests.agents.quoting import passage

LABELLED = Path(__file__).parent / "data/support.jsonl"
"""Claims and passages of the sample book: `calibration` chose the weights, `held-out` did not."""

NODE = passage("A node is a process that computes. One node may hold two timers. Nodes do not share memory.")
TOPIC = passage("A topic carries messages of one type.", key="m4tw")


def marked(text: str) -> list[Mark]:
    return [Mark(match.start(), int(match[1])) for match in re.finditer(r"(?<!x)\[(\d)\]", text)]


def said(text: str) -> list[tuple[str, tuple[int, ...]]]:
    return [(claim.text, claim.sources) for claim in claims(text, marked(text))]


def judged(half: str) -> list[tuple[str, float]]:
    """Label and support of every pair of one half."""
    rows: list[dict[str, Any]] = [
        json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()
    ]
    found: list[tuple[str, float]] = []
    for row in rows:
        if row["half"] == half:
            *_, heading = row["breadcrumb"]
            place = passage(row["passage"], heading=heading, language=row["language"])
            found += ((label, support(claim, [place]) or 0.0) for label, claim in row["claims"])
    return found


def test_the_labelled_set_is_large_enough_in_both_halves() -> None:
    for half in ("calibration", "held-out"):
        pairs = judged(half)
        assert len(pairs) >= 60
        assert {label for label, _ in pairs} == {
            *["supported", "unsupported", "contradicted", "wrong_number", "near_topic"]
        }


def test_supported_claims_of_the_held_out_half_are_told_from_the_others() -> None:
    pairs = judged("held-out")
    yes = [found for label, found in pairs if label == "supported"]
    no = [found for label, found in pairs if label != "supported"]
    auc = sum((a > b) + (a == b) / 2 for a in yes for b in no) / (len(yes) * len(no))
    right = sum(found >= SUPPORTED for found in yes) + sum(found < SUPPORTED for found in no)
    assert auc > 0.9
    assert right > 0.82 * len(pairs)


@pytest.mark.parametrize("label", ["wrong_number", "near_topic"])
def test_wrong_numbers_and_other_subjects_of_the_held_out_half_are_found(label: str) -> None:
    found = [value for one, value in judged("held-out") if one == label]
    assert sum(value < SUPPORTED for value in found) > 0.85 * len(found)


@pytest.mark.parametrize(
    ("file", "label", "share"),
    [
        ("support.jsonl", "supported", 0.9),
        ("support.jsonl", "contradicted", 0.75),
        ("support.jsonl", "unsupported", 0.8),
        ("support.jsonl", "wrong_number", 0.9),
        ("support.jsonl", "near_topic", 0.9),
        ("restated.jsonl", "supported", 0.88),
        ("restated.jsonl", "contradicted", 0.75),
        ("restated.jsonl", "unsupported", 0.85),
        ("languages.jsonl", "supported", 0.95),
        ("languages.jsonl", "contradicted", 0.93),
        ("languages.jsonl", "unsupported", 0.75),
    ],
)
def test_sentences_of_all_books_and_languages_are_judged_as_the_documentation_says(
    file: str, label: str, share: float
) -> None:
    right: list[bool] = []
    for line in LABELLED.with_name(file).read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        place = passage(row["passage"], language=row["language"])
        judged = [likelihood(claim, [place]) for one, claim in row["claims"] if one == label]
        right += [(one >= SUPPORTED) == (label == "supported") for one in judged if one is not None]
    assert len(right) >= 20
    assert sum(right) >= share * len(right)


def test_the_opposite_in_the_passage_s_own_words_counts_against_an_answer() -> None:
    place = passage("Short steps increase the precision of the result, and nodes do not share memory.")
    turned = "Short steps decrease the precision of the result [1]."
    found = check(turned, marked(turned), {1: place})
    assert found.confidence == 0
    assert found.support[1] < SUPPORTED


def test_every_measure_has_a_weight_and_no_weight_speaks_for_a_claim() -> None:
    weights: dict[str, float] = json.loads(
        Path(support_module.__file__).with_suffix(".json").read_text("utf-8")
    )
    assert set(weights) == {"intercept", *MEASURES}
    assert all(weights[name] < 0 for name in MEASURES)


def test_a_sentence_of_the_passage_itself_is_fully_supported() -> None:
    assert support("A node is a process that computes.", [NODE]) == 1.0


@pytest.mark.parametrize(
    "claim",
    [
        "A node is not a process that computes.",
        "Nodes share memory.",
        "One node may hold 12 timers.",
        "One node may hold three timers.",
        "Bread rises overnight in the kitchen.",
        "AlphaFold is a process that computes.",
        "A node is a process that Unitree computes.",
    ],
)
def test_what_the_passage_does_not_say_is_not_supported(claim: str) -> None:
    found = support(claim, [NODE])
    assert found is not None
    assert found < SUPPORTED


def test_a_negation_is_looked_for_in_the_clause_that_says_the_same() -> None:
    """Both clauses have all words of the claim; the shorter one says nothing else."""
    place = passage(
        "Threads share memory: always; but on distant hosts of other vendors threads do not share memory."
    )
    assert (support("So threads share memory.", [place]) or 0.0) > SUPPORTED
    assert (support("So threads do not share memory.", [place]) or 1.0) < SUPPORTED


@pytest.mark.parametrize(
    ("claim", "supported"),
    [
        ("A node of the robot is never without a name in the graph.", True),
        ("A node of the robot is without a name in the graph.", False),
        ("A node of the robot never has a name in the graph.", False),
    ],
)
def test_two_negations_are_none(claim: str, supported: bool) -> None:
    found = support(claim, [passage("A node of the robot has a name in the graph.")])
    assert found is not None
    assert (found > SUPPORTED) is supported


def test_a_book_in_the_english_of_a_country_is_judged_like_any_english_book() -> None:
    text = "A node is a process that computes [1]. A topic carries 40 messages of one type [2]."
    british = {number: replace(one, language="en-GB") for number, one in ((1, NODE), (2, TOPIC))}
    assert check(text, marked(text), british) == check(text, marked(text), {1: NODE, 2: TOPIC})


def test_a_list_rests_on_the_line_that_announces_it_and_not_on_other_paragraphs() -> None:
    assert said(
        "All robots have some parts [1].\n\nThere are two kinds: [2]\n\n- nodes compute all results"
        "\n- topics carry all messages"
        "\n\nA third paragraph cites nothing at all."
    ) == [
        ("All robots have some parts.", (1,)),
        ("nodes compute all results", (2,)),
        ("topics carry all messages", (2,)),
        ("A third paragraph cites nothing at all.", (1, 2)),
    ]


def test_a_run_of_spaces_in_a_sentence_is_read_once() -> None:
    began = process_time()
    assert claim_of(f"- A node{' ' * 40_000}is a process .") == f"A node{' ' * 40_000}is a process."
    assert process_time() - began < 1.0, "quadratic: 15 seconds and more"


@pytest.mark.parametrize("claim", ["Yes.", "A node.", "Nodes", "**Node**"])
def test_a_claim_of_fewer_than_three_words_is_not_judged(claim: str) -> None:
    assert support(claim, [NODE]) is None


def test_a_capital_at_the_beginning_or_in_the_passage_makes_no_name_wrong() -> None:
    claim = "However, the Node is a Process that computes: Two timers per Node."
    assert (support(claim, [NODE]) or 0.0) > SUPPORTED


def test_several_passages_bear_a_claim_together() -> None:
    claim = "A node computes, and a topic carries messages."
    one, both = support(claim, [NODE]) or 0.0, support(claim, [NODE, TOPIC]) or 0.0
    assert both > SUPPORTED > one


def test_without_a_passage_there_is_nothing_to_tell() -> None:
    assert support("A node is a process.", []) is None


def test_a_marker_belongs_to_the_sentence_before_it() -> None:
    assert said("A node is a process [1]. A topic carries messages. [2] Both are named.[1]") == [
        ("A node is a process.", (1,)),
        ("A topic carries messages.", (2,)),
        ("Both are named.", (1,)),
    ]


def test_a_sentence_without_a_marker_rests_on_the_next_one_that_has_one() -> None:
    assert said(
        "A node is a small process. It computes things in cycles [2].\n\nA topic carries messages onwards."
    ) == [
        ("A node is a small process.", (2,)),
        ("It computes things in cycles.", (2,)),
        ("A topic carries messages onwards.", (2,)),
    ]


def test_a_list_rests_on_what_announces_it() -> None:
    assert said(
        "There are two parts: [1]\n\n- nodes compute all results\n- topics carry all messages [2]"
    ) == [
        ("nodes compute all results", (2,)),
        ("topics carry all messages", (2,)),
    ]
    assert said("There are two parts: [1]\n\n- nodes compute all results\n- topics carry all messages") == [
        ("nodes compute all results", (1,)),
        ("topics carry all messages", (1,)),
    ]


def test_code_tables_questions_and_small_talk_claim_nothing() -> None:
    text = (
        "Good question!\n\n## Nodes\n\n| a | b |\n|---|---|\n\n```python\nx[1] = 3\n```\n\n"
        "What is a node? It is a process [1]."
    )
    assert said(text) == [("It is a process.", (1,))]


def test_whole_blocks_of_code_and_long_questions_claim_nothing() -> None:
    text = (
        "It is a process [1].\n\n~~~text\nEvery line of this block\nreads like a sentence.\n~~~\n\n"
        "Do you want to know which nodes a robot starts first?"
    )
    assert said(text) == [("It is a process.", (1,))]


def test_a_negation_beside_something_else_turns_nothing_around() -> None:
    """The second clause has one word of three in common with the negated one."""
    place = passage("Nodes compute all results of the robot for planners. Grippers never sleep at night.")
    claim = "Nodes compute all results of the robot for planners, arms sleep quietly."
    assert (support(claim, [place]) or 0.0) > SUPPORTED


def test_a_clause_of_one_word_turns_nothing_around() -> None:
    place = passage("Nodes compute all results of the robot for planners. Never use timers.")
    assert (
        support("Nodes compute all results of the robot for planners, timers.", [place]) or 0.0
    ) > SUPPORTED


def test_a_sentence_with_a_tag_or_a_bar_in_it_is_a_sentence() -> None:
    text = "A node <b>computes</b> all results [1]. It reads `a | b` in cycles [2]."
    assert [sources for _, sources in said(text)] == [(1,), (2,)]


def test_an_answer_without_citations_claims_nothing_that_could_be_checked() -> None:
    text = "The book does not cover this. Nearest chapters: Nodes, Topics."
    assert check(text, marked(text), {}) == check("", [], {})
    assert check(text, marked(text), {}).confidence is None


def test_confidence_is_the_share_of_supported_claims_and_support_is_by_source() -> None:
    text = "A node is a process that computes [1]. A topic carries 40 messages of one type [2]."
    found = check(text, marked(text), {1: NODE, 2: TOPIC})
    assert found.confidence == 0.5
    assert found.support[1] == 1.0
    assert found.support[2] < SUPPORTED


def test_an_answer_in_another_language_than_the_passage_is_not_judged() -> None:
    text = "Un nodo es un proceso que calcula y que habla con los demás [1]."
    assert check(text, marked(text), {1: NODE}) == check("", [], {})


def test_a_source_whose_passage_is_not_at_hand_is_not_judged() -> None:
    text = "A node is a process that computes [1]. A topic carries messages of one type [2]."
    found = check(text, marked(text), {2: TOPIC})
    assert (found.confidence, set(found.support)) == (1.0, {2})


def passages_of(*texts: str) -> list[Passage]:
    return [passage(text, key=f"k{place}qd") for place, text in enumerate(texts, start=2)]


def test_a_number_may_stand_in_any_of_the_cited_passages() -> None:
    found = support(
        "The loop runs at 500 hertz with 3 motors.",
        passages_of("The loop runs at 500 hertz.", "It has 3 motors."),
    )
    assert found is not None
    assert found > SUPPORTED


GERMAN = passage("Ein Knoten rechnet z. B. Bahnen. Er darf zwei Motoren haben.", language="de")


@pytest.mark.parametrize("tag", ["en-GB", "en_GB", "EN"])
def test_a_passage_whose_language_has_a_region_is_judged(tag: str) -> None:
    text = "A node is a process that computes [1]."
    found = check(text, marked(text), {1: passage(NODE.text, language=tag)})
    assert (found.confidence, found.support) == (1.0, {1: 1.0})
    assert (support("Nodes share memory.", [passage(NODE.text, language=tag)]) or 0.0) < SUPPORTED


def test_an_answer_is_cut_into_claims_in_its_own_language() -> None:
    assert said(
        "Ein Knoten ist, d. h. Prozess, der z. B. Bahnen für die Motoren rechnet [1]. Er ist klein [2]."
    ) == [
        ("Ein Knoten ist, d. h. Prozess, der z. B. Bahnen für die Motoren rechnet.", (1,)),
        ("Er ist klein.", (2,)),
    ]


def test_a_number_word_is_read_in_the_language_of_the_passage() -> None:
    assert (support("Ein Knoten darf drei Motoren haben.", [GERMAN]) or 0.0) < SUPPORTED
    assert (support("Ein Knoten darf 2 Motoren haben.", [GERMAN]) or 0.0) > SUPPORTED


def test_one_source_in_another_language_is_enough_to_leave_a_claim_unjudged() -> None:
    text = "A node is a process that computes, and a topic carries messages [1][2]."
    other = replace(TOPIC, language="es", text="Un tema lleva mensajes.")
    assert check(text, marked(text), {1: NODE, 2: other}).confidence is None


def test_a_claim_without_a_word_is_not_judged() -> None:
    assert support("!", [NODE]) is None


def test_what_cites_nothing_claims_nothing() -> None:
    assert claims("A node is a process that computes.", []) == []


def test_a_marker_at_the_very_beginning_belongs_to_the_first_sentence() -> None:
    assert said("[1] A node is a process. A topic carries messages [2].") == [
        ("A node is a process.", (1,)),
        ("A topic carries messages.", (2,)),
    ]


@pytest.mark.parametrize(
    ("claim", "place", "supported"),
    [
        ("The robot arm has 12,500 small parts.", "The robot arm has 12500 small parts.", True),
        ("The robot arm has 12,500 small parts.", "The robot arm has 12.5 small parts.", False),
        ("The robot arm weighs 1,5 kilograms.", "The robot arm weighs 1.5 kilograms.", True),
        ("The robot arm has 12 small parts.", "The robot arm has twelve small parts.", True),
    ],
)
def test_a_number_is_the_same_however_it_is_written(claim: str, place: str, supported: bool) -> None:
    found = support(claim, [passage(place)])
    assert found is not None
    assert (found > SUPPORTED) is supported


@pytest.mark.parametrize(
    ("tag", "place", "claim"),
    [
        ("es", "Los nodos comparten memoria en cada robot.", "Así los nodos nunca comparten memoria."),
        ("de", "Die Knoten teilen Speicher in jedem Roboter.", "Also teilen die Knoten keinen Speicher."),
    ],
)
def test_a_negation_is_known_in_the_language_of_the_passage(tag: str, place: str, claim: str) -> None:
    found = support(claim, [passage(place, language=tag)])
    assert found is not None
    assert found < SUPPORTED


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("Every node of ours computes a process.", 5.4 - 2.7),
        ("Bread rises overnight in kitchens.", -2.7),
        ("A node computes, and bread rises.", 5.4 / 2 - 2.7),
        ("Every node of ours computes 7 processes.", 5.4 * 3 / 4 - 2.7 - 4.4),
        ("Every node of Unitree computes a process.", 5.4 * 3 / 4 - 2.7 - 4.4),
        ("Every node of ours never computes a process.", 5.4 * 3 / 4 - 2.7 - 3.2),
    ],
)
def test_the_weights_are_those_of_the_decision(claim: str, evidence: float) -> None:
    assert support(claim, [NODE]) == pytest.approx(1 / (1 + math.exp(-evidence)), abs=0.001)


@pytest.mark.parametrize(
    ("text", "tag", "found"),
    [
        ("The arm of Unitree grips.", "en", ["Unitree"]),
        ("Unitree grips.", "en", []),
        ("It grips. Unitree grips too: Grippers hold.\nArms move!", "en", []),
        ("**Grippers** hold, (Arms) move.", "en", ["Arms"]),
        ('"Grippers" hold.', "en", []),
        ("AlphaFold folds, and a PyTorch model.", "en", ["AlphaFold", "PyTorch"]),
        ("Dann hält der Greifer eine Tasse aus PyTorch.", "de", ["PyTorch"]),
        ("Dann hält der Greifer eine Tasse.", "de-AT", []),
        ("The arm of Unitree grips.", "", ["Unitree"]),
        ("¿Cuál es? ¡Así agarra la mano de Unitree!", "es", ["Unitree"]),
        (
            "Values stand in floor.sdf, so run rclpy.init_node, e.g. at 5.p.m.",
            "en",
            ["floor.sdf", "rclpy.init_node"],
        ),
        ("Buy it at shop.example.org.", "en", ["shop.example.org"]),
        ("Write `ros2 run my_node.py` and save main.py.", "en", ["main.py"]),
    ],
)
def test_names_are_told_by_their_capitals_in_the_language_of_the_text(
    text: str, tag: str, found: list[str]
) -> None:
    assert list(names(text, tag)) == found


@pytest.mark.parametrize(
    ("claim", "place", "invented"),
    [
        ("A tree of the Behavior kind computes.", "A BehaviorTree computes in processes.", False),
        ("A node is a kind of Computing.", "A node is a process that computes.", False),
        ("A node runs in ROS and RViz.", "A node runs in ROS.", True),
        ("A node runs in ROS and RViz.", "A node runs in ros and rviz.", False),
        ("A node runs in many GPUs.", "A node runs in a GPU.", False),
        ("A node is a process of node.py.", "A node is a process.", True),
        ("A node is a process of node.py.", "A node is a process, as in `src/node.py`.", False),
    ],
)
def test_a_name_is_known_in_any_form_that_the_passage_has(claim: str, place: str, invented: bool) -> None:
    assert invents(claim, [passage(place)]) is invented


def test_a_count_that_the_passage_gives_otherwise_is_invented_and_one_beside_it_is_not() -> None:
    place = [passage("One node may hold two timers. Nodes do not share memory with each other.")]
    assert invents("One node may hold three timers.", place)
    assert not invents("Nodes do not share memory, and that makes three of them safe.", place)


def test_a_passage_in_a_language_that_nobody_knows_is_read_like_english() -> None:
    unknown = [replace(NODE, language="")]
    assert (support("Nodes share memory.", unknown) or 1.0) < SUPPORTED
    assert (support("One node may hold three timers.", unknown) or 1.0) < SUPPORTED
    assert are_comparable("es", unknown)
    assert are_comparable(None, [NODE])
    assert not are_comparable("es", [NODE])


def test_two_markers_in_a_row_belong_to_the_sentence_before_them() -> None:
    assert said("A node is a small process. [1] [2] A topic carries messages [3].") == [
        ("A node is a small process.", (1, 2)),
        ("A topic carries messages.", (3,)),
    ]


def test_a_formula_of_several_lines_claims_nothing() -> None:
    formula = "$$\nI_{xx} = m y^2 + m z^2, \\qquad\nI_{yy} = m x^2 + m z^2.\n$$\n"
    for block in (formula, formula.replace(".\n$$", ". $$")):
        text = f"A node computes its inertia [1].\n\n{block}\nA node moves a box [1].\n"
        assert [claim for claim, _ in said(text)] == ["A node computes its inertia.", "A node moves a box."]


def test_a_fence_within_a_line_of_code_ends_no_block() -> None:
    text = "It is a process [1].\n\n```text\nThe sign is ```\nEvery line of this reads well.\n```\n"
    assert said(text) == [("It is a process.", (1,))]


def test_a_claim_whose_citation_was_chosen_for_it_does_not_count_in_the_confidence() -> None:
    text = "A node is a process that computes [1]. Bread rises overnight in kitchens [1]."
    found = check(text, marked(text), {1: NODE}, without={"A node is a process that computes."})
    assert found.confidence == 0.0
    assert found.support[1] > 0.5


@pytest.mark.parametrize("written", ["There are two parts：", "There are two parts: "])
def test_an_announcement_claims_nothing_itself(written: str) -> None:
    assert said(f"{written}[1]\n\n- nodes compute all results") == [("nodes compute all results", (1,))]


def test_of_two_paragraphs_each_rests_on_its_own_sources() -> None:
    assert said(
        "A node is a small process [1].\n\nA topic carries messages. It has one type [2]. So all messages stay small."
    ) == [
        ("A node is a small process.", (1,)),
        ("A topic carries messages.", (2,)),
        ("It has one type.", (2,)),
        ("So all messages stay small.", (2,)),
    ]


def test_a_sentence_of_thousands_of_strange_words_is_not_supported() -> None:
    said = f"A node is {' '.join(f'q{number}x' for number in range(3000))}."
    assert likelihood(said, [passage("A node is a process that computes.")]) == pytest.approx(0)
