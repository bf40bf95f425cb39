"""The steps of an examination that send requests: what responds, who is signed in, and how fast it is.

All requests are GET, and change nothing. Redirects are not followed. One within the server is looked at without a
login. If it is permanent, the library would follow it, and the login is sent to its target directly; otherwise Profiles
counts as missing at the URL.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from attrs import evolve

from aioconnections.doctor import service_verdicts as verdicts
from aioconnections.doctor.findings import Finding, Findings, Step, failed
from aioconnections.doctor.proposal import percentile
from aioconnections.doctor.sender import PacedSender, TimedResponse
from aioconnections.doctor.service_verdicts import DocumentFacts
from aioconnections.errors import ConnectionsError, ResponseError, TransportError
from aioconnections.protocol.address import Address
from aioconnections.protocol.canary import CanaryReport, CanaryResult
from aioconnections.protocol.messages import Request, Response
from aioconnections.protocol.responses import expect

__all__ = ["MEASURED", "ServiceSteps"]

MEASURED = 20
"""How many requests the latency is measured with."""

_PERMANENT = frozenset({301, 308})
_CONFIGS = "/profiles/serviceconfigs"
_ONLY_THERE = "Profiles was not found, and the login is sent only there"


class ServiceSteps:
    """Takes the steps from ``http`` on.

    Args:
        address: address of the server.
        sender: sends the requests.
        findings: receives the findings.
        login: what reports call the login, such as ``the login of ajones``; None without one.
        is_token: whether the login is a bearer token.
        max_connections: what the proposal is compared with.
        max_per_second: limit on the rate; None for no limit.
        now: the clock of this machine.
    """

    def __init__(
        self,
        address: Address,
        sender: PacedSender,
        findings: Findings,
        *,
        login: str | None,
        is_token: bool,
        max_connections: int,
        max_per_second: float | None,
        now: Callable[[], datetime],
    ) -> None:
        self._address = address
        self._sender = sender
        self._findings = findings
        self._login = login
        self._is_token = is_token
        self._max_connections = max_connections
        self._max_per_second = max_per_second
        self._now = now
        self._configs: Response | None = None  # the document ``serviceconfigs``, once it was read
        self._signed_in: Response | None = None  # the service document, once the login was accepted

    async def take(self) -> str:
        """Take all steps; returns why those that are left were not taken, or an empty string."""
        request = verdicts.anonymous_request(self._address, "profiles")
        tried = f"GET {request.path} without a login"
        first = await self._response("http", tried, request)
        if first is None:
            return "the request over HTTP failed"
        now = self._now()
        if self._add(verdicts.on_http(request, first.response, first.seconds)).status == "failed":
            return "the server is not available"
        self._add(verdicts.on_clock(first.response, now))
        await self._profiles_and_login(request, first.response)
        await self._communities()
        await self._emails()
        if self._signed_in is not None:
            await self._administrator()
        self._findings.skip("keep_alive", "the login was not accepted or not sent")
        if self._signed_in is None:
            self._add(verdicts.on_keep_alive(first.response))
            return "the latency is that of the service document, which needs a login"
        return await self._speed(self._signed_in)

    def _add(self, finding: Finding) -> Finding:
        return self._findings.add(finding)

    async def _response(self, step: Step, tried: str, request: Request) -> TimedResponse | None:
        """The response to a request; None if there is none, which is reported as the failure of a step."""
        try:
            return await self._sender.send(request)
        except TransportError as error:
            self._add(failed(step, tried, error))
        return None

    # --- Profiles and login ---

    async def _profiles_and_login(self, request: Request, response: Response) -> None:
        """The steps ``profiles``, ``login`` and ``user``."""
        given, address = self._address, self._address
        result = verdicts.canary_report(address, "profiles", response).result
        if 300 <= response.status < 400:
            moved, shown = await self._moved(request, response)
            if moved is not None and shown is not None and response.status not in _PERMANENT:
                self._add(verdicts.absent(address, request, response, moved))
                self._address = moved
                self._findings.skip("communities", _ONLY_THERE)
                return
            if moved is not None and shown is not None:
                self._address, response, result = moved, shown, CanaryResult.GOOD
        if result is CanaryResult.GOOD:
            self._configs = response if response.status == 200 else None
            facts = verdicts.facts_of_document(response)
            self._add(verdicts.on_profiles(self._address, facts, moved_from=given if self._address != given else None))
            await self._sign_in(is_found=True)
            return
        if result is CanaryResult.UNCLEAR:
            finding = verdicts.needs_login(address, request, response, has_login=self._login is not None)
            if finding is None:
                await self._sign_in(is_found=False)
                return
        else:
            elsewhere = await self._elsewhere()
            finding = verdicts.absent(address, request, response, elsewhere)
            self._address = elsewhere or address
        self._add(finding)
        self._findings.skip("communities", _ONLY_THERE)

    async def _moved(self, request: Request, response: Response) -> tuple[Address | None, Response | None]:
        """The address to which a redirect within the server leads, if Profiles responds there, and its response."""
        target = self._address.redirected(request.target, response.get(b"location") or "")
        if target is None or "?" in target or not target.endswith(_CONFIGS):
            return None, None
        address = evolve(self._address, context=target.removesuffix(_CONFIGS))
        shown = await self._shown(address)
        return (address, shown) if shown is not None else (None, None)

    async def _shown(self, address: Address) -> Response | None:
        """The response of Profiles at an address; None if something else responds there, or nothing."""
        try:
            response = (await self._sender.send(verdicts.anonymous_request(address, "profiles"))).response
        except TransportError:
            return None
        result = verdicts.canary_report(address, "profiles", response).result
        return response if result is CanaryResult.GOOD else None

    async def _elsewhere(self) -> Address | None:
        """Another address of this server at which Profiles responds; None if none is known."""
        try:
            root = (await self._sender.send(Request("GET", "/", anonymous=True))).response
        except TransportError:
            return None
        location = root.get(b"location") if 300 <= root.status < 400 else None
        for context in verdicts.contexts_to_try(self._address.context, location):
            address = evolve(self._address, context=context)
            if await self._shown(address) is not None:
                return address
        return None

    async def _sign_in(self, *, is_found: bool) -> None:
        """The steps ``login`` and ``user``, and before them ``profiles`` unless it was found already.

        The login is sent over a new connection, so that it is not sent again after a closed one.
        """
        if self._login is None:
            self._findings.skip("communities", "neither --user nor a token was given")
            return
        request = Request("GET", f"{self._address.profiles}/profileService.do", fresh=True)
        tried = f"GET {request.path} with {self._login}, once"
        response: Response | None = None
        try:
            response = (await self._sender.send(request)).response
            document = verdicts.read_service_document(request, response, is_found=is_found)
        except ConnectionsError as error:
            if verdicts.is_wrong_place(error) and response is not None:
                elsewhere = await self._elsewhere()
                self._add(verdicts.absent(self._address, request, response, elsewhere))
            self._findings.skip("login", "Profiles shows itself only to an accepted login")
            self._add(verdicts.refused(tried, error, response, is_token=self._is_token))
            self._findings.skip("communities", "the login was not accepted")
            return
        facts = verdicts.facts_of_document(response)
        if not is_found:
            self._add(verdicts.on_profiles(self._address, facts))
        self._signed_in = response
        self._add(verdicts.on_login(tried))
        self._add(verdicts.on_user(document, facts))

    # --- what else the server has ---

    async def _communities(self) -> None:
        address = self._address
        request = verdicts.anonymous_request(address, "communities")
        tried = f"GET {request.path}"
        response = await self._response("communities", tried, request)
        if response is None:
            return
        shown = response.response
        report = verdicts.canary_report(address, "communities", shown)
        if report.result is CanaryResult.UNCLEAR and self._signed_in is not None:
            mine = Request("GET", f"{address.communities}/community/invites/my?page=1&ps=1")
            tried = f"GET {mine.path}"
            response = await self._response("communities", tried, mine)
            if response is None:
                return
            shown = response.response
            if shown.status == 200 and shown.media_type == "application/atom+xml":
                report = CanaryReport(CanaryResult.GOOD, needs_login=True)
        if report.result is CanaryResult.UNCLEAR and self._signed_in is not None:
            self._add(verdicts.on_closed_communities(tried, shown, is_token=self._is_token))
            return
        if report.result is CanaryResult.UNCLEAR:
            self._findings.skip("emails", "Communities shows itself only to an accepted login")
            return
        self._add(verdicts.on_communities(address, report, verdicts.facts_of_document(shown)))

    async def _emails(self) -> None:
        request = Request("GET", f"{self._address.context}{_CONFIGS}")
        if self._configs is None and self._signed_in is not None:
            response = await self._response("emails", f"GET {request.path}", request)
            if response is None:
                return
            self._configs = response.response
        if self._configs is None:
            self._findings.skip("administrator", "the document that says so was not found, or needs a login")
        else:
            facts = verdicts.facts_of_document(self._configs) if self._configs.status == 200 else DocumentFacts()
            self._add(verdicts.on_emails(facts, request.path))

    async def _administrator(self) -> None:
        request = Request("GET", f"{self._address.administration}/profileService.do")
        response = await self._response("administrator", f"GET {request.path}", request)
        if response is not None:
            self._add(verdicts.on_administrator(request, response.response))

    # --- speed ---

    async def _speed(self, signed_in: Response) -> str:
        """The steps ``keep_alive``, ``latency`` and ``max_connections``; the measurement ends at the first failure."""
        opened = self._sender.opened or (lambda: 0)
        before = opened()
        seconds: list[float] = []
        failure: ConnectionsError | None = None
        for _ in range(MEASURED):
            request = Request("GET", f"{self._address.profiles}/profileService.do")
            try:
                timed = await self._sender.send(request)
                expect(request, timed.response, 200)
            except (ResponseError, TransportError) as error:
                failure = error
                break
            seconds.append(timed.seconds)
        self._add(verdicts.on_keep_alive(signed_in, requests=len(seconds), opened=opened() - before))
        if self._add(verdicts.on_latency(seconds, MEASURED, failure)).status == "failed":
            return "the latency is not known"
        p95 = percentile(seconds, 0.95)
        self._add(verdicts.on_max_connections(p95, rate=self._max_per_second, given=self._max_connections))
        return ""
