"""The cases: questions and the sections that answer them, in pydantic-evals' YAML form."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from preceptor.errors import CasesInvalid
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


class Expected(_Model):
    """Expected outcome of a case."""

    in_book: bool
    """Whether the book answers the question; if not, a good answer declines."""
    sections: tuple[SectionId, ...] = ()
    """Sections that answer it, each of them sufficient; `chapter#anchor`."""

    @model_validator(mode="after")
    def _agree(self) -> "Expected":
        if self.in_book and not self.sections:
            raise ValueError("`sections` must name at least one section when `in_book` is true")
        if self.sections and not self.in_book:
            raise ValueError("`sections` must be empty when `in_book` is false")
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


def not_in_index(cases: Cases, chapters: Iterable[Chapter]) -> list[str]:
    """Returns the expected sections that an index does not have, as ``case: `chapter#anchor```."""
    known = set[str]()
    for chapter in chapters:
        known |= {chapter.id, f"{chapter.id}#"}
        known |= {f"{chapter.id}#{section.anchor}" for section in chapter.sections}
    return [
        f"{case.name}: `{section}`"
        for case in cases.cases
        if case.expected_output
        for section in case.expected_output.sections
        if section not in known
    ]


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CasesInvalid(path, ["the file does not exist"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CasesInvalid(path, [f"the file cannot be read: {error}"]) from None
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
