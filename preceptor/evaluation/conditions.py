"""Conditions of an evaluation: what was asked, with which index, prompt, models and versions."""

import hashlib
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from pydantic import BaseModel, ConfigDict

from preceptor import __version__
from preceptor.evaluation.price import price_list
from preceptor.library.protocol import IndexInfo
from preceptor.settings import Settings

_PACKAGES = ("openai-agents", "openai", "qdrant-client", "qdrant-edge-py", "fastembed", "pydantic-evals")
"""Packages whose behaviour can change an answer or a verdict."""


class Conditions(BaseModel):
    """Conditions under which answers came about; two reports that differ in one say so when they are compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: str
    tutors: tuple[str, ...]
    """Provider and model of each tutor, in the order in which they are asked."""
    prompt: str
    """First 12 hexadecimal digits of the SHA-256 of the instructions."""
    retrieval: str
    """Settings of the search that choose the passages."""
    index: str
    """Version of the index: the digest of its sources and settings."""
    built_at: str
    passages: int
    chunk_size: int
    chunk_overlap: int
    embedding_model: str
    preceptor: str
    python: str
    packages: dict[str, str]
    commit: str | None
    """Commit of the folder in which the evaluation ran, with `+` if files were changed since; None outside git."""
    prices: str
    """Price list of the costs."""

    @property
    def fingerprint(self) -> str:
        """Digest of all conditions: outcomes may only be mixed where it is equal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


def conditions(settings: Settings, books: Sequence[IndexInfo]) -> Conditions:
    """Returns the conditions of an evaluation that begins now."""
    # Here and not above: the SDK comes with it, and a saved report is read without.
    from preceptor.agents.prompts import instructions

    first = books[0]
    told = instructions(settings.book, first, book_only=settings.tutor.book_only)
    search = settings.search.model_dump(mode="json")
    models = dict.fromkeys(name for book in books for name in (book.embedding_model, book.multilingual_model))
    return Conditions(
        environment=settings.env,
        tutors=tuple(
            [f"{name} {settings.providers[name].model}" for name in settings.tutor.providers] or ["offline"]
        ),
        prompt=hashlib.sha256(told.encode()).hexdigest()[:12],
        retrieval=", ".join(f"{name}={value}" for name, value in sorted(search.items())),
        index=" ".join(book.digest or "unknown" for book in books),
        built_at=max(book.built_at for book in books).isoformat(),
        passages=sum(book.points for book in books),
        chunk_size=first.chunk_size,
        chunk_overlap=first.chunk_overlap,
        embedding_model=", ".join(filter(None, models)),
        preceptor=__version__,
        python=platform.python_version(),
        packages={name: found for name in _PACKAGES if (found := _installed(name))},
        commit=_commit(),
        prices=price_list(),
    )


def differences(old: Conditions | None, new: Conditions | None) -> list[str]:
    """Returns the conditions that differ, as `name: old → new`, and names what two reports do not tell."""
    if old is None or new is None:
        which = "either report" if old is new else "the old report" if old is None else "the new report"
        return [f"the conditions of {which} are not known: it was made by an older version"]
    before, after = old.model_dump(), new.model_dump()
    before |= before.pop("packages")
    after |= after.pop("packages")
    return [
        f"{name}: {_short(before.get(name))} → {_short(after.get(name))}"
        for name in before | after
        if before.get(name) != after.get(name)
    ]


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"


_WIDTH = 60


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    found = _git("rev-parse", "--short=12", "HEAD")
    return None if found is None else found + ("+" if _git("status", "--porcelain", "-uno") else "")


def _git(*words: str) -> str | None:
    try:
        ran = subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=10)  # noqa: S603, S607
    except (OSError, subprocess.SubprocessError):
        return None
    return ran.stdout.strip()
