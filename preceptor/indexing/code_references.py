"""The syntax of mkdocstrings and autorefs: blocks of documentation from code, and links to them.

The documentation itself comes from running the site's code, which is not done here: a block becomes the empty element
`autodoc`, which names it. A link is its text.
"""

import re
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from markdown import Markdown
from markdown.blockprocessors import BlockProcessor
from markdown.extensions import Extension
from markdown.inlinepatterns import ReferenceInlineProcessor

AUTODOC = "autodoc"


class CodeReferences(Extension):
    """Reads the blocks of mkdocstrings and the links of autorefs."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - Python-Markdown's name
        """Registers both, where the plug-ins themselves do."""
        md.parser.blockprocessors.register(_Blocks(md.parser), "mkdocstrings", 75)
        md.inlinePatterns.register(_Links(r"(?<!\!)\[", md), "mkdocs-autorefs", 168)


class _Blocks(BlockProcessor):
    _MARK = re.compile(r"^(?:#{1,6} *)?::: ?(?P<name>.+?) *$", re.MULTILINE)

    def test(self, parent: Element, block: str) -> bool:
        return self._MARK.search(block) is not None

    def run(self, parent: Element, blocks: list[str]) -> None:
        block = blocks.pop(0)
        mark = self._MARK.search(block)
        if mark is None:
            return
        if block[: mark.start()].strip():
            self.parser.parseBlocks(parent, [block[: mark.start()]])
        _options, after = self.detab(block[mark.end() :].lstrip("\n"))
        SubElement(parent, AUTODOC, name=mark["name"])
        if after:
            blocks.insert(0, after)


class _Links(ReferenceInlineProcessor):
    def handleMatch(self, m: re.Match[str], data: str) -> Any:  # noqa: N802 - Python-Markdown's name
        text, index, handled = self.getText(data, m.end(0))
        if not handled:
            return None, None, None
        _identifier, end, handled = self.evalId(data, index, text)
        if not handled:
            return None, None, None
        link = Element("span")
        link.text = text
        return link, m.start(0), end
