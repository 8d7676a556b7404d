"""Pairs of runs that differ in one place, which is named."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from preceptor.tracing.diff import first_difference
from preceptor.tracing.tape import Tape

DATA: dict[str, Any] = json.loads((Path(__file__).parent / "data/differences.json").read_text())


def tape(data: dict[str, Any]) -> Tape:
    return Tape(asked=data["asked"], steps=data["steps"], answer=data["answer"], error=data["error"])


def changed(path: list[str | int], value: Any) -> dict[str, Any]:
    """The first run, with another value at one place."""
    data: Any = copy.deepcopy(DATA["base"])
    place = data
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return data


@pytest.mark.parametrize("pair", DATA["pairs"], ids=[pair["name"] for pair in DATA["pairs"]])
def test_the_first_difference_is_named(pair: dict[str, Any]) -> None:
    before, after = tape(DATA["base"]), tape(changed(pair["path"], pair["value"]))
    found = first_difference(before, after)
    assert found is not None
    assert (found.step, found.what) == (pair["step"], pair["what"])
    assert found.before != found.after
    turned = first_difference(after, before)
    assert turned is not None
    assert (turned.what, turned.before, turned.after) == (found.what, found.after, found.before)


def test_the_same_run_has_no_difference() -> None:
    assert first_difference(tape(DATA["base"]), tape(copy.deepcopy(DATA["base"]))) is None


def test_spaces_in_the_arguments_and_ids_are_no_difference() -> None:
    other = changed(["steps", 1, "output", 0, "arguments"], '{"query":"what is a node"}')
    other["steps"][1]["output"][0]["call_id"] = "another"
    other["answer"]["seconds"] = 99
    assert first_difference(tape(DATA["base"]), tape(other)) is None


def test_a_later_difference_does_not_hide_an_earlier_one() -> None:
    other = changed(["steps", 3, "output", 0, "content", 0, "text"], "Something else.")
    other["steps"][2]["passages"][1]["passage"]["text"] = "Edited."
    found = first_difference(tape(DATA["base"]), tape(other))
    assert found is not None
    assert (found.step, found.what) == (3, "passage text")
