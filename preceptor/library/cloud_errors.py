"""Maps failures of Qdrant Cloud to Preceptor's errors, and decides whether to retry.

The client raises eight kinds of exception for it, some with an empty text, one of them an AssertionError.
What each cause looks like was found by trying; the tests replay them.
"""

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from json import JSONDecodeError

import httpx
from pydantic import ValidationError
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from preceptor.errors import (
    IndexAnswerInvalid,
    IndexFieldNotIndexed,
    IndexForbidden,
    IndexIncompatible,
    IndexNotFound,
    IndexRateLimited,
    IndexSuspended,
    IndexTimeout,
    IndexUnauthorized,
    IndexUnreachable,
    PreceptorError,
)

RAISED = (
    UnexpectedResponse,
    ResponseHandlingException,
    QdrantException,
    JSONDecodeError,
    AssertionError,  # "… returned None": an answer in JSON that is not Qdrant's
    TimeoutError,
)
"""Exceptions that the client raises for failures outside this code."""


class CollectionExists(IndexAnswerInvalid):
    """A collection of this name already exists; never leaves the package."""


_TRY_AGAIN = {502, 503, 504}
_UNREADABLE = "it is not what the client can read (a proxy's page?)"

_wrong_dimension = re.compile(r"Vector dimension error: expected dim: (\d+), got (\d+)").search
_no_vector = re.compile(r"Not existing vector name error: (\S+)").search
_not_indexed = re.compile(r'Index required but not found for "([^"]+)"').search
_bad_header = re.compile(r"Retry-After header value is not a valid integer: (.+)").search


def pause(error: Exception, *, patience: float) -> bool | float:
    """Retry hook: False stops, True uses default back-off, a float is the seconds to wait.

    Args:
        error: One of `RAISED`.
        patience: The longest wait that the server may ask for, in seconds.
    """
    if _is_limited(error) or (isinstance(error, UnexpectedResponse) and error.status_code in _TRY_AGAIN):
        asked = _retry_after(error)
        # False where the server asks for more patience than there is.
        return True if asked is None else asked <= patience and asked
    if isinstance(error, ResponseHandlingException):
        # A certificate does not get better with another try.
        return isinstance(error.source, httpx.TransportError) and not _is_tls(error.source)
    return isinstance(error, TimeoutError)


def named(error: Exception, *, where: str, action: str, collection: str, timeout: float) -> PreceptorError:
    """Returns the Preceptor error for a failure of the client.

    Args:
        error: One of `RAISED`.
        where: The address, without a key.
        action: The attempted action, as in "the key may not …".
        collection: Its name; empty when it was about the cluster.
        timeout: Timeout of one request, in seconds.
    """
    if _is_limited(error):
        return IndexRateLimited(where, _retry_after(error))
    if isinstance(error, UnexpectedResponse):
        return _named_status(error, where=where, action=action, collection=collection)
    source = error.source if isinstance(error, ResponseHandlingException) else error
    if isinstance(source, TimeoutError | httpx.TimeoutException):
        return IndexTimeout(where, timeout)
    if isinstance(source, JSONDecodeError | AssertionError | ValidationError):
        return IndexAnswerInvalid(where, _UNREADABLE)
    return IndexUnreachable(where, _unreachable(source))


def _named_status(error: UnexpectedResponse, *, where: str, action: str, collection: str) -> PreceptorError:
    message = _message(error)
    if error.status_code == 401:
        return IndexUnauthorized(where)
    if error.status_code == 403:
        return IndexForbidden(where, action)
    # The gateway's 404, without Qdrant's JSON: there is no cluster behind it.
    if error.status_code == 404 and not message:
        return IndexSuspended(where)
    if error.status_code == 404 and collection:
        return IndexNotFound(collection, where, ())
    if found := _wrong_dimension(message):
        return IndexIncompatible(
            collection, "vectors of dimension", found=int(found[1]), wanted=int(found[2])
        )
    if found := _no_vector(message):
        return IndexIncompatible(
            collection, "vectors of", found="other names", wanted=f"one named `{found[1]}`"
        )
    if found := _not_indexed(message):
        return IndexFieldNotIndexed(collection, found[1])
    kind = CollectionExists if "already exists" in message else IndexAnswerInvalid
    reason = f"{error.status_code} {error.reason_phrase}".strip()
    return kind(where, f"{reason}: {message[:200]}" if message else reason)


def _message(error: UnexpectedResponse) -> str:
    """Returns Qdrant's own text; empty if something else answered."""
    try:
        return str(json.loads(error.content)["status"]["error"])
    except (ValueError, TypeError, KeyError):
        return ""


def _is_limited(error: Exception) -> bool:
    if isinstance(error, UnexpectedResponse):
        return error.status_code == 429
    return isinstance(error, QdrantException)


def _retry_after(error: Exception) -> float | None:
    """Returns the Retry-After of the response in seconds; None if there is none."""
    if isinstance(error, ResourceExhaustedResponse):
        return float(error.retry_after_s)
    if isinstance(error, UnexpectedResponse):
        said = error.headers.get("retry-after", "")
    else:
        found = _bad_header(str(error))  # the client reads whole seconds only
        said = found[1] if found else ""
    try:
        return float(said)
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _is_tls(source: Exception) -> bool:
    return "SSL" in str(source) or "CERTIFICATE" in str(source)


def _unreachable(source: Exception) -> str:
    text = str(source).strip() or type(source).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"its TLS certificate is not trusted ({text})"
    if _is_tls(source):
        return f"TLS fails, perhaps it is an `http://` address ({text})"
    if isinstance(source, httpx.RemoteProtocolError):
        return f"it hung up without an answer, perhaps it is an `https://` address ({text})"
    return text
