"""The doors that are no Atom: the login form of a single sign-on, and the token endpoint of OAuth 2."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from attrs import frozen

from aioconnections.reference.accounts import PASSWORD, Accounts
from aioconnections.reference.answers import Answer, Plain
from aioconnections.reference.query import Parameters, parse_query

if TYPE_CHECKING:
    from aioconnections.reference.request import Request

__all__ = ["LOGIN", "SIGN_IN", "TOKEN", "Entrance", "login_page"]

LOGIN = "/auth/login"
SIGN_IN = "/auth/j_security_check"
TOKEN = "/oauth2/endpoint/connectionsProvider/token"  # noqa: S105  # a path
_HTML = "text/html;charset=UTF-8"
_TOKEN_LIFE = 43_199  # seconds, as recorded


@frozen
class Entrance:
    """What is open to everybody."""

    accounts: Accounts

    def form(self, request: Request) -> Answer:
        """GET the login page."""
        return Plain(200, _HTML, login_page(request.first("target")))

    def sign_in(self, request: Request) -> Answer:
        """POST the form: back to where one wanted to go, with cookies; or the form once more."""
        form = _form(request)
        target = form.get("target", "")
        session = self.accounts.by_password(form.get("j_username", ""), form.get("j_password", ""))
        if session is None:
            return Plain(200, _HTML, login_page(target))
        # a path of this server, whatever comes: who could choose another site could have people sign in for it
        path = quote(urlsplit(target)._replace(scheme="", netloc="").geturl().lstrip("/"), safe="/?&=%+")
        return Plain(302, _HTML, "", ((b"location", f"{request.base}/{path}".encode()), *session.cookies))

    def token(self, request: Request) -> Answer:
        """POST to the token endpoint: a refresh token for a new pair of tokens, as JSON (RFC 6749, section 6)."""
        form = _form(request)
        if not form.get("client_id") or form.get("client_secret") != PASSWORD:
            return _json(401, {"error": "invalid_client"})
        if form.get("grant_type") != "refresh_token":
            return _json(400, {"error": "unsupported_grant_type"})
        issued = self.accounts.refresh(form.get("refresh_token", ""))
        if issued is None:
            return _json(400, {"error": "invalid_grant"})
        access, refresh = issued
        return _json(
            200,
            {
                "access_token": access,
                "token_type": "Bearer",
                "expires_in": _TOKEN_LIFE,
                "scope": "",
                "refresh_token": refresh,
            },
        )


def login_page(target: str) -> str:
    """A page that asks people to sign in, and programs to notice that it is none of what they wanted."""
    return (
        "<!DOCTYPE html>\n<html><head><title>Log in</title></head><body>\n"
        f'<form method="post" action="{SIGN_IN.rpartition("/")[2]}">\n'
        f'<input type="hidden" name="target" value="{escape(target)}">\n'
        '<input name="j_username"><input name="j_password" type="password"><button>Log in</button>\n'
        "</form></body></html>\n"
    )


def _form(request: Request) -> dict[str, str]:
    fields: Parameters = parse_query(request.body.strip()) or {}
    return {name: values[0] for name, values in fields.items()}


def _json(status: int, value: dict[str, object]) -> Plain:
    headers = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))
    return Plain(status, "application/json;charset=UTF-8", json.dumps(value), headers)
