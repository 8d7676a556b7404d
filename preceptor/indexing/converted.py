"""Makes a page of a file in another format than Markdown, with the reader of its format."""

import warnings

from preceptor.errors import PageUnreadable
from preceptor.indexing.discover import Book, PageFile, humanised
from preceptor.indexing.formats import FORMATS
from preceptor.indexing.page import Page
from preceptor.indexing.site import Place, join
from preceptor.settings import SiteSettings
from preceptor.text.languages import language_of


def read_page(book: Book, file: PageFile) -> Page:
    """Reads a page.

    Raises:
        PageUnreadable: It cannot be opened, is damaged or encrypted, or holds no text.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of ids that a notebook lacks, of XHTML, …
            title, outline = FORMATS[file.path.suffix].read(file.path)
    except OSError as error:
        raise PageUnreadable(file.source, error.strerror or "it cannot be opened") from error
    except Exception as error:  # a damaged file makes its reader raise anything
        why = str(error).partition("\n")[0].rstrip(".")[:200] or type(error).__name__
        raise PageUnreadable(file.source, f"it is damaged or of another format ({why})") from error
    sections = outline.sections
    text = "\n".join(section.text for section in sections)
    if not text.strip():
        raise PageUnreadable(file.source, "it holds no text; what was scanned needs a text layer (OCR) first")
    return Page(
        source=file.source,
        status=file.status,
        reason=file.reason,
        chapter=file.chapter,
        title=file.title or title.strip() or humanised(file.place.stem),
        url=_url(file.part.site, file.place),
        breadcrumb=file.breadcrumb,
        position=file.position,
        headings=tuple((heading.level, heading.id, heading.text) for heading in outline.headings),
        sections=sections,
        language=language_of(text, default=book.language),
    )


def _url(site: SiteSettings, place: Place) -> str:
    """Returns the address of a file that the generator copies unchanged to the site."""
    path = place.source if site.preset == "plain" else place.relative
    folder = site.route_base_path if site.preset == "docusaurus" else ""
    return site.url.rstrip("/") + join(site.base_url, folder, path)
