"""A book of two sections, and cases about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from preceptor.library.passage import Hit, Passage

CASES = """
name: tiny
cases:
  - name: node
    inputs: {question: "What is a node?"}
    expected_output: {in_book: true, sections: ["ros2/nodes#what-is-a-node"]}
    metadata: {language: en, kind: definition}
  - name: topic-ur
    inputs: {question: "ٹاپک کیا ہے؟", chapter: ros2/topics}
    expected_output: {in_book: true, sections: ["ros2/nodes#other", "ros2/topics"]}
    metadata: {language: ur, kind: definition}
  - name: cookery
    inputs: {question: "How long do eggs boil?"}
    expected_output: {in_book: false}
    metadata: {language: en, kind: outside}
"""


@dataclass(frozen=True)
class Reply:
    """An answer, as far as an evaluation looks at it."""

    text: str
    sources: Sequence[Passage]
    in_book: bool


def passage(section: str) -> Passage:
    """A passage of the section `chapter#anchor`."""
    chapter, _, anchor = section.partition("#")
    return Passage(
        id=section,
        key="k7qd",
        book="tiny",
        chapter=chapter,
        title=chapter,
        breadcrumb=("Tiny", chapter),
        url=f"/docs/{section}",
        anchor=anchor,
        heading=anchor,
        position=0,
        order=0,
        ordinal=0,
        text="Text.",
        language="en",
    )


def hits(*sections: str) -> list[Hit]:
    """Hits of a search that finds these sections, best first."""
    return [Hit(passage(section), score=0.9, dense=0.8, bm25=7.0) for section in sections]


def cases_file(folder: Path, text: str = CASES) -> Path:
    """A file of cases."""
    path = folder / "cases.yaml"
    path.write_text(text, encoding="utf-8")
    return path
