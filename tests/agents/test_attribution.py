"""What of a reply rests on the book, and the keys that it lacks, without a provider."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from preceptor.agents.attribution import Attribution
from preceptor.agents.streamed_sentences import Sentences
from preceptor.tools.plugin import Ledger, Run
from tests.agents.quoting import hits, passage

NODE = passage("A node is a process that computes. One node may hold two timers. Nodes do not share memory.")
TOPIC = passage("A topic carries messages of one type.", key="m4tw")


# --- citations that the server adds


def shown(*passages: Any) -> Ledger:
    ledger = Ledger()
    ledger.note(hits(*passages))
    return ledger


def attributed(text: str, ledger: Ledger, pieces: Sequence[str] | None = None) -> str:
    attribution = Attribution(Run("What is a node?", ledger=ledger), tag="en", drops=False)
    return "".join(attribution.feed(piece) for piece in pieces or [text]) + attribution.finish()


TEXTS = {
    "A node is a process that computes. It is nice.": "A node is a process that computes. [k7qd] It is nice.",
    "A node is a process that computes": "A node is a process that computes [k7qd]",
    "A node is a process that computes [z9zz].": "A node is a process that computes [z9zz]. [k7qd]",
    "A node is a process that computes [k7qd].": None,
    "A node is a process that computes. [k7qd] Yes.": None,
    "A topic carries messages of one type [k7qd].": "A topic carries messages of one type [m4tw].",
    "Nodes of one kind share much [m4tw].": None,
    "$$\nA node is a process that computes.\n$$\n": None,
    "Bread rises overnight [z9zz].": None,
    "- A topic carries messages of one type.\n- So.\n": "- A topic carries messages of one type. [m4tw]\n- So.\n",
    "```text\nA node is a process that computes.\n```\n": None,
    "| A node is a process that computes. |\n": None,
    "# A node is a process that computes\n": None,
    "Is a node a process that computes?": None,
    "One node may hold 12 timers.": None,
    "See e.g. that. One node may hold two timers, i.e. two.": None,
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_sentence_that_cites_nothing_gets_the_key_of_the_passage_that_bears_it(text: str) -> None:
    ledger, wanted = shown(NODE, TOPIC), TEXTS[text]
    if text.startswith("See"):
        assert attributed(text, ledger).replace(" [k7qd]", "") == text
    else:
        assert attributed(text, ledger) == (wanted or text)
    assert attributed(text, ledger, list(text)) == attributed(text, ledger)


QUOTED = {
    f"{NODE.text[:-1]} [k7qd].": "A node is a process that computes. [k7qd] One node may hold two timers. [k7qd] "
    "Nodes do not share memory [k7qd].",
    # In words of its own, and what leans on that.
    "A node is a process that computes [k7qd]. Nodes may hold memory that two timers share [k7qd]. It does "
    "not share memory [k7qd]. Nodes do not share memory [k7qd].": "A node is a process that computes [k7qd]. "
    "Nodes do not share memory [k7qd].",
    "A node is a process that computes [k7qd]. Nodes may hold memory that two timers share [k7qd]. After that, nodes "
    "do not share memory [k7qd].": "A node is a process that computes [k7qd]. ",
    # Of a passage that does not answer the question.
    "A node is a process that computes [k7qd]. A topic carries messages of one type [m4tw].": "A node is a "
    "process that computes [k7qd]. ",
    "A node is a process that computes [k7qd].\n\n```python\nnode.hold(2)\n```\n": "A node is a process that computes "
    "[k7qd].\n\n```python\nnode.hold(2)\n```\n",
    "A node is a process that computes [k7qd].\n\n```python\nnode.hold(2)\nnode.bake(bread)\n```\n": "A node is a "
    "process that computes [k7qd].\n\n",
    # Of a passage that does not answer the question, with what announces it.
    "A node is a process that computes [k7qd]. It takes one line:\n\n```python\ntopic.carry()\n```\n": "A node is a "
    "process that computes [k7qd]. \n\n",
    # A fence that opens where the model meant to close one: what follows is no code of the passage.
    "A node is a process that computes [k7qd].\n\n```\n[k7qd]\n\nNodes do not share memory.\n": "A node is a process "
    "that computes [k7qd].\n\n",
    "A node is a process that computes [k7qd].\n[": "A node is a process that computes [k7qd].\n",
    "A node is a process that computes [k7qd].\n\n</world>\n": "A node is a process that computes [k7qd].\n\n",
    "A node is a process that computes [k7qd].\n\n| Nodes | share bread |\n": "A node is a process that computes "
    "[k7qd].\n\n",
}


@pytest.mark.parametrize("text", QUOTED)
def test_of_a_reply_that_must_quote_only_sentences_of_the_passages_are_kept(text: str) -> None:
    code = passage(f"{NODE.text}\n\n```python\nnode.hold(2)\n```")
    ledger = shown(code, passage(f"{TOPIC.text}\n\n```python\ntopic.carry()\n```", key="m4tw"))

    def kept(pieces: Sequence[str]) -> str:
        run = Run("What is a node?", ledger=ledger)
        attribution = Attribution(run, tag="en", within=frozenset({"k7qd"}))
        return "".join(map(attribution.feed, pieces)) + attribution.finish()

    assert kept([text]) == QUOTED[text]
    assert kept(list(text)) == QUOTED[text]


def test_however_an_answer_comes_its_sentences_are_the_same() -> None:
    ledger, whole = shown(NODE, TOPIC), " ".join(TEXTS) + "\n\n" + "\n".join(TEXTS)
    once = attributed(whole, ledger)
    units = [*(sentences := Sentences("en")).feed(whole), *sentences.finish()]
    assert "".join(unit.text for unit in units) == whole
    for seed in range(10):
        chance = random.Random(seed)
        pieces, place = list[str](), 0
        while place < len(whole):
            end = place + chance.randint(1, 40)
            pieces.append(whole[place:end])
            place = end
        assert attributed(whole, ledger, pieces) == once


KEPT = {
    # what rests on nothing is left out, wherever it stands
    "A node is a process that computes [k7qd]. It costs 500 dollars.": "A node is a process that computes [k7qd].",
    "A node is a process that computes [k7qd]. It costs 500 dollars. It holds two timers [k7qd].": (
        "A node is a process that computes [k7qd]. It holds two timers [k7qd]."
    ),
    "A node is a process that computes [k7qd].\n\nBread rises overnight in kitchens.\n": (
        "A node is a process that computes [k7qd].\n\n"
    ),
    "I will look it up in the textbook first.\n\nA node is a process that computes [k7qd].": (
        "\nA node is a process that computes [k7qd]."
    ),
    "I will look it up in the textbook first. A node is a process that computes [k7qd].": (
        "A node is a process that computes [k7qd]."
    ),
    "- A node is a process that computes [k7qd].\n- AlphaFold is another one.\n- So.\n": (
        "- A node is a process that computes [k7qd].\n- So.\n"
    ),
    "What there is:\n\n- A node computes [k7qd].\n\nBread rises overnight in kitchens.\n": (
        "What there is:\n\n- A node computes [k7qd].\n\n"
    ),
    # also where it cites a passage that has not its name or its figure
    "A node is a process that computes [k7qd]. AlphaFold is a node [k7qd].": (
        "A node is a process that computes [k7qd]."
    ),
    "A node is a process that computes [k7qd]. It has 500 timers [k7qd].": (
        "A node is a process that computes [k7qd]."
    ),
    # and what announces it
    "A node is a process that computes [k7qd].\n\nWhat else there is:\n- Bread rises overnight in kitchens.\n": (
        "A node is a process that computes [k7qd].\n\n"
    ),
    # a citation bears the sentences beside it in its paragraph, as long as they add nothing
    "A node is a process that computes [k7qd]. It is good to keep each of them small.": None,
    "A node is a process that computes [k7qd]. What else there is:\n\n- It is good to keep each of them small.\n": None,
    "Nodes keep their files, tables and memory apart. A node computes [k7qd].": None,
    "A node is a process that computes [k7qd]. So nodes do not share memory.": (
        "A node is a process that computes [k7qd]. So nodes do not share memory. [k7qd]"
    ),
    "These are the 2 rules: 1) a node computes, 2) nodes do not share memory [k7qd].": None,
    "Nodes keep their files, tables and memory apart. Bread rises overnight in kitchens. A node computes [k7qd].": (
        "Nodes keep their files, tables and memory apart. A node computes [k7qd]."
    ),
    "Nodes keep 500 files, tables and memory apart. A node computes [k7qd].": "A node computes [k7qd].",
    "Nodes are small programs for drones and arms, made by people. A node computes [k7qd].": (
        "A node computes [k7qd]."
    ),
    "A node computes, as follows [k7qd]:\n\n- It is good to keep each of them small.\n": None,
    # but not one that only the server has found
    "A node is a process that computes. It is good to keep each of them small.": (
        "A node is a process that computes. [k7qd]"
    ),
    # what says nothing needs no passage
    "Good question! A node is a process that computes [k7qd]. Shall I go on?": None,
    "A node is a process that computes [k7qd]. Shall I tell you of AlphaFold?": (
        "A node is a process that computes [k7qd]."
    ),
    "A node is a process that computes [k7qd]. The book does not cover nodes of gold.": None,
    "A node is a process that computes [k7qd].\n\nThe book does not mention a node of gold, sorry to say, and does not "
    "discuss or address the topic here.": None,
    # over languages nothing can be compared but figures
    "Ein Knoten ist ein Prozess und rechnet [k7qd]. Er hat 500 Uhren.": (
        "Ein Knoten ist ein Prozess und rechnet [k7qd]."
    ),
    "Ein Knoten ist ein Prozess und rechnet [k7qd]. Er ist für sich allein.": None,
    # and names that no language writes otherwise
    "Ein Knoten ist ein Prozess und rechnet [k7qd]. Er stammt von der Firma DeepMind.": (
        "Ein Knoten ist ein Prozess und rechnet [k7qd]."
    ),
    "Ein Knoten ist ein Prozess und rechnet [k7qd]. Er ist auf PCs und auf GPUs ganz für sich allein.": None,
    "Узел это процесс, который считает [k7qd]. Его делает фирма Tesla на своём заводе.": (
        "Узел это процесс, который считает [k7qd]."
    ),
    "Узел это процесс, который считает [k7qd]. Каждый Node это Process, и он знает своё дело.": None,
    "节点是进行计算的进程 [k7qd]。它由 Unitree 公司在工厂里生产。": "节点是进行计算的进程 [k7qd]。",
    "نوڈ ایک عمل ہے جو حساب کرتا ہے [k7qd]۔ اسے Boston کی ایک کمپنی بناتی ہے۔": (
        "نوڈ ایک عمل ہے جو حساب کرتا ہے [k7qd]۔"
    ),
    "نوڈ ایک عمل ہے جو حساب کرتا ہے [k7qd]۔ یہ timer بھی رکھتا ہے اور `Rclpy` سے چلتا ہے۔": None,
    # code and formulas are not judged
    "A node is a process that computes [k7qd].\n\n```sh\nros2 run 500\n```\n\n$$\nx = 500\n$$\n\n$$ x = 500 $$\n": None,
    # of titles, rows and HTML only figures and addresses are
    "A node is a process that computes [k7qd].\n\n| A | B |\n|---|---|\n| Node | 2 [k7qd] |\n| Arm | 500 |\n": (
        "A node is a process that computes [k7qd].\n\n| A | B |\n|---|---|\n| Node | 2 [k7qd] |\n"
    ),
    "# All of It\n\n# Since 1915\n\nA node is a process that computes [k7qd].\n\n## Paris in 1915": (
        "# All of It\n\n\nA node is a process that computes [k7qd].\n\n"
    ),
    "A node is a process that computes [k7qd].\n\n<p>More</p>\n<p>It costs 500 dollars.</p>\n": (
        "A node is a process that computes [k7qd].\n\n<p>More</p>\n"
    ),
    # an address leads out of the book
    "A node is a process that computes [k7qd]. It is sold at https://evil.example/node today.": (
        "A node is a process that computes [k7qd]."
    ),
    "A node is a process that computes [k7qd]. Write to node@evil.example for two timers [k7qd].": (
        "A node is a process that computes [k7qd]."
    ),
    "A node is a process that computes [k7qd].\n\n| [node](http://evil.example) |\n": (
        "A node is a process that computes [k7qd].\n\n"
    ),
    # a reply of which nothing rests on a passage has been let pass for what it is
    "The book does not cover this.\nSorry.": None,
}


STRICTLY = {
    "A node is a process that computes [k7qd]. Bread rises overnight in kitchens. It holds two timers [k7qd].": (
        "A node is a process that computes [k7qd]. It holds two timers [k7qd]."
    ),
    "- A node is a process that computes [k7qd].\n- Bread rises overnight in kitchens.\n- So.\n": (
        "- A node is a process that computes [k7qd].\n- So.\n"
    ),
    "A node is a process that computes [k7qd]. So nodes do not share memory.": (
        "A node is a process that computes [k7qd]. So nodes do not share memory. [k7qd]"
    ),
    # each of the two passages has a half of it, both together have it all
    "A node is a process [k7qd][m4tw]. Nodes carry messages of one type and hold timers.": None,
    "A node is a process [k7qd]. Nodes carry messages of one type on Mars.": "A node is a process [k7qd].",
}


@pytest.mark.parametrize("text", STRICTLY)
def test_of_a_reply_that_is_read_strictly_stays_what_a_passage_supports(text: str) -> None:
    kept = Attribution(Run("What is a node?", ledger=shown(NODE, TOPIC)), tag="en", strict=True)
    assert (kept.feed(text) + kept.finish()).rstrip(" ") == (STRICTLY[text] or text)


@pytest.mark.parametrize("text", KEPT)
def test_of_a_reply_stays_what_rests_on_the_book(text: str) -> None:
    ledger, asked = shown(NODE, TOPIC), "What is a node of gold?"
    for pieces in ([text], list(text)):
        kept = Attribution(Run(asked, searched=[asked], ledger=ledger), tag="en")
        said = "".join([*map(kept.feed, pieces), kept.finish()])
        assert said.rstrip(" ") == (KEPT[text] or text)
        assert bool(kept.left_out) == (len(KEPT[text] or text) < len(text))


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("A node is a process that computes [k7qd].", 0),
        ("A node is a process that computes [k7qd]. It costs 500 dollars.", 1),
        ("A node is a process [k7qd]. It costs 500 dollars. It has 600 timers.\n\nBread rises overnight.", 3),
    ],
)
def test_the_sentences_that_are_left_out_are_counted(text: str, left_out: int) -> None:
    kept = Attribution(Run("What is a node?", ledger=shown(NODE)), tag="en")
    kept.feed(text)
    kept.finish()
    assert kept.left_out == left_out


def test_nothing_is_given_on_before_something_rests_on_the_book() -> None:
    kept = Attribution(Run("What is a node?", ledger=shown(NODE)), tag="en")
    assert kept.feed("Good question!\n\n") == ""
    assert kept.feed("A node is a process that computes [k7qd]. It is") == (
        "Good question!\n\nA node is a process that computes [k7qd]. "
    )


def test_a_reply_that_needs_no_passage_is_given_as_it_is_and_nothing_counts_as_left_out() -> None:
    kept = Attribution(Run("Hello", ledger=shown(NODE)), tag="en")
    text = "Hello, how nice to meet you!"
    assert (kept.feed(text), kept.finish(), kept.left_out) == ("", text, 0)


def test_of_any_other_reply_of_which_nothing_rests_on_the_book_nothing_is_given() -> None:
    kept = Attribution(Run("What is a node?", ledger=shown(NODE)), tag="en")
    assert kept.feed("A node [k7qd] is what Unitree sells for 500 dollars.") == ""
    assert (kept.finish(), kept.left_out) == ("", 1)


UNLIKELY = {
    # something else, something added and the opposite, all of it in plain words
    "A node is a process that computes [k7qd]. Nodes bake bread in kitchens every night [k7qd].": (
        "A node is a process that computes [k7qd]."
    ),
    "A node is a process that computes [k7qd]. A node is a process that thieves hide in dark cellars [k7qd].": (
        "A node is a process that computes [k7qd]."
    ),
    "A node is a process that computes [k7qd]. One node may not hold two timers [k7qd].": (
        "A node is a process that computes [k7qd]."
    ),
    # also where the server itself would have found the passage
    "A node is a process that computes [k7qd]. Nodes share memory with each other.": None,
    # in other words, beside code and formulas, and what cannot be judged
    "A node is a process that computes [k7qd]. With `f(7)` and $x_{9}$ one node may hold two timers [k7qd].": None,
    "A node is a process that computes [k7qd]. Each node can have two timers [k7qd].": None,
    "A node is a process that computes [k7qd]. Memory is not shared by nodes [k7qd].": None,
    "A node is a process that computes [k7qd]. Yes [k7qd].": None,
    "A node is a process that computes [k7qd]. Knoten backen in der Küche jede Nacht ein Brot [k7qd].": None,
}


@pytest.mark.parametrize("text", UNLIKELY)
def test_a_sentence_that_its_passage_hardly_says_is_left_out(text: str) -> None:
    kept = Attribution(Run("What is a node?", ledger=shown(NODE)), tag="en", least_support=0.05)
    assert (kept.feed(text) + kept.finish()).rstrip(" ") == (UNLIKELY[text] or text)
