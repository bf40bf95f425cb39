"""Responses for conversations about colleague connections."""

from __future__ import annotations

import pytest
from talk import ATOM, HTML, answer, error, talk

from aioconnections.errors import (
    ConnectFailedError,
    ConnectionsError,
    DeadlineError,
    ForeignResponseError,
    ProtocolError,
)
from aioconnections.protocol.address import Address
from aioconnections.protocol.colleagues import (
    invitation_body,
)
from aioconnections.protocol.messages import Flow, Response
from aioconnections.records import Email, Pair, Userid

__all__ = [
    "ADDRESS",
    "ALREADY",
    "BOB",
    "BODY",
    "BUSY",
    "CREATED",
    "DONE",
    "EDIT",
    "FORBIDDEN",
    "FOREIGN",
    "HEAD",
    "INVALID",
    "LATE",
    "LOGIN",
    "LOST",
    "ME",
    "NONE",
    "OAUTH",
    "PAIR",
    "POST",
    "UNSENT",
    "entry",
    "fails",
    "status",
]

ADDRESS = Address.of("https://c.example.com")
OAUTH = Address.of("https://c.example.com", oauth=True)
ME, BOB = Userid("me"), Email("bob@example.com")
PAIR = Pair(ME, BOB)
BODY = invitation_body("Hello")
POST = "POST /profiles/atom/connections.do?connectionType=colleague&email=bob%40example.com"
HEAD = "HEAD /profiles/atom/connection.do?connectionType=colleague&sourceUserid=me&targetEmail=bob%40example.com"
EDIT = "https://c.example.com/profiles/atom/connection.do?connectionId=c1&amp;inclMessage=true"

ALREADY = error(400, "CLFRN1168E: Il existe déjà une connexion.")
INVALID = error(400, "CLFRN1172E: The request is invalid.", "400")
FORBIDDEN = error(403, "CLFRN1174E: You are not authorized to perform that action.", "403")
NONE = answer(404)
FOREIGN = ForeignResponseError(404, None, "a page of the web server")  # what the session raises for such a page
LOGIN = answer(200, "<html>Log in</html>", HTML)
CREATED = answer(
    201, b"", HTML, Location="https://c.example.com/profiles/atom/connection.do?connectionId=793f&inclMessage=true"
)
DONE = answer(200, b"", HTML)
LOST = ProtocolError("the connection was reset", sent="maybe")
LATE = DeadlineError("no response in time", sent="maybe")
UNSENT = ConnectFailedError("refused")
BUSY = answer(503)


def status(word: str) -> Response:
    return answer(200, b"", ATOM, **{"X-Profiles-Connection-Status": word})


def entry(word: str, *, edit: str | None = EDIT, extra: str = "") -> Response:
    link = f'<link rel="edit" href="{edit}"/>' if edit else ""
    sn = "http://www.ibm.com/xmlns/prod/sn"
    return answer(
        200,
        f'<entry xmlns="http://www.w3.org/2005/Atom"><id>tag:profiles.ibm.com,2006:entryc1</id>'
        f'<category term="connection" scheme="{sn}/type"/><category term="colleague" scheme="{sn}/connection/type"/>'
        f'<category term="{word}" scheme="{sn}/status"/><content type="html">Hello &amp;lt;b&amp;gt;</content>'
        f"{extra}{link}</entry>",
        ATOM,
    )


def fails(flow: Flow[object], *answers: Response | Exception) -> ConnectionsError:
    with pytest.raises(ConnectionsError) as caught:
        talk(flow, *answers)
    return caught.value
