"""The lowest level at which libraries that say too much, or too much of a reader's text, are logged."""

from collections.abc import Mapping
from typing import Final

LOG_LEVELS: Final[Mapping[str, str]] = {
    "httpx": "WARNING",
    "httpx2": "WARNING",
    "httpcore2": "WARNING",
    "openai.agents": "WARNING",
    "uvicorn.access": "WARNING",
    # Its warnings quote what a provider said, and that may quote the reader.
    "stamina": "ERROR",
}
