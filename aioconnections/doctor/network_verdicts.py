"""Verdicts on the way to the server: proxy, name lookup, TCP, TLS and certificate. Pure."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aioconnections.doctor.findings import Detail, Finding, failed, milliseconds, skipped
from aioconnections.doctor.probes import VERSIONS, Handshake, Reached, SocketAddress, shown_address
from aioconnections.errors import ConnectionsError, DeadlineError, InvalidInputError
from aioconnections.protocol.messages import Origin
from aioconnections.reprs import frozen
from aioconnections.transport.connect import NOT_CONNECTED_IN_TIME, connect_error
from aioconnections.transport.limits import UNTRUSTED_CODES, local_limit_error
from aioconnections.transport.proxies import Proxy, is_loopback

if TYPE_CHECKING:
    from aioconnections.doctor.certificates import CertificateFacts

__all__ = ["ProxyInUse", "on_certificate", "on_lookup", "on_proxy", "on_tcp", "on_tls", "over_http", "through_proxy"]

_SOON = 14  # days of validity below which a certificate should be replaced
_EXPIRED, _NOT_YET = 10, 9  # OpenSSL's X509_V_ERR_ codes
_OTHER_HOST = frozenset({62, 64})
_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})

_REPLACE = "ask the administrator of the server for a new certificate"
_NOT_SENT = "in fact, that of a CA that this machine trusts has expired, and none that the server sent"
_REPLACE_CA = "replace the certificate of this CA on this machine, or in the file of --ca-file, if the clock is right"
_OTHER_ADDRESSES = (
    "if that is intended, do nothing: connections use the other addresses, which takes up to 0.25 s longer; else let"
    " the server listen at every address, or correct the name"
)


@frozen
class ProxyInUse:
    """What the environment says about a proxy for a server.

    Attributes:
        variable: the variable that names one; None if none applies.
        proxy: the proxy, if it is used; else None.
        error: why its URL cannot be used; else None.
    """

    variable: str | None
    proxy: Proxy | None = None
    error: InvalidInputError | None = None


def on_proxy(found: ProxyInUse, origin: Origin) -> Finding:
    """Whether a proxy applies, and whether it is used."""
    tried = "proxy in the environment"
    variable = found.variable
    details = {"variable": variable, "used": found.proxy is not None}
    if found.error is not None:
        return failed("proxy", tried, found.error, advice=f"correct {variable}", details=details)
    if found.proxy is not None:
        named = f"{found.proxy.url}, which {variable} names, is used"
        return Finding(step="proxy", status="ok", tried=tried, found=named, details=details)
    if variable is None:
        return Finding(step="proxy", status="ok", tried=tried, found=f"none applies to {origin.host}", details=details)
    return Finding(
        step="proxy",
        status="warning",
        tried=tried,
        found=f"{variable} names a proxy, which is not used",
        advice=f"pass --trust-env to use it; else list {origin.host} in NO_PROXY",
        details=details,
    )


def through_proxy(proxy: Proxy) -> str:
    """Why the steps up to TLS are not tried: they are those of the proxy."""
    return f"{proxy.url} connects to the server"


def on_lookup(
    origin: Origin,
    addresses: Sequence[SocketAddress],
    error: OSError | UnicodeError | None,
    seconds: float,
    allowed: float,
) -> Finding:
    """The result of the name lookup; without addresses and without an error, it took too long."""
    tried = f"lookup of {origin.host}"
    if addresses:
        hosts = [address[1][0] for address in addresses]
        found = f"{', '.join(hosts)} (in {milliseconds(seconds)})"
        return Finding(step="name", status="ok", tried=tried, found=found, details={"addresses": hosts})
    if error is None:
        late = DeadlineError(f"the host name was not resolved within {allowed:g} s", sent="no")
        return failed("name", tried, late, advice="check the name servers of this machine")
    return failed("name", tried, connect_error([error]), advice="check the host in the URL")


def on_tcp(reached: Sequence[Reached], allowed: float) -> Finding:
    """Which of the addresses accept connections."""
    tried = f"TCP connection to {', '.join(shown_address(each.address) for each in reached)}"
    good = [each for each in reached if each.seconds is not None]
    bad = [each for each in reached if each.seconds is None]
    details: dict[str, Detail] = {
        "connected": [shown_address(each.address) for each in good],
        "not_connected": [shown_address(each.address) for each in bad],
    }
    failures = [each.failure for each in bad if each.failure is not None]
    if not good:
        error = connect_error(failures) if failures else DeadlineError(NOT_CONNECTED_IN_TIME, sent="no")
        return failed("tcp", tried, error, more=_each(bad, allowed) if len(bad) > 1 else "", details=details)
    took = ", ".join(milliseconds(each.seconds) for each in good if each.seconds is not None)
    if not bad:
        return Finding(step="tcp", status="ok", tried=tried, found=f"connected in {took}", details=details)
    # Without a route, as to IPv6 addresses from a network without IPv6, the next address is tried at once.
    harmless = all(each.failure is not None and each.failure.errno in _NO_ROUTE for each in bad)
    limit = local_limit_error(failures)
    advice = str(limit).partition("; ")[2] if limit is not None else "" if harmless else _OTHER_ADDRESSES
    working = ", ".join(shown_address(each.address) for each in good)
    return Finding(
        step="tcp",
        status="ok" if harmless else "warning",
        tried=tried,
        found=f"{working} connected in {took}; {_each(bad, allowed)}",
        advice=advice,
        details=details,
    )


def _each(bad: Sequence[Reached], allowed: float) -> str:
    return ", ".join(f"{shown_address(each.address)} {_tcp_problem(each.failure, allowed)}" for each in bad)


def _tcp_problem(failure: OSError | None, allowed: float) -> str:
    if failure is None:
        return f"did not respond within {allowed:g} s"
    limit = local_limit_error([failure])
    if limit is not None:
        return f"was not tried, because {str(limit).partition('; ')[0]}"
    if isinstance(failure, ConnectionRefusedError):
        return "refused the connection"
    return "is out of reach from this machine"


def over_http(origin: Origin, *, has_login: bool) -> list[Finding]:
    """The findings on TLS for an http URL."""
    why = "the URL is http"
    if is_loopback(origin.host):
        return [skipped("tls", why), skipped("certificate", why)]
    exposed = "the login and all data are" if has_login else "all data are"
    warning = Finding(
        step="tls",
        status="warning",
        tried="scheme of the URL",
        found=f"http: {exposed} sent unencrypted",
        advice="use an https URL",
    )
    return [warning, skipped("certificate", why)]


def on_tls(
    address: SocketAddress, handshake: Handshake | None, versions: Mapping[str, bool], allowed: float
) -> Finding:
    """The result of the TLS handshake with one address; None if it took too long.

    A refused certificate is a failure of the step ``certificate``: up to there, TLS works.
    """
    tried = f"TLS handshake with {shown_address(address)}"
    accepted = [name for name, yes in versions.items() if yes]
    details: dict[str, Detail] = {"versions": dict(versions)}
    if handshake is None:
        late = DeadlineError(f"the TLS handshake did not end within {allowed:g} s", sent="no")
        return failed("tls", tried, late, details=details)
    choice = f"of {_listed(versions)}, the server accepts {_listed(accepted)}" if accepted else ""
    failure = handshake.failure
    if failure is not None and not isinstance(failure, ssl.SSLCertVerificationError):
        error = connect_error([failure], answered=handshake.answered)
        refused = getattr(failure, "reason", None) == "SSLV3_ALERT_HANDSHAKE_FAILURE" and not handshake.answered
        advice = _in_common(accepted) if refused else ""
        return failed("tls", tried, error, more=choice, advice=advice, details=details)
    details |= {"version": handshake.version, "cipher": handshake.cipher}
    if failure is not None:
        found = choice or "the server sent its certificate"
    else:
        found = f"{handshake.version} with {handshake.cipher}" + (f"; {choice}" if choice else "")
    return Finding(step="tls", status="ok", tried=tried, found=found, details=details)


def _in_common(accepted: Sequence[str]) -> str:
    """Advice if a server that accepts these versions of TLS with some cipher has refused those of this client."""
    if not accepted:
        return ""
    missing = "a secure TLS cipher, such as ECDHE with AES-GCM" if max(accepted) >= "TLS 1.2" else "TLS 1.2 or later"
    return f"ask the administrator of the server to enable {missing}"


def _listed(names: Mapping[str, bool] | Sequence[str]) -> str:
    """Versions of TLS in a sentence; a range if several follow each other."""
    numbers = [name.removeprefix("TLS ") for name in names]
    if len(numbers) > 2 and numbers == [name.removeprefix("TLS ") for name in VERSIONS][-len(numbers) :]:
        return f"TLS {numbers[0]} to {numbers[-1]}"
    return f"TLS {' and '.join(numbers)}"


def on_certificate(
    origin: Origin,
    error: ssl.SSLCertVerificationError | None,
    facts: CertificateFacts | None,
    now: datetime,
) -> Finding:
    """Whether the certificate of the server is accepted, and for how long.

    Args:
        origin: the server.
        error: why it was refused; None if it was accepted.
        facts: what it says; None if it cannot be read.
        now: the time by the clock of this machine, aware.
    """
    tried = f"verification of the certificate for {origin.server_name}"
    details = {} if facts is None else _certificate_details(facts, now)
    if error is not None:
        refused: ConnectionsError = connect_error([error])
        more, advice = ("", "") if facts is None else _explained(error.verify_code, facts, now)
        return failed("certificate", tried, refused, more=more, advice=advice, details=details)
    if facts is None:
        return Finding(step="certificate", status="ok", tried=tried, found="accepted", details=details)
    # A server may send certificates that have expired, such as old roots, besides those that are verified.
    name, end = min((each for each in facts.chain if each[1] > now), key=lambda each: each[1], default=facts.chain[0])
    days = (end - now).days
    whose = "" if end == facts.not_after else f"; {name} in its chain expires first, on {_date(end)}"
    found = (
        f"{facts.subject}, signed by {facts.issuer}, is valid until {_date(facts.not_after)}, which is"
        f" {_days(facts.not_after - now)} away by the clock of this machine{whose}; {_chain(facts)}"
    )
    if days >= _SOON:
        return Finding(step="certificate", status="ok", tried=tried, found=found, details=details)
    return Finding(
        step="certificate",
        status="warning",
        tried=tried,
        found=found,
        advice=f"ask the administrator of the server to replace it within {_days(end - now)}",
        details=details,
    )


def _certificate_details(facts: CertificateFacts, now: datetime) -> dict[str, Detail]:
    return {
        "subject": facts.subject,
        "issuer": facts.issuer,
        "names": list(facts.names),
        "not_before": facts.not_before.isoformat(),
        "not_after": facts.not_after.isoformat(),
        "days_left": (facts.not_after - now).days,
        "chain": [name for name, _ in facts.chain],
        "local_time": now.isoformat(timespec="seconds"),
    }


def _explained(code: int, facts: CertificateFacts, now: datetime) -> tuple[str, str]:
    """What else there is to say about a refused certificate, and advice; empty to keep that of the library."""
    if code == _EXPIRED:
        return _expired(facts, now)
    if code == _NOT_YET:
        return _not_yet(facts, now)
    if code in _OTHER_HOST:
        return _other_host(facts)
    signed = (
        f"{facts.subject} is self-signed" if facts.is_self_signed else f"{facts.subject} is signed by {facts.issuer}"
    )
    more = f"{signed}; {_chain(facts)}"
    if code not in UNTRUSTED_CODES:
        return more, ""
    if facts.is_self_signed:
        return more, "if you trust this certificate, pass its file as --ca-file"
    advice = "pass the certificate of the CA as --ca-file"
    if len(facts.chain) == 1:
        advice += (
            "; if its root is trusted here, ask the administrator of the server to send the intermediate certificates"
        )
    return more, advice


def _expired(facts: CertificateFacts, now: datetime) -> tuple[str, str]:
    name, end = next((each for each in facts.chain if each[1] <= now), facts.chain[0])
    if end > now:
        return f"{_NOT_SENT}; {_clock(now)}", _REPLACE_CA
    which = "it" if end == facts.not_after else f"{name} in its chain"
    more = f"{which} was valid until {_date(end)}, {_days(now - end)} ago; {_clock(now)}"
    return more, f"{_REPLACE} if the clock is right"


def _not_yet(facts: CertificateFacts, now: datetime) -> tuple[str, str]:
    problem = f"it is valid from {_date(facts.not_before)} on"
    if facts.not_before <= now:
        problem = "in fact, that of a CA in its chain is not"
    return f"{problem}; {_clock(now)}", f"check the clock of this machine, or {_REPLACE}"


def _clock(now: datetime) -> str:
    return f"the clock of this machine says {_date(now)}"


def _other_host(facts: CertificateFacts) -> tuple[str, str]:
    advice = "ask the administrator of the server for a certificate for this host"
    if not facts.names:
        return "it names no host at all", advice
    more = f" and {facts.more_names} more" if facts.more_names else ""
    return f"it is for {', '.join(facts.names)}{more}", f"use one of these names in the URL, or {advice}"


def _chain(facts: CertificateFacts) -> str:
    if len(facts.chain) == 1:
        return "the server sent this certificate alone"
    return f"the server sent {len(facts.chain)} certificates: {', '.join(name for name, _ in facts.chain)}"


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _days(span: timedelta) -> str:
    """A positive span in whole days, and below two days in hours."""
    hours = max(0, int(span.total_seconds() // 3_600))
    if hours >= 48:
        return f"{hours // 24:,} days"
    return f"{hours} hours" if hours != 1 else "1 hour"
