"""Any bytes in; passages or a named error out."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from preceptor.errors import PageUnreadable
from preceptor.indexing.discover import Book, PageFile, discover
from preceptor.indexing.parse import read_page
from preceptor.settings import SiteSettings
from tests.indexing.pages import cut, model_tokenizer

_PIECES = [
    *"<>{}[]()`*_~$|\\\"'!#:-&\n\t",
    "\n\n", "    ", "# ", "## ", "- ", "1. ", "> ", "```", "~~~\n", "```js {1} title='a'\n", "$$\n",
    ":::", ":::note ", ":::tip[", "::x[", ":x", "---\n", "===\n", "| a | b |\n", "|---|---|\n",
    "<!--", "-->", "</", "/>", "<div>", "</div>", "<Tabs values={[{label:'a',value:'b'}]}>",
    "<TabItem value='b' label=\"", "<li>", "<table>", "<tr>", "<td>", "<h2 id='q'>", "<pre>",
    "<code>", "<br>", "<details><summary>", "<b c={`${", "{/* #x */}", "{#id}", "{'", "{`a`}",
    "\\\\(", "import A from './page.md'\n\n", "import {", "export const a = '", "<A />", "[^1]",
    "[^1]: ", "[a]: ", "![", "](", "&amp;", "&#xD800;", "{'\\ud800'}", ":tada:", "\0", "\u200b",
    "\u2028", "\ufeff", "😀", "机", "روبوٹ", "word ",
]  # fmt: skip
_MARKUP = st.lists(st.sampled_from(_PIECES), max_size=60).map(lambda pieces: "".join(pieces).encode())
_PRESETS = st.sampled_from(
    [SiteSettings(preset=preset) for preset in ("docusaurus", "plain", "mdbook", "mkdocs")]
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return model_tokenizer()


def _indexed(book: Book, file: PageFile, tokenizer: Tokenizer) -> list[str]:
    made = cut(read_page(book, file), tokenizer, size=64)
    for passage in made:
        assert passage.text.strip()
        passage.embedded_text.encode()
        assert len(tokenizer.encode(passage.embedded_text).ids) <= 64
    return [passage.text for passage in made]


def _try(folder: Path, raw: bytes, suffix: str, site: SiteSettings, tokenizer: Tokenizer) -> None:
    """A page that cannot be read is named and takes no other with it."""
    for old in folder.iterdir():
        old.unlink()
    (folder / f"page{suffix}").write_bytes(raw)
    (folder / "sound.md").write_text("A sound page.")
    seen: list[str] = []
    unreadable: list[str] = []
    book = discover(folder, site)
    for file in book.files:
        try:
            seen += _indexed(book, file, tokenizer)
        except PageUnreadable as error:
            unreadable.append(error.source)
    assert "A sound page." in seen
    if unreadable:
        assert unreadable == [f"page{suffix}"]
        assert not _is_text(raw) or b"---" in raw, "text without front matter can be read"


def _is_text(raw: bytes) -> bool:
    with suppress(UnicodeDecodeError):
        return bool(raw.decode())
    return False


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=_MARKUP, suffix=st.sampled_from([".md", ".mdx"]), site=_PRESETS)
def test_any_markup_makes_passages(
    tmp_path: Path, tokenizer: Tokenizer, raw: bytes, suffix: str, site: SiteSettings
) -> None:
    _try(tmp_path, raw, suffix, site, tokenizer)


@pytest.mark.long
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.one_of(
        st.binary(), st.text().map(str.encode), st.text().map(lambda text: f"---\n{text}\n---\n".encode())
    )
)
def test_any_bytes_make_passages_or_a_named_error(tmp_path: Path, tokenizer: Tokenizer, raw: bytes) -> None:
    _try(tmp_path, raw, ".mdx", SiteSettings(), tokenizer)


@pytest.mark.long
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_real_pages_make_passages(tmp_path: Path, tokenizer: Tokenizer, data: st.DataObject) -> None:
    pages = sorted((Path(__file__).parent / "edge-cases/docs").rglob("*.md*"))
    raw = bytearray(data.draw(st.sampled_from(pages)).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(raw)))
        length = data.draw(st.integers(0, 40))
        raw[at : at + length] = data.draw(st.sampled_from(_PIECES)).encode()
    _try(tmp_path, bytes(raw), ".mdx", SiteSettings(), tokenizer)
