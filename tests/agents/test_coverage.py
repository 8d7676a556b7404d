"""The decision that the book does not cover a question."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import yaml

from preceptor.agents.offline import THRESHOLD, Likeness, coverage, judged
from preceptor.agents.quotation import SHORT_LIST, candidates
from preceptor.library import open_engine
from preceptor.library.counterparts import Alike
from preceptor.library.library import open_library
from preceptor.library.passage import Hit
from preceptor.settings import Settings
from tests.agents.quoting import hits, passage
from tests.sample import SOURCE

GRIPPER = passage("The gripper closes with 40 newtons.", chapter="gripper", heading="Force")


def covered(question: str, text: str, *, score: float = 0.3, likeness: tuple[float, ...] = (0.75,)) -> float:
    found = hits(passage(text, chapter="gripper", heading="Force"), score=score)
    return coverage(question, found, candidates(question, found), likeness)


def test_nothing_found_is_nothing_covered() -> None:
    assert coverage("What is a node?", [], [], []) == 0.0


def test_a_sentence_with_the_words_of_the_question_speaks_for_an_answer() -> None:
    question = "How many newtons does it close with?"
    assert covered(question, GRIPPER.text) > covered(question, "Fingers are soft.")


def test_a_sentence_that_means_the_same_speaks_for_an_answer() -> None:
    question = "How hard does it squeeze?"
    assert covered(question, GRIPPER.text, likeness=(0.85,)) > covered(
        question, GRIPPER.text, likeness=(0.6,)
    )


def test_a_name_that_no_passage_has_speaks_against_it() -> None:
    known = covered("What grips with the Robotiq?", "The gripper is a Robotiq.")
    assert covered("What grips with the Schunk?", "The gripper is a Robotiq.") < known / 2


@pytest.mark.parametrize(
    ("question", "text", "tag"),
    [
        ("¿Pesa mucho la pinza?", "La pinza cierra con 40 newtons.", "es"),
        ("用ROS怎么关闭夹爪？", "夹爪由ROS关闭。", "zh"),
        ("close the gripper What happens?", "The gripper is closed by its spring.", "en"),
    ],
)
def test_the_first_word_of_a_question_is_no_name(question: str, text: str, tag: str) -> None:
    """Nor is what stands beside a name in a script without spaces, or behind a question that was joined to it."""
    here = hits(replace(passage(text, chapter="gripper", heading="Force"), language=tag), score=0.3)
    asked = coverage(question, here, [], [0.75])
    assert asked > 2 * coverage(question.replace("?", " Zeta?").replace("？", " Zeta？"), here, [], [0.75])


def test_a_fact_needs_a_sentence_with_the_words_that_ask_for_it() -> None:
    """What the same sentence says of the subject is enough for other questions."""
    text, likeness = "The gripper is made of steel.", (0.75,)
    other = covered("What is special about the gripper factory?", text, likeness=likeness)
    fact = covered("Who founded the special gripper factory?", text, likeness=likeness)
    assert fact < other
    assert covered("Who made the gripper of steel?", text, likeness=likeness) > fact


def test_a_number_needs_a_sentence_that_has_one_beside_the_words() -> None:
    """Where a reason is asked for, it does not."""
    number, none = "The long gripper of the arm has 40 cm.", "The long gripper of the arm is all grey."
    question = "How long is the gripper of the arm?"
    assert covered(question, none) < covered(question, number) - 0.1
    why = "Why is it told how long the gripper of the arm is?"
    assert covered(why, none) == pytest.approx(covered(why, number))


def alike(*words: tuple[str, float]) -> Likeness:
    """An embedding model that finds these counterparts in the first text, and in no other."""

    async def likeness(question: str, texts: Sequence[str]) -> Sequence[Alike]:
        return [
            Alike(0.75, words if not at else tuple((word, 0.0) for word, _ in words))
            for at in range(len(texts))
        ]

    return likeness


async def test_a_word_without_a_counterpart_speaks_against_an_answer_and_synonyms_do_for_it() -> None:
    shown = hits(passage(GRIPPER.text, chapter="gripper", heading="Force"), score=0.3)

    async def found(question: str, *words: tuple[str, float]) -> float:
        return (await judged(question, shown, alike(*words)))[0]

    question = "Which licence has the gripper?"
    lacking = await found(question, ("licence", 0.3), ("gripper", 0.9))
    unknown = await found(question)
    meant = await found(question, ("licence", 0.7), ("gripper", 0.9))
    assert lacking < unknown < meant


@pytest.mark.parametrize(("question", "tag"), [("Wie ist der gripper?", "en"), ("gripper 怎么关闭", "zh")])
async def test_counterparts_count_neither_over_languages_nor_without_spaces(question: str, tag: str) -> None:
    shown = hits(replace(passage(GRIPPER.text, chapter="gripper", heading="Force"), language=tag), score=0.3)
    told, _ = await judged(question, shown, alike(("gripper", 0.0)))
    assert told == (await judged(question, shown, alike()))[0]


async def test_what_a_sentence_says_in_other_words_has_a_say_in_the_choice() -> None:
    """What it says in the question's own words is counted already."""
    text = "The gripper is grey and soft. The gripper closes at once."
    question, shown = "What colour has the gripper?", hits(passage(text))

    async def scores(*words: tuple[str, float]) -> dict[str, float]:
        _, found = await judged(question, shown, alike(*words))
        return {one.text: one.score for one in found}

    plain, same = await scores(), await scores(("gripper", 0.9))
    other = await scores(("colour", 0.9), ("gripper", 0.9))
    first = candidates(question, shown)[0].text
    assert same[first] == pytest.approx(plain[first])
    assert other[first] > plain[first] + 0.1


def test_a_question_for_steps_needs_more() -> None:
    text = "The gripper closes with 40 newtons."
    assert covered("How do I close the gripper?", text) < covered("Why close the gripper?", text)
    steps = covered("How do I see how often an arm moves?", text)
    assert steps == pytest.approx(covered("How do I see an arm that moves?", text))


def test_over_languages_only_the_meaning_speaks_for_an_answer_and_nothing_against_it() -> None:
    """No sentence has the words of such a question, whatever is asked."""
    asked = "گرپر کتنی قوت سے بند ہوتا ہے؟"
    found = hits(GRIPPER, score=0.3)
    told = coverage("گرپر کا بیان", found, [], [0.75])
    assert coverage(asked, found, [], [0.75]) == pytest.approx(told)


def test_words_that_only_name_the_chapter_speak_against_it() -> None:
    found = hits(GRIPPER, score=0.3)
    named = coverage("Who makes the gripper?", found, [], [0.75])
    other = coverage("Who makes the sensor?", found, [], [0.75])
    assert named < other


def test_a_page_without_headings_is_named_by_its_own_title() -> None:
    """The heading of a passage is no such name: what it says is what the passage is about."""
    page = replace(GRIPPER, breadcrumb=("The book", "Gripper"), heading="")
    named = coverage("Who makes the gripper?", hits(page, score=0.3), [], [0.75])
    other = coverage("Who makes the sensor?", hits(page, score=0.3), [], [0.75])
    assert named < other
    section = hits(replace(GRIPPER, breadcrumb=("The book", "Arms", "Gripper"), heading="Gripper"), score=0.3)
    assert coverage("Who makes the gripper?", section, [], [0.75]) == coverage(
        "Who makes the sensor?", section, [], [0.75]
    )


def test_a_certain_score_and_an_impossible_one_are_both_finite() -> None:
    assert 0.0 < covered("What?", GRIPPER.text, score=0.0) < covered("What?", GRIPPER.text, score=1.0) < 1.0


def test_a_text_that_no_search_found_is_judged_by_what_it_says() -> None:
    marked = [Hit(GRIPPER, 1.0, dense=None, bm25=None)]
    for question, likeness, says in (
        ("How many newtons does the gripper close with?", 0.8, True),
        ("Who painted the Mona Lisa?", 0.6, False),
    ):
        found = coverage(question, marked, candidates(question, marked), [likeness])
        assert (found >= THRESHOLD) is says


@pytest.mark.long
async def test_most_questions_to_the_sample_book_are_told_from_those_it_does_not_answer(
    demo_settings: Settings,
) -> None:
    """Its cases in English; the near misses are about robots too."""
    cases = yaml.safe_load((SOURCE / "evaluation.yaml").read_text(encoding="utf-8"))["cases"]
    engine = open_engine(demo_settings)
    library = await open_library(engine, demo_settings)
    right: dict[bool, list[bool]] = {True: [], False: []}
    try:
        for case in cases:
            if case["metadata"]["language"] != "en":
                continue
            question, in_book = case["inputs"]["question"], case["expected_output"]["in_book"]
            found, _ = await judged(question, await library.search(question), library.likeness)
            right[in_book].append((found >= THRESHOLD) == in_book)
    finally:
        await library.close()
        await engine.close()
    assert sum(right[True]) >= 0.9 * len(right[True])
    assert sum(right[False]) >= 0.8 * len(right[False])


async def test_where_words_are_shared_the_best_by_words_decide_and_the_model_chooses_among_more() -> None:
    """A question in another language than the book's has no words that could choose among them."""
    text = " ".join(f"Sentence number{place} stands alone here." for place in range(20))
    read: list[int] = []

    def like(place: int) -> Likeness:
        async def likeness(question: str, texts: Sequence[str]) -> Sequence[Alike]:
            read.append(len(texts))
            return [Alike(0.9 if at == place else 0.5) for at in range(len(texts))]

        return likeness

    shown, asked, foreign = hits(passage(text)), "What stands alone here?", "گرپر کیا پکڑتا ہے؟"
    last, first = (
        await judged(asked, shown, like(SHORT_LIST - 1)),
        await judged(asked, shown, like(SHORT_LIST)),
    )
    assert last[0] > first[0]
    assert [found[0].place for _, found in (last, first)] == [SHORT_LIST - 1, SHORT_LIST]
    far, near = await judged(foreign, shown, like(-1)), await judged(foreign, shown, like(SHORT_LIST))
    assert near[0] > far[0]
    assert read == [2 * SHORT_LIST] * 4
