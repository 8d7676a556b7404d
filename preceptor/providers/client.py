"""The OpenAI client, except that the chunks of a stream are made by pydantic's validator.

The client builds its objects field by field in Python, so that it can take an answer that lacks something: about
twenty times the work of validating one. Almost every chunk lacks nothing. See decision 0022.
"""

from typing import Any, cast

import httpx2
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk
from pydantic import ValidationError


class Client(AsyncOpenAI):
    """A client that validates chunks, and builds as the base does whatever is not valid."""

    def _process_response_data(self, *, data: object, cast_to: type[Any], response: httpx2.Response) -> Any:
        # Private: the version is pinned, and a test over HTTP notices when it is not called any more.
        if cast_to is ChatCompletionChunk:
            try:
                # Strict, because the base converts nothing: "0" stays a text, and true is no number.
                return ChatCompletionChunk.model_validate(data, strict=True)
            except ValidationError:
                pass
        return cast("Any", super()._process_response_data(data=data, cast_to=cast_to, response=response))
