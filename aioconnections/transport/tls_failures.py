"""Errors for TLS connections that cannot succeed, in words: what is wrong, and what to do about it.

OpenSSL reports a number for a certificate, and a symbolic name for anything else; the alerts of the server are among
these names. The texts of OpenSSL are not used, because they may quote the server. A failure that is not in the tables
may be temporary, and is not covered here.
"""

from __future__ import annotations

import ssl

from aioconnections.errors import CertificateError, ConnectFailedError, TransportError
from aioconnections.protocol.messages import Response
from aioconnections.transport.limits import UNTRUSTED_CODES

__all__ = [
    "SPEAKS_TLS",
    "certificate_error",
    "checks_before_requests",
    "client_certificate_error",
    "handshake_error",
    "refused_by_front_end",
    "speaks_tls",
]

# OpenSSL's X509_V_ERR_ codes (x509_vfy.h)
_CERTIFICATE_PROBLEMS = {
    **dict.fromkeys(UNTRUSTED_CODES, "is not signed by a trusted CA; pass verify= or --ca-file"),
    **dict.fromkeys((62, 64), "is for another host; check the host in the URL"),
    9: "is not valid yet; check the clock of this machine",
    10: "has expired",
    23: "has been revoked; ask the administrator of the server for a new one",
    26: "is not meant for a server; ask the administrator of the server for another one",
    **dict.fromkeys(
        (24, 25, 32, 37, 79),
        "is signed by a certificate that is not that of a CA; ask the administrator of the server for another one",
    ),
    **dict.fromkeys(
        (47, 48), "is for a name that its CA may not sign; ask the administrator of the server for another"
    ),
    66: "has a key that is too short to be secure; ask the administrator of the server for a new one",
    67: "is signed by a CA whose key is too short to be secure; ask the administrator of the server for a new one",
    68: (
        "or that of its CA is signed with a digest that is not secure, such as SHA-1; ask the administrator of the "
        "server for a new one"
    ),
}
# found only with VERIFY_X509_STRICT, which `ssl.create_default_context` sets from Python 3.13 on
_STRICT_PROBLEMS = {
    80: "a path length without a CA",
    81: "a path length without the right to sign certificates",
    82: "the right to sign certificates without being a CA",
    83: "an empty issuer",
    84: "an empty subject",
    85: "no Authority Key Identifier",
    86: "no Subject Key Identifier",
    87: "an empty Subject Alternative Name",
    88: "an empty subject without a critical Subject Alternative Name",
    89: "Basic Constraints that are not critical",
    90: "a critical Authority Key Identifier",
    91: "a critical Subject Key Identifier",
    92: "no Key Usage",
    93: "extensions in a certificate of an old version",
    94: "explicit parameters of an elliptic curve",
}

SPEAKS_TLS = "the server speaks https at this port; use an https URL"

_NOT_TLS = frozenset({"HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "WRONG_VERSION_NUMBER"})
_NO_COMMON_VERSION = frozenset(
    {
        "NO_PROTOCOLS_AVAILABLE",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "UNSUPPORTED_PROTOCOL",
        "UNSUPPORTED_SSL_VERSION",
        "WRONG_SSL_VERSION",
    }
)
_HANDSHAKE_FAILURE = "SSLV3_ALERT_HANDSHAKE_FAILURE"
_NO_COMMON_CIPHER = frozenset(
    {"NO_CIPHERS_AVAILABLE", "TLSV1_ALERT_INSUFFICIENT_SECURITY", "UNKNOWN_CIPHER_RETURNED", "WRONG_CIPHER_RETURNED"}
)
_WEAK = frozenset(
    {
        "BAD_DH_VALUE",
        "CA_KEY_TOO_SMALL",
        "CA_MD_TOO_WEAK",
        "DH_KEY_TOO_SMALL",
        "EE_KEY_TOO_SMALL",
        "LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED",
        "MODULUS_TOO_SMALL",
        "WRONG_CURVE",
        "WRONG_SIGNATURE_TYPE",
    }
)
_HANDSHAKE_PROBLEMS = {
    **dict.fromkeys(_NOT_TLS, "the server does not speak TLS at this port; check the scheme and port of the URL"),
    **dict.fromkeys(
        _NO_COMMON_VERSION,
        "the server and this client have no TLS version in common, most likely because the server accepts only "
        "outdated ones; ask the administrator of the server to enable TLS 1.2 or later",
    ),
    **dict.fromkeys(
        _NO_COMMON_CIPHER,
        "the server and this client have no TLS cipher in common; ask the administrator of the server to enable one "
        "that is secure",
    ),
    **dict.fromkeys(
        _WEAK,
        "the server uses a key, curve or digest for TLS that is not secure; ask the administrator of the server to "
        "replace it",
    ),
    "TLSV1_UNRECOGNIZED_NAME": "the server has no certificate for this host; check the host in the URL",
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": (
        "the server does not support secure renegotiation of TLS (RFC 5746); ask the administrator of the server to "
        "update its TLS, or pass a context with ssl.OP_LEGACY_SERVER_CONNECT as verify="
    ),
}

# alerts of the server about the certificate of the client (RFC 8446, section 6.2)
_ADVICE = "pass client_cert= or --client-cert and --client-key"
_DEMANDED = f"the server demands a client certificate; {_ADVICE}"
_REFUSED = "the server refused the client certificate"
_NO_OR_REFUSED = f"the server demands a client certificate, or refused the one that it got; {_ADVICE}"
_CLIENT_CERTIFICATE_PROBLEMS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _DEMANDED,
    "SSLV3_ALERT_NO_CERTIFICATE": _DEMANDED,
    "SSLV3_ALERT_BAD_CERTIFICATE": _NO_OR_REFUSED,  # Java's alert for no certificate at all
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _NO_OR_REFUSED,
    "TLSV1_ALERT_ACCESS_DENIED": _NO_OR_REFUSED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": f"{_REFUSED}, because it does not support its kind; use another one",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": f"{_REFUSED}, because it has been revoked; use another one",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": f"{_REFUSED}, because it has expired or is not valid yet; use another one",
    "TLSV1_ALERT_UNKNOWN_CA": (
        f"{_REFUSED}, because it does not trust its CA; use another one, or add the intermediate certificates to its "
        "file"
    ),
}

_PLAIN_TEXT_REFUSED = (
    b"The plain HTTP request was sent to HTTPS port",  # nginx
    b"speaking plain HTTP to an SSL-enabled server port",  # Apache
    b"Client sent an HTTP request to an HTTPS server",  # servers written in Go, such as Traefik and Caddy
    b"This combination of host and port requires TLS",  # Tomcat
)
_CERTIFICATE_REFUSED = {  # nginx checks the certificate of the client after the handshake
    b"No required SSL certificate was sent": _DEMANDED,
    b"The SSL certificate error": f"{_REFUSED}; use another one",
}


def certificate_error(error: ssl.SSLCertVerificationError) -> CertificateError:
    """The error for a server whose certificate was refused."""
    code: int | None = getattr(error, "verify_code", None)
    if code in _STRICT_PROBLEMS:
        return CertificateError(
            f"the server's certificate or that of its CA breaks RFC 5280: it has {_STRICT_PROBLEMS[code]}; ask the "
            "administrator of the server for a new one, or clear ssl.VERIFY_X509_STRICT in the context"
        )
    problem = "was refused" if code is None else _CERTIFICATE_PROBLEMS.get(code)
    return CertificateError(f"the server's certificate {problem or f'was refused (OpenSSL verify code {code})'}")


def handshake_error(error: ssl.SSLError, *, answered: bool | None) -> TransportError | None:
    """The error for a server with which no handshake can succeed; None if it failed for another reason.

    Args:
        error: from OpenSSL.
        answered: whether the server had accepted the version and the ciphers of this client; None if that is not known.
    """
    reason: str = getattr(error, "reason", None) or ""
    if reason == _HANDSHAKE_FAILURE:
        if answered:
            return CertificateError(_NO_OR_REFUSED)
        problem = "the server and this client have no TLS version or cipher in common"
        if answered is None:
            problem += f", or the server demands a client certificate ({_ADVICE})"
    else:
        refused = _CLIENT_CERTIFICATE_PROBLEMS.get(reason)
        if refused is not None:
            return CertificateError(refused)
        found = _HANDSHAKE_PROBLEMS.get(reason)
        if found is None:
            return None
        problem = found
    failure = ConnectFailedError(problem)
    failure.deterministic = True
    return failure


def speaks_tls() -> ConnectFailedError:
    """The error for a server that expects TLS, but was sent a request in plain text."""
    failure = ConnectFailedError(SPEAKS_TLS)
    failure.deterministic = True
    return failure


def refused_by_front_end(response: Response) -> TransportError | None:
    """The error for a response by which a web server refuses the TLS of a connection, or its absence.

    The texts of these pages are the same in every language.
    """
    if response.status != 400 or response.is_own_form:
        return None
    body = response.body
    if any(text in body for text in _PLAIN_TEXT_REFUSED):
        return speaks_tls()
    problem = next((problem for text, problem in _CERTIFICATE_REFUSED.items() if text in body), None)
    return None if problem is None else CertificateError(problem)


def checks_before_requests(tls: ssl.SSLObject) -> bool:
    """Whether a server checks the client certificate only before the first request, not also later."""
    cipher = tls.cipher()  # the method `version` returns None after an alert
    return cipher is not None and cipher[1] == "TLSv1.3" and not tls.context.post_handshake_auth


def client_certificate_error(error: BaseException, *, before_requests: bool) -> CertificateError | None:
    """The error for an alert about the client certificate that came after the handshake; None for any other failure.

    Under TLS 1.3 the client has finished the handshake before the server checks its certificate, so the alert comes
    with the first read. Under TLS 1.2 a server may demand a certificate later, by renegotiation.

    Args:
        error: raised by a read.
        before_requests: from `checks_before_requests`; if not, the server may have read a request.
    """
    if not isinstance(error, ssl.SSLError):
        return None
    reason: str = getattr(error, "reason", None) or ""
    problem = _NO_OR_REFUSED if reason == _HANDSHAKE_FAILURE else _CLIENT_CERTIFICATE_PROBLEMS.get(reason)
    if problem is None:
        return None
    refusal = CertificateError(problem)
    if not before_requests:
        refusal.sent = "maybe"
    return refusal
