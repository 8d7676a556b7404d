"""A lock for one writer per collection, which names its holder to a process that has to wait."""

import json
import os
import socket
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from preceptor.errors import IndexLocked


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock."""

    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Distinguishes two writers in one process."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"

    def as_json(self) -> dict[str, Any]:
        """Returns the holder as JSON, for a file or a collection's metadata."""
        return asdict(self)

    def is_dead(self) -> bool:
        """Whether the holder ran on this host and has ended; False if that cannot be determined."""
        if self.host != socket.gethostname() or os.name != "posix":
            return False
        try:
            # Signal 0 only asks whether there is such a process.
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        # Another user's process, which is alive.
        except PermissionError:
            return False
        return False


class FolderLock:
    """An operating system's lock on a file, which ends with its process however that ends.

    The note beside it names the holder; it means nothing unless the lock is held.
    """

    def __init__(self, file: Path, *, collection: str) -> None:
        self._collection = collection
        self._folder = file.parent
        # Not bound to a thread: a writer is opened, used and closed by whichever runs it.
        self._lock = FileLock(file, blocking=False, thread_local=False)
        self._note = file.with_suffix(".holder.json")

    def acquire(self) -> None:
        """Take the lock without waiting.

        Raises:
            IndexLocked: Another writer has it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            raise IndexLocked(self._collection, self._holder()) from None
        self._note.write_text(json.dumps(Holder().as_json()), encoding="utf-8")

    def release(self) -> None:
        """Release the lock; may be called twice."""
        self._lock.release()

    @contextmanager
    def held(self) -> Generator[None]:
        """Hold the lock for a block."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def _holder(self) -> str:
        try:
            return str(Holder(**json.loads(self._note.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):
            return "another process"
