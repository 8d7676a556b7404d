"""Settings: read once, checked once, passed down. No other module reads the environment.

Later wins: the defaults below, the shipped settings.toml, ./settings.toml, ./.secrets.toml, ./.env, the
environment (`PRECEPTOR_SEARCH__LIMIT=8`, and the unprefixed names in `UNPREFIXED`).
"""

import copy
import json
import os
import re
import tomllib
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from io import StringIO
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from preceptor.errors import SettingsError, why_unread

Environment = Literal["demo", "local", "production"]
ProviderKind = Literal["openai", "gemini"]
Retrieval = Literal["agent", "required", "first"]
Need = Literal["index", "tutor", "judge"]

UNPREFIXED = {
    "QDRANT_CLUSTER_ENDPOINT": ("qdrant", "endpoint"),
    "QDRANT_API_KEY": ("qdrant", "api_key"),
    "GEMINI_BASE_URL": ("providers", "gemini", "base_url"),
    "GEMINI_API_KEY": ("providers", "gemini", "api_key"),
    "MODEL_NAME": ("providers", "gemini", "model"),
    "OPENAI_API_KEY": ("providers", "openai", "api_key"),
    "OPENAI_MODEL": ("providers", "openai", "model"),
    "EMBEDDING_MODEL": ("embedding", "model"),
}
"""The names that the original system used, and where each goes. Beside them, the key of any provider may stand in
`NAME_API_KEY`."""

OWN_TOOLS = ("search_textbook", "get_chapter", "list_chapters")
"""The tools that come along."""
_DEFAULT_ENV = "production"
_PLACES = ("default", *get_args(Environment))
_Seconds = Annotated[float, Field(gt=0, le=3600)]
_HUNDRED_YEARS = 36_525
_NO_NUMBER = re.compile(r"[\d_]{4301}")
"""Digits that Python does not take for a number."""
_SECRET_NAME = re.compile(
    r"(?:^|[_.-]|(?<=[a-z])(?=[A-Z])|(?i:api|access|auth))"
    r"(?i:key|token|password|passwd|passphrase|secret|credential|authorization)s?$"
)
"""Names such as `api_key`, `accessToken` and `password`, and not `max_tokens_per_answer` or `keywords`."""
"""Days."""
_Fraction = Annotated[float, Field(ge=0, le=1)]
_Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")]
_ProviderName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
_AccessKey = Annotated[SecretStr, Field(min_length=16, max_length=500)]


def _fits_header(value: SecretStr) -> SecretStr:
    key = value.get_secret_value().strip()
    if not key.isascii() or (key and not key.isprintable()):
        raise ValueError("holds a character that no key has")
    return value


_SentKey = Annotated[SecretStr, AfterValidator(_fits_header)]
"""A key that goes out in a header of a request, which carries printable ASCII alone."""


def _url_parts(url: str) -> SplitResult | None:
    """The parts of a URL; None when it is none. The parser's own words may quote the password in it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return None if port == 0 else parts


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    """Checks origins of a setting."""
    for origin in value:
        parts = _url_parts(origin)
        bare = parts and _is_web(origin) and f"{parts.scheme}://{parts.netloc}"
        if origin not in ("*", bare):
            raise ValueError("an origin is scheme, host and port alone, such as `https://book.example`")
    return value


def _is_web(url: str) -> bool:
    parts = _url_parts(url)
    return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class BookSettings(_Section):
    """Description of the book. Empty values are read from the index, which recorded them when it was built."""

    id: str = ""
    """Short name, unique among the books; empty: from the folder's name."""
    title: str = ""
    """Title for readers; empty: derived from the folder's name."""
    subject: str = ""
    """Subject of the book in a few words, for the tutors' instructions."""
    language: str = Field(
        default="en", pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$", description="a BCP 47 tag", examples=["en"]
    )
    """BCP 47 tag of the language it is written in; chooses BM25's stemmer and stop words."""
    readers: tuple[_Language, ...] = Field(default=(), examples=[["en", "ur"]])
    """BCP 47 tags of the languages in which readers ask. Where the embedding model reads English only and one of
    them is another language, every passage gets a second vector by which their questions find it.
    """
    instructions: str = Field(default="", max_length=4000)
    """Instructions for the tutors beside Preceptor's own, which they do not lift."""
    example_questions: tuple[str, ...] = Field(default=(), max_length=10, examples=[["What is a node?"]])
    """Questions that the page offers to begin with; empty: made of the book's outline."""


class SiteSettings(_Section):
    """How the published site makes its links. Where these are not set, the site's own files say it."""

    preset: Literal[
        "auto", "docusaurus", "plain", "mdbook", "mkdocs", "huggingface", "sphinx", "quarto", "d2l"
    ] = "auto"
    """The generator; `auto`: the one whose files are there."""
    config: Literal["files", "build"] = "files"
    """Whether the literals of the site's files are read, or Docusaurus itself is asked, which runs the site's code."""
    url: str = ""
    """`https://book.example`, put before every link; empty: links begin with `/`."""
    base_url: str = "/"
    """The path that all links begin with: Docusaurus' `baseUrl`, mdBook's `site-url`, that of MkDocs' `site_url`."""
    docs_dir: str = "docs"
    """Folder of pages, relative to the source; if it does not exist, the source itself."""
    version: str = Field(default="", coerce_numbers_to_str=True)
    """Version of a versioned Docusaurus site to index: a name of `versions.json`, or `current` for
    `docs_dir`; empty: the one that the site shows first.
    """
    route_base_path: str = "docs"
    """Docusaurus' `routeBasePath` of the docs plug-in."""
    trailing_slash: bool | None = None
    """Docusaurus' `trailingSlash`."""
    number_prefixes: bool = True
    """Docusaurus' `numberPrefixParser`: `01-intro.md` is the page `intro`."""
    markdown: Literal["mdx", "md", "detect"] = "mdx"
    """Docusaurus' `markdown.format`: pages are MDX, CommonMark with HTML, or chosen by their suffix."""
    maintain_case: bool = False
    """Docusaurus' `markdown.anchors.maintainCase`: ids of headings keep their capital letters."""
    directory_urls: bool = True
    """MkDocs' `use_directory_urls`: `/arm/` instead of `/arm.html`."""
    readme_is_index: bool = True
    """mdBook's preprocessor `index`: `README.md` becomes `index.html`."""
    smart_punctuation: bool = True
    """mdBook's `smart-punctuation`: `--` in a heading is a dash, which is no part of its id."""
    label_ids: bool = True
    """Whether a label before a heading is its id, as in Sphinx from docutils 0.22 on; else it is a second one."""
    math: bool | None = None
    """Whether `$…$` is a formula; unset: as the site's `docusaurus.config` says, else where it looks like one."""
    include: tuple[str, ...] = Field(default=(), examples=[["guides/**"]])
    """Glob patterns of the pages to take, relative to the docs folder; none: all."""
    exclude: tuple[str, ...] = Field(default=(), examples=[["drafts/**"]])
    """Further glob patterns of pages to leave out, relative to the docs folder."""
    image_origins: tuple[str, ...] = Field(default=(), examples=[["https://images.example"]])
    """Origins beside the site's own whose images are shown with sources; `*` for all."""

    @field_validator("image_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _origins(value)

    @field_validator("base_url")
    @classmethod
    def _slashes(cls, value: str) -> str:
        return "/" + value.strip("/") + "/" if value.strip("/") else "/"


class IndexSettings(_Section):
    """Location of the index, and how passages are made."""

    backend: Literal["embedded", "cloud"] = "cloud"
    path: Path = Path(".preceptor/index")
    """Folder of the embedded index."""
    collection: str = Field(
        default="textbook_content",
        pattern=r"^[A-Za-z0-9_-]{1,100}$",
        description="1 to 100 of the letters A to Z and a to z, digits, `_` and `-`",
        examples=["my_book"],
    )
    layout: Literal["separate", "shared"] = "separate"
    """Whether each version of each book has a collection in the cloud, or all books share one."""
    shared: str = Field(
        default="preceptor_library",
        pattern=r"^[A-Za-z0-9_-]{1,80}$",
        description="1 to 80 of the letters A to Z and a to z, digits, `_` and `-`",
        examples=["my_library"],
    )
    """Name of the shared collection, with which the names of all its parts begin."""
    also: tuple[str, ...] = Field(default=(), examples=[["my_other_book"]])
    """Further collections (books) that a server searches together with the first."""
    chunk_size: int = Field(default=200, ge=32, le=4096)
    """Longest passage, in tokens of the embedding model, its breadcrumb included."""
    chunk_overlap: int = Field(default=0, ge=0, le=512)
    """Tokens that two neighbouring passages of one section share."""
    batch_size: int = Field(default=64, ge=1, le=256)
    """Passages that are embedded and written at once."""


class LibrarySettings(_Section):
    """Many books in one service."""

    file: Path | None = Field(default=None, examples=["books.toml"])
    """The books, each with what differs from these settings; unset: there is the one that `index` names."""
    open: int = Field(default=32, ge=1, le=10_000)
    """Books that are open at a time; the one that was not asked for longest makes room."""
    idle_seconds: _Seconds = 900.0
    """Seconds without a request after which a book is closed."""
    paths: bool = True
    """Whether every book is served below `/b/ID/`, too; else by host name and by the field `book` alone."""


class QdrantSettings(_Section):
    """Qdrant Cloud."""

    endpoint: str = ""
    api_key: _SentKey | None = None
    timeout: _Seconds = 10.0
    """A real deadline of one request, in seconds."""
    attempts: int = Field(default=3, ge=1, le=10)

    @field_validator("endpoint")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value and not _is_web(value):
            raise ValueError("must be a URL such as `https://….cloud.qdrant.io:6333`")
        return value.rstrip("/")


class EmbeddingSettings(_Section):
    """The embedding model, run by fastembed on this machine."""

    model: str = "auto"
    """`auto`: of the two shipped models, the one that reads the book's language, and the one that made an index;
    otherwise the name of a shipped model or of one that fastembed knows.
    """
    path: Path | None = None
    """Folder that holds the model's files (with `auto`, those of the English model); unset: the shipped one, or
    fastembed's cache.
    """
    download: bool = False
    """Whether fastembed may fetch a model from its hub."""
    threads: int | None = Field(default=None, ge=1, le=256)
    """Threads of the model; unset: one for each core."""
    cache_size: int = Field(default=1024, ge=0)
    """Questions whose vectors are remembered."""


class SearchSettings(_Section):
    """Retrieval."""

    limit: int = Field(default=6, ge=1, le=20)
    """Passages that a search gives."""
    prefetch: int = Field(default=100, ge=10, le=1000)
    """Candidates taken from each half (dense, BM25) before they are fused."""


class TutorSettings(_Section):
    """Providers, limits and behaviour of the tutors."""

    providers: tuple[str, ...] = Field(default=("gemini", "openai"), examples=[["gemini", "openai"]])
    """Names of rows of `providers`, in the order in which they are tried; `[]`: the offline tutor alone."""
    offline_fallback: bool = True
    """Whether the offline tutor answers, with quotations, when no provider can."""
    book_only: bool = True
    """Whether an answer must rest on the book, and questions that it does not cover are declined."""
    least_confidence: _Fraction = 0.0
    """Confidence below which the offline tutor's quotations are given in place of a provider's answer. Above 0 an
    answer is shown only when it is whole.
    """
    least_support: _Fraction = 0.0
    """Support below which a sentence does not rest on the passage that it cites: it is left out; 0: none is."""
    deadline: _Seconds = 30.0
    """Longest time for a whole answer, in seconds."""
    max_answer: int = Field(default=24_000, ge=500, le=1_000_000)
    """Characters after which an answer is cut."""
    max_tool_calls: int = Field(default=8, ge=1, le=50)
    """Largest number of tool calls for one question; then the tutor answers from the results so far."""
    chapter_tokens: int = Field(default=3000, ge=200, le=100_000)
    """Longest part of a chapter that `get_chapter` gives at once, in tokens."""


class ProviderSettings(_Section):
    """One model provider behind an OpenAI-compatible endpoint: a row of the table `providers`."""

    kind: ProviderKind = "openai"
    """Dialect of the endpoint: OpenAI's, or that of Gemini's compatible endpoint, whose tool calls are corrected."""
    label: str = ""
    """Its name as people read it; empty: the row's name."""
    base_url: str = ""
    api_key: _SentKey | None = None
    needs_key: bool = True
    """False: it is asked without a key, as a server on this machine may be."""
    model: str = ""
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=16)
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    parallel_tool_calls: bool | None = None
    retrieval: Retrieval = "agent"
    """Who decides that the book is searched: the model (`agent`); the server, and the model says for what (`required`);
    the server searches with the reader's question before the model is asked (`first`).
    """
    timeout: _Seconds = 20.0
    """Longest time for one call, in seconds."""
    first_token: _Seconds = 10.0
    """Longest wait for the first token of a call, and longest silence after it, in seconds."""
    attempts: int = Field(default=2, ge=1, le=5)
    """Number of attempts of one call, before anything was shown to the reader."""

    @property
    def key(self) -> str:
        """Key in plain text; empty if there is none."""
        return self.api_key.get_secret_value().strip() if self.api_key else ""

    @property
    def configured(self) -> bool:
        """Whether it can be asked: there is a key, or none is needed."""
        return bool(self.key) or not self.needs_key

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value and not _is_web(value):
            raise ValueError("must be a URL such as `https://api.openai.com/v1`")
        return value


_OWN_ROWS: Mapping[str, Mapping[str, Any]] = {
    "gemini": {
        "kind": "gemini",
        "label": "Gemini",
        "base_url": "https://generativelanguage.googleapis.com/v1beta/openai/",
        "model": "gemini-2.5-flash",
    },
    "openai": {
        "kind": "openai",
        "label": "OpenAI",
        "base_url": "https://api.openai.com/v1",
        "model": "gpt-4.1-mini",
    },
}
"""The rows of the table `providers` that are always there; settings change single values of them."""


class BreakerSettings(_Section):
    """Limits at which a failing provider is no longer asked."""

    failures: int = Field(default=3, ge=1, le=100)
    """Failures in a row that open the breaker."""
    cool_down: _Seconds = 30.0
    """Seconds until one probe is let through."""


class SessionSettings(_Section):
    """Storage of conversations."""

    url: SecretStr = SecretStr("sqlite:///.preceptor/sessions.db")
    """`sqlite:///FILE`, `redis://…` or `postgresql+asyncpg://…`."""
    max_turns: int = Field(default=20, ge=1, le=1000)
    """Length of a session: the last questions, with their answers, that a follow-up brings along and that can be
    read. Older ones are not read any more; they go with the session."""
    ttl_hours: float = Field(default=24.0 * 7, gt=0, le=_HUNDRED_YEARS * 24)
    """Hours after its last turn at which a session is forgotten."""

    @field_validator("url")
    @classmethod
    def _is_known(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(
            ("sqlite:///", "redis://", "rediss://", "postgresql+asyncpg://")
        ):
            raise ValueError(
                "must begin with `sqlite:///`, `redis://`, `rediss://` or `postgresql+asyncpg://`"
            )
        if not _url_parts(value.get_secret_value()) or value.get_secret_value() == "sqlite:///":
            raise ValueError(
                "is no address such as `sqlite:///FILE`, `redis://HOST:PORT/NUMBER` or "
                "`postgresql+asyncpg://USER@HOST/NAME`; in a password write `%23` for `#`, `%2F` for `/`, `%3F` for `?`"
            )
        return value


class TracesSettings(_Section):
    """Recording of runs."""

    path: Path = Path(".preceptor/traces.db")
    keep_runs: int = Field(default=5000, ge=1, le=1_000_000_000)
    keep_days: float = Field(default=30.0, gt=0, le=_HUNDRED_YEARS)
    include_text: bool = True
    """Whether questions, passages and answers are kept, or only times and outcomes."""
    upload_to_openai: bool = False
    """Whether the SDK's own exporter also sends every run to OpenAI."""
    otlp: str | None = None
    """Address at which an OpenTelemetry collector takes every run, too; needs `preceptor[otlp]`."""

    @field_validator("otlp")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        # A name and a password in it would stand in the log.
        if value is not None and (not _is_web(value) or "@" in value):
            raise ValueError("must be a URL such as `http://127.0.0.1:4318/v1/traces`")
        return value


_GIVEN = ("mode", "stream", "chapter", "book")
"""Fields of a question that an alias may give."""


class ServerSettings(_Section):
    """The HTTP service."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=64)
    """Processes that serve; each has its own models, metrics and (in memory) limits and breakers."""
    cors_origins: tuple[str, ...] = Field(default=(), examples=[["https://book.example"]])
    """Origins (scheme, host and port) whose pages may call the service; `*` for all."""
    frame_ancestors: tuple[str, ...] = Field(default=(), examples=[["https://lms.example"]])
    """Origins whose pages may show the reader's page in a frame, a learning platform's say; `*` for all."""
    disclaimer: str | None = None
    """Words below the question on the reader's page; unset: a sentence in the reader's language; empty: none."""
    keep_in_browser: bool = True
    """Whether the reader's page keeps conversations in the reader's browser; false where several people share one."""
    cors_credentials: bool = False
    """Whether such pages may send cookies along; Preceptor itself sets no cookies."""
    trusted_proxies: tuple[str, ...] = Field(default=(), examples=[["10.0.0.0/8"]])
    """Addresses or networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""
    reader_keys: tuple[_AccessKey, ...] = Field(default=(), examples=[["A-LONG-RANDOM-KEY"]])
    """Keys of which a reader must send one; empty: everybody may ask."""
    operator_key: _AccessKey | None = None
    """Key to the metrics; unset: they answer only this machine."""
    write_seconds: _Seconds = 30.0
    """How long a reader may hold up a response by not reading it; then the connection is closed."""
    drain_seconds: _Seconds = 35.0
    """Longest time that running answers may continue after the service was told to stop."""
    log_format: Literal["plain", "json"] = "plain"
    """Lines of the log as text with `key=value`, or each as a JSON object."""
    mcp: bool = False
    """Whether MCP clients may ask at `/mcp`."""
    aliases: dict[str, str] = Field(default_factory=dict)
    """Extra paths that existing front ends call, each with Preceptor's path behind it, which may give fields of a
    question (`/api/v1/chat?mode=selected_text_only`)."""
    dialect: tuple[Literal["names", "sessions", "chunk", "delta", "final"], ...] = Field(
        default=(), examples=[["names", "sessions", "chunk"]]
    )
    """Names and manners of existing front ends: `names` of answers, sources and errors, `sessions` of their own, and
    `chunk`, `delta` and `final` as types of events."""
    max_body: int = Field(default=65536, ge=1024)
    """Largest size of a request, in bytes."""
    max_conversation: int = Field(default=2_097_152, ge=1024)
    """Largest size of a request below `/v1` (and to the chat, with a dialect), in bytes: it brings along all that was
    said before."""
    max_question: int = Field(default=4000, ge=2, le=100_000)
    """Longest question, in characters."""

    @property
    def address(self) -> str:
        """The address at which this machine's own browser opens the service, without a slash at its end."""
        # These two listen on every address, and are none that a link can have.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @field_validator("cors_origins", "frame_ancestors")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _origins(value)

    @field_validator("aliases")
    @classmethod
    def _are_paths(cls, value: dict[str, str]) -> dict[str, str]:
        if not all(path.startswith("/") for pair in value.items() for path in pair):
            raise ValueError('each must be a path that means a path, such as `"/api/ask" = "/api/v1/chat"`')
        given = [
            name
            for path in value.values()
            for name, _ in parse_qsl(urlsplit(path).query, keep_blank_values=True)
        ]
        if wrong := [name for name in given if name not in _GIVEN]:
            raise ValueError(f"a path may be followed by {', '.join(_GIVEN)}, and not by `{wrong[0]}`")
        return value

    @field_validator("cors_credentials")
    @classmethod
    def _not_for_everybody(cls, value: bool, info: ValidationInfo) -> bool:
        if value and "*" in info.data.get("cors_origins", ()):
            raise ValueError("cannot be true while `server.cors_origins` holds `*`: name the origins")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in value:
            try:
                ip_network(proxy)
            except ValueError:
                raise ValueError("each must be an address or a network, such as `10.0.0.0/8`") from None
        return value

    @field_validator("operator_key", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return value or None


class LimitsSettings(_Section):
    """Limits on requests and questions; a client is an IPv4 address or an IPv6 /64."""

    rate: str = Field(
        default="20/minute",
        pattern=r"^([1-9]\d*/(second|minute|hour|day))?$",
        description="a number for each second, minute, hour or day (or empty)",
        examples=["20/minute"],
    )
    """Requests of one client, pages of chapters among them, other pages and health not; empty: any number."""
    client_budget: int = Field(default=300, ge=0)
    """Questions of one client in a day; 0: any number."""
    budget: int = Field(default=5000, ge=0)
    """Questions of all clients together in a day; 0: any number."""
    storage: SecretStr = SecretStr("memory://")
    """Storage of the counts: `memory://` (each process for itself) or `redis://…` (all together, and breakers, too)."""
    concurrent: int = Field(default=200, ge=1)
    """Largest number of answers that one process makes at a time."""
    queue: int = Field(default=50, ge=0)
    """Largest number of questions that wait for a slot."""
    queue_seconds: _Seconds = 5.0
    """Longest wait for a slot, in seconds."""

    @field_validator("storage")
    @classmethod
    def _is_storage(cls, value: SecretStr) -> SecretStr:
        parts = _url_parts(value.get_secret_value())
        if parts is None or parts.scheme not in ("memory", "redis", "rediss"):
            raise ValueError("must be `memory://`, `redis://HOST:PORT/NUMBER` or `rediss://…`")
        return value


class McpServerSettings(_Section):
    """One MCP server whose tools the tutors may call: a row of the table `tools.mcp`."""

    command: tuple[str, ...] = Field(default=(), examples=[["mcp-server-time"]])
    """Program that speaks the protocol over its stdin and stdout, with its arguments."""
    url: str = ""
    """Address of a server that is asked over HTTP, in place of a command."""
    tools: tuple[str, ...] = Field(default=(), examples=[["get_current_time"]])
    """Names of the tools that are offered; no other is."""
    env: dict[str, SecretStr] = Field(default_factory=dict)
    """Environment of the program, beside what every program needs."""
    headers: dict[str, _SentKey] = Field(default_factory=dict)
    """Headers of the requests, such as a key."""
    timeout: _Seconds = 10.0
    """Time limit of connecting, and of one call, in seconds."""

    @model_validator(mode="after")
    def _has_one_way(self) -> "McpServerSettings":
        if bool(self.command) == bool(self.url):
            raise ValueError("needs either a `command` or a `url`")
        if self.url and not _is_web(self.url):
            raise ValueError("`url` must be a URL such as `https://tools.example/mcp`")
        return self


class ToolsSettings(_Section):
    """Tool plug-ins."""

    enabled: tuple[str, ...] = Field(default=OWN_TOOLS, examples=[[*OWN_TOOLS, "glossary"]])
    """Names of the installed plug-ins that are loaded. Another one is listed by `preceptor tools`, and not imported."""
    plugins: tuple[str, ...] = Field(default=(), examples=[["tools/glossary.py"]])
    """Further modules (`my_book.tools`) or files (`tools/glossary.py`) that export `tools(deps)`."""
    timeout: _Seconds = 10.0
    """Time limit of a call of a plug-in's tool, in seconds, unless the tool says another; ours have the index's."""
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Sections of the plug-ins by their short names, each checked by the plug-in's model."""
    max_output: int = Field(default=4000, ge=100, le=100_000)
    """Longest result of one call of a plug-in's tool, in tokens; the rest is cut off."""
    mcp: dict[_ProviderName, McpServerSettings] = Field(default_factory=dict)
    """MCP servers by name; their tools are named `NAME_tool`."""
    pins: Path = Path(".preceptor/mcp-tools.json")
    """File of the hashes of accepted definitions of MCP tools."""
    disabled: tuple[str, ...] = Field(default=(), examples=[["list_chapters"]])
    """Names of plug-ins to leave out, of those that `enabled` and `plugins` name."""


class TagThresholds(_Section):
    """Thresholds of `preceptor evaluate` for the cases of one language or kind."""

    found: _Fraction | None = None
    cited: _Fraction | None = None
    answered: _Fraction | None = None
    refused: _Fraction | None = None
    citation_recall: _Fraction | None = None
    citation_precision: _Fraction | None = None


class JudgeSettings(_Section):
    """A model that calls the answers of an evaluation good or bad, beside what is counted."""

    provider: str = ""
    """A row of `providers`; empty: no model judges."""
    model: str = ""
    """Its model; empty: that of the row."""
    prompt: Literal[1] = 1
    """Version of the instructions: verdicts by different ones are not to be compared."""


class EvaluationSettings(_Section):
    """Thresholds of `preceptor evaluate`, and its judge."""

    k: int = Field(default=5, ge=1, le=20)
    """A section counts as found when it is among the first `k`."""
    found: _Fraction = 0.9
    cited: _Fraction = 0.75
    answered: _Fraction = 0.0
    refused: _Fraction = 0.8
    citation_recall: _Fraction = 0.0
    """Least share of an answer's statements that their citations support, as the mean of all answers."""
    citation_precision: _Fraction = 0.0
    """Least share of an answer's citations that are needed, as the mean of all answers."""
    language: dict[str, TagThresholds] = Field(default_factory=dict)
    """Further thresholds for the cases of a language, by its tag: `[default.evaluation.language.ur]`."""
    kind: dict[str, TagThresholds] = Field(default_factory=dict)
    """Further thresholds for the cases of a kind: `[default.evaluation.kind.near-miss]`."""
    judge: JudgeSettings = JudgeSettings()


class Settings(_Section):
    """Every setting, checked. Frozen: build another one to change it."""

    env: Environment
    book: BookSettings = BookSettings()
    site: SiteSettings = SiteSettings()
    index: IndexSettings = IndexSettings()
    library: LibrarySettings = LibrarySettings()
    qdrant: QdrantSettings = QdrantSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    search: SearchSettings = SearchSettings()
    tutor: TutorSettings = TutorSettings()
    providers: Mapping[_ProviderName, ProviderSettings] = Field(default_factory=dict, validate_default=True)
    breaker: BreakerSettings = BreakerSettings()
    session: SessionSettings = SessionSettings()
    traces: TracesSettings = TracesSettings()
    server: ServerSettings = ServerSettings()
    limits: LimitsSettings = LimitsSettings()
    tools: ToolsSettings = ToolsSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @model_validator(mode="before")
    @classmethod
    def _old_sections(cls, data: Any) -> Any:
        return _with_rows(data)

    @field_validator("providers", mode="before")
    @classmethod
    def _own_rows(cls, value: Any) -> Any:
        return _merged(_OWN_ROWS, _without_blanks(value)) if isinstance(value, Mapping) else value

    @field_validator("providers")
    @classmethod
    def _can_be_asked(cls, value: Mapping[str, ProviderSettings]) -> Mapping[str, ProviderSettings]:
        reserved = {"offline", "triage"} & value.keys()
        if reserved:
            raise ValueError(
                f"a provider cannot be named `{reserved.pop()}`: that is a tutor of Preceptor's own"
            )
        lacking = [name for name, row in value.items() if not row.base_url or not row.model]
        if lacking:
            named = " and ".join(f"`{name}`" for name in lacking)
            raise ValueError(f"{named} need{'s' * (len(lacking) == 1)} a `base_url` and a `model`")
        labels = [(row.label or name).lower() for name, row in value.items()]
        if len(set(labels)) < len(labels):
            raise ValueError("two rows have the same `label`")
        return value

    @model_validator(mode="after")
    def _asks_known_providers(self) -> "Settings":
        judge = self.evaluation.judge.provider
        asked = [("tutor.providers", name) for name in self.tutor.providers]
        asked += [("evaluation.judge.provider", judge)] if judge else []
        unknown = [(where, name) for where, name in asked if name not in self.providers]
        if unknown:
            named = " and ".join(f"`{where}` names `{name}`" for where, name in unknown)
            tables = " and ".join(
                f"`[default.providers.{name}]`" for name in {name: None for _, name in unknown}
            )
            raise ValueError(
                f"{named}, and `providers` has no such row (it has {', '.join(self.providers)}). Add {tables} with "
                "`base_url` and `model`"
            )
        return self

    def doubts(self) -> list[str]:
        """Settings that are probably a mistake and may be meant, each in a sentence or two."""
        tools = self.tools
        unsearched = [
            f"{said} `search_textbook`, and nobody can search the book: the offline tutor answers nothing."
            for said, is_so in (
                ("`tools.enabled` does not name", "search_textbook" not in tools.enabled),
                ("`tools.disabled` names", "search_textbook" in tools.disabled),
            )
            if is_so
        ]
        return unsearched + [
            f"`providers.{name}.base_url`{' (GEMINI_BASE_URL)' if name == 'gemini' else ''} does not end in "
            "`/openai/`, as Gemini's OpenAI-compatible address does. A gateway of yours may have another; Gemini's own "
            "is `https://generativelanguage.googleapis.com/v1beta/openai/`."
            for name in self.tutor.providers
            if (row := self.providers[name]).kind == "gemini"
            and row.configured
            and not urlsplit(row.base_url).path.rstrip("/").endswith("/openai")
        ]

    def secrets(self) -> list[str]:
        """Returns the secret values, which must not appear in logs, traces or answers."""
        keys = (
            self.qdrant.api_key,
            *(row.api_key for row in self.providers.values()),
            self.server.operator_key,
            *self.server.reader_keys,
        )
        urls = (self.session.url, self.limits.storage)
        passwords = (urlsplit(url.get_secret_value()).password or "" for url in urls)
        values = [key.get_secret_value() for key in keys if key is not None]
        for row in self.tools.mcp.values():
            values += [secret.get_secret_value() for secret in (*row.env.values(), *row.headers.values())]
        values += _named_as_secrets(self.tools.settings)
        for password in passwords:
            # Encoded as in the address, and as a client's error may show it.
            values += [password, unquote(password)]
        return [value for value in values if value]


def _named_as_secrets(section: Mapping[str, Any], *, inside: bool = False) -> Iterator[str]:
    """Yields the texts of a section whose names say that they are secrets: a plug-in's settings have no types here."""
    for name, value in section.items():
        secret = inside or _SECRET_NAME.search(name) is not None
        if isinstance(value, Mapping):
            yield from _named_as_secrets(cast("Mapping[str, Any]", value), inside=secret)
        elif isinstance(value, str) and secret:
            yield value
        elif isinstance(value, list):
            for one in cast("list[Any]", value):
                yield from _named_as_secrets({name: one}, inside=inside)


def load_settings(
    env: str | None = None,
    *,
    needs: Collection[Need] = (),
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Reads, merges and validates every setting.

    Args:
        env: `demo`, `local` or `production`; default: PRECEPTOR_ENV, else `production`.
        needs: Features that the caller is about to use; their missing settings are part of the one error.
        overrides: Values by section that win over all others (options of the command line).
        folder: Folder of settings.toml, .secrets.toml and .env; default: the working folder.

    Raises:
        SettingsError: Something is missing or wrong; its message lists all of it.
    """
    folder = folder or Path.cwd()
    options: Mapping[str, Mapping[str, Any]] = _with_rows(overrides or {})
    chosen, found, stray, origins = _read(env, folder)
    if chosen not in get_args(Environment):
        raise SettingsError(
            [f"The environment must be one of {', '.join(get_args(Environment))} (--env or PRECEPTOR_ENV)."],
            env=chosen[:20],
        )
    try:
        settings = Settings.model_validate({"env": chosen, **_merged(found, options)})
    except ValidationError as error:
        raise SettingsError([*stray, *_explained(error, options, origins)], env=chosen) from None
    if stray:
        raise SettingsError(stray, env=chosen)
    missing, ways = _missing(settings, needs)
    if missing:
        raise SettingsError(missing, env=chosen, ways=ways)
    return settings


def hand_down(env: Environment) -> None:
    """Lets child processes read the settings of the same environment."""
    os.environ["PRECEPTOR_ENV"] = env


def shipped(name: str) -> Path:
    """Returns the path of a file or folder shipped with Preceptor, in the installed package or the source tree."""
    package = Path(__file__).parent
    installed = package / name
    # Beside an installed package lie those of others, and their files are not ours.
    in_source_tree = (package.parent / "pyproject.toml").is_file()
    return package.parent / name if in_source_tree and not installed.exists() else installed


_Origins = dict[tuple[str, ...], str]
"""The place where each setting was given last: `in a file`, or the name of a variable."""


def _read(env: str | None, folder: Path) -> tuple[str, dict[str, Any], list[str], _Origins]:
    """The environment, its settings by section, what stands in a file where no setting can stand, and origins."""
    # Here and not above: dynaconf takes 0.1 s to import, and most modules only want the classes.
    from dynaconf import Dynaconf

    # For the errors of .env itself, which may name another one.
    said = env or os.environ.get("PRECEPTOR_ENV") or _DEFAULT_ENV
    # Before the variables of .env are among them.
    shell = set(os.environ)
    _take_in(folder / ".env", env=said)
    variables = Dynaconf(envvar_prefix="PRECEPTOR", core_loaders=[])
    try:
        given = _unfolded(variables)  # dynaconf is lazy: only now they are read
    except Exception as error:  # noqa: BLE001 - its converters (`@json …`) raise whatever they meet
        where = {
            f"`{name}`" if name in shell else f"`{name}` in `.env`": value
            for name, value in os.environ.items()
            if name.upper().startswith("PRECEPTOR_")
        }
        raise SettingsError(_unconverted(where, error) or ["a variable `PRECEPTOR_…`"], env=said) from None
    # Once more, now that .env is read.
    chosen = env or os.environ.get("PRECEPTOR_ENV") or _DEFAULT_ENV
    # Each once: in the source tree the shipped one may be the folder's own.
    files = dict.fromkeys([shipped("settings.toml"), folder / "settings.toml", folder / ".secrets.toml"])
    read: list[dict[str, Any]] = []
    names: list[str] = []
    stray: list[str] = []
    broken: list[str] = []
    for file in files:
        tables: dict[str, Any] = {}
        try:
            tables = read_toml(file)
            reader = Dynaconf(envvar_prefix=None, core_loaders=[])
            # A copy: dynaconf makes objects of its own of what it is given.
            reader.update({name.upper(): copy.deepcopy(table) for name, table in tables.items()})
            content = {name: _with_rows(table) for name, table in _unfolded(reader).items()}
        except FileNotFoundError:
            content = {}
        except UnreadableFile as error:
            broken.append(f"`{file.name}` {error}.")
            continue
        except Exception as error:  # noqa: BLE001 - as above
            where = {f"`{'.'.join(place)}` in `{file.name}`": value for place, value in _leaves(tables)}
            broken += _unconverted(where, error) or [f"a value in `{file.name}` cannot be read."]
            continue
        stray += [
            _misplaced(name, file.name) for name, table in content.items() if not _is_place(name, table)
        ]
        read.append({name: table for name, table in content.items() if _is_place(name, table)})
        names.append(file.name)
    if broken:
        raise SettingsError([*broken, *stray], env=chosen)
    # dynaconf's own merging appends lists, so that `providers = ["openai"]` would add to the default ones.
    found: dict[str, Any] = {}
    origins: _Origins = {}
    for section in ("default", chosen):
        for content, name in zip(read, names, strict=True):
            found = _merged(found, content.get(section, {}))
            origins |= {place: f"in `{name}`" for place, _ in _leaves(content.get(section, {}))}

    def variable(name: str) -> str:
        return name if name in shell else f"{name} in `.env`"

    found = _merged(found, _with_rows(given))
    for place, _ in _leaves(_with_rows(given)):
        name = _as_variable(list(place), prefixed=True)
        origins[place] = variable(name) if name in os.environ else name
    # Dynaconf's options, which it takes from variables of this prefix, too.
    for own in ("env", "load_dotenv"):
        found.pop(own, None)
    for name, place in _unprefixed(found).items():
        if value := os.environ.get(name, "").strip():
            found = _merged(found, _nested(place, value))
            origins[tuple(place)] = variable(name)
    return chosen, found, stray, origins


class UnreadableFile(ValueError):
    """A file of settings cannot be read; its text says why, as the rest of a sentence that begins with its name."""


def _text(file: Path) -> str:
    """The text of a file of settings, without the byte order mark that editors of Windows put before it.

    Raises:
        FileNotFoundError: There is none.
        UnreadableFile: It cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"cannot be read: {why_unread(error)}") from None


def read_toml(file: Path) -> dict[str, Any]:
    """Returns what stands in a file of settings; a byte order mark before it means nothing.

    Raises:
        FileNotFoundError: There is none.
        UnreadableFile: It cannot be read, or is no TOML.
    """
    text = _text(file)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnreadableFile(f"is not valid TOML: {error}") from None
    except RecursionError:
        raise UnreadableFile("is not valid TOML: its values are nested too deeply") from None
    except ValueError:  # Python's limit of what it takes for a number
        lines = [number for number, line in enumerate(text.splitlines(), 1) if _NO_NUMBER.search(line)]
        where = f" (line {lines[0]})" if lines else ""
        raise UnreadableFile(f"holds a number of too many digits{where}; text needs quotes") from None


def _take_in(file: Path, *, env: str) -> None:
    """Put the variables of `.env` among those of the environment, which win.

    Raises:
        SettingsError: It cannot be read, or holds what is no variable.
    """
    from dynaconf.vendor.dotenv import dotenv_values

    try:
        given: dict[str, str | None] = dotenv_values(stream=StringIO(_text(file)))
    except FileNotFoundError:
        return
    except UnreadableFile as error:
        raise SettingsError([f"`{file.name}` {error}."], env=env) from None
    broken: list[str] = []
    for name, value in given.items():
        try:
            if value is not None:
                os.environ.setdefault(name, value)
        except (ValueError, OSError):  # a NUL in it, or `=` in its name
            shown = name.encode("unicode_escape").decode()
            broken.append(
                f"`{shown}` in `{file.name}` holds a character that no variable can hold, such as NUL. Type it anew."
            )
    if broken:
        raise SettingsError(broken, env=env)


def _unfolded(reader: Any) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of dynaconf's markers, such as `@reset`
        return _lowered(reader.to_dict())


def _converts(value: str) -> bool:
    """Whether dynaconf can read a value, such as `@int 3`."""
    from dynaconf.utils.parse_conf import parse_conf_data

    try:
        parse_conf_data(value, tomlfy=True)
    except Exception:  # noqa: BLE001 - as where it is read
        return False
    return True


def _unconverted(given: Mapping[str, Any], error: Exception) -> list[str]:
    """A line for each value that dynaconf cannot read; for all that are instructions to it, where it can read each."""
    kind = type(error).__name__
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    broken = [name for name, value in texts.items() if not _converts(value)]
    broken = broken or [name for name, value in texts.items() if "@" in value]
    return [
        f"{name} cannot be read ({kind}): a value that begins with `@` is an instruction to dynaconf, such as "
        "`@int 3`. Write the plain value."
        if "@" in texts[name]
        else f"{name} cannot be read ({kind}): a number has too many digits; text needs quotes within others "
        "(`'\"123\"'`)."
        for name in broken
    ]


def _leaves(table: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each value that is no table, with where it is."""
    if not isinstance(table, Mapping):
        yield place, table
        return
    for name, value in table.items():
        yield from _leaves(value, (*place, str(name)))


def _unprefixed(found: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The environment's names without prefix, and where each goes; each provider's key has one."""
    rows = found.get("providers")
    names = [str(name) for name in rows] if isinstance(rows, Mapping) else []
    keys = {f"{name.upper()}_API_KEY": ("providers", name, "api_key") for name in names}
    return {**keys, **UNPREFIXED}


def _nested(place: Sequence[str], value: object) -> dict[str, Any]:
    return {place[0]: _nested(place[1:], value) if len(place) > 1 else value}


def _with_rows(sections: Any) -> Any:
    """The sections with `[gemini]` and `[openai]`, where they stand by themselves, as rows of `providers`."""
    if not isinstance(sections, Mapping):
        return sections
    rows = {name: sections[name] for name in _OWN_ROWS if name in sections}
    rest = {name: section for name, section in sections.items() if name not in rows}
    return _merged(rest, {"providers": rows}) if rows else rest


def _without_blanks(rows: Mapping[str, Any]) -> dict[str, Any]:
    """The rows; one of ours without its blank values, as a compose file passes on variables that are not set."""
    return {
        name: {key: value for key, value in row.items() if value != ""}
        if name in _OWN_ROWS and isinstance(row, Mapping)
        else row
        for name, row in rows.items()
    }


def _is_place(name: str, table: object) -> bool:
    return name in _PLACES and isinstance(table, Mapping)


def _misplaced(name: str, file: str) -> str:
    if name in Settings.model_fields:
        return f"`[{name}]` in `{file}` stands in no environment. Did you mean `[default.{name}]`?"
    close = get_close_matches(name, _PLACES, n=1)
    hint = f" Did you mean `[{close[0]}.…]`?" if close else ""
    tables = ", ".join(f"`[{place}.…]`" for place in _PLACES)
    return f"`{name}` in `{file}` is not read: settings stand in {tables}.{hint}"


def _lowered(value: Any) -> Any:
    """Converts names to lower case at every depth: `PRECEPTOR_SEARCH__LIMIT` sets `search.limit`."""
    if isinstance(value, Mapping):
        return {str(key).lower(): _lowered(inner) for key, inner in value.items()}
    return [_lowered(inner) for inner in value] if isinstance(value, list | tuple) else value


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merges settings; `over` wins, tables are merged, lists replaced."""
    both = {
        key: _merged(base[key], value)
        if isinstance(base.get(key), Mapping) and isinstance(value, Mapping)
        else value
        for key, value in over.items()
    }
    return {**base, **both}


def _explained(
    error: ValidationError, options: Mapping[str, Mapping[str, Any]], origins: _Origins
) -> list[str]:
    """One line for each invalid setting, without its value; it is named as the person gave it."""
    lines: list[str] = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        where = [str(part) for part in fault["loc"] if part != "[key]"]
        name = ".".join(where)
        if not where:
            lines.append(f"{fault['msg']}.")
        elif fault["type"] == "extra_forbidden":
            names = documented_names() if len(where) > 1 else [*Settings.model_fields]
            close = get_close_matches(name, names, n=1)
            hint = f" Did you mean `{close[0]}`?" if close else ""
            said = _origin(where, origins)
            lines.append(f"`{name}`{f' ({said})' if said else ''} is not a setting.{hint}")
        else:
            given = len(where) == 2 and where[1] in options.get(where[0], {})
            said = _origin(where, origins)
            named = (
                f"{_as_variable(where)}, {said}" if said.startswith("in ") else said or _as_variable(where)
            )
            source = f"--{where[1].replace('_', '-')}" if given else named
            lines.append(f"`{name}` ({source}): {_wanted(fault['type'], where) or fault['msg']}.")
    return [line.replace("Value error, ", "") for line in lines]


def _origin(where: Sequence[str], origins: _Origins) -> str:
    """Returns where a setting, the list that it is in, or something in it was given; empty: nowhere."""
    place = tuple(where)
    for length in range(len(place), 0, -1):
        if place[:length] in origins:
            return origins[place[:length]]
    return next((said for said_at, said in origins.items() if said_at[: len(place)] == place), "")


def _wanted(fault: str, where: list[str]) -> str:
    """Returns the allowed values with an example, where pydantic would mention Python types or a pattern."""
    if fault in ("model_type", "dict_type", "mapping_type"):
        return "must be a table, as in settings.toml"
    if fault == "string_type":
        return "must be text: digits need quotes, in a variable within others (`'\"123\"'`)"
    section = Settings.model_fields[where[0]].annotation
    if where[0] == "providers":
        if fault == "string_pattern_mismatch" and len(where) == 2:
            return "the name of a provider is made of the letters a to z, digits and `_`"
        section, where = ProviderSettings, where[1:]
    if len(where) < 2 or not (isinstance(section, type) and issubclass(section, BaseModel)):
        return ""
    field = section.model_fields[where[1]]
    example = field.examples[0] if field.examples else ""
    if fault == "tuple_type":
        return f"must be a list, such as `{json.dumps(example)}`; `[]` is the empty one"
    return f"must be {field.description}, such as `{example}`" if fault == "string_pattern_mismatch" else ""


def documented_names() -> list[str]:
    """Returns every setting as `section.name`, those of a provider as `providers.ROW.name`."""
    return [
        f"{section}.{name}"
        for section, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for name in field.annotation.model_fields
    ] + [f"providers.{row}.{name}" for row in _OWN_ROWS for name in ProviderSettings.model_fields]


def _as_variable(where: list[str], *, prefixed: bool = False) -> str:
    for name, place in UNPREFIXED.items():
        if list(place) == where and not prefixed:
            return name
    return "PRECEPTOR_" + "__".join(part.upper() for part in where)


def how_to_allow(provider: str) -> str:
    """Returns what makes a provider without a key one that can be asked."""
    way = f"Add `{provider.upper()}_API_KEY=YOUR-KEY` to .env"
    if provider in _OWN_ROWS:
        return way
    return f"{way}, or, where it asks for none, `needs_key = false` to `[default.providers.{provider}]`"


def _missing(settings: Settings, needs: Collection[Need]) -> tuple[list[str], list[str]]:
    """Lists the settings that the caller needs and that are missing, each with the line to add; and alternatives."""
    lines: list[str] = []
    ways: list[str] = []
    if "index" in needs and settings.index.backend == "cloud":
        if not settings.qdrant.endpoint:
            lines.append(
                "QDRANT_CLUSTER_ENDPOINT is missing: the address of the Qdrant Cloud cluster. Add "
                "`QDRANT_CLUSTER_ENDPOINT=https://YOUR-CLUSTER.cloud.qdrant.io:6333` to .env."
            )
        if settings.qdrant.api_key is None or not settings.qdrant.api_key.get_secret_value().strip():
            lines.append(
                "QDRANT_API_KEY is missing: the cluster's key (a read-only one is enough to serve). Add "
                "`QDRANT_API_KEY=YOUR-KEY` to .env."
            )
        if lines and settings.env == "production":
            ways.append("Without Qdrant Cloud: `--env local` keeps the index on this machine.")
    asked = settings.tutor.providers if "tutor" in needs else ()
    if asked and not any(settings.providers[name].configured for name in asked):
        wanted = " or ".join(f"{name.upper()}_API_KEY" for name in asked)
        own = next((name for name in asked if name not in _OWN_ROWS), asked[0])
        lines.append(
            f"{wanted} is missing: at least one provider must be able to answer. {how_to_allow(own)}."
        )
        ways.append(
            "Without a provider: `PRECEPTOR_TUTOR__PROVIDERS='[]'`, in .env or before the command, leaves the "
            "offline tutor, which quotes the book."
        )
    judge = settings.evaluation.judge.provider if "judge" in needs else ""
    if judge and not settings.providers[judge].configured:
        lines.append(
            f"{judge.upper()}_API_KEY is missing: `evaluation.judge` asks this provider. {how_to_allow(judge)}."
        )
        ways.append("Without a judge: PRECEPTOR_EVALUATION__JUDGE__PROVIDER='' leaves what is counted.")
    if ways:
        ways.append(
            "Without any account: `preceptor demo` serves a sample book, `preceptor demo --source BOOK` yours."
        )
    return lines, ways
