"""The ASGI application: routes, middleware, and a lifespan that opens everything once."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TypedDict

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from preceptor.agents.outcome import Observer
from preceptor.agents.preceptor import Preceptor, Shared, open_preceptor, open_shared
from preceptor.books import Book, read_books
from preceptor.errors import PreceptorError, SettingsError
from preceptor.server import (
    books,
    conversations,
    markdown,
    metrics,
    openai_api,
    pages,
    responses_api,
    traces,
)
from preceptor.server.access import OperatorOnly, ReaderKey, SecurityHeaders
from preceptor.server.aliases import Aliases
from preceptor.server.body_limit import BodyLimit
from preceptor.server.chat import chat
from preceptor.server.collector import collected_rarely
from preceptor.server.dialect import Dialect
from preceptor.server.drain import drained_before_exit
from preceptor.server.faults import Faults, on_error, on_http_error
from preceptor.server.health import Health, Parts, health, livez
from preceptor.server.limits import Admission, Limits, RateLimit
from preceptor.server.log import Observed
from preceptor.server.openapi import Contract
from preceptor.server.openapi_page import ContractPage
from preceptor.server.reader import LastResort, chapter_page
from preceptor.server.reload import reloaded
from preceptor.server.shelf import ByPath, NamedBook, OpenBook, Shelf
from preceptor.server.slots import Slots
from preceptor.server.watchdog import watched
from preceptor.server.write_deadline import WriteDeadline
from preceptor.settings import Settings, load_settings
from preceptor.tracing.processor import install
from preceptor.tracing.store import TraceStore


class State(TypedDict):
    """Objects that the lifespan opens for the routes."""

    preceptor: Preceptor | None
    """The one book of the service; None where a request says which."""
    shelf: Shelf | None
    settings: Settings
    traces: TraceStore
    dialect: Dialect
    health: Health
    limits: Limits
    metrics: metrics.Metrics
    slots: Slots


def create_app(
    settings: Settings | None = None, *, alone: bool = False, reload_tools: bool = False
) -> Starlette:
    """Returns the application; its lifespan opens everything long-lived.

    Args:
        settings: Default: read from settings.toml and the environment (`production`, unless PRECEPTOR_ENV says
            otherwise).
        alone: Whether the process serves this application and nothing else, so that its garbage collector may be
            set for it.
        reload_tools: Whether plug-ins are loaded anew when their files change.

    Raises:
        SettingsError: Something the service needs is missing or wrong.
    """
    settings = settings or load_settings(needs=("index", "tutor"))
    several = settings.library.file is not None
    listed = read_books(settings.library.file, settings) if settings.library.file else {}
    if several and reload_tools:
        problem = (
            "`--reload-tools` goes with one book, and `library.file` names several. Leave one of them out."
        )
        raise SettingsError([problem], env=settings.env)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[State, None]:
        counts = metrics.Metrics()
        slots = Slots(settings.limits)
        async with AsyncExitStack() as stack:
            limits = Limits(settings.limits, env=settings.env)
            stack.push_async_callback(limits.close)
            secrets = [*settings.secrets(), *(key for book in listed.values() for key in book.secrets())]
            store = install(settings.traces, secrets, openai_key=settings.providers["openai"].key)
            # Closed after Preceptor, whose last runs it has to write.
            stack.callback(store.close)
            preceptor = shelf = None
            if several:
                shared = await stack.enter_async_context(open_shared(settings))
                opened = partial(_open, shared=shared, traces=store, observer=counts)
                shelf = Shelf(listed, settings.library, opened=opened)
                stack.push_async_callback(shelf.close)
                parts = shelf.parts(settings, shared)
            else:
                preceptor = await stack.enter_async_context(
                    open_preceptor(settings, traces=store, observer=counts)
                )
                parts = Parts.of(preceptor)
            await stack.enter_async_context(limits.share(parts.models))
            counts.observe(parts.models, parts.sessions, slots)
            stack.enter_context(watched())
            stack.enter_context(drained_before_exit(slots, settings.server.drain_seconds))
            if mcp is not None:
                await stack.enter_async_context(mcp.running())
            if reload_tools and preceptor is not None:
                await stack.enter_async_context(reloaded(preceptor))
            if alone:
                stack.enter_context(collected_rarely())
            yield {
                "preceptor": preceptor,
                "shelf": shelf,
                "settings": settings,
                "traces": store,
                "dialect": Dialect(settings.server.dialect),
                "health": Health(parts, slots),
                "limits": limits,
                "metrics": counts,
                "slots": slots,
            }

    mcp = None
    if settings.server.mcp:
        from preceptor.server.mcp import McpEndpoint  # whoever does not serve it need not import it

        mcp = McpEndpoint(settings)
    named = [Middleware(NamedBook)] if several else []
    maybe_named = [Middleware(NamedBook, required=False)] if several else []
    opens = [Middleware(OpenBook)] if several else []
    counted = [Middleware(ReaderKey, keys=settings.server.reader_keys), Middleware(RateLimit)]
    reads = [*named, *counted, *opens]
    asks = [*reads, Middleware(Admission)]
    shown = [*pages.COMPRESSED, *named, *opens]
    contract = Contract(keys=bool(settings.server.reader_keys))
    operates = [Middleware(OperatorOnly, key=settings.server.operator_key)]

    return Starlette(
        routes=[
            Route("/livez", livez),
            Route("/api/v1/health", health),
            Route("/api/v1/chat", chat, methods=["POST"], middleware=asks),
            Route("/api/v1/books", books.books, middleware=counted),
            Route("/api/v1/search", books.search, methods=["POST"], middleware=reads),
            Route("/api/v1/chapters", books.chapters, middleware=reads),
            Route("/api/v1/chapters/{id:path}", books.chapter, middleware=reads),
            Route("/api/v1/sessions/{id}", conversations.Session, middleware=reads),
            Route(
                "/api/v1/feedback",
                conversations.feedback,
                methods=["POST"],
                middleware=[*maybe_named, *counted],
            ),
            Route("/v1/chat/completions", openai_api.completions, methods=["POST"], middleware=asks),
            Route("/v1/responses", responses_api.responses, methods=["POST"], middleware=asks),
            Route("/v1/models", openai_api.models, middleware=[*maybe_named, *counted, *opens]),
            Route("/v1/models/{id:path}", openai_api.model, middleware=[*maybe_named, *counted, *opens]),
            *([Route("/mcp", mcp, methods=["POST"], middleware=reads)] if mcp else ()),
            Route("/llms.txt", markdown.llms_txt, middleware=[*pages.COMPRESSED, *reads]),
            Route("/llms-full.txt", markdown.llms_full_txt, middleware=[*pages.COMPRESSED, *reads]),
            Route("/openapi.json", contract.openapi_json, middleware=pages.COMPRESSED),
            Route("/docs", ContractPage(contract).openapi_page, middleware=pages.COMPRESSED),
            Route("/api/v1/metrics", metrics.as_json, middleware=operates),
            Route("/metrics", metrics.prometheus, middleware=operates),
            *traces.routes(settings.server.operator_key, maybe_named + opens),
            *pages.routes(maybe_named + opens, named + opens),
            # Without this line the slash would lead to the page of the contract.
            Route("/docs/", chapter_page, middleware=shown),
            LastResort(
                "/{path:path}.md", markdown.chapter_as_markdown, middleware=[*pages.COMPRESSED, *reads]
            ),
            LastResort("/{path:path}", chapter_page, middleware=shown),
        ],
        middleware=_middleware(settings),
        exception_handlers={
            HTTPException: on_http_error,
            PreceptorError: on_error,
        },
        lifespan=lifespan,
    )


def _open(
    book: Book, *, shared: Shared, traces: TraceStore, observer: Observer
) -> AbstractAsyncContextManager[Preceptor]:
    return open_preceptor(book.settings, shared=shared, traces=traces, observer=observer)


def _middleware(settings: Settings) -> list[Middleware]:
    """Returns the middleware of every request, outermost first."""
    server = settings.server
    return [
        *([Middleware(ByPath)] if settings.library.file and settings.library.paths else ()),
        Middleware(WriteDeadline, seconds=server.write_seconds),
        Middleware(Aliases, aliases=server.aliases),
        # Outside of the log and the limits, which go by the client's address.
        Middleware(ProxyHeadersMiddleware, trusted_hosts=list(server.trusted_proxies)),
        Middleware(Observed),
        Middleware(SecurityHeaders),
        Middleware(
            CORSMiddleware,
            allow_origins=server.cors_origins,
            allow_credentials=server.cors_credentials,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],  # of the origins above: OpenAI's clients send many of their own
            allow_private_network=True,  # a book on the web may ask a tutor in the reader's own network
            expose_headers=["Retry-After", "X-Session-Id", "X-Request-Id"],
        ),
        Middleware(Faults),
        Middleware(
            BodyLimit,
            largest=server.max_body,
            conversation=server.max_conversation,
            conversations=("/v1/", "/api/v1/chat") if server.dialect else ("/v1/",),
        ),
    ]
