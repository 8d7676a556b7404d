"""The versions of one embedded collection on disk, and the published one among them.

    COLLECTION/
      current.json      {"current": "v0002", "previous": "v0001"}: replaced as a whole to publish
      v0001/ v0002/     published, never written again: index.json (what it says of itself), outline.jsonl and shard/
      staging/          what was put since, with a write-ahead log

A flipped byte in a file of the engine can end the whole process (an allocation of its size, a panic), so a
version's files are compared with their digest before the engine sees them.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmh3 import mmh3_x64_128

from preceptor.errors import IndexDamaged, IndexHasNoPrevious, IndexNotFound
from preceptor.library import schema
from preceptor.library.passage import Chapter
from preceptor.library.protocol import IndexInfo

_BLOCK = 1 << 16
_ZEROS = bytes(_BLOCK)
_FAST = "mmh3:"
"""Prefix of a digest that is made by a hash for accidents, four times as fast as SHA-256, with which older ones are."""
_UNDER_WAY = ".atomicwrite"
"""Prefix of folders in which the engine writes a file before moving it to its place."""

Stamp = tuple[int, int]
"""Identity of the published version; changes with every publication."""


@dataclass(frozen=True, slots=True)
class Published:
    """Names of the published and the previous version."""

    current: str
    previous: str | None


class Versions:
    """Folder of one collection. Only its writer, who holds the lock, calls the methods that change it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.collection = folder.name
        self.staging = folder / "staging"
        self._pointer = folder / "current.json"

    def stamp(self) -> Stamp:
        """Returns a cheap identity (1 µs) that readers compare before each search.

        Raises:
            IndexNotFound: Nothing is published.
        """
        try:
            found = self._pointer.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise IndexNotFound(
                self.collection, str(self.folder.parent), collections(self.folder.parent)
            ) from None
        # The inode as well: two versions may be published within one tick of the file system's clock.
        return found.st_mtime_ns, found.st_ino

    def published(self) -> Published:
        """Returns the names of the kept versions.

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
        """Returns a version's description.

        Raises:
            IndexIncompatible: It is of another schema.
            IndexDamaged: It cannot be read.
        """
        return self._index(version)[0]

    def verified(self, version: str) -> tuple[Path, IndexInfo]:
        """Returns the folder of a version's shard after verifying its files.

        Raises:
            IndexIncompatible: It is of another schema.
            IndexDamaged: They are not, or cannot be read.
        """
        info, digest = self._index(version)
        shard = self.folder / version / "shard"
        if _digest(shard, fast=digest.startswith(_FAST)) != digest:
            raise IndexDamaged(shard, "its files are not as they were written")
        return shard, info

    def outline(self, version: str) -> Sequence[Chapter] | None:
        """Returns a version's outline; None for one that was published without it.

        Raises:
            IndexDamaged: It is not as it was written.
        """
        file = self.folder / version / "outline.jsonl"
        wanted = self._note(version).get("outline")
        if wanted is None:
            return None
        try:
            # Line by line, so that other threads go on in between: a large book has ten megabytes of it.
            lines = file.read_bytes().splitlines()
        except FileNotFoundError:
            lines = []
        if _digest_of_lines(lines) != wanted:
            raise IndexDamaged(file, "it is not as it was written")
        return [schema.chapter_from_json(json.loads(line)) for line in lines]

    def begin(self) -> Path:
        """Creates an empty, unpublished folder for the next version's shard."""
        # Unfinished ones count: an earlier run may have left its folder.
        numbers = [int(one.name[1:].partition(".")[0]) for one in self.folder.glob("v[0-9]*")]
        shard = self.folder / f"v{max(numbers, default=0) + 1:04}.new" / "shard"
        shard.mkdir(parents=True)
        return shard

    def publish(self, shard: Path, info: IndexInfo, outline: Sequence[Chapter]) -> str:
        """Publishes the version whose shard was filled; returns its name."""
        unfinished = shard.parent
        lines = [json.dumps(asdict(chapter), ensure_ascii=False).encode() for chapter in outline]
        (unfinished / "outline.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        note = {
            "info": schema.as_metadata(info),
            "digest": _digest(shard),
            "outline": _digest_of_lines(lines),
        }
        _write_json(unfinished / "index.json", note)
        version = unfinished.with_suffix("")
        # Renaming is atomic: whatever has a version's final name is complete.
        unfinished.rename(version)
        _sync(self.folder)
        previous = None
        with suppress(IndexNotFound, IndexDamaged):
            previous = self.published().current
        self._point(Published(version.name, previous))
        return version.name

    def describe(self, version: str, info: IndexInfo) -> None:
        """Changes a version's description."""
        note = {**self._note(version), "info": schema.as_metadata(info)}
        _write_json(self.folder / version / "index.json", note)

    def swap(self) -> str:
        """Publishes the previous version; returns its name.

        Raises:
            IndexHasNoPrevious: There is no previous version.
        """
        found = self.published()
        if found.previous is None:
            raise IndexHasNoPrevious(self.collection)
        # Before readers are sent there: they would find the damage when the good version is gone.
        self.verified(found.previous)
        self._point(Published(found.previous, found.current))
        return found.previous

    def tidy(self) -> None:
        """Removes versions that are neither published nor staged."""
        with suppress(IndexNotFound, IndexDamaged):
            found = self.published()
            keep = {found.current, found.previous, self.staging.name, self._pointer.name}
            for one in self.folder.iterdir():
                if one.name not in keep:
                    _remove(one)

    def remove(self) -> None:
        """Removes the whole collection; readers never see half of it."""
        # First, so that nobody opens what is being removed.
        self._pointer.unlink(missing_ok=True)
        shutil.rmtree(self.folder)

    def _index(self, version: str) -> tuple[IndexInfo, str]:
        found = self._note(version)
        try:
            return schema.from_metadata(self.collection, found["info"]), str(found["digest"])
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable(self.folder / version / "index.json", error) from error

    def _note(self, version: str) -> dict[str, Any]:
        file = self.folder / version / "index.json"
        try:
            return _read_json(file)
        except (FileNotFoundError, TypeError, ValueError) as error:
            raise _unreadable(file, error) from error

    def _point(self, published: Published) -> None:
        _write_json(self._pointer, {"current": published.current, "previous": published.previous})


def collections(folder: Path) -> list[str]:
    """Returns the names of the collections in a folder, sorted."""
    return sorted(one.parent.name for one in folder.glob("*/current.json"))


def remember(folder: Path, what: dict[str, Any]) -> None:
    """Writes the purpose of a staging folder; without it the folder is ignored."""
    _write_json(folder / "for.json", what)


def remembered(folder: Path) -> dict[str, Any] | None:
    """Returns the purpose of a staging folder; None if it is missing or unreadable."""
    try:
        return _read_json(folder / "for.json")
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _unreadable(file: Path, error: Exception) -> IndexDamaged:
    return IndexDamaged(file, f"{type(error).__name__}: {error}")


def _digest_of_lines(lines: Sequence[bytes]) -> str:
    digest = mmh3_x64_128()
    for line in lines:
        digest.update(line + b"\n")
    return digest.digest().hex()


def _digest(folder: Path, *, fast: bool = True) -> str:
    """Digest of the names, sizes and contents of all files below a folder."""
    digest = mmh3_x64_128() if fast else hashlib.sha256()
    # The order of a folder's entries is the file system's affair, and a copy may have another.
    for file in sorted(_files(folder)):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\0".encode())
        for position, block in _ordered(file) or _blocks(file):
            digest.update(position.to_bytes(8, "big"))
            digest.update(block)
    return f"{_FAST if fast else ''}{digest.digest().hex()}"


def _ordered(file: Path) -> list[tuple[int, bytes]]:
    """Returns the content of a file that names several dense vectors with its keys in order; empty for others.

    Whenever it opens a shard, the engine writes their names anew, in any order.
    """
    content = file.read_bytes() if file.suffix == ".json" else b""
    if f'"{schema.MULTILINGUAL}"'.encode() not in content:
        return []
    try:
        return [(0, json.dumps(json.loads(content), sort_keys=True).encode())]
    except ValueError:  # damaged: its bytes tell
        return []


def _files(folder: Path) -> Iterator[Path]:
    """Yields all files except those that the engine is still writing.

    When it opens a shard, the engine replaces a file by an equal one; a process killed at that moment leaves
    the new file behind.
    """
    for below, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(_UNDER_WAY)]
        yield from (Path(below, name) for name in names)


def _blocks(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yields position and content of nonzero blocks: of the 100 MB that the engine allocates, 1 or 2."""
    # Unbuffered: a buffer would read ahead into the hole that the next seek skips.
    with file.open("rb", buffering=0) as stream:
        position = stream.seek(_next_data(stream.fileno(), 0))
        while block := stream.read(_BLOCK):
            # A block of zeros and a hole are the same content, and a copy may turn one into the other.
            if block != _ZEROS[: len(block)]:
                yield position, block
            position = stream.seek(_next_data(stream.fileno(), position + len(block)))


def _next_data(file: int, position: int) -> int:
    """Returns the next block at or after this position that is not a hole."""
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
    """Replaces a file atomically: a reader, or a power cut, finds the old or the new one."""
    new = file.with_suffix(".tmp")
    with new.open("w", encoding="utf-8") as stream:
        json.dump(what, stream, ensure_ascii=False, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)
    _sync(file.parent)


def _sync(folder: Path) -> None:
    """Makes the names in a folder durable, if the system supports it."""
    # A rename outlasts a power cut only once its folder is synced; Windows cannot open a folder.
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
