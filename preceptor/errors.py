"""Everything that can go wrong, as one tree.

    PreceptorError
    ├── SettingsError            a setting is missing or wrong (all of them in one message)
    ├── ExtraMissing             an optional package is not installed
    ├── BookError                the folder of Markdown pages
    │   ├── BookNotFound
    │   ├── BookEmpty
    │   ├── SeveralSites
    │   ├── SiteConfigUnavailable
    │   └── PageUnreadable
    ├── EmbeddingError           the embedding model
    │   ├── EmbeddingModelUnavailable
    │   ├── EmbeddingModelDamaged
    │   ├── PassagesTooLong
    │   └── VectorInvalid
    ├── VectorIndexError         the vector index, embedded or in Qdrant Cloud
    │   ├── IndexNotFound
    │   ├── IndexEmpty
    │   ├── IndexIncompatible
    │   ├── IndexDamaged
    │   ├── IndexFolderUnusable
    │   ├── IndexHasNoPrevious
    │   ├── IndexLocked
    │   ├── IndexUnreachable
    │   ├── IndexTimeout
    │   ├── IndexUnauthorized
    │   ├── IndexForbidden
    │   ├── IndexRateLimited
    │   ├── IndexSuspended
    │   ├── IndexFieldNotIndexed
    │   └── IndexAnswerInvalid
    ├── ToolInputError           the model can correct it: it is shown the text
    │   ├── UnknownBook
    │   ├── UnknownChapter
    │   ├── UnknownSection
    │   ├── EmptyQuery
    │   ├── NotSearched
    │   └── IsCovered
    ├── PluginError              a tool plug-in that cannot be loaded
    ├── ToolNotMade              `preceptor tools new` cannot make a tool
    ├── UnknownTool              no tool that is loaded has this name
    ├── PluginSettingsInvalid    the section of a plug-in does not fit its model
    ├── TutorError               a run that gave no answer
    │   ├── ProviderFailed
    │   ├── AnswerUnusable
    │   ├── NoTutorLeft
    │   └── DeadlineExceeded
    ├── SessionError
    │   ├── SessionNotFound
    │   ├── SessionBusy
    │   └── SessionsUnavailable  the store of conversations fails
    ├── RequestRefused           the service does not take this request, or not now
    │   ├── RequestInvalid
    │   ├── BookNotNamed
    │   ├── KeyMissing
    │   ├── OperatorsOnly
    │   ├── RateLimited
    │   ├── BudgetSpent
    │   ├── Overloaded
    │   └── Stopping
    ├── TraceNotFound
    ├── TapeMissing              a run cannot be played again
    ├── ReplayDiverged
    ├── TracesUnavailable        the file of runs is damaged or locked
    ├── AddressUnavailable       the service cannot listen where it should
    ├── ClientUnusable           no request can be made from here
    └── EvaluationError
        ├── CasesInvalid
        ├── ReportInvalid
        ├── ReportsNotComparable
        ├── CostUnknown
        ├── TooFewLabels
        ├── LabelsInvalid
        └── RevisionUnknown

Each class builds its own message: what happened, with which value, what to do. A setting's string
value is never echoed, because it may be a key.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

_NAMED = 5
"""Number of things that a message names before it counts the others."""


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def why_unread(error: Exception) -> str:
    """Returns in words why a file, a database among them, cannot be read or written; without its name."""
    if isinstance(error, UnicodeDecodeError):
        line = error.object[: error.start].count(b"\n") + 1
        return f"it is not text in UTF-8 (line {line})"
    match error:
        case FileNotFoundError():
            return "it does not exist"
        case IsADirectoryError():
            return "it is a folder"
        case FileExistsError() | NotADirectoryError():
            return "a file stands where its folder should be"
        case OSError():
            return (error.strerror or str(error)).lower()
        case _:
            return str(error)


class PreceptorError(Exception):
    """The root: its text is written for the person who reads it."""


class SettingsError(PreceptorError):
    """One or more settings are missing or wrong; where something is missing, `ways` are those without it."""

    def __init__(self, problems: Sequence[str], *, env: str, ways: Sequence[str] = ()) -> None:
        self.problems = tuple(problems)
        self.env = env
        self.ways = tuple(ways)
        what = "are not complete" if ways else "cannot be used"
        lines = [f"The settings of the `{env}` environment {what}:", *(f"  - {one}" for one in problems)]
        if ways:
            lines += ["Alternatives:", *(f"  - {way}" for way in ways)]
        super().__init__("\n".join(lines))


class ExtraMissing(PreceptorError):
    """A package that comes with one of the extras is not installed."""

    def __init__(self, extra: str, why: str) -> None:
        self.extra = extra
        super().__init__(f"The extra `{extra}` is needed {why}. Run `pip install 'preceptor[{extra}]'`.")


class BookError(PreceptorError):
    """The folder of pages cannot be read as a book."""


class BookNotFound(BookError):
    """The folder of the book does not exist, or is a file."""

    def __init__(self, source: Path) -> None:
        self.source = source
        what = "is a file, not a folder" if source.exists() else "does not exist"
        super().__init__(
            f"The book `{source}` {what}. Give the folder that holds its Markdown pages: "
            "`preceptor index --source BOOK`."
        )


class BookWithoutSource(BookError):
    """A book of a library whose table does not say where its pages are."""

    def __init__(self, book: str) -> None:
        self.book = book
        super().__init__(
            f"`books.{book}` has no `source`. Give the folder of its pages, seen from that file."
        )


class RayUnavailable(PreceptorError):
    """Ray is not installed, or its cluster cannot be reached."""

    def __init__(self, where: str, reason: str, *, remedy: str) -> None:
        self.where = where
        super().__init__(f"Ray at `{where}` cannot be used: {reason}. {remedy}")


class SeveralSites(BookError):
    """The folder holds several sites, and nothing says which of them is the book."""

    def __init__(self, source: Path, sites: Sequence[tuple[Path, str]]) -> None:
        self.source, self.sites = source, tuple(sites)
        named = ", ".join(f"`{home.relative_to(source)}` ({generator})" for home, generator in sites[:_NAMED])
        named += f" and {len(sites) - _NAMED} more" if len(sites) > _NAMED else ""
        super().__init__(
            f"The folder `{source}` holds several sites: {named}. Give one of them: `--source {sites[0][0]}`. "
            "Alternatives: `site.docs_dir` names the folder of pages, `site.preset` the generator."
        )


class SiteConfigUnavailable(BookError):
    """The site's generator cannot be asked for its configuration."""

    def __init__(self, folder: Path, why: str, way: str = "") -> None:
        self.folder = folder
        first = f"{way}. Alternatives: leave" if way else "Leave"
        super().__init__(
            f"The configuration of the site in `{folder}` cannot be loaded: {why}.\n{first} out `--site-config build` "
            "(`site.config`): what its files say is read then."
        )


class BookEmpty(BookError):
    """The folder holds no page that would be published."""

    def __init__(
        self,
        source: Path,
        *,
        skipped: int = 0,
        without_text: int = 0,
        failed: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.source = source
        drafts = f" ({skipped} drafts, partials or templates were left out)" if skipped else ""
        drafts += f" (pages without text, but for headings: {without_text})" if without_text else ""
        drafts += "".join(f" (`{page}` cannot be read: {reason})" for page, reason in failed[:3])
        super().__init__(
            f"No page to index in `{source}`{drafts}. A book needs at least one published `.md` or `.mdx` "
            "file with text; for a Docusaurus site give the folder that holds `docs/`."
        )


class PageUnreadable(BookError):
    """One page cannot be read; the others are still indexed."""

    def __init__(self, source: str, reason: str) -> None:
        self.source = source
        self.reason = reason
        super().__init__(f"The page `{source}` cannot be read: {reason}.")


class EmbeddingError(PreceptorError):
    """The embedding model cannot be used."""


class EmbeddingModelUnavailable(EmbeddingError):
    """The embedding model is not on this machine and could not be fetched."""

    def __init__(self, model: str, reason: str) -> None:
        self.model = model
        super().__init__(
            f"The embedding model `{model}` cannot be loaded: {reason}. Leave `embedding.model` "
            "(EMBEDDING_MODEL) unset to use the one that comes with Preceptor, point `embedding.path` to a "
            "folder that holds the model, or set `embedding.download = true` on a machine with a network."
        )


class EmbeddingModelDamaged(EmbeddingError):
    """The model's file is not the one that was shipped."""

    def __init__(self, path: Path, *, expected: str, found: str) -> None:
        self.path = path
        super().__init__(
            f"The embedding model in `{path}` is damaged: its sha256 is {found[:12]}…, not {expected[:12]}…. "
            "Install Preceptor again."
        )


class PassagesTooLong(EmbeddingError):
    """The model would not read the longest passages to their end."""

    def __init__(self, chunk_size: int, model: str, *, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"Passages of {chunk_size} tokens are too long for the embedding model `{model}`, which reads {limit}: "
            f"set `index.chunk_size` (--chunk-size) to {limit} or less."
        )


class VectorInvalid(EmbeddingError):
    """A vector that no index can hold or be searched with."""

    def __init__(self, of: str, reason: str) -> None:
        super().__init__(
            f"The vector of {of} cannot be used: {reason}. The embedding model gave it: check "
            "`embedding.model` and the files in `embedding.path`."
        )


class VectorIndexError(PreceptorError):
    """The vector index cannot be used."""


class IndexNotFound(VectorIndexError):
    """The collection named in the settings does not exist."""

    def __init__(self, collection: str, where: str, found: Collection[str]) -> None:
        self.collection = collection
        super().__init__(
            f"No collection `{collection}` at {where} (found: {', '.join(sorted(found)) or 'none'}). "
            "Build it with `preceptor index --source BOOK`, or set `index.collection` in settings.toml."
        )


class IndexEmpty(VectorIndexError):
    """The collection exists and holds no passage."""

    def __init__(self, collection: str, where: str) -> None:
        self.collection = collection
        super().__init__(
            f"The collection `{collection}` at {where} holds no passage. "
            "Fill it with `preceptor index --source BOOK`."
        )


class IndexIncompatible(VectorIndexError):
    """The index was built with another embedding model, dimension or schema."""

    def __init__(
        self, collection: str, what: str, *, found: object, wanted: object, remedy: str = ""
    ) -> None:
        self.collection = collection
        remedy = remedy or (
            "Build it again with `preceptor index --source BOOK --rebuild`, or restore the setting."
        )
        super().__init__(
            f"The collection `{collection}` was built with {what} {found}, but this Preceptor is set to "
            f"{wanted}. {remedy}"
        )


class IndexDamaged(VectorIndexError):
    """The embedded index's files cannot be opened."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(
            f"The embedded index in `{path}` cannot be opened: {reason}. "
            "Build it again with `preceptor index --source BOOK --rebuild`."
        )


class IndexFolderUnusable(VectorIndexError):
    """The operating system refuses the folder of the embedded index."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(
            f"The folder `{path}` of the embedded index cannot be used: {reason}. Whoever runs Preceptor "
            "needs to read and write there (the engine opens its files for writing even to search): fix "
            "that, or set `index.path`."
        )


class IndexHasNoPrevious(VectorIndexError):
    """There is no earlier version to go back to."""

    def __init__(self, collection: str) -> None:
        self.collection = collection
        super().__init__(
            f"The collection `{collection}` has no earlier version to go back to: only the one before the "
            "last change is kept."
        )


class IndexLocked(VectorIndexError):
    """Another process is writing this index."""

    def __init__(self, collection: str, holder: str) -> None:
        self.collection = collection
        self.holder = holder
        super().__init__(
            f"The collection `{collection}` is being indexed by {holder}. Wait until it has finished, then run "
            "the command again."
        )


class IndexUnreachable(VectorIndexError):
    """Nothing answers at the endpoint, or the connection to it fails."""

    def __init__(self, where: str, reason: str) -> None:
        self.where = where
        super().__init__(
            f"Qdrant at {where} cannot be reached: {reason}. Check QDRANT_CLUSTER_ENDPOINT (scheme, host and "
            "port, usually `https://….cloud.qdrant.io:6333`) and this machine's network."
        )


class IndexTimeout(VectorIndexError):
    """Qdrant did not answer in time."""

    def __init__(self, where: str, seconds: float) -> None:
        self.where = where
        self.seconds = seconds
        super().__init__(
            f"Qdrant at {where} did not answer within {seconds:g} s. Try again; if it stays, raise "
            "`qdrant.timeout` or look at the cluster's load."
        )


class IndexUnauthorized(VectorIndexError):
    """Qdrant does not know the key (401)."""

    def __init__(self, where: str) -> None:
        self.where = where
        super().__init__(
            f"Qdrant at {where} refused the key (401). Make a new one in the cluster's API keys page and set "
            "QDRANT_API_KEY."
        )


class IndexForbidden(VectorIndexError):
    """The key may not do this (403): a read-only key, or one of another collection."""

    def __init__(self, where: str, action: str) -> None:
        self.where = where
        self.action = action
        super().__init__(
            f"The key may not {action} at {where} (403). A read-only key serves a book and cannot index it: "
            "use a key with write access for `preceptor index`, and check that it covers this collection."
        )


class IndexRateLimited(VectorIndexError):
    """Qdrant asks for patience (429), and the tries are used up."""

    def __init__(self, where: str, retry_after: float | None) -> None:
        self.where = where
        self.retry_after = retry_after
        wait = f"in {retry_after:g} s" if retry_after is not None else "in a minute"
        super().__init__(f"Qdrant at {where} is limiting requests (429). Try again {wait}.")


class IndexSuspended(VectorIndexError):
    """The cluster does not answer as Qdrant: a free one sleeps when it is idle (plain 404)."""

    def __init__(self, where: str) -> None:
        self.where = where
        super().__init__(
            f"No Qdrant answers at {where} (404 for the whole address). A free cluster is suspended when it "
            "was idle: resume it in the Qdrant Cloud console. Else check QDRANT_CLUSTER_ENDPOINT."
        )


class IndexFieldNotIndexed(VectorIndexError):
    """Strict mode refuses a filter on a payload field without an index."""

    def __init__(self, collection: str, field: str) -> None:
        self.collection = collection
        self.field = field
        super().__init__(
            f"The collection `{collection}` has no payload index on `{field}`, which strict mode asks for. "
            "Build it again with `preceptor index --source BOOK --rebuild`."
        )


class IndexAnswerInvalid(VectorIndexError):
    """Something answered that is not Qdrant, or Qdrant answered with an error of its own."""

    def __init__(self, where: str, reason: str) -> None:
        self.where = where
        super().__init__(
            f"The answer from {where} is not what Qdrant answers: {reason}. If a proxy stands before it, check "
            "its log; else check QDRANT_CLUSTER_ENDPOINT and the cluster's status."
        )


class ToolInputError(PreceptorError):
    """The model called a tool with something it can correct; it is shown this text."""


class UnknownBook(ToolInputError):
    """No open book has this id."""

    def __init__(self, book: str, books: Sequence[str]) -> None:
        self.book = book
        there = list(books)
        if len(there) > _NAMED:
            # Of hundreds, those that may have been meant.
            folded = {name.casefold(): name for name in there}
            there = [folded[name] for name in get_close_matches(book.casefold(), folded, n=3, cutoff=0.4)]
            hint = f" Closest: {_quoted(there)}." if there else ""
            super().__init__(f"No book `{book}`.{hint} `GET /api/v1/books` names them all.")
            return
        super().__init__(f"No book `{book}`. There is: {_quoted(there)}.")


class UnknownChapter(ToolInputError):
    """No chapter has this id."""

    def __init__(self, chapter: str, closest: Sequence[str]) -> None:
        self.chapter = chapter
        self.closest = tuple(closest)
        hint = f" Closest: {', '.join(f'`{name}`' for name in closest)}." if closest else ""
        super().__init__(
            f"No chapter `{chapter}` in this book.{hint} The tutor's tool `list_chapters` and, over HTTP, "
            "`GET /api/v1/chapters` name them all."
        )


class UnknownSection(ToolInputError):
    """The chapter has no such section."""

    def __init__(self, chapter: str, section: str, closest: Sequence[str]) -> None:
        self.chapter = chapter
        self.section = section
        names = ", ".join(f"`{name}`" for name in closest)
        super().__init__(f"No section `{section}` in chapter `{chapter}`. It has: {names or 'none'}.")


class EmptyQuery(ToolInputError):
    """A search for nothing."""

    def __init__(self) -> None:
        super().__init__("The query is empty. Say what to look for, in a few words.")


class NotSearched(ToolInputError):
    """A question that is no greeting is declined, and the book was not searched for it."""

    def __init__(self, question: str) -> None:
        self.question = question
        super().__init__(
            "The whole book was not searched for this question. Call `search_textbook` first, without a chapter."
        )


class IsCovered(ToolInputError):
    """A question that the book covers is called small talk, or unclear."""

    def __init__(self, question: str) -> None:
        self.question = question
        super().__init__(
            "The reader asks about the book, and there are quotations for it. Answer from them, or decline with "
            "`not_in_book`."
        )


class PluginError(PreceptorError):
    """A tool plug-in cannot be loaded."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        super().__init__(
            f"The tool plug-in `{name}` cannot be loaded: {reason}. Fix it, or take it out of `tools.plugins` or "
            "`tools.enabled`; readers are answered without it."
        )


class ToolNotMade(PreceptorError):
    """`preceptor tools new` cannot make a tool."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        super().__init__(f"The tool `{name}` cannot be made: {reason}. Choose another name.")


class UnknownTool(PreceptorError):
    """No tool that is loaded has this name."""

    def __init__(self, name: str, known: Sequence[str], close: Sequence[str]) -> None:
        self.name = name
        hint = (
            f"Did you mean `{close[0]}`?" if close else f"There is: {', '.join(f'`{one}`' for one in known)}."
        )
        super().__init__(
            f"There is no tool `{name}`. {hint} `preceptor tools` lists them, with what is wrong."
        )


class PluginSettingsInvalid(PreceptorError):
    """A section `tools.settings.NAME` does not fit the plug-in's own model."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


class TutorError(PreceptorError):
    """A run ended without an answer."""


class ProviderFailed(TutorError):
    """One provider gave no answer; `reason` is the failure's class."""

    def __init__(self, provider: str, reason: str, *, retry_after: float | None = None) -> None:
        self.provider = provider
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(
            f"The provider `{provider}` gave no answer ({reason}). Ask again in a while; "
            f"`preceptor check` says what can be reached."
        )


class AnswerUnusable(TutorError):
    """A provider answered with something that must not pass as an answer; failover acts on `reason`."""

    def __init__(self, reason: str, what: str, *, input_tokens: int = 0, output_tokens: int = 0) -> None:
        self.reason = reason
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        super().__init__(f"The provider's answer cannot be used ({reason}): {what}.")


class NoTutorLeft(TutorError):
    """No provider can answer, and the offline tutor is switched off."""

    def __init__(self, failures: Sequence[tuple[str, str]], *, retry_after: float) -> None:
        self.failures = tuple(failures)
        self.retry_after = retry_after
        seen = ", ".join(f"{name}: {reason}" for name, reason in failures) or "none is configured"
        super().__init__(f"No tutor can answer right now ({seen}). Try again in {retry_after:g} s.")


class DeadlineExceeded(TutorError):
    """The whole answer took longer than `tutor.deadline`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"The answer was not ready within {seconds:g} s. Ask again, or ask a shorter question."
        )


class SessionError(PreceptorError):
    """The conversation cannot go on."""


class SessionNotFound(SessionError):
    """No session has this id, or it has run out."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(
            f"No conversation `{session_id}`: it was deleted, it ran out, or it never was. "
            "Ask without `session_id` to begin a new one."
        )


class SessionBusy(SessionError):
    """Too many questions wait on one session."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(
            "This conversation is still answering earlier questions. Wait for them, then ask again."
        )


class SessionsUnavailable(SessionError):
    """The store of conversations cannot be read or written."""

    def __init__(self, store: str, reason: str) -> None:
        self.store = store
        self.reason = reason
        super().__init__(
            f"The store of conversations ({store}) cannot be used: {reason}. Look at the server or the file that "
            "`session.url` names."
        )


class RequestRefused(PreceptorError):
    """The service does not take this request, or not now."""


class RequestInvalid(RequestRefused):
    """The body does not fit the contract."""

    def __init__(self, details: Mapping[str, str]) -> None:
        self.details = dict(details)
        name, wrong = next(iter(details.items()))
        super().__init__(f"The request does not fit: `{name}`: {wrong}.")


class BookNotNamed(RequestRefused):
    """The service has several books, and the request is for none of them."""

    def __init__(self) -> None:
        super().__init__(
            "There are several books here, and this request names none. Name one by the field `book` or the query "
            "`?book=ID`, or ask below `/b/ID/`. `GET /api/v1/books` names them all."
        )


class KeyMissing(RequestRefused):
    """The service requires a key, and the request carries no valid one."""

    def __init__(self) -> None:
        super().__init__(
            "A key is needed. Send one that the operator gave you, as `Authorization: Bearer YOUR-KEY` or "
            "`X-API-Key: YOUR-KEY`."
        )


class OperatorsOnly(RequestRefused):
    """There is no operator key, and without one the operator's pages answer only this machine."""

    def __init__(self) -> None:
        super().__init__(
            "This page answers only requests from its own machine. To see it from elsewhere, set "
            "PRECEPTOR_SERVER__OPERATOR_KEY and send that key as `Authorization: Bearer`."
        )


class RateLimited(RequestRefused):
    """One client asks too often."""

    def __init__(self, rate: str, *, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"Too many questions: {rate} are answered. Ask again in {retry_after:.0f} s.")


class BudgetSpent(RequestRefused):
    """A client, or all of them together, have asked as much as a day allows."""

    def __init__(self, *, whose: str, retry_after: float) -> None:
        self.retry_after = retry_after
        hours = math.ceil(retry_after / 3600)
        super().__init__(f"{whose} for today are used up. Ask again in {hours} h, when the day is over.")


class Overloaded(RequestRefused):
    """All slots are taken, and none became free in time."""

    def __init__(self, *, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(
            f"Too many questions are being answered right now. Ask again in {retry_after:.0f} s."
        )


class Stopping(RequestRefused):
    """The service is stopping: it accepts no question, and finally cancels running answers."""

    retry_after = 5.0

    def __init__(self) -> None:
        super().__init__("The service is being restarted. Ask again in a few seconds.")


class TraceNotFound(PreceptorError):
    """No single run with this trace id is kept."""

    def __init__(self, trace_id: str, where: Path, *, matches: int = 0) -> None:
        self.trace_id = trace_id
        what = f"{matches} runs begin with `{trace_id}`" if matches else f"No run `{trace_id}`"
        super().__init__(
            f"{what} in `{where}`. `preceptor traces` lists the runs that are kept; older ones are removed "
            "(`traces.keep_runs`, `traces.keep_days`)."
        )


class TapeMissing(PreceptorError):
    """A run was kept without its tape, so that it cannot be played again."""

    def __init__(self, trace_id: str) -> None:
        self.trace_id = trace_id
        super().__init__(
            f"The run `{trace_id}` has no tape of this version: it was recorded by an earlier one, is still going on, "
            "is very long, or `traces.include_text` was off. Ask the question again, and replay that run."
        )


class ReplayDiverged(PreceptorError):
    """A recorded run cannot be played to its end."""

    def __init__(self, step: int, why: str) -> None:
        self.step = step
        super().__init__(
            f"The replay differs from the tape at step {step}: {why}. Preceptor or its settings have changed since the "
            f"run was recorded, or the run had no answer. `--from {step}` goes on live from there."
        )


class TracesUnavailable(PreceptorError):
    """The file of runs cannot be read or written."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(
            f"The runs in `{path}` cannot be reached: {reason}. If another program holds the file, try again when "
            "it is done; if the file is damaged, move it away, and the next run begins a new one."
        )


class AddressUnavailable(PreceptorError):
    """The service cannot listen where it should."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host = host
        self.port = port
        super().__init__(
            f"Cannot listen on `{host}`, port {port}: {reason}. Choose others with `--port` and `--host`, or set "
            "`server.port` and `server.host` in settings.toml."
        )


class ClientUnusable(PreceptorError):
    """No client of a service elsewhere can be made with the certificates and proxies of this process."""

    def __init__(self, where: str, reason: Exception) -> None:
        self.where = where
        # Not the value of a proxy, which may hold a password.
        super().__init__(
            f"No request to {where} can be made ({type(reason).__name__}): a variable of this process for certificates "
            "or proxies is wrong. Look at SSL_CERT_FILE and SSL_CERT_DIR (a file and a folder that are there), and at "
            "HTTPS_PROXY, HTTP_PROXY and ALL_PROXY (`http://HOST:PORT`; `socks5://` needs `pip install socksio`)."
        )


class EvaluationError(PreceptorError):
    """The evaluation cannot be run."""


class CasesInvalid(EvaluationError):
    """The file of cases is missing or invalid."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(
            f"The cases in `{path}` cannot be used:\n{lines}\nThe format is described in docs/evaluation.md."
        )


class ReportInvalid(EvaluationError):
    """A saved report cannot be read."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        made = path if path.suffix == ".json" else "report.json"
        super().__init__(
            f"`{path}` is not a report: {reason}. Make one with `preceptor evaluate --save {made}`."
        )


class ReportsNotComparable(EvaluationError):
    """Two reports do not measure the same thing."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The two reports cannot be compared: {reason}. Run `preceptor evaluate --save` again."
        )


class CostUnknown(EvaluationError):
    """A budget was given for a model without a price."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(
            f"No price is known for `{model}`, so that `--budget` could not stop the run. Leave it out, or give fewer "
            "cases."
        )


class TooFewLabels(EvaluationError):
    """Too few answers were labelled by a person for an interval that can be relied on."""

    def __init__(self, labels: int, least: int) -> None:
        self.labels = labels
        super().__init__(
            f"{labels} of the {least} labels that an interval needs are there: label {least - labels} more answers "
            "with `preceptor evaluate label REPORT`."
        )


class LabelsInvalid(EvaluationError):
    """A line of a file of labels cannot be read."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        self.path = path
        super().__init__(
            f'Line {line} of `{path}` is no label: {reason}. It should be like {{"case": "NAME", "verdict": "good"}}; '
            "fix it or take it out."
        )


class RevisionUnknown(EvaluationError):
    """An earlier edition of the book cannot be had from git."""

    def __init__(self, folder: "Path", revision: str, reason: str) -> None:
        self.revision = revision
        super().__init__(
            f"The book in `{folder}` cannot be compared with `{revision}`: {reason}. Name a commit, branch or tag of "
            "its repository (in CI, fetch it first: `fetch-depth: 0`), or give the folder of an older edition."
        )
