"""The editions of a book that `preceptor evaluate book` compares: a folder, or the same folder at an earlier commit."""

import asyncio
import io
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from preceptor.errors import BookNotFound, PageUnreadable, RevisionUnknown
from preceptor.evaluation.book import BookSection, Edition
from preceptor.indexing.discover import discover
from preceptor.indexing.parse import read_page
from preceptor.library.embedding import AUTO, ENGLISH, MULTILINGUAL, DenseEmbedder
from preceptor.library.fusion import scale
from preceptor.settings import Settings

_NOT_TEXT = re.compile(r"(?i)\.(avif|bin|gif|gz|ico|jpe?g|mov|mp[34]|pdf|png|ttf|web[mp]|woff2?|zip)$")


def read_edition(folder: Path, settings: Settings) -> Edition:
    """Reads the pages of a book that are published."""
    book = discover(folder, settings.site, settings.book)
    sections: list[BookSection] = []
    files: dict[str, str] = {}
    for file in book.files:
        if file.status != "published":
            continue
        try:
            page = read_page(book, file)
        except PageUnreadable:
            continue  # `preceptor index` tells it
        if page.status != "published":
            continue
        files[file.source] = file.path.read_text(encoding="utf-8", errors="replace")
        sections += [
            BookSection(
                f"{page.chapter}#{section.anchor}", section.heading, section.text, file.source, page.language
            )
            for section in page.sections
        ]
    return Edition(sections, files)


@contextmanager
def at_revision(folder: Path, revision: str) -> Generator[Path]:
    """Put the folder as it was at a commit beside it, for the block.

    Raises:
        RevisionUnknown: The folder is in no repository, or the repository has no such commit, or the commit no such
            folder.
    """
    if not folder.is_dir():
        raise BookNotFound(folder)

    def git(place: Path, *words: str) -> bytes:
        try:
            return _git(place, *words)
        except ValueError as error:
            raise RevisionUnknown(folder, revision, str(error)) from None

    top = Path(git(folder, "rev-parse", "--show-toplevel").decode().strip())
    commit = git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    with tempfile.TemporaryDirectory(prefix="preceptor-") as made:
        root = Path(made).resolve()
        archive = io.BytesIO(git(top, "archive", "--format=tar", commit.decode().strip()))
        with tarfile.open(fileobj=archive) as files:
            wanted = [one for one in files if not _NOT_TEXT.search(one.name)]
            files.extractall(root, members=wanted, filter="data")
        # By it an include knows the repository beyond which it does not reach.
        (root / ".git").mkdir(exist_ok=True)
        then = root / folder.resolve().relative_to(top.resolve())
        if not then.is_dir():
            raise RevisionUnknown(folder, revision, f"at `{revision}` there is no such folder")
        yield then


def _git(folder: Path, *words: str) -> bytes:
    """Returns what git says.

    Raises:
        ValueError: It says why not.
    """
    try:
        ran = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *words],  # noqa: S607
            capture_output=True,
            check=True,
        )
    except FileNotFoundError:
        raise ValueError("`git` is not installed") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
        raise ValueError(said or "there is no such commit") from None
    return ran.stdout


class SentenceLikeness:
    """Cosines of a question and sentences, by the model that reads the question; each is loaded when it is needed."""

    def __init__(self, settings: Settings) -> None:
        """Initialise without loading anything."""
        chosen = settings.embedding.model
        names = (ENGLISH, MULTILINGUAL) if chosen == AUTO else (chosen,)
        self._models = [DenseEmbedder(settings.embedding, model=name) for name in names]
        self._loaded: set[str] = set()

    async def __call__(self, question: str, texts: Sequence[str]) -> list[float]:
        """Returns a cosine for each text, on the scale of the English model."""
        for model in self._models:
            if model.model not in self._loaded:
                await asyncio.to_thread(model.load)
                self._loaded.add(model.model)
            if model.reads(question) or model is self._models[-1]:
                asked, *vectors = await asyncio.gather(model.question(question), *map(model.text, texts))
                cosines = [sum(a * b for a, b in zip(asked, vector, strict=True)) for vector in vectors]
                return [scale(model.model).likeness(cosine) for cosine in cosines]
        return []

    def close(self) -> None:
        """Close the models."""
        for model in self._models:
            model.close()
