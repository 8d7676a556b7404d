"""MkDocs' snippets (`--8<-- "file.md"`), read by the extension that MkDocs uses, kept inside the repository."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markdown import Markdown
from pymdownx.snippets import SnippetMissingError, SnippetPreprocessor

from preceptor.indexing.include import LONGEST_PAGE, Body, NotTakenIn, Reach, too_much
from preceptor.indexing.missing import Note

_KIND = "`--8<--` snippets not resolved"


def expanded(body: Body, reach: Reach, options: Mapping[str, Any], note: Note) -> Body:
    """Returns the page with its snippets.

    Args:
        body: The text of the page.
        reach: The files that it may take in.
        options: Options of the extension, as in `Reach.snippets`.
        note: Called for each snippet that cannot be resolved.
    """
    return _Snippets(reach, options, note).expanded(body)


class _Snippets(SnippetPreprocessor):
    def __init__(self, reach: Reach, options: Mapping[str, Any], note: Note) -> None:
        config = {
            "encoding": "utf-8",
            # What is missing is noted here; the extension would end the page with an exception.
            "check_paths": False,
            "url_download": False,  # an index is made of files that are here
            "url_max_size": 0,
            "url_timeout": 0,
            "url_request_headers": {},
            "max_retries": 0,
            "backoff_factor": 0,
        }
        super().__init__({**config, **options}, Markdown())
        self.seen: set[str] = set()
        self._reach = reach
        self._note = note
        self._line = 0
        self._room = LONGEST_PAGE

    def expanded(self, body: Body) -> Body:
        """Returns the body with its snippets; their lines count as the line that names them."""
        appended = [f'--8<-- "{name}"' for name in self.auto_append]
        lines = body.text.split("\n") + (["", *appended] if appended else [])
        numbers = [*body.lines, *[body.lines[-1]] * (len(lines) - len(body.lines))]
        made: list[str] = []
        origins: list[int] = []
        block: list[str] = []
        begun = 0
        for place, line in enumerate(lines):
            marker = self.RE_ALL_SNIPPETS.match(line)
            is_mark = bool(marker and not marker["escape"] and marker["block_marker"])
            if not block:
                begun = place
            if is_mark or block:  # the paths between two marks belong together
                block.append(line)
                if not is_mark or len(block) == 1:
                    continue
            self._line = begun
            new = self.parse_snippets(block or [line])
            block = []
            made += new
            origins += [numbers[begun]] * len(new)
        if block:
            made += self.parse_snippets(block)
            origins += [numbers[begun]] * (len(made) - len(origins))
        return Body("\n".join(made), origins)

    def get_snippet_path(self, path: str) -> str | None:
        """Returns the file of a snippet; None, with a note, if it cannot be read."""
        if path.lower().startswith(("https://", "http://")):
            self._note(_KIND, self._line, f"{path}: from the web")
            return None
        found = super().get_snippet_path(path)
        try:
            if found is None:
                there = any((Path(base) / path).exists() for base in self.base_path)
                why = "outside `base_path` of pymdownx.snippets" if there else "no such file"
                raise NotTakenIn(f"{path}: {why}")
            file = self._reach.find(Path(found), path)
            if str(file) in self.seen:
                raise NotTakenIn(f"{path}: it takes in itself")
            if self._room < 0:
                raise too_much(path)
            self._room -= len(self._reach.read(file, path))
        except NotTakenIn as why:
            self._note(_KIND, self._line, str(why))
            return None
        return str(file)

    def read_lines(self, path: str) -> list[str]:
        """Returns the lines of a file that `get_snippet_path` returned."""
        text = self._reach.read(Path(path), path)
        return text.split("\n") if text else []

    def extract_section(self, section: str, lines: list[str]) -> list[str]:
        """Returns the lines between the marks of a section; empty, with a note, if there are none."""
        # Only so does the extension tell that there is no such section.
        self.check_paths = True
        try:
            return super().extract_section(section, lines)
        except SnippetMissingError:
            self._note(_KIND, self._line, f"no section `{section}`")
            return []
        finally:
            self.check_paths = False
