"""The book for MCP clients: over stdin and stdout (`preceptor mcp`), and at `/mcp` where `server.mcp` says so.

Nobody else imports this module: the MCP package's server takes time to import.
"""

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, redirect_stdout
from typing import Annotated, Any

import mcp_types as types
from agents import FunctionTool
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from preceptor import __version__
from preceptor.agents.answer import Answer, Question
from preceptor.agents.preceptor import Preceptor, open_preceptor
from preceptor.errors import PreceptorError
from preceptor.library.passage import Passage
from preceptor.server.access import client_of
from preceptor.server.faults import fault
from preceptor.server.limits import Limits
from preceptor.server.markdown import absolute, base_of, chapter_markdown
from preceptor.server.slots import Slots
from preceptor.settings import OWN_TOOLS, Settings
from preceptor.tools.call import call
from preceptor.tools.get_chapter import under_heading
from preceptor.tools.plugin import declared
from preceptor.tracing.store import TraceStore

_SCHEME = "textbook://"
_PROMPT = "study"
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=4000)]
_Context = ServerRequestContext[Any, Any]
_READS = types.ToolAnnotations(read_only_hint=True, open_world_hint=False)


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SearchArguments(_Arguments):
    """Arguments of `search_textbook`."""

    query: _Text = Field(description="What to look for, in the language of the book; one subject at a time.")
    chapter: str | None = Field(default=None, description="Id of a chapter, to search it alone.")
    book: str | None = Field(default=None, description="Id of a book, to search it alone.")
    limit: int = Field(default=6, ge=1, le=20, description="Passages at most.")


class ChapterArguments(_Arguments):
    """Arguments of `get_chapter`."""

    chapter: str = Field(description="Id of the chapter, as `list_chapters` gives it.")
    section: str | None = Field(
        default=None, description="A heading of it, or its anchor; absent: all of it."
    )


class ListArguments(_Arguments):
    """Arguments of `list_chapters`."""

    book: str | None = Field(default=None, description="Id of a book, to list it alone.")


class AskArguments(_Arguments):
    """Arguments of `ask_textbook`."""

    question: _Text = Field(description="The question, in any language.")
    chapter: str | None = Field(default=None, description="Answer from this chapter alone.")
    session_id: str | None = Field(default=None, description="Of an earlier answer, to go on from there.")


class PassageContent(BaseModel):
    """A passage of the book."""

    key: str
    title: str
    breadcrumb: list[str]
    url: str = Field(description="Address of the heading, its anchor included.")
    quote: str
    book: str
    chapter: str


class PassagesContent(BaseModel):
    """Result of `search_textbook` and of `get_chapter`."""

    passages: list[PassageContent]


class ChapterContent(BaseModel):
    """A chapter, as the list has it."""

    id: str
    book: str
    title: str
    url: str
    sections: list[str]


class ChaptersContent(BaseModel):
    """Result of `list_chapters`."""

    chapters: list[ChapterContent]


class SourceContent(PassageContent):
    """A source of an answer."""

    n: int = Field(description="Its number in the answer: `[1]`.")
    tool: str | None = Field(description="Tool that gave it; null: it is a passage of the book.")


class AnswerContent(BaseModel):
    """Result of `ask_textbook`."""

    answer: str
    sources: list[SourceContent]
    in_book: bool
    truncated: bool
    """Whether the answer was cut off."""
    provider: str
    session_id: str
    trace_id: str


class PluginContent(BaseModel):
    """Result of the tool of a plug-in."""

    text: str
    sources: list[dict[str, Any]]
    artifacts: list[dict[str, Any]]


_Answered = tuple[str, BaseModel]
_DESCRIPTIONS: Mapping[str, tuple[str, type[_Arguments], type[BaseModel]]] = {
    "search_textbook": (
        "Find passages of the textbook that answer a question. Cite a passage by its url.",
        SearchArguments,
        PassagesContent,
    ),
    "get_chapter": (
        "Read a chapter of the textbook, or one of its sections.",
        ChapterArguments,
        PassagesContent,
    ),
    "list_chapters": ("List the chapters of the textbook in reading order.", ListArguments, ChaptersContent),
    "ask_textbook": (
        "Ask the textbook's tutor. Its answer rests on the book; each number in it is a source with a link.",
        AskArguments,
        AnswerContent,
    ),
}


class Textbook:
    """Answers the requests of MCP clients with an open book."""

    def __init__(self, preceptor: Preceptor | None = None, *, base: str = "") -> None:
        """Make ready.

        Args:
            preceptor: The open book; None: each request over HTTP brings its own.
            base: Put before addresses that begin with `/`, where no request says better.
        """
        self._preceptor = preceptor
        self._base = base
        self._calls: dict[str, Callable[[_Context, Any], Awaitable[_Answered]]] = {
            "search_textbook": self._search,
            "get_chapter": self._chapter,
            "list_chapters": self._list,
            "ask_textbook": self._ask,
        }

    def server(self) -> Server[Any]:
        """Returns the protocol's server, which calls this object."""
        return Server(
            "preceptor",
            version=__version__,
            instructions="A textbook: search it, read it, or ask its tutor. Each url opens its heading.",
            on_list_tools=self._tools,
            on_call_tool=self._call,
            on_list_resources=self._resources,
            on_read_resource=self._resource,
            on_list_prompts=self._prompts,
            on_get_prompt=self._prompt,
        )

    # Tools

    async def _tools(
        self, context: _Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        own = [
            types.Tool(
                name=name,
                description=description,
                input_schema=arguments.model_json_schema(),
                output_schema=content.model_json_schema(),
                annotations=_READS,
            )
            for name, (description, arguments, content) in _DESCRIPTIONS.items()
        ]
        plugins = [
            types.Tool(
                name=tool.name,
                description=tool.description,
                input_schema=tool.params_json_schema,
                output_schema=PluginContent.model_json_schema(),
            )
            for tool in self._offered(context)
        ]
        return types.ListToolsResult(tools=[*own, *plugins])

    def _offered(self, context: _Context) -> Sequence[FunctionTool]:
        """The tools of plug-ins that say that MCP clients may call them."""
        return [
            tool
            for tool in self._of(context).tools
            if isinstance(tool, FunctionTool)
            and declared(tool).mcp
            and tool.name not in (*OWN_TOOLS, *self._calls)
        ]

    async def _call(self, context: _Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        name, arguments = params.name, params.arguments or {}
        try:
            if name in self._calls:
                asked = _DESCRIPTIONS[name][1].model_validate(arguments)
                text, content = await self._calls[name](context, asked)
            elif any(tool.name == name for tool in self._offered(context)):
                return await self._plugin(context, name, arguments)
            else:
                raise MCPError(types.INVALID_PARAMS, f"There is no tool `{name}`.")
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False, include_context=False)
            wrong = "; ".join(f"`{'.'.join(map(str, one['loc']))}`: {one['msg']}" for one in faults)
            return _failed(f"The call of `{name}` does not fit: {wrong}.")
        except PreceptorError as error:
            return _failed(fault(error)[1].error)
        return _result(text, content)

    async def _plugin(
        self, context: _Context, name: str, arguments: Mapping[str, Any]
    ) -> types.CallToolResult:
        called = await call(self._of(context).tools, name, arguments)
        told, base = called.as_json(), self._base_of(context)
        sources = [{**source, "url": absolute(source["url"], base)} for source in told["sources"]]
        content = PluginContent(text=called.text, sources=sources, artifacts=told["artifacts"])
        return _failed(called.text) if called.failed else _result(called.text, content)

    async def _search(self, context: _Context, asked: SearchArguments) -> _Answered:
        library = self._of(context).library
        hits = await library.search(asked.query, chapter=asked.chapter, book=asked.book, limit=asked.limit)
        return self._passages([hit.passage for hit in hits], self._base_of(context))

    async def _chapter(self, context: _Context, asked: ChapterArguments) -> _Answered:
        chapter, passages = await self._of(context).library.chapter(asked.chapter)
        if asked.section is not None:
            passages = under_heading(chapter, passages, asked.section)
        return self._passages(passages, self._base_of(context))

    async def _list(self, context: _Context, asked: ListArguments) -> _Answered:
        await self._of(context).library.check(book=asked.book)
        base = self._base_of(context)
        chapters = [
            ChapterContent(
                id=chapter.id,
                book=chapter.book,
                title=chapter.title,
                url=absolute(chapter.url, base),
                sections=[section.heading for section in chapter.sections if section.heading],
            )
            for chapter in await self._of(context).library.chapters()
            if asked.book in (None, chapter.book)
        ]
        text = "\n".join(f"- {one.id}: {one.title} <{one.url}>" for one in chapters)
        return text, ChaptersContent(chapters=chapters)

    async def _ask(self, context: _Context, asked: AskArguments) -> _Answered:
        question = Question(text=asked.question, chapter=asked.chapter, session_id=asked.session_id)
        request = _request(context)
        if request is None:
            answer = await self._of(context).ask(question)
        else:
            limits: Limits = request.state.limits
            slots: Slots = request.state.slots
            await limits.spend(client_of(request.scope))
            async with slots.take():
                with slots.cut_in_the_end():
                    answer = await self._of(context).ask(question)
        return _answered(answer, self._base_of(context))

    def _passages(self, passages: Sequence[Passage], base: str) -> _Answered:
        found = [PassageContent(**_passage(passage, base)) for passage in passages]
        text = "\n\n".join(f"{' › '.join(one.breadcrumb)} <{one.url}>\n{one.quote}" for one in found)
        return text or "The book has no passage that fits.", PassagesContent(passages=found)

    # Chapters as resources, and the prompt

    async def _resources(
        self, context: _Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        resources = [
            types.Resource(
                uri=f"{_SCHEME}{chapter.book}/{chapter.id}",
                name=chapter.id,
                title=chapter.title,
                description=", ".join(section.heading for section in chapter.sections[:5] if section.heading),
                mime_type="text/markdown",
            )
            for chapter in await self._of(context).library.chapters()
        ]
        return types.ListResourcesResult(resources=resources)

    async def _resource(
        self, context: _Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        uri = str(params.uri)
        book, _, chapter_id = uri.removeprefix(_SCHEME).partition("/")
        try:
            chapter, passages = await self._of(context).library.chapter(chapter_id, book=book)
        except PreceptorError as error:
            raise MCPError(types.INVALID_PARAMS, f"There is no chapter at `{uri[:200]}`. {error}") from None
        text = chapter_markdown(chapter, passages, base=self._base_of(context))
        found = types.TextResourceContents(uri=params.uri, mime_type="text/markdown", text=text)
        return types.ReadResourceResult(contents=[found])

    async def _prompts(
        self, context: _Context, params: types.PaginatedRequestParams | None
    ) -> types.ListPromptsResult:
        subject = types.PromptArgument(name="subject", description="What to study.", required=True)
        prompt = types.Prompt(
            name=_PROMPT,
            title="Study a subject with the textbook",
            description="Explain a subject from the textbook alone, with a link for each statement.",
            arguments=[subject],
        )
        return types.ListPromptsResult(prompts=[prompt])

    async def _prompt(self, context: _Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        subject = (params.arguments or {}).get("subject", "").strip()
        if params.name != _PROMPT or not subject:
            raise MCPError(
                types.INVALID_PARAMS, f"There is one prompt, `{_PROMPT}`, and it needs a `subject`."
            )
        text = (
            f"Explain to me from the textbook: {subject}\n\nSearch with `search_textbook`, once or a few times. Say "
            "only what its passages say, put a link to the passage's url behind each statement, and end with one "
            "question that tests whether I understood. Say so if the book does not cover it."
        )
        message = types.PromptMessage(role="user", content=types.TextContent(text=text))
        return types.GetPromptResult(messages=[message])

    def _base_of(self, context: _Context) -> str:
        request = _request(context)
        return self._base if request is None else base_of(self._of(context), request)

    def _of(self, context: _Context) -> Preceptor:
        """Returns the book of a request."""
        request = _request(context)
        found = self._preceptor if request is None else request.state.preceptor
        assert found is not None
        return found


class McpEndpoint:
    """ASGI application at `/mcp`: streamable HTTP, a request by itself, as replicas behind a balancer need it."""

    def __init__(self, settings: Settings) -> None:
        """Make ready; `running` opens it."""
        self._origins = settings.server.cors_origins
        self._largest = settings.server.max_body
        self._manager: StreamableHTTPSessionManager | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve the book of each request."""
        self._manager = StreamableHTTPSessionManager(
            Textbook().server(), stateless=True, json_response=True, max_request_body_size=self._largest
        )
        async with self._manager.run():
            yield
        self._manager = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        assert self._manager is not None
        # Programs send none. A page may only call where `server.cors_origins` lets it, whatever its host is called now.
        origin = Headers(scope=scope).get("origin")
        app: ASGIApp = self._manager.handle_request
        if origin is not None and origin not in self._origins and "*" not in self._origins:
            error = f"Pages of `{origin[:100]}` may not call this. Name the origin in `server.cors_origins`."
            app = JSONResponse({"error": error, "code": "FORBIDDEN"}, status_code=403)
        await app(scope, receive, send)


async def serve_stdio(settings: Settings, traces: TraceStore) -> None:
    """Serve the book over stdin and stdout until the client goes."""
    # What a plug-in prints must not get among the messages.
    with redirect_stdout(sys.stderr):
        opening = open_preceptor(settings, traces=traces)
        preceptor = await opening.__aenter__()
    try:
        base = settings.site.url or settings.server.address
        server = Textbook(preceptor, base=base).server()
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())
    finally:
        await opening.__aexit__(None, None, None)


def _request(context: _Context) -> Request | None:
    return context.request if isinstance(context.request, Request) else None


def _passage(passage: Passage, base: str) -> dict[str, Any]:
    return {
        "key": passage.key,
        "title": passage.title,
        "breadcrumb": list(passage.breadcrumb),
        "url": absolute(passage.url, base),
        "quote": passage.text,
        "book": passage.book,
        "chapter": passage.chapter,
    }


def _answered(answer: Answer, base: str) -> _Answered:
    sources = [
        SourceContent(
            n=source.number,
            key=source.key,
            title=source.title,
            breadcrumb=list(source.breadcrumb),
            url=absolute(source.url, base),
            quote=source.quote,
            book=source.book,
            chapter=source.chapter,
            tool=source.tool or None,
        )
        for source in answer.sources
    ]
    listed = "\n".join(f"[{one.n}] {' › '.join(one.breadcrumb)} <{one.url}>" for one in sources)
    content = AnswerContent(
        answer=answer.text,
        sources=sources,
        in_book=answer.in_book,
        truncated=answer.truncated,
        provider=answer.provider,
        session_id=answer.session_id,
        trace_id=answer.trace_id,
    )
    return f"{answer.told}\n\n{listed}".strip(), content


def _result(text: str, content: BaseModel) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(text=text)], structured_content=content.model_dump(mode="json")
    )


def _failed(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)
