"""Endpoints for the book itself, without a tutor: search, list the chapters, read one."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from preceptor.agents.preceptor import Preceptor
from preceptor.errors import EmptyQuery
from preceptor.server.contract import (
    BooksResponse,
    ChapterBody,
    ChapterResponse,
    ChaptersResponse,
    SearchRequest,
    SearchResponse,
)
from preceptor.server.listing import listed
from preceptor.server.openapi import Operation, operation
from preceptor.server.request import read_body


@operation(
    Operation(
        name="listBooks",
        summary="List the books",
        description="Those of the service, each with the address of its page.",
        returns=BooksResponse,
    )
)
async def books(request: Request) -> Response:
    """List the books."""
    return JSONResponse(BooksResponse(books=await listed(request)).model_dump())


@operation(
    Operation(
        name="search",
        summary="Find passages",
        description="What a tutor would be shown for a question, best first. No model is called.",
        body=SearchRequest,
        example={"query": "What is ROS 2?", "limit": 3},
        returns=SearchResponse,
        errors=(404,),
    )
)
async def search(request: Request) -> Response:
    """Find the passages that fit a question best."""
    preceptor: Preceptor = request.state.preceptor
    asked = await read_body(request, SearchRequest)
    try:
        hits = await preceptor.library.search(
            asked.query, chapter=asked.chapter or None, book=asked.book or None, limit=asked.limit
        )
    except EmptyQuery:  # punctuation alone, say: there is nothing that fits
        hits = []
    return JSONResponse(SearchResponse.of(hits).model_dump())


@operation(
    Operation(
        name="listChapters",
        summary="List the chapters",
        description="In reading order, book after book, each with its outline.",
        returns=ChaptersResponse,
        links={"read": {"operationId": "readChapter", "parameters": {"id": "$response.body#/chapters/0/id"}}},
    )
)
async def chapters(request: Request) -> Response:
    """List the chapters."""
    preceptor: Preceptor = request.state.preceptor
    listed = [ChapterBody.model_validate(chapter) for chapter in await preceptor.library.chapters()]
    return JSONResponse(ChaptersResponse(chapters=listed).model_dump())


@operation(
    Operation(
        name="readChapter",
        summary="Read a chapter",
        description="The chapter with its outline and its text, passage by passage.",
        parameter="Id of the chapter, as the list of chapters has it, such as `module-1/ros2-nodes`.",
        returns=ChapterResponse,
        errors=(404,),
    )
)
async def chapter(request: Request) -> Response:
    """Read a chapter."""
    preceptor: Preceptor = request.state.preceptor
    found, passages = await preceptor.library.chapter(request.path_params["id"])
    return JSONResponse(ChapterResponse.of(found, passages).model_dump())
