"""Verdicts on the responses of the server: what responds, to which login, with which settings. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from aioconnections import atom
from aioconnections.doctor.findings import Detail, Finding, failed, milliseconds
from aioconnections.doctor.proposal import FASTEST, percentile, proposal
from aioconnections.errors import (
    AtomError,
    AuthenticationError,
    ConnectionsError,
    ForeignResponseError,
    InvalidInputError,
    UnexpectedResponseError,
)
from aioconnections.protocol.address import Address, ApplicationName
from aioconnections.protocol.canary import CanaryReport, canary
from aioconnections.protocol.discovery import service_document
from aioconnections.protocol.entries import SN
from aioconnections.protocol.messages import Request, Response
from aioconnections.protocol.responses import error_of, expect, foreign_error, is_doubtful, names_stopped_application
from aioconnections.records import ServiceDocument
from aioconnections.reprs import frozen

__all__ = [
    "DocumentFacts",
    "absent",
    "anonymous_request",
    "canary_report",
    "challenges",
    "contexts_to_try",
    "facts_of_document",
    "is_wrong_place",
    "needs_login",
    "on_administrator",
    "on_clock",
    "on_closed_communities",
    "on_communities",
    "on_emails",
    "on_http",
    "on_keep_alive",
    "on_latency",
    "on_login",
    "on_max_connections",
    "on_profiles",
    "on_user",
    "read_service_document",
    "refused",
]

_SKEW = 60.0  # seconds by which clocks may differ
_IDLE = 8.0  # seconds for which this client keeps an idle connection
_FEW_REQUESTS = 10
_USUAL = ("/connections", "/social")  # paths in front of /profiles that are often seen
_ROOT = re.compile(r"(?P<context>(?:/[A-Za-z0-9_.~-]+)*?)/(?:homepage|profiles|communities)(?:[/?].*)?")
_CONFIGS = re.compile(r"(?P<url>https?://[^?#]+)/profiles/serviceconfigs")
_TARGET = re.compile(r"https?://[A-Za-z0-9_.:\[\]-]{1,200}")
_SCHEME = re.compile(r"(?:^|,)\s*(?P<name>[A-Za-z][A-Za-z0-9-]*)(?=\s+[^\s=,]|\s*(?:,|$))")
_LONGEST = 60  # characters of a header field that are shown


@frozen(kw_only=True)
class DocumentFacts:
    """What a service document, or the document ``serviceconfigs``, says about the server.

    Attributes:
        version: of the generator; None if it is not named.
        emails: whether e-mail addresses are shown; None if it does not say.
        title: title of the first workspace: the name of the signed-in user; None without one.
    """

    version: str | None = None
    emails: Literal["exposed", "hidden"] | None = None
    title: str | None = None


def facts_of_document(response: Response) -> DocumentFacts:
    """Read a document; what cannot be read is not known."""
    try:
        root = atom.read_document(response.body, charset=response.charset, strict=False)
    except AtomError:
        root = None
    if root is None:
        return DocumentFacts()
    version = title = None
    emails: Literal["exposed", "hidden"] | None = None
    for element in root.walk():
        name = element.tag.rpartition("}")[2]
        if name == "generator" and version is None:
            version = (element.get("version") or "")[:_LONGEST] or None
        elif name == "title" and title is None:
            title = element.content.strip()[:_LONGEST] or None
        elif element.get("scheme") == f"{SN}/configuration":
            term = element.get("term")
            emails = "hidden" if term == "email-hidden" else "exposed" if term == "email-exposed" else emails
    return DocumentFacts(version=version, emails=emails, title=title)


# --- HTTP ---


def anonymous_request(address: Address, application: ApplicationName) -> Request:
    """The request that shows without a login whether an application responds."""
    return next(canary(address, application, signs_in=False))


def canary_report(address: Address, application: ApplicationName, response: Response) -> CanaryReport:
    """What the response to `anonymous_request` shows."""
    flow = canary(address, application, signs_in=False)
    _ = next(flow)
    try:
        _ = flow.send(response)
    except StopIteration as stop:
        report: CanaryReport = stop.value
        return report
    raise AssertionError("without a login, a canary is one request")


def on_http(request: Request, response: Response, seconds: float) -> Finding:
    """Whether the server responds over HTTP, with any status that does not mean that it is unavailable."""
    tried = f"GET {request.path} without a login"
    server = (response.get(b"server") or "")[:_LONGEST]
    named = f"Server: {server}" if server else "no Server header"
    schemes = challenges(response)
    details: dict[str, Detail] = {"status": response.status, "server": server or None, "login_schemes": schemes}
    if response.status == 429 or response.status >= 500:
        wait = response.get(b"retry-after")
        pause = f"try again later; the server asks for a pause (Retry-After: {wait[:_LONGEST]})" if wait else ""
        return failed(
            "http",
            tried,
            error_of(request, response),
            more=named,
            advice=pause,
            details=details,
        )
    demand = f"; it asks for a login ({', '.join(schemes)})" if schemes and response.status == 401 else ""
    target = _TARGET.match(response.get(b"location") or "") if 300 <= response.status < 400 else None
    to = f" to {target[0]}" if target else ""
    found = f"HTTP {response.status}{to} in {milliseconds(seconds)}, {named}{demand}"
    return Finding(step="http", status="ok", tried=tried, found=found, details=details)


def challenges(response: Response) -> list[str]:
    """The login schemes that a response offers (RFC 9110, section 11.6.1)."""
    found = (_SCHEME.finditer(value) for value in response.get_all(b"www-authenticate"))
    return list(dict.fromkeys(each["name"][:20] for values in found for each in values))


def on_clock(response: Response, now: datetime) -> Finding:
    """The difference between the clocks of this machine and of the server.

    Args:
        response: any response.
        now: the time by the clock of this machine when it came, aware.
    """
    from email.utils import parsedate_to_datetime  # as in `protocol.responses`

    tried = "Date of the response, compared with the clock of this machine"
    local = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    try:
        date = parsedate_to_datetime(response.get(b"date") or "")
        ahead = (now - (date if date.tzinfo else date.replace(tzinfo=UTC))).total_seconds()
        ahead -= _age(response)
    except (ValueError, OverflowError):
        return Finding(
            step="clock",
            status="ok",
            tried=tried,
            found=f"the response has no valid Date; the clock says {local}",
            details={"local_time": now.isoformat(timespec="seconds"), "seconds_ahead": None},
        )
    details: dict[str, Detail] = {"local_time": now.isoformat(timespec="seconds"), "seconds_ahead": round(ahead)}
    if abs(ahead) <= _SKEW:
        return Finding(step="clock", status="ok", tried=tried, found=f"they agree; {local}", details=details)
    return Finding(
        step="clock",
        status="warning",
        tried=tried,
        found=f"the clock of this machine says {local}, {abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} the"
        " server",
        advice="set the clock of this machine; with a wrong one, good certificates and tokens count as expired",
        details=details,
    )


def _age(response: Response) -> int:
    """Seconds for which a cache in front of the server has kept the response (RFC 9111, section 5.1)."""
    text = response.get(b"age") or ""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0


# --- applications ---


def contexts_to_try(context: str, location: str | None) -> list[str]:
    """Paths in front of ``/profiles`` under which the applications may be instead.

    Args:
        context: the path of the URL that was given, which is left out.
        location: where the root of the server redirects to; None if it does not.
    """
    parts = context.split("/")[1:]
    shorter = ["".join(f"/{part}" for part in parts[:count]) for count in range(len(parts) - 1, -1, -1)]
    path = re.sub(r"^https?://[^/]*", "", location or "")
    found = _ROOT.fullmatch(path)
    candidates = [*([found["context"]] if found else []), *shorter, "", *_USUAL]
    return [candidate for candidate in dict.fromkeys(candidates) if candidate != context]


def on_profiles(address: Address, facts: DocumentFacts, *, moved_from: Address | None = None) -> Finding:
    """Profiles was found.

    Args:
        address: where it is.
        facts: what its document says.
        moved_from: the address that was given, if the server redirects from there.
    """
    url = f"{address.origin}{address.context}"
    details: dict[str, Detail] = {"url": url, "context": address.context, "version": facts.version}
    tried = f"search for Profiles at {(moved_from or address).origin}{(moved_from or address).context}/profiles"
    found = f"found{_version(facts)}"
    if moved_from is None:
        return Finding(step="profiles", status="ok", tried=tried, found=found, details=details)
    return Finding(
        step="profiles",
        status="warning",
        tried=tried,
        found=f"the server redirects to {url}/profiles: {found}",
        advice=f"use --url {url}, which saves a request each time",
        details=details,
    )


def _version(facts: DocumentFacts) -> str:
    return f", version {facts.version}" if facts.version else ", which does not name its version"


def absent(address: Address, request: Request, response: Response, elsewhere: Address | None) -> Finding:
    """Profiles was not found at the URL; maybe under another path of the server."""
    where = f"{address.origin}{address.context}/profiles"
    error = foreign_error(request, response, f"Profiles service at {where}")
    more, advice = "", "check the URL: its path is what precedes /profiles in the address bar of a browser"
    if elsewhere is not None:
        url = f"{elsewhere.origin}{elsewhere.context}"
        more, advice = f"it is at {url}/profiles", f"use --url {url}"
    elif names_stopped_application(response):
        more = "the application server reports that the application is stopped or not installed"
        advice = "check the URL, or ask the administrator to start Profiles"
    return failed(
        "profiles",
        f"search for Profiles at {where}",
        error,
        more=more,
        advice=advice,
        details={"url": None if elsewhere is None else f"{elsewhere.origin}{elsewhere.context}"},
    )


def needs_login(address: Address, request: Request, response: Response, *, has_login: bool) -> Finding | None:
    """The finding for a response that only a login could explain, or that redirects to another server.

    None if the login should be tried.
    """
    error: ConnectionsError = error_of(request, response)
    tried = f"search for Profiles at {address.origin}{address.context}/profiles"
    other = _other_server(address, response) if 300 <= response.status < 400 else None
    if other is not None:
        problem = f"{request.shown} redirects to {other.origin}: check the URL"
        error = UnexpectedResponseError(response.status, None, problem)
    if isinstance(error, UnexpectedResponseError):
        return failed("profiles", tried, error, advice=f"use --url {other.origin}{other.context}" if other else "")
    if has_login:
        return None
    if response.status == 401:
        error = AuthenticationError(401, None, "the server shows nothing without a login")
    return failed("profiles", tried, error, advice="pass --user, or --token-file")


def _other_server(address: Address, response: Response) -> Address | None:
    """The address on another server, or with another scheme, to which Profiles is redirected; None for a login page."""
    found = _CONFIGS.fullmatch(response.get(b"location") or "")
    try:
        other = None if found is None else Address.of(found["url"])
    except InvalidInputError:
        return None
    return None if other is None or other.origin == address.origin else other


def on_communities(address: Address, report: CanaryReport, facts: DocumentFacts) -> Finding:
    """Whether Communities was found; a server can be without it."""
    url = f"{address.origin}{address.context}/communities"
    tried = f"search for Communities at {url}"
    details: dict[str, Detail] = {"result": report.result.name.lower(), "version": facts.version}
    if report.result.name == "GOOD":
        return Finding(step="communities", status="ok", tried=tried, found=f"found{_version(facts)}", details=details)
    stopped = ", which reports that the application is stopped or not installed" if report.stopped else ""
    return Finding(
        step="communities",
        status="warning",
        tried=tried,
        found=f"not found: {report.result.value}{stopped}",
        advice="if you use the commands community or invitations, ask the administrator of the server; else do nothing",
        details=details,
    )


def on_closed_communities(tried: str, response: Response, *, is_token: bool) -> Finding:
    """Communities did not accept the login that Profiles has accepted."""
    scheme = "Bearer" if is_token else "Basic"
    return Finding(
        step="communities",
        status="warning",
        tried=tried,
        found=f"HTTP {response.status}: Communities does not accept the login that Profiles accepted",
        advice="if you use the commands community or invitations, ask the administrator of the server to allow"
        f" {scheme} for the paths below /communities/service/atom; else do nothing",
        details={"result": "unclear", "version": None},
    )


# --- login ---


def read_service_document(request: Request, response: Response, *, is_found: bool) -> ServiceDocument:
    """The service document of the signed-in user.

    Args:
        request: the request.
        response: the response.
        is_found: whether Profiles is known to be there.

    Raises:
        ResponseError: the login was refused, or something other than Profiles responded.
        AtomError: the document cannot be read.
    """
    if is_doubtful(response) and response.status != 403:
        at = request.shown.removesuffix("/atom/profileService.do")
        raise foreign_error(request, response, None if is_found else f"Profiles service at {at}")
    expect(request, response, 200)
    document = service_document(response.body, charset=response.charset)
    if document is None or not (document.userid or document.key):
        raise UnexpectedResponseError(200, None, "the server does not say who is signed in")
    return document


def on_login(tried: str) -> Finding:
    """The login was accepted."""
    return Finding(step="login", status="ok", tried=tried, found="accepted", details={"attempts": 1})


def refused(tried: str, error: ConnectionsError, response: Response | None, *, is_token: bool) -> Finding:
    """The login was not accepted, or what responded is not Profiles.

    Args:
        tried: what was tried.
        error: the error.
        response: the response; None without one.
        is_token: whether the login is a bearer token.
    """
    advice = ""
    schemes = [] if response is None else challenges(response)
    if isinstance(error, AuthenticationError) and error.status == 401:
        wanted = "Bearer" if is_token else "Basic"
        names = {scheme.lower() for scheme in schemes}
        if schemes and wanted.lower() not in names:
            advice = (
                f"the server offers only {', '.join(schemes)}, which this library does not speak; ask the administrator"
                f" to allow {wanted} for the paths below /profiles/atom and /communities/service/atom"
            )
        elif is_token:
            advice = "get a new token, or check --token-paths"
        else:
            advice = (
                "check the user and the password; if they are right, sign in with a browser: the account may be locked"
                " or expired. The login was sent once and is not repeated, because servers lock accounts"
            )
    details: dict[str, Detail] = {"attempts": 1, "login_schemes": schemes}
    return failed("login", tried, error, advice=advice, details=details)


def on_user(document: ServiceDocument, facts: DocumentFacts) -> Finding:
    """Who is signed in."""
    userid = None if document.userid is None else document.userid.value
    key = None if document.key is None else document.key.value
    ids = ", ".join(f"{name} {value}" for name, value in (("userid", userid), ("key", key)) if value)
    return Finding(
        step="user",
        status="ok",
        tried="service document of the signed-in user",
        found=f"{facts.title} ({ids})" if facts.title else ids,
        details={"name": facts.title, "userid": userid, "key": key},
    )


def on_emails(facts: DocumentFacts, path: str) -> Finding:
    """Whether the server shows e-mail addresses."""
    tried, details = f"GET {path}", {"emails": facts.emails}
    if facts.emails == "exposed":
        found = "e-mail addresses are shown, and people may be named by them"
        return Finding(step="emails", status="ok", tried=tried, found=found, details=details)
    if facts.emails == "hidden":
        return Finding(
            step="emails",
            status="ok",
            tried=tried,
            found="e-mail addresses are hidden, and requests that contain them are refused",
            advice="name people by userid or key in all files",
            details=details,
        )
    return Finding(
        step="emails",
        status="warning",
        tried=tried,
        found="it does not say whether e-mail addresses are hidden",
        advice="if rows with e-mail addresses are rejected, name people by userid or key",
        details=details,
    )


def on_administrator(request: Request, response: Response) -> Finding:
    """Whether the signed-in user is an administrator of Profiles; reading needs that role, and changes nothing."""
    tried = f"GET {request.path} (for administrators of Profiles)"
    is_document = response.status == 200 and response.media_type == "application/atomsvc+xml"
    is_refused = response.status == 403
    known = True if is_document else False if is_refused and response.is_own_form else None
    unknown = (
        "in a page that a server in front may have written" if is_refused else "instead of the document or a refusal"
    )
    found = {
        True: "the signed-in user is an administrator",
        False: "HTTP 403: the signed-in user is not an administrator",
        None: f"not known: HTTP {response.status} {unknown}",
    }[known]
    return Finding(
        step="administrator",
        status="warning" if known is None else "ok",
        tried=tried,
        found=found,
        advice="ask the administrator of the server if you use connect or disconnect" if known is None else "",
        details={"administrator": known, "status": response.status},
    )


# --- speed ---


def on_keep_alive(response: Response, *, requests: int = 0, opened: int = 0) -> Finding:
    """How long the server keeps connections open.

    Args:
        response: the first response on a connection.
        requests: how many requests the latency was measured with.
        opened: how many connections these requests needed, besides the open one.
    """
    tried = "Connection and Keep-Alive headers"
    tokens = {token.strip().lower() for value in response.get_all(b"connection") for token in value.split(",")}
    limits = {
        name: int(number)
        for value in response.get_all(b"keep-alive")
        for name, number in re.findall(r"\b(timeout|max)\s*=\s*([0-9]{1,9})", value.lower())
    }
    timeout, most = limits.get("timeout"), limits.get("max")
    says, does = "close" in tokens, requests > 1 and opened * 2 > requests
    details: dict[str, Detail] = {"closes": says or does, "timeout": timeout, "max": most}
    if says or does:
        found = f"the server closes connections without saying so: {requests} requests needed {opened} new ones"
        return Finding(
            step="keep_alive",
            status="warning",
            tried=tried,
            found="Connection: close; each request needs a new connection" if says else found,
            advice="ask the administrator of the server to turn keep-alive on, which saves most of the time",
            details=details,
        )
    parts = [f"closes a connection after {timeout} s without a request"] if timeout is not None else []
    parts += [f"accepts {most:,} requests on one"] if most is not None else []
    found = f"the server {' and '.join(parts)}" if parts else "connections are kept, and no limits are named"
    few = most is not None and most < _FEW_REQUESTS
    short = timeout is not None and timeout < _IDLE
    advice = "ask the administrator of the server to allow more requests on one connection" if few else ""
    if short and not few:
        advice = f"ask the administrator of the server for a KeepAliveTimeout above {_IDLE:g} s"
    return Finding(
        step="keep_alive",
        status="warning" if few or short else "ok",
        tried=tried,
        found=found,
        advice=advice,
        details=details,
    )


def on_latency(seconds: Sequence[float], planned: int, failure: ConnectionsError | None) -> Finding:
    """The latency of the service document.

    Args:
        seconds: of each response.
        planned: how many requests were planned.
        failure: why fewer responses came; None if all came.
    """
    tried = f"GET of the service document, {planned} times, one after another"
    advice = ""
    if isinstance(failure, AuthenticationError):
        advice = (
            "ask the administrator of the server why it refuses a login that it accepted before: maybe one of several"
            " servers behind this URL does not know the user"
        )
    if not seconds and failure is not None:
        return failed("latency", tried, failure, advice=advice, details={"requests": 0})
    p50, p95 = percentile(seconds, 0.5), percentile(seconds, 0.95)
    details: dict[str, Detail] = {
        "requests": len(seconds),
        "p50_ms": round(p50 * 1_000, 2),
        "p95_ms": round(p95 * 1_000, 2),
    }
    found = f"p50 {milliseconds(p50)}, p95 {milliseconds(p95)}"
    if failure is not None:
        more = f"{found} of the {len(seconds)} before it"
        return failed("latency", tried, failure, more=more, advice=advice, details=details)
    return Finding(step="latency", status="ok", tried=tried, found=found, details=details)


def on_max_connections(p95: float, *, rate: float | None, given: int) -> Finding:
    """A proposal for ``--max-connections``.

    Args:
        p95: 95th percentile of the latency in seconds.
        rate: the value of ``--max-per-second``; None for no limit.
        given: the value of ``--max-connections``.
    """
    wanted = FASTEST if rate is None else min(rate, FASTEST)
    found = proposal(p95=p95, rate=rate)
    speed = f"{found.per_second:,.0f}" if found.per_second >= 10 else f"{found.per_second:.2g}"
    text = f"--max-connections {found.max_connections} is enough for {speed} requests per second"
    if found.limited:
        text = (
            f"--max-connections {found.max_connections}, the most that is proposed, gives {speed} requests per second"
        )
    return Finding(
        step="max_connections",
        status="ok",
        tried=f"what {wanted:g} requests per second need at the p95",
        found=text,
        advice=f"pass --max-connections {found.max_connections}" if given < found.max_connections else "",
        details={
            "max_connections": found.max_connections,
            "max_per_second": round(found.per_second, 2),
            "given": given,
        },
    )


def is_wrong_place(error: ConnectionsError) -> bool:
    """Whether an error says that Profiles is not there."""
    return isinstance(error, ForeignResponseError) and error.wrong_address
