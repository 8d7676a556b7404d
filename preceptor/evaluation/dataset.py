"""The cases: questions and the sections that answer them, in pydantic-evals' YAML form."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from preceptor.errors import CasesInvalid, why_unread
from preceptor.library.passage import Chapter

if TYPE_CHECKING:
    from pydantic_evals import Dataset

Cases: TypeAlias = "Dataset[CaseInput, Expected, Labels]"

SectionId = Annotated[str, Field(pattern=r"^[^#\s]+(#[^#\s]*)?$")]
"""`chapter#anchor`, `chapter#` for the text above the first heading, or `chapter` for any of its sections."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CaseInput(_Model):
    """Input of a case."""

    question: str = Field(min_length=1)
    chapter: str | None = None
    """Chapter to which the search and the answer are limited."""
    turns: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Questions that are asked before in the same conversation; their answers are not judged."""


_KEY_WORDS = re.compile(r"\*\*(.+?)\*\*")


class Fact(_Model):
    """A fact that a good answer says, with the words on which it turns: `Jazzy is supported until **May 2029**`."""

    text: str
    """The fact; without its `**key words**` it is not said."""
    importance: Literal["vital", "okay"] = "vital"
    """Whether an answer that lacks it is a bad one."""
    aliases: Mapping[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    """Other names for key words."""

    @property
    def key_words(self) -> list[str]:
        """The words that are marked."""
        return _KEY_WORDS.findall(self.text)

    @property
    def plain(self) -> str:
        """The fact without marks."""
        return self.text.replace("**", "")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"text": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _marked(self) -> "Fact":
        if not self.key_words:
            raise ValueError(
                "mark the words without which it is not said, such as `supported until **May 2029**`"
            )
        for name in self.aliases:
            if name not in self.key_words:
                raise ValueError(f"`aliases` names `{name}`, which is no key word of `{self.text}`")
        return self


class Tools(_Model):
    """Tools that an answer should, and should not, make use of, by name."""

    called: tuple[str, ...] = ()
    not_called: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _agree(self) -> "Tools":
        if not self.called and not self.not_called:
            raise ValueError("name tools under `called` or `not_called`")
        if both := sorted({*self.called} & {*self.not_called}):
            raise ValueError(f"`{both[0]}` is both under `called` and under `not_called`")
        return self


class Expected(_Model):
    """Expected outcome of a case."""

    in_book: bool
    """Whether the book answers the question; if not, a good answer declines."""
    sections: tuple[SectionId, ...] = ()
    """Sections that answer it, each of them sufficient; `chapter#anchor`."""
    facts: tuple[Fact, ...] = ()
    """Facts that a good answer says."""
    tools: Tools | None = None
    """Tools that must, and must not, be called."""
    language: str | None = None
    """BCP 47 tag of the language in which the answer should be."""

    @model_validator(mode="after")
    def _agree(self) -> "Expected":
        if self.in_book and not self.sections:
            raise ValueError("`sections` must name at least one section when `in_book` is true")
        if self.sections and not self.in_book:
            raise ValueError("`sections` must be empty when `in_book` is false")
        if self.facts and not self.in_book:
            raise ValueError("`facts` must be empty when `in_book` is false")
        return self


class Labels(_Model):
    """Labels by which the results are grouped."""

    language: str = "–"
    """Language of the question, as a BCP 47 tag."""
    kind: str = "–"
    """Any word of the author's: definition, how-to, near-miss, …"""


def load_cases(path: Path) -> Cases:
    """Read and check a file of cases; a case without a name is called by its question.

    Raises:
        CasesInvalid: The file is missing, is not YAML, or a case is wrong; the message names case and field.
    """
    # Here and not above: it takes 0.6 s to import, and other commands import this module's neighbours.
    from pydantic_evals import Dataset

    data = _read(path)
    try:
        cases = Dataset[CaseInput, Expected, Labels].from_dict(data, default_name=path.stem)
    except ValidationError as error:
        raise CasesInvalid(path, [_explained(fault, data) for fault in error.errors()]) from None
    except ExceptionGroup as group:  # evaluators that the author added and pydantic-evals does not know
        raise CasesInvalid(path, [str(error) for error in group.exceptions]) from None
    except ValueError as error:
        raise CasesInvalid(path, [str(error)]) from None
    for case in cases.cases:
        case.name = case.name or case.inputs.question
    problems = _incomplete(cases)
    if problems:
        raise CasesInvalid(path, problems)
    return cases


def section_ids(chapters: Iterable[Chapter]) -> list[str]:
    """Returns the sections that an index has, as `chapter#anchor`, in reading order."""
    return [
        f"{chapter.id}#{anchor}"
        for chapter in chapters
        for anchor in dict.fromkeys(["", *(section.anchor for section in chapter.sections)])
    ]


def nearest_sections(section: str, known: Sequence[str]) -> list[str]:
    """Returns at most three sections that one which does not exist may have been meant for.

    Args:
        section: `chapter#anchor` or `chapter`.
        known: Sections that there are.

    Returns:
        Those of another chapter with the same anchor first, then those that are written most alike, else the first
        ones of the same chapter.
    """
    chapter, _, anchor = section.partition("#")
    if not anchor:
        chapters = list(dict.fromkeys(one.partition("#")[0] for one in known))
        return get_close_matches(chapter, chapters, n=_NEAREST, cutoff=_ALIKE)
    headed = [one for one in known if not one.endswith("#")]
    moved = [one for one in headed if one.partition("#")[2] == anchor]
    alike = get_close_matches(section, headed, n=_NEAREST, cutoff=_ALIKE)
    beside = [one for one in headed if one.startswith(f"{chapter}#")]
    return list(dict.fromkeys([*moved, *(alike or beside)]))[:_NEAREST]


_NEAREST = 3
_ALIKE = 0.7
"""Share of the letters from which two names are alike."""


def not_in_index(cases: Cases, chapters: Iterable[Chapter]) -> list[str]:
    """Returns the expected sections that an index lacks, as ``case: `chapter#anchor` (nearest: `…`)``."""
    there = section_ids(chapters)
    known = {*there, *(section.partition("#")[0] for section in there)}
    return [
        f"{case.name}: {unknown_section(section, there)}"
        for case in cases.cases
        if case.expected_output
        for section in case.expected_output.sections
        if section not in known
    ]


def unknown_section(section: str, known: Sequence[str]) -> str:
    """Returns a section that does not exist with those that may be meant, for a message."""
    near = ", ".join(f"`{one}`" for one in nearest_sections(section, known))
    return f"`{section}` (nearest: {near})" if near else f"`{section}`"


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CasesInvalid(path, [f"the file cannot be read: {why_unread(error)}"]) from None
    except yaml.YAMLError as error:
        raise CasesInvalid(path, [f"the file is not valid YAML: {' '.join(str(error).split())}"]) from None
    if not isinstance(data, dict) or not isinstance(data.get("cases"), list):
        raise CasesInvalid(path, ["the file must hold a list named `cases`"])
    return data


def _explained(fault: ErrorDetails, data: dict[str, Any]) -> str:
    """Describes one problem, with the case and the field that it is in."""
    where = list(fault["loc"])
    what = fault["msg"].removeprefix("Value error, ")
    if len(where) < 2 or where[0] != "cases" or not isinstance(where[1], int):
        return f"`{_dotted(where)}`: {what}"
    case = data["cases"][where[1]]
    name: object = case.get("name") if isinstance(case, dict) else None
    called = f"case `{name}`" if name else f"case number {where[1] + 1}"
    return f"{called}, `{_dotted(where[2:]) or 'case'}`: {what}"


def _dotted(where: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in where)


def _incomplete(cases: Cases) -> list[str]:
    if not cases.cases:
        return ["there is no case in it"]
    bare = [case.name for case in cases.cases if case.expected_output is None]
    names = [case.name for case in cases.cases]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    return [
        *(f"case `{name}`, `expected_output`: Field required" for name in bare),
        *(f"two cases are called `{name}`" for name in twice),
    ]
