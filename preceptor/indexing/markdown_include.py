"""Includes of Python-Markdown's extensions: `{! file !}`, and `{* file.py *}`, which shows a file of code.

They are mdx_include, markdown-include and markdown-include-variants.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from preceptor.indexing.include import BRACED, LONGEST_PAGE, Body, NotTakenIn, Reach, too_much
from preceptor.indexing.missing import Note

EXTENSIONS = (
    "mdx_include",
    "markdown_include",
    "markdown_include.include",
    "markdown_include_variants",
)
KIND = "`{! … !}` includes not resolved"
_OPTION = re.compile(r"(?P<name>\w+)\[(?P<value>[^\]]+)\]")
_RANGE = re.compile(r"(?P<first>\d*)(?:\.\d+)?(?:(?P<to>[-:])(?P<last>\d*)(?:\.\d+)?)?")


def expanded(body: Body, reach: Reach, note: Note) -> Body:
    """Returns the page with the files that it takes in.

    Args:
        body: The text of the page.
        reach: The files that it may take in.
        note: Called for each include that cannot be resolved.
    """
    base, room = reach.includes, LONGEST_PAGE
    if base is None:  # what is left of them is noted with all that stays in the text
        return body

    def taken_in(match: re.Match[str], line: int, above: tuple[Path, ...]) -> str:
        nonlocal room
        if match["escaped"]:
            return match[0].replace("\\", "", 1)
        name, indent = match["path"] or match["code"], match["indent"] or ""
        options = {one["name"]: one["value"] for one in _OPTION.finditer(match["options"] or "")}
        try:
            if "://" in name:
                raise NotTakenIn(f"{name}: from the web")
            file = reach.find(base / name, name, above=above)
            text = reach.read(file, name)
            room -= len(text)
            if room < 0:
                raise too_much(name)
        except NotTakenIn as why:
            note(KIND, line, str(why))
            return indent
        said = match["slices"] or match["lines"] or options.get("ln", "")
        lines = text.removesuffix("\n").split("\n")
        shown = "\n".join(_chosen(lines, said)) if said else "\n".join(lines)
        if match["code"]:
            return f"```{file.suffix[1:]}\n{shown}\n```"
        shown = BRACED.sub(lambda inner: taken_in(inner, line, (*above, file)), shown)
        return indent + (shown.replace("\n", f"\n{indent}") if ">" in (match["flags"] or "") else shown)

    return body.replaced(BRACED, lambda match, line: taken_in(match, line, ()))


def _chosen(lines: Sequence[str], said: str) -> Iterator[str]:
    """Yields the lines of ranges such as `1-3,7` or `1:3 7`, from 1."""
    for part in re.split(r"[,\s]+", said.strip()):
        found = _RANGE.fullmatch(part)
        if found and part:
            first = int(found["first"] or 1)
            last = int(found["last"] or len(lines)) if found["to"] else first
            yield from lines[max(first - 1, 0) : last]
