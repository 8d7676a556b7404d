"""The versions of one embedded collection on disk, and which of them readers see.

    COLLECTION/
      current.json      {"current": "v0002", "previous": "v0001"}: replaced as a whole to publish
      v0001/ v0002/     published, never written again: index.json (what it says of itself) and shard/
      staging/          what was put since, with a write-ahead log

A flipped byte in a file of the engine can end the whole process (an allocation of its size, a panic), so a
version's files are compared with their digest before the engine sees them.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.errors import IndexDamaged, IndexHasNoPrevious, IndexNotFound
from preceptor.library import schema
from preceptor.library.protocol import IndexInfo

_BLOCK = 1 << 16
_UNDER_WAY = ".atomicwrite"
"""Folders in which the engine writes a file before it moves it to its place."""

Stamp = tuple[int, int]
"""Changes when another version is published."""


@dataclass(frozen=True, slots=True)
class Published:
    """Names of versions."""

    current: str
    previous: str | None


class Versions:
    """The folder of one collection. Only its writer, who holds the lock, calls what changes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.collection = folder.name
        self.staging = folder / "staging"
        self._pointer = folder / "current.json"

    def stamp(self) -> Stamp:
        """What a reader compares before each search; costs a microsecond.

        Raises:
            IndexNotFound: Nothing is published.
        """
        try:
            found = self._pointer.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise IndexNotFound(
                self.collection, str(self.folder.parent), collections(self.folder.parent)
            ) from None
        return found.st_mtime_ns, found.st_ino

    def published(self) -> Published:
        """The versions that are kept.

        Raises:
            IndexNotFound: Nothing is published.
            IndexDamaged: The file that says so cannot be read.
        """
        self.stamp()
        try:
            return Published(**_read_json(self._pointer))
        except (ValueError, TypeError) as error:
            raise IndexDamaged(self._pointer, str(error)) from error

    def info(self, version: str) -> IndexInfo:
        """What a version says of itself.

        Raises:
            IndexIncompatible: It is of another schema.
            IndexDamaged: It cannot be read.
        """
        return self._index(version)[0]

    def verified(self, version: str) -> tuple[Path, IndexInfo]:
        """The folder of a version's shard, after its files were found to be as they were written.

        Raises:
            IndexIncompatible: It is of another schema.
            IndexDamaged: They are not, or cannot be read.
        """
        info, digest = self._index(version)
        shard = self.folder / version / "shard"
        if _digest(shard) != digest:
            raise IndexDamaged(shard, "its files are not as they were written")
        return shard, info

    def begin(self) -> Path:
        """An empty folder for the next version's shard, which nobody sees until `publish`."""
        numbers = [int(one.name[1:].partition(".")[0]) for one in self.folder.glob("v[0-9]*")]
        shard = self.folder / f"v{max(numbers, default=0) + 1:04}.new" / "shard"
        shard.mkdir(parents=True)
        return shard

    def publish(self, shard: Path, info: IndexInfo) -> str:
        """Let readers see the version whose shard was filled; give back its name."""
        unfinished = shard.parent
        _write_json(unfinished / "index.json", {"info": schema.as_metadata(info), "digest": _digest(shard)})
        version = unfinished.with_suffix("")
        unfinished.rename(version)
        _sync(self.folder)
        previous = None
        with suppress(IndexNotFound, IndexDamaged):
            previous = self.published().current
        self._point(Published(version.name, previous))
        return version.name

    def describe(self, version: str, info: IndexInfo) -> None:
        """Change what a version says of itself."""
        digest = self._index(version)[1]
        _write_json(
            self.folder / version / "index.json", {"info": schema.as_metadata(info), "digest": digest}
        )

    def swap(self) -> str:
        """Let readers see the previous version; give back its name.

        Raises:
            IndexHasNoPrevious: There is none.
        """
        found = self.published()
        if found.previous is None:
            raise IndexHasNoPrevious(self.collection)
        self.verified(found.previous)
        self._point(Published(found.previous, found.current))
        return found.previous

    def tidy(self) -> None:
        """Remove what is neither published nor staged. A reader that has it open keeps what it has."""
        with suppress(IndexNotFound, IndexDamaged):
            found = self.published()
            keep = {found.current, found.previous, self.staging.name, self._pointer.name}
            for one in self.folder.iterdir():
                if one.name not in keep:
                    _remove(one)

    def remove(self) -> None:
        """Remove all of it; readers miss it at once, and see no half of it."""
        self._pointer.unlink(missing_ok=True)
        shutil.rmtree(self.folder)

    def _index(self, version: str) -> tuple[IndexInfo, str]:
        file = self.folder / version / "index.json"
        try:
            found = _read_json(file)
            return schema.from_metadata(self.collection, found["info"]), found["digest"]
        except (FileNotFoundError, KeyError, TypeError, ValueError) as error:
            raise IndexDamaged(file, f"{type(error).__name__}: {error}") from error

    def _point(self, published: Published) -> None:
        _write_json(self._pointer, {"current": published.current, "previous": published.previous})


def collections(folder: Path) -> list[str]:
    """Names of the collections in a folder of collections, sorted."""
    return sorted(one.parent.name for one in folder.glob("*/current.json"))


def remember(folder: Path, what: dict[str, Any]) -> None:
    """Note what a staging folder is for; a staging folder without a note is none."""
    _write_json(folder / "for.json", what)


def remembered(folder: Path) -> dict[str, Any] | None:
    """What was noted; None when nothing (readable) was."""
    try:
        return _read_json(folder / "for.json")
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _digest(folder: Path) -> str:
    """Of the names, sizes and contents of all files below a folder."""
    digest = hashlib.sha256()
    for file in sorted(_files(folder)):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\0".encode())
        for position, block in _blocks(file):
            digest.update(position.to_bytes(8, "big") + block)
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """All files but those that the engine has under way.

    Opening a shard, it replaces a file by an equal one, and who is killed in that moment leaves the new one behind.
    """
    for below, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(_UNDER_WAY)]
        yield from (Path(below, name) for name in names)


def _blocks(file: Path) -> Iterator[tuple[int, bytes]]:
    """Position and content of what is not all zeros: of the 100 MB that the engine sets aside, 1 or 2."""
    with file.open("rb", buffering=0) as stream:
        position = stream.seek(_next_data(stream.fileno(), 0))
        while block := stream.read(_BLOCK):
            if block.count(0) != len(block):
                yield position, block
            position = stream.seek(_next_data(stream.fileno(), position + len(block)))


def _next_data(file: int, position: int) -> int:
    """The next block that is not a hole, from this position on."""
    if not hasattr(os, "SEEK_DATA"):
        return position
    try:
        return os.lseek(file, position, os.SEEK_DATA) // _BLOCK * _BLOCK
    except OSError as error:
        # Only holes follow; or this file system cannot tell, and all of it is read.
        return os.fstat(file).st_size if error.errno == errno.ENXIO else position


def _read_json(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text(encoding="utf-8")))


def _write_json(file: Path, what: dict[str, Any]) -> None:
    """Replace a file as a whole: a reader, or a power cut, finds the old or the new one."""
    new = file.with_suffix(".tmp")
    with new.open("w", encoding="utf-8") as stream:
        json.dump(what, stream, ensure_ascii=False, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)
    _sync(file.parent)


def _sync(folder: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    if os.name == "posix":
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
