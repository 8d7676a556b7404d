"""Reading what the service sends, and what it must never send."""

import json
from typing import Any, NamedTuple

from httpx2 import Response

from tests.sample import SOURCE

Json = dict[str, Any]

_MACHINE = str(SOURCE.parent.parent)


class Event(NamedTuple):
    """An event of a stream."""

    name: str
    data: Json
    id: str


def events(stream: str) -> list[Event]:
    """The events of `stream`; its comments are left out."""
    found: list[Event] = []
    for block in stream.replace("\r\n", "\n").split("\n\n"):
        # Not at what else Python takes for the end of a line: it may stand in the data.
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if fields:
            found.append(Event(fields.get("event", ""), json.loads(fields["data"]), fields.get("id", "")))
    return found


def error_of(response: Response, status: int, code: str) -> Json:
    """The error that `response` must be, checked to be nothing but the contract's object."""
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    body: Json = response.json()
    assert set(body) <= {"error", "code", "details", "error_id"}
    assert body["error"].endswith("."), body["error"]
    tells_nothing(response)
    return body


def tells_nothing(response: Response) -> None:
    """Nothing of the machine, of Python or of the code is in the response."""
    for forbidden in ("Traceback", 'File "', ".py", _MACHINE, "site-packages", "Error(", "object at 0x"):
        assert forbidden not in response.text, response.text
