"""Files that only their owner may read: readers' questions are in them."""

import errno
import os
from contextlib import suppress
from pathlib import Path

_BESIDE = ("", "-wal", "-shm", "-journal")
"""SQLite makes these with the permissions of the database, as they are at that time."""


def make_private(path: Path) -> None:
    """Make a file, and its folder, where they are not there yet, and close it to other users.

    A database that an earlier version left open to everybody is closed, too, with what SQLite keeps beside it.

    Raises:
        OSError: The file cannot be made.
    """
    if path.is_dir():  # `touch` takes it, and SQLite only says that it cannot open it
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    for suffix in _BESIDE:
        file = path.with_name(path.name + suffix)
        # Another user's file, or one that another process has just removed.
        with suppress(PermissionError, FileNotFoundError):
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)
