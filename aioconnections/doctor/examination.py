"""Tries each step of the way to a server, in order, and reports a finding for each.

The steps of the network come first: only over a verified connection, or an http URL, are requests sent. `ServiceSteps`
sends them. A step after a failed one is reported as skipped, so that every examination reports all steps once.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import anyio
from attrs import field

from aioconnections.auth.credentials import Auth, Bearer
from aioconnections.doctor import network_verdicts as verdicts
from aioconnections.doctor.findings import Finding, Findings
from aioconnections.doctor.probes import (
    Handshake,
    SocketAddress,
    accepted_versions,
    look_up,
    reach,
    shake_hands,
    unverified,
)
from aioconnections.doctor.sender import PacedSender
from aioconnections.doctor.service import ServiceSteps
from aioconnections.errors import InvalidInputError, UsageError
from aioconnections.protocol.address import Address
from aioconnections.protocol.messages import NO_HEADERS, Headers, Response
from aioconnections.reprs import frozen
from aioconnections.transport import Engine
from aioconnections.transport.proxies import Proxy, proxy_variable
from aioconnections.transport.tls import ClientCert, Trust, Verify

__all__ = ["Patient", "examine"]


@frozen(kw_only=True)
class Patient:
    """The server to examine, and how a client would reach it.

    Attributes:
        address: address of the server.
        auth: the login; None to send no request that needs one.
        user: name of the user, for reports; None for a token.
        headers: the headers of every request, without the login.
        verify: see `Client`.
        client_cert: see `Client`.
        trust_env: whether to use the proxy that the environment names.
        seconds: time allowed for each step, and for each request.
        max_connections: what the proposal is compared with.
        max_per_second: limit on the rate; None for no limit.
    """

    address: Address
    auth: Auth | None = field(repr=False)
    user: str | None
    headers: Headers
    verify: Verify
    client_cert: ClientCert | None = field(repr=False)  # may hold a password
    trust_env: bool
    seconds: float
    max_connections: int
    max_per_second: float | None

    @property
    def login(self) -> str | None:
        """What reports call the login; None without one."""
        if self.auth is None:
            return None
        return "the token" if self.user is None else f"the password of {self.user}"


async def examine(
    patient: Patient, report: Callable[[Finding], object], now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> list[Finding]:
    """Examine a server and return the findings, one for each of `STEPS`, in their order.

    Args:
        patient: the server.
        report: called with each finding as soon as it is known.
        now: the clock of this machine.

    Raises:
        InvalidInputError: the certificates of `verify` or `client_cert` cannot be used.
    """
    findings = Findings(report)
    await _Examination(patient, findings, now).run()
    return findings.all


class _Examination:
    def __init__(self, patient: Patient, findings: Findings, now: Callable[[], datetime]) -> None:
        self._patient = patient
        self._origin = patient.address.origin
        self._findings = findings
        self._now = now
        self._trust = Trust(patient.verify, patient.client_cert) if self._origin.scheme == "https" else None

    async def run(self) -> None:
        self._findings.skip(None, await self._reach_server())

    def _report(self, finding: Finding) -> Finding:
        return self._findings.add(finding)

    async def _reach_server(self) -> str:
        """Take the steps; returns why those that are left were not taken, or an empty string."""
        found = _proxy_in_use(self._patient)
        if self._report(verdicts.on_proxy(found, self._origin)).status == "failed":
            return "the proxy cannot be used"
        if found.proxy is not None:
            self._findings.skip("http", verdicts.through_proxy(found.proxy))
        else:
            why = await self._network()
            if why:
                return why
        return await self._service(found.proxy)

    async def _network(self) -> str:
        addresses = await self._look_up()
        if not addresses:
            return "the name lookup failed"
        reached = await reach(addresses, self._patient.seconds)
        if self._report(verdicts.on_tcp(reached, self._patient.seconds)).status == "failed":
            return "no TCP connection was opened"
        if self._trust is None:
            for finding in verdicts.over_http(self._origin, has_login=self._patient.auth is not None):
                self._report(finding)
            return ""
        working = next(each.address for each in reached if each.seconds is not None)
        return await self._tls(working, self._trust.context())

    async def _look_up(self) -> list[SocketAddress]:
        patient, origin, error = self._patient, self._origin, None
        addresses: list[SocketAddress] = []
        begun = anyio.current_time()
        with anyio.move_on_after(patient.seconds):
            try:
                addresses = await look_up(origin.host, origin.port)
            except (OSError, UnicodeError) as raised:
                error = raised
        took = anyio.current_time() - begun
        self._report(verdicts.on_lookup(origin, addresses, error, took, patient.seconds))
        return addresses

    async def _tls(self, address: SocketAddress, context: ssl.SSLContext) -> str:
        seconds, name = self._patient.seconds, self._origin.server_name
        handshake = await self._handshake(address, context)
        versions = {} if handshake is None else await accepted_versions(address, name, seconds)
        if self._report(verdicts.on_tls(address, handshake, versions, seconds)).status == "failed" or handshake is None:
            return "the TLS handshake failed"
        from aioconnections.doctor.certificates import facts_of  # the only use of cryptography

        chain, refusal = handshake.chain, handshake.failure
        if not chain:
            described = await self._handshake(address, unverified())
            chain = described.chain if described is not None else ()
        error = refusal if isinstance(refusal, ssl.SSLCertVerificationError) else None
        finding = verdicts.on_certificate(self._origin, error, facts_of(chain), self._now())
        return "the certificate was refused" if self._report(finding).status == "failed" else ""

    async def _handshake(self, address: SocketAddress, context: ssl.SSLContext) -> Handshake | None:
        """One handshake; None if it did not end in time."""
        with anyio.move_on_after(self._patient.seconds):
            try:
                return await shake_hands(address, context, self._origin.server_name)
            except OSError as error:  # the server accepts no second connection
                return Handshake(None, None, (), error, answered=False)
        return None

    async def _service(self, proxy: Proxy | None) -> str:
        patient = self._patient
        login = NO_HEADERS if patient.auth is None else await patient.auth.headers(_no_request, None)
        engine, opened = self._engine(proxy)
        sender = PacedSender(
            engine,
            self._origin,
            patient.headers,
            login,
            seconds=patient.seconds,
            max_per_second=patient.max_per_second,
            opened=opened,
        )
        steps = ServiceSteps(
            patient.address,
            sender,
            self._findings,
            login=patient.login,
            is_token=isinstance(patient.auth, Bearer),
            max_connections=patient.max_connections,
            max_per_second=patient.max_per_second,
            now=self._now,
        )
        try:
            return await steps.take()
        finally:
            with anyio.CancelScope(shield=True):
                await engine.aclose()

    def _engine(self, proxy: Proxy | None) -> tuple[Engine, Callable[[], int] | None]:
        """The transport that a client would use, and what returns how many connections it has opened."""
        patient = self._patient
        if proxy is not None:
            from aioconnections.transport.via_httpx import HttpxEngine  # httpx costs 100 ms to import

            return HttpxEngine(verify=patient.verify, client_cert=patient.client_cert, proxy=proxy), None
        from aioconnections.transport.pool import LanePool

        verify = True if self._trust is None else self._trust.context()
        pool = LanePool(max_connections=1, verify=verify)
        return pool, lambda: pool.opened


async def _no_request(
    method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Response:
    """Refuse the requests of a login that needs some of its own, such as a token that must be refreshed."""
    del method, url, headers, body
    raise UsageError("doctor examines a password or a token, not a login that sends requests of its own")


def _proxy_in_use(patient: Patient) -> verdicts.ProxyInUse:
    variable = proxy_variable(patient.address.origin)
    if variable is None or not patient.trust_env:
        return verdicts.ProxyInUse(variable)
    try:
        return verdicts.ProxyInUse(variable, Proxy.of(variable, os.environ[variable]))
    except InvalidInputError as error:
        return verdicts.ProxyInUse(variable, error=error)
