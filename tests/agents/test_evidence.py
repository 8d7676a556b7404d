"""What speaks against a claim in the passages that it cites."""

import re

import pytest

from preceptor.agents import evidence
from preceptor.agents.evidence import AGAINST, against, is_form
from preceptor.library.passage import Passage
from tests.agents.quoting import passage

LOOP = passage(
    "The controller starts the planner before the motors move. Short steps increase the precision of the result. "
    "Nodes do not share memory. Usually a timer runs at 40 hertz. Gazebo is a simulator."
)


def of(claim: str, place: Passage = LOOP) -> dict[str, float]:
    """The measures that are not 0, by name."""
    return {name: one for name, one in zip(AGAINST, against(claim, [place]), strict=True) if one}


@pytest.mark.parametrize(
    ("claim", "measure"),
    [
        ("Short steps decrease the precision of the result.", "opposite"),
        ("Nodes share memory.", "negation_dropped"),
        ("The controller does not start the planner.", "negated"),
        ("The controller does not start the planner.", "turned_and_covered"),
        ("The motors move before the controller starts the planner.", "sides_changed"),
        ("A timer never runs at 40 hertz.", "negated"),
        ("A timer always runs at 40 hertz.", "absolute"),
        ("Short steps increase the precision, which tired engineers in factories admire.", "missing_at_end"),
        (
            "Short steps increase the precision, which tired engineers in factories admire.",
            "three_in_a_row_missing",
        ),
        (
            "Short steps increase the precision of the result with many further good things.",
            "more_than_replaced",
        ),
        ("The controller starts the motors instead of the planner.", "negated"),
    ],
)
def test_a_fault_is_measured(claim: str, measure: str) -> None:
    assert of(claim)[measure] > 0


@pytest.mark.parametrize(
    "claim",
    [
        "The controller starts the planner before the motors move.",
        "Short steps increase the precision of the result.",
        "Nodes do not share memory.",
        "The planner is started by the controller.",
        "Short steps raise the precision of the result.",
        "The controller started planning.",
    ],
)
def test_nothing_speaks_against_the_sentence_itself_and_against_the_same_in_other_words(claim: str) -> None:
    assert of(claim) == {}


@pytest.mark.parametrize(
    ("tag", "place", "turned"),
    [
        ("de", "Kleine Schritte erhöhen die Genauigkeit.", "Kleine Schritte verringern die Genauigkeit."),
        ("ja", "小さな刻みは精度を増加させる。", "小さな刻みは精度を減少させる。"),
        ("ur", "چھوٹے قدم درستی بڑھاتے ہیں۔", "چھوٹے قدم درستی گھٹاتے ہیں۔"),
    ],
)
def test_an_opposite_is_measured_in_other_languages(tag: str, place: str, turned: str) -> None:
    assert of(turned, passage(place, language=tag))["opposite"] == 1
    assert "opposite" not in of(place, passage(place, language=tag))


def test_words_that_stand_instead_of_others_have_changed_places() -> None:
    place = passage("The arm sends forces and torques rather than text or pictures.")
    assert of("The arm sends text and pictures rather than forces and torques.", place)["negated"] > 0
    assert of("The arm sends text and pictures.", place)["negation_dropped"] > 0
    assert of("Rather than pictures the arm sends forces and torques.", place) == {}


def test_a_claim_may_rest_on_the_clause_beside_a_negation() -> None:
    place = passage(
        "At rest the sensor does not read zero; it reads twelve volts upwards on earth, as the table pushes."
    )
    assert "negation_dropped" not in of("The sensor reads twelve volts upwards on earth.", place)
    assert of("At rest the sensor does read zero.", place)["negation_dropped"] > 0


def test_an_opposite_is_told_by_the_words_that_stand_nearest_to_it() -> None:
    place = passage("The coast has high tides and low levels of sand.")
    assert of("There are high levels of sand.", place)["opposite"] == 1
    assert "opposite" not in of("There are high tides.", place)


def test_a_claim_in_a_script_without_spaces_is_counted_in_words() -> None:
    place = passage("仿真器计算机器人的运动。", language="zh")
    assert of("仿真器计算机器人的运动。", place) == {}
    assert of("仿真器计算机器人的运动并且发送电子邮件。", place)["three_in_a_row_missing"] == 1
    # One strange word of two characters, one of three, then two of two.
    assert "two_in_a_row_missing" not in of("仿真器模拟机器人的运动。", place)
    assert "two_in_a_row_missing" not in of("仿真器模拟船人的运动。", place)
    assert of("仿真器模拟飞船人的运动。", place)["two_in_a_row_missing"] == 1


def test_sides_have_changed_although_a_word_of_both_has_stayed() -> None:
    place = passage("In tests the red arm stops before the green wheel turns.")
    assert of("In tests the green wheel turns before the red arm stops.", place)["sides_changed"] > 0
    assert of("In tests the red arm stops before the green wheel turns.", place) == {}


def test_sides_have_changed_before_what_stays_where_it_is() -> None:
    place = passage("A gripper is a hand at the end of an arm.")
    assert of("A hand is a gripper at the end of an arm.", place)["sides_changed"] == 1


@pytest.mark.parametrize(
    "claim", ["The wheel turns before the lamp glows.", "The lamp glows before the arm stops."]
)
def test_one_side_that_stands_elsewhere_is_no_change_of_sides(claim: str) -> None:
    place = passage("The red arm stops before the green wheel turns. The lamp glows.")
    assert "sides_changed" not in of(claim, place)


@pytest.mark.parametrize(
    ("word", "other", "tag", "are_forms"),
    [
        ("simulator", "simulated", "en", True),
        ("simple", "simulated", "en", False),
        # "the book" and "book", whichever of the two the claim has
        ("الكتاب", "كتاب", "ar", True),
        ("كتاب", "الكتاب", "ar", True),
        ("بيت", "البيت", "ar", True),
        ("وبالكتاب", "كتاب", "ar", False),
        ("the", "he", "en", False),
    ],
)
def test_forms_of_a_word_are_known_by_their_beginning_or_by_what_stands_before_it(
    word: str, other: str, tag: str, are_forms: bool
) -> None:
    assert is_form(word, other, tag) is are_forms


def test_a_passage_of_marks_alone_can_be_compared() -> None:
    assert of("A node computes results.", passage("—"))["three_in_a_row_missing"] == 1


@pytest.mark.parametrize("joint", ["not ", "is ", "before "])
def test_the_sides_of_a_claim_of_joints_alone_are_read_as_often_as_those_of_a_short_one(
    joint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides, read = evidence._sides, [0]  # pyright: ignore[reportPrivateUsage]

    def counted(text: str, match: re.Match[str], tag: str) -> tuple[frozenset[int], frozenset[int]]:
        read[0] += 1
        return sides(text, match, tag)

    def work(joints: int) -> int:
        read[0] = 0
        against(joint * joints, [LOOP])
        return read[0]

    monkeypatch.setattr(evidence, "_sides", counted)
    short, double, long = work(50), work(100), work(5_750)
    assert 0 < short == double == long
