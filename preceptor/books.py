"""`books.toml`: the books of a library, each with what differs from the settings.

    [books.ros2]
    source = "books/ros2"
    title = "ROS 2 in depth"
    hosts = ["ros2.example"]

The indexer reads where each book lies, the service how each is served; both get whole settings for every book.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from preceptor.errors import SettingsError, why_unread
from preceptor.settings import BookSettings, LimitsSettings, Settings, UnreadableFile, read_toml

_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
_Section = TypeVar("_Section", bound=BaseModel)
_Host = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=253)]


@dataclass(frozen=True, slots=True)
class Book:
    """One book of a library."""

    id: str
    source: Path | None
    """Its folder; None: this file does not say, as where it is only served."""
    hosts: tuple[str, ...]
    """Host names under which it is served, in small letters."""
    settings: Settings
    """All settings, as they hold for this book."""
    limits: LimitsSettings | None
    """Limits of its own, counted for it alone; None: those of the service hold, for all books together."""

    def secrets(self) -> list[str]:
        """Returns the secret values of this book, which must not appear in logs, traces or answers."""
        return [key.get_secret_value() for key in self.settings.server.reader_keys]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class _Limits(_Table):
    """Limits that a book may have for itself; the others are those of a process."""

    rate: str | None = None
    client_budget: int | None = None
    budget: int | None = None


class _Book(_Table):
    source: Path | None = None
    title: str | None = None
    subject: str | None = None
    language: str | None = None
    readers: tuple[str, ...] | None = None
    instructions: str | None = None
    example_questions: tuple[str, ...] | None = None
    collection: _Id | None = None
    hosts: tuple[_Host, ...] = ()
    reader_keys: tuple[SecretStr, ...] | None = None
    site: Mapping[str, Any] = Field(default_factory=dict)
    search: Mapping[str, Any] = Field(default_factory=dict)
    limits: _Limits | None = None

    @field_validator("hosts", mode="before")
    @classmethod
    def _small(cls, value: Any) -> Any:
        return [host.lower() if isinstance(host, str) else host for host in value] if value else value


class _File(_Table):
    books: Mapping[_Id, _Book] = Field(min_length=1)


def read_books(file: Path, settings: Settings) -> dict[str, Book]:
    """Returns the books by id, in the order of the file.

    Args:
        file: The file; paths in it begin at its folder.
        settings: Settings of the service or the indexer, which hold where a book says nothing else.

    Raises:
        SettingsError: The file cannot be read, or something in it is wrong; its message lists all of it.
    """
    try:
        tables = _File.model_validate(read_toml(file)).books
    except FileNotFoundError as error:
        raise _wrong(settings, f"`library.file`: `{file}` cannot be read: {why_unread(error)}.") from None
    except UnreadableFile as error:
        raise _wrong(settings, f"`library.file`: `{file}` {error}.") from None
    except ValidationError as error:
        raise _wrong(settings, *_explained(error, file)) from None
    found: dict[str, Book] = {}
    problems: list[str] = []
    for name, table in tables.items():
        try:
            found[name] = _book(name, table, settings, file.parent)
        except _Misfit as misfit:
            place = [part for part in ("books", name, misfit.table) if part]
            problems += _explained(misfit.error, file, place)
    problems += _shared(found, file)
    if problems:
        raise _wrong(settings, *problems)
    return found


def _book(name: str, table: _Book, settings: Settings, folder: Path) -> Book:
    """Returns a book with the settings that hold for it.

    Raises:
        _Misfit: They are none.
    """
    described = table.model_dump(
        include={"title", "subject", "language", "readers", "instructions", "example_questions"},
        exclude_none=True,
    )
    # What a title or a question says of one book is said of no other.
    common = settings.book.model_dump(include={"language", "readers", "instructions"}, exclude_unset=True)
    server = settings.server
    if table.reader_keys is not None:
        server = _over(server, {"reader_keys": table.reader_keys}, "")
    limits = None
    if table.limits is not None:
        limits = _over(settings.limits, table.limits.model_dump(exclude_none=True), "limits")
    whole = settings.model_copy(
        update={
            "book": _over(BookSettings(**common), {**described, "id": name}, ""),
            "site": _over(settings.site, table.site, "site"),
            "search": _over(settings.search, table.search, "search"),
            "index": settings.index.model_copy(update={"collection": table.collection or name, "also": ()}),
            "server": server,
        }
    )
    return Book(name, folder.resolve() / table.source if table.source else None, table.hosts, whole, limits)


class _Misfit(Exception):
    """A table does not fit the section of the settings over which it stands."""

    def __init__(self, table: str, error: ValidationError) -> None:
        self.table = table
        self.error = error


def _over(section: _Section, own: Mapping[str, Any], table: str) -> _Section:
    """Returns a section of the settings in which the values of a table win.

    Raises:
        _Misfit: One of them does not fit.
    """
    try:
        return type(section).model_validate({**section.model_dump(exclude_unset=True), **own})
    except ValidationError as error:
        raise _Misfit(table, error) from None


def _shared(books: Mapping[str, Book], file: Path) -> list[str]:
    """Returns what two books have that only one of them may have."""
    problems: list[str] = []
    for kind, named in (
        ("collection", [(book.settings.index.collection, book.id) for book in books.values()]),
        ("host", [(host, book.id) for book in books.values() for host in book.hosts]),
    ):
        owners: dict[str, str] = {}
        for value, owner in named:
            first = owners.setdefault(value, owner)
            if first != owner:
                problems.append(
                    f"`books.{owner}` in `{file.name}`: the {kind} `{value}` is that of `{first}`, too."
                )
    return problems


def _explained(error: ValidationError, file: Path, above: Sequence[str] = ()) -> list[str]:
    """Returns one line for each fault, without its value, which may be a key."""
    lines: list[str] = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        place = [str(part) for part in fault["loc"] if part != "[key]"]
        name = ".".join([*above, *place]) or "books"
        said = {
            "extra_forbidden": "is not a key of a book; docs/library.md lists them",
            "missing": "is missing: add a table such as `[books.my-book]`",
            "too_short": "is empty: add a table such as `[books.my-book]`",
        }.get(fault["type"], fault["msg"])
        lines.append(f"`{name}` in `{file.name}`: {said.removeprefix('Value error, ')}.")
    return lines


def _wrong(settings: Settings, *problems: str) -> SettingsError:
    return SettingsError([*problems], env=settings.env)
