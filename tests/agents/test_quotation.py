"""Which pieces of the shown passages are quoted, and how: words alone, without the embedding model."""

import pytest

from preceptor.agents.quotation import Candidate, candidates, incomplete, nearer, quotations
from preceptor.library.passage import Hit, Passage
from tests.agents.quoting import hits, passage

GRIPPER = "The gripper closes with 40 newtons."


def ask(question: str, *passages: Passage) -> list[str]:
    return quotations(question, candidates(question, hits(*passages)))


def test_nothing_is_quoted_twice_nor_almost() -> None:
    found = ask(
        "What is a costmap?",
        passage("A costmap is a grid around the robot with costs in its cells."),
        passage(
            "As said, a costmap is a grid around the robot with costs in its cells.",
            key="m4tw",
            heading="More",
        ),
    )
    assert found == ["A costmap is a grid around the robot with costs in its cells. [k7qd]"]


def test_a_passage_that_is_much_nearer_outweighs_a_word_more() -> None:
    near = Hit(passage("A motor drives the belt.", heading="Drive"), 0.9, dense=0.8, bm25=None)
    far = passage("The red belt is what the boy drives on a slope.", key="m4tw", chapter="toys")
    question = "What drives the red belt?"
    best = candidates(question, [near, Hit(far, 0.3, dense=0.8, bm25=None)])[0]
    assert best.section.passages[0] is near.passage
    as_near = candidates(question, [near, Hit(far, 0.9, dense=0.8, bm25=None)])[0]
    assert as_near.section.passages[0] is far


def test_an_answer_in_one_sentence_stands_alone() -> None:
    found = ask(
        "How many newtons does the gripper close with?",
        passage("The gripper closes with 40 newtons. Its fingers are soft. A gripper is an actuator."),
    )
    assert found == ["The gripper closes with 40 newtons. [k7qd]"]


@pytest.mark.parametrize(
    ("question", "behind", "comes_along"),
    [
        ("What does the gripper do?", "It closes slowly.", True),
        ("What does the gripper do?", "What else is there?", False),
        ("What does the gripper do?", "It has four parts:\n\n- a motor", False),
        ("How strongly in newtons is it, and how many?", "It closes slowly.", False),
    ],
)
def test_the_sentence_behind_the_first_quotation_comes_along(
    question: str, behind: str, comes_along: bool
) -> None:
    found = ask(question, passage(f"{GRIPPER} {behind}"))
    assert found[0] == (f"{GRIPPER} [k7qd] {behind} [k7qd]" if comes_along else f"{GRIPPER} [k7qd]")


@pytest.mark.parametrize(
    ("question", "comes_along"),
    [
        ("How do I grip a cup?", True),
        ("What is it to grip a cup?", False),
        ("Why does it help to see the code to grip a cup?", False),
    ],
)
def test_the_code_behind_a_sentence_comes_along_where_steps_are_asked_for(
    question: str, comes_along: bool
) -> None:
    sentence, code = "You grip a cup by its handle.", "```py\nclose(4)\n```"
    found = ask(question, passage(f"{sentence}\n\n{code}\n\nThat is all."))
    assert (code in found[0]) is comes_along
    assert found[0].startswith(f"{sentence} [k7qd]")


HOLDS = "A gripper holds cups."


@pytest.mark.parametrize(
    ("heading", "rest", "said"),
    [
        ("What does it hold?", "It is soft. Its fingers bend.", "It is soft. Its fingers bend. [k7qd]"),
        ("Fingers", "It is soft. Its fingers bend.", "It is soft. [k7qd]"),
        ("What does it hold?", "It is soft. Why is that? It bends.", "It is soft. [k7qd]"),
        (
            "What does it hold?",
            "It is soft. It can:\n\n- bend\n\nIt ends.",
            "It is soft. It can: [k7qd]\n\n- bend",
        ),
        ("What does it hold?", "It is soft. Use it:\n\n```py\nhold()\n```", "It is soft. [k7qd]"),
        ("What does it hold?", f"It is soft. {'Very ' * 80}soft.", "It is soft. [k7qd]"),
    ],
    ids=["all", "another heading", "a question", "up to a list", "code that may go on", "too long"],
)
def test_a_short_section_whose_heading_is_the_question_is_quoted_whole(
    heading: str, rest: str, said: str
) -> None:
    found = ask("What does a gripper hold?", passage(f"{HOLDS} {rest}", heading=heading))
    assert found[0] == f"{HOLDS} [k7qd] {said}"


def test_of_a_section_whose_heading_is_the_question_nothing_is_said_twice_or_beside_the_fact() -> None:
    text, heading = f"{HOLDS} It is soft. Its fingers bend.", "What does it hold?"
    shown = candidates("What does a gripper hold?", hits(passage(text, heading=heading)))
    assert "bend" not in quotations("What does a gripper hold?", shown, said="Its fingers bend.")[0]
    many = ask("How many cups does it hold?", passage(f"It holds 3 cups. {text}", heading="How many cups?"))
    assert many[0] == "It holds 3 cups. [k7qd]"


def test_a_sentence_that_leans_on_another_passage_carries_both_keys() -> None:
    found = ask(
        "Which names do nodes need?",
        passage("A node is a process."),
        passage("They need unique names.", key="m4tw", order=1),
    )
    assert found[0] == "A node is a process. They need unique names. [k7qd] [m4tw]"


def test_the_beginning_of_a_section_answers_what_its_heading_names() -> None:
    found = ask(
        "What is the latency trap?",
        passage("Steering a robot from far away is dangerous. Delays add up.", heading="The latency trap"),
        passage("The latency trap has a solution on board.", key="m4tw", heading="The solution"),
    )
    assert found[0] == "Steering a robot from far away is dangerous. [k7qd] Delays add up. [k7qd]"


def test_a_question_that_the_book_asks_is_no_answer() -> None:
    found = ask("What is a node?", passage("What is a node? A node is a process that computes."))
    assert found == ["A node is a process that computes. [k7qd]"]


def test_a_diagram_is_not_quoted() -> None:
    found = ask(
        "Show me the code of the camera node", passage("```mermaid\nflowchart LR\n  camera --> node\n```")
    )
    assert found == []


def test_of_a_long_table_the_rows_that_answer_are_quoted_with_the_header() -> None:
    rows = "\n".join(f"| module {number} | {number} GB |" for number in range(30))
    (found,) = ask("How much memory has module 17?", passage(f"| Module | Memory |\n|---|---|\n{rows}"))
    assert found.startswith("| Module | Memory |\n|---|---|\n")
    assert "| module 17 | 17 GB |" in found
    assert len(found.splitlines()) < 10


def test_a_list_with_text_between_its_items_is_quoted_with_all_of_them() -> None:
    text = (
        "The difference is small:\n\n- Off-policy: another policy acts than the one that learns.\n\n"
        "Q-learning does so.\n\nA picture\n\n- On-policy: the same policy acts and learns.\n\nSarsa does so."
    )
    (found,) = ask(
        "What is the difference between on-policy and off-policy?", passage(text, heading="Policies")
    )
    assert found == (
        "The difference is small: [k7qd]\n\n- Off-policy: another policy acts than the one that learns.\n"
        "- On-policy: the same policy acts and learns."
    )


def test_two_lists_that_are_announced_stay_apart() -> None:
    text = "For the arm:\n\n- a strong motor\n\nFor the wheels:\n\n- a fast motor"
    found = ask("Which motor do the wheels need?", passage(text))
    assert found[0] == "For the wheels: [k7qd]\n\n- a fast motor"


def test_code_is_preferred_only_when_it_is_asked_for() -> None:
    text = "A timer calls the node.\n\n```python\nnode.create_timer(1.0, node.call)\n```"
    assert ask("What calls the node?", passage(text))[0] == "A timer calls the node. [k7qd]"
    assert ask("Show me the code that creates a timer of a node", passage(text))[0].startswith("```python")


def test_more_of_a_section_is_wanted_only_where_the_best_quotation_is_cut_off() -> None:
    question = "What separates a robot from a program?"
    cut = candidates(question, hits(passage("Two things separate a robot from a program:")))
    whole = candidates(question, hits(passage("A body separates a robot from a program.")))
    assert incomplete(cut) is not None
    assert incomplete(whole) is None


def best(question: str, *passages: Passage) -> Candidate:
    return candidates(question, hits(*passages))[0]


def test_without_a_hit_there_is_nothing_to_quote_and_nothing_to_read_on() -> None:
    assert ask("What is a node?") == []
    assert incomplete([]) is None


def test_only_the_six_best_passages_are_quoted() -> None:
    others = [
        passage(f"Bolt {number} is grey.", key=f"b{number}", heading=f"Bolt {number}") for number in range(5)
    ]
    asked, last = "How many newtons does the gripper close with?", passage(GRIPPER, heading="Gripper")
    assert ask(asked, *others, last)[0] == f"{GRIPPER} [k7qd]"
    one_more = passage("Nuts are grey.", key="nuts", heading="Nuts")
    assert not any(GRIPPER in one for one in ask(asked, *others, one_more, last))


def test_of_two_that_say_the_same_the_better_found_is_quoted() -> None:
    one, other = passage("Grippers hold cups."), passage("Grippers hold cups.", key="m4tw", heading="More")
    assert ask("What do grippers hold?", one, other) == ["Grippers hold cups. [k7qd]"]
    assert ask("What do grippers hold?", other, one) == ["Grippers hold cups. [m4tw]"]


def test_a_passage_that_no_search_found_is_quoted_all_the_same() -> None:
    marked = [Hit(passage(GRIPPER), 0.0, dense=None, bm25=None)]
    assert quotations("How strong is the gripper?", candidates("How strong is the gripper?", marked)) == [
        f"{GRIPPER} [k7qd]"
    ]


def test_of_two_definitions_the_one_below_its_own_heading_comes_first() -> None:
    aside = passage("A node is a member of a graph in mathematics.", heading="Graphs")
    own = passage("A node is a process that computes in ROS.", key="m4tw", heading="Node")
    assert ask("What is a node?", aside, own)[0].endswith("[m4tw]")


def test_a_definition_of_what_was_not_asked_for_has_no_preference() -> None:
    text = "An executor is a loop that calls a timer. Every second the timer of a node fires."
    assert ask("When does the timer of a node fire?", passage(text))[0] == (
        "Every second the timer of a node fires. [k7qd]"
    )


def test_a_word_of_the_headings_above_need_not_stand_in_the_sentence_itself() -> None:
    robots = passage("The arm weighs 3 kilograms.", heading="Robots")
    other = passage("The arm of a chair is soft.", key="m4tw", chapter="chairs", heading="Wood")
    assert ask("How heavy is the arm of robots?", other, robots)[0].endswith("[k7qd]")


def test_the_model_re_ranks_those_that_it_has_judged_and_the_rest_keep_their_place() -> None:
    found = candidates(
        "What do grippers hold?", hits(passage("Grippers hold cups. Grippers hold. Hands do more."))
    )
    last = found[-1]
    again = nearer(found, [*[0.0] * (len(found) - 1), 9.0])
    assert again[0].text == last.text
    assert [one.text for one in nearer(found, [])] == [one.text for one in found]
    assert {one.text for one in nearer(found, [0.5])} == {one.text for one in found}


def test_the_model_reads_the_heading_of_a_section_with_its_first_sentence_and_the_beginning_of_a_block() -> (
    None
):
    text = f"{GRIPPER} Its fingers are soft.\n\n```\n{'pass ' * 200}\n```"
    found = candidates("How strong is the gripper?", hits(passage(text, heading="Strength")))
    texts = {one.place: one.text for one in found}
    assert texts[0] == f"Strength {GRIPPER}"
    assert texts[1] == f"{GRIPPER} Its fingers are soft.", "what it depends on, and no heading"
    assert len(texts[2].split()) == 80


def test_an_answer_has_three_sentences_at_most_and_a_list_counts_as_two() -> None:
    one = passage(
        "Grippers hold cups of tea. Some grippers hold bread. Large grippers hold doors. Red grippers hold nails."
    )
    assert "".join(ask("What do grippers hold?", one)).count(".") == 3
    table = passage(
        "Grippers hold cups of tea. Some grippers hold bread.\n\n- grippers hold doors\n- grippers hold nails"
    )
    found = ask("What do grippers hold?", table)
    assert sum("- grippers" in one for one in found) + len(found) <= 3


def test_a_sentence_counts_once_with_those_that_it_depends_on() -> None:
    hooks = passage("Hooks are long. They hold the tea of robots.", heading="Hooks")
    arms = passage("Arms are heavy. They hold bread and tea for robots.", key="m4tw", heading="Arms")
    assert ask("Which of them hold tea?", hooks, arms) == [
        "Hooks are long. They hold the tea of robots. [k7qd]",
        "Arms are heavy. They hold bread and tea for robots. [m4tw]",
    ]


def test_a_first_quotation_that_is_long_is_quoted_alone() -> None:
    text = "Grippers need four things:\n\n- a motor\n- a spring"
    more = passage("Grippers also need cups.", key="m4tw", heading="More")
    assert ask("What do grippers need?", passage(text), more) == [
        "Grippers need four things: [k7qd]\n\n- a motor\n- a spring"
    ]


def test_beside_a_sentence_that_has_all_that_was_asked_only_its_equals_are_quoted() -> None:
    full, half = passage(GRIPPER), passage("The gripper was painted red.", key="m4tw", heading="Paint")
    assert ask("With which newtons does the gripper close?", full, half) == [f"{GRIPPER} [k7qd]"]


def test_a_sentence_whose_neighbour_was_not_found_is_not_quoted_but_read_on_for() -> None:
    found = candidates("What do they need?", hits(passage("They need unique names.", order=1)))
    assert found[0].places is None
    assert quotations("What do they need?", found) == []
    missing = incomplete(found)
    assert missing is not None
    assert missing.key == "k7qd"


def test_the_first_sentence_of_a_section_that_speaks_of_its_heading_is_quoted() -> None:
    project = passage("This project ends with a robot that serves tea.", heading="Project")
    other = passage("A robot is a machine.", key="m4tw", heading="Robots")
    found = ask("What does the robot do at the end of the project?", project, other)
    assert found[0] == "This project ends with a robot that serves tea. [k7qd]"


def test_passages_of_a_section_with_a_gap_between_them_are_not_joined() -> None:
    first, third = passage("A node is a process."), passage("They need unique names.", key="m4tw", order=2)
    assert ask("Which names do nodes need?", first, third)[0] == "A node is a process. [k7qd]"


@pytest.mark.parametrize(
    ("one", "other", "whole"),
    [
        (
            "```py\ngrip = 1\n```",
            "```py\nhold = grip\n```",
            "```py\ngrip = 1\nhold = grip\n```\n\n[k7qd] [m4tw]",
        ),
        (
            "| Gripper | N |\n|---|---|\n| small | 4 |",
            "| Gripper | N |\n|---|---|\n| large | 40 |",
            "| Gripper | N |\n|---|---|\n| small | 4 |\n| large | 40 |\n\n[k7qd] [m4tw]",
        ),
        (
            "- a gripper holds cups\n- a gripper holds tea",
            "- a gripper holds bread\n- a gripper holds doors",
            "- a gripper holds cups\n- a gripper holds tea\n- a gripper holds bread\n- a gripper holds doors\n\n"
            "[k7qd] [m4tw]",
        ),
    ],
)
def test_a_block_that_was_cut_between_passages_is_quoted_as_one_with_both_keys(
    one: str, other: str, whole: str
) -> None:
    found = ask("Show me the code of a gripper", passage(one), passage(other, key="m4tw", order=1))
    assert found == [whole]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("```py\ngrip = 1\n```", "```sh\ngrip --now\n```"),
        ("| Gripper | N |\n|---|---|\n| small | 4 |", "| Gripper | Price |\n|---|---|\n| large | 40 |"),
        ("A gripper grips", "- a gripper holds bread"),
        ("- a gripper holds bread", "A gripper grips"),
        ("- a gripper holds bread", "For doors:\n- a gripper holds doors"),
    ],
)
def test_two_blocks_that_follow_each_other_stay_two(one: str, other: str) -> None:
    found = candidates("gripper", hits(passage(one), passage(other, key="m4tw", order=1)))
    assert sorted(each.section.keys[each.place] for each in found) == [("k7qd",), ("m4tw",)]


def test_a_formula_alone_is_not_quoted() -> None:
    assert ask("What is the force of the gripper?", passage("$$\nforce = gripper\n$$")) == []


@pytest.mark.parametrize(
    ("order", "text", "cut"),
    [
        (0, "Grip it.\n\n```py\ngrip()\n```", True),
        (0, "Grip it.\n\n```py\ngrip()\n```\n\nThat is all there is.", False),
        (0, "```py\ngrip()\n```\n\nThat is all there is.", False),
        (1, "```py\ngrip()\n```\n\nThat is all there is.", True),
        (1, "Grip it.\n\n```py\ngrip()\n```\n\nThat is all there is.", False),
    ],
)
def test_code_at_the_edge_of_what_was_found_may_go_on_and_is_read_on_for(
    order: int, text: str, cut: bool
) -> None:
    found = candidates("Show me the code to grip", hits(passage(text, order=order)))
    assert found[0].text.endswith("```")
    assert (incomplete(found) is not None) is cut


def test_code_that_may_go_on_is_quoted_only_where_it_is_the_best() -> None:
    code, sentence = "```py\ngrip()\n```", "Call grip to grip."
    assert ask("Show me the code to grip", passage(code)) == [f"{code}\n\n[k7qd]"]
    found = ask("How do I grip?", passage(f"{sentence}\n\n{code}"))
    assert found == [f"{sentence} [k7qd]"]


def test_the_label_of_a_block_speaks_for_it_and_is_quoted_with_it() -> None:
    text = "Ubuntu:\n```sh\napt install grip\n```\n\nFedora:\n```sh\ndnf install grip\n```\n\nThat is all."
    found = ask("With which command do I install grip on Fedora?", passage(text))
    assert found[0].startswith("Fedora:\n\n```sh\ndnf install grip\n```")


def test_of_a_long_list_the_items_that_answer_are_quoted_in_the_books_order() -> None:
    items = [f"- part {number} costs {number} euros" for number in range(20)]
    items[17] = "- the gripper costs 80 euros"
    items[3] = "- a gripper's finger costs 9 euros"
    (found,) = ask("What does the gripper cost?", passage("\n".join(items)))
    shown = [line for line in found.splitlines() if line.startswith("- ")]
    assert len(shown) == 4
    assert shown.index(items[3]) < shown.index(items[17])


def test_of_a_long_list_whose_items_go_on_below_whole_items_are_quoted() -> None:
    items = [f"- part {number}\n  costs {number} euros" for number in range(20)]
    items[17] = "- the gripper\n  costs 80 euros"
    (found,) = ask("What does the gripper cost?", passage("\n".join(items)))
    assert "- the gripper costs 80 euros" in " ".join(found.split())
    assert found.count("- ") == 4


def test_a_list_of_eight_items_is_quoted_whole() -> None:
    eight = "\n".join(f"- the gripper has part {number}" for number in range(8))
    (found,) = ask("Which parts has the gripper?", passage(eight))
    assert found == f"{eight}\n\n[k7qd]"


def test_a_page_in_another_language_is_read_by_the_rules_of_its_own() -> None:
    german = passage("Ein Greifer ist ein Werkzeug am Arm.", heading="Greifer", language="de")
    english = passage("A gripper is a tool.", key="m4tw")
    found = best("Was ist ein Greifer?", german, english)
    assert found.section.language == "de"
    assert found.found > 0.9


def test_a_question_without_a_word_of_its_own_is_no_error() -> None:
    found = candidates("What is it?", hits(passage(GRIPPER)))
    assert [one.found for one in found] == [0.0]


def test_the_words_of_a_sentence_on_which_another_depends_speak_for_both() -> None:
    question = "How strongly in newtons does a gripper close?"
    (two, alone) = (
        candidates(question, hits(passage(text, heading="Force")))[-1]
        for text in (
            "A gripper is soft. It closes with 40 newtons.",
            "An arm is soft. It closes with 40 newtons.",
        )
    )
    assert two.found > alone.found


def test_what_has_only_some_of_the_words_stands_beside_a_best_that_lacks_some_and_not_beside_a_full_one() -> (
    None
):
    full = passage("The red gripper closes with 40 newtons.")
    some = passage("A red gripper closes slowly.", key="m4tw", heading="Speed")
    assert len(ask("With which newtons does the red gripper close?", full, some)) == 1
    assert len(ask("With which newtons does the red gripper of Unitree close?", full, some)) == 2


def test_the_exercise_that_repeats_the_question_is_not_quoted_as_its_answer() -> None:
    answer = passage("Soft fingers close around the cup, and it stays upright.", heading="Grasping")
    task = passage(
        "Explain how a gripper holds a cup upright.", key="m4tw", heading="Exercises", chapter="tasks"
    )
    found = candidates("How does a gripper hold a cup upright?", hits(task, answer))
    assert quotations("How does a gripper hold a cup upright?", found)[0].endswith("[k7qd]")


def test_what_the_answer_before_has_quoted_is_not_quoted_again() -> None:
    tea = passage("A gripper holds cups of tea.")
    bread = passage(
        "A gripper holds plates of bread. A gripper holds cups of tea.", key="m4tw", heading="Bread"
    )
    asked = "What holds a gripper?"
    first, *_ = quotations(asked, candidates(asked, hits(tea)))
    again = quotations(asked, candidates(asked, hits(tea, bread)), said=first.replace("[k7qd]", "[1]"))
    assert again == ["A gripper holds plates of bread. [m4tw]"]


def test_the_answer_before_is_quoted_again_where_nothing_else_answers() -> None:
    place = passage("A gripper holds cups of tea. Bread rises in warm kitchens overnight.")
    asked = "What holds a gripper?"
    first, *_ = quotations(asked, candidates(asked, hits(place)))
    assert quotations(asked, candidates(asked, hits(place)), said=first) == [first]
