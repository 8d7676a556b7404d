"""A Docusaurus site's configuration as its own Docusaurus loads it. This runs the site's code, with Node."""

import json
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from preceptor.errors import SiteConfigUnavailable

_SCRIPT = Path(__file__).with_name("loaded_config.cjs")
_NOT_INSTALLED = 3
_LONGEST = 180
"""Seconds that Docusaurus may take; a small site takes three, on a cold disk twenty."""
_LONGEST_MESSAGE = 1000
"""Characters of Docusaurus' message that are shown."""


def loaded_config(folder: Path) -> dict[str, Any]:
    """Returns the options of a site, and those of its docs plug-ins as `docs`.

    Raises:
        SiteConfigUnavailable: There is no Node, or no Docusaurus in the site, or it refuses the configuration.
    """
    node = shutil.which("node")
    if node is None:
        raise SiteConfigUnavailable(
            folder,
            "there is no `node` on the PATH",
            "Install Node 20 or newer and run `npm install` there",
        )
    with TemporaryDirectory() as place:
        file = Path(place, "config.json")
        try:
            done = subprocess.run(  # noqa: S603 - the author asked for it
                [node, str(_SCRIPT), str(folder), str(file)],
                cwd=folder,
                capture_output=True,
                timeout=_LONGEST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise SiteConfigUnavailable(
                folder,
                f"Docusaurus did not load it within {_LONGEST} seconds",
                "See whether `npm run build` does",
            ) from None
        if done.returncode == _NOT_INSTALLED:
            raise SiteConfigUnavailable(
                folder, "its packages are not installed (no `@docusaurus/core`)", "Run `npm install` there"
            )
        try:
            loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            said = done.stderr.decode(errors="replace").strip().rstrip(".") or f"exit code {done.returncode}"
            raise SiteConfigUnavailable(
                folder,
                f"Docusaurus refused it:\n\n{said[-_LONGEST_MESSAGE:]}",
                "See whether `npm run build` works",
            ) from None
    return loaded
