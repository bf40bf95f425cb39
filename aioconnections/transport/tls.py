"""TLS contexts from the options ``verify`` and ``client_cert``. Also tracks record boundaries in received data."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from typing import cast

import truststore

from aioconnections.errors import InvalidInputError
from aioconnections.transport.limits import local_limit_error

__all__ = ["ClientCert", "RecordTracker", "Trust", "Verify"]

Verify = bool | str | Path | ssl.SSLContext
ClientCert = tuple[str | Path, str | Path] | tuple[str | Path, str | Path, str]
"""The files of a certificate (in PEM format, with its chain) and of its key, and the password of an encrypted key."""

_UNUSABLE = "the client certificate cannot be used"
_TOO_WEAK = frozenset({"CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "EE_KEY_TOO_SMALL"})
_HEADER = 5  # bytes: type, version, and in the last two the length of the rest (RFC 8446, section 5.1)


class Trust:
    """Makes the TLS context for the option ``verify`` on first use, because this takes 17 ms.

    Args:
        verify: True for the system's trust store; the path of a file of certificates to trust instead, or of a folder
            prepared by ``openssl rehash``; a context, which is used unchanged; or False to accept any certificate,
            which warns.
        client_cert: the certificate by which this client identifies itself to a server that demands one.

    Raises:
        InvalidInputError: the path is not readable, or holds no certificates; or the client certificate or its key
            cannot be used.
        LocalLimitError: no file descriptor is left to read the certificates.
    """

    def __init__(self, verify: Verify, client_cert: ClientCert | None = None) -> None:
        self._context: ssl.SSLContext | None = None
        if verify is False:
            warnings.warn(
                "verify=False accepts any certificate: an attacker can pose as the server and read the credentials",
                stacklevel=3,
            )
            self._context = _unverified()
        elif isinstance(verify, ssl.SSLContext):
            self._context = verify
        elif verify is not True:
            if not isinstance(cast("object", verify), str | Path):
                raise InvalidInputError(
                    f"verify must be True, False, a path or an ssl.SSLContext, got {type(verify).__name__}"
                )
            self._context = _trusting(Path(verify))
        if client_cert is not None:
            if isinstance(verify, ssl.SSLContext):
                raise InvalidInputError(
                    "client_cert cannot be used together with a context as verify; call load_cert_chain of the context"
                )
            _identify(self.context(), client_cert)

    def context(self) -> ssl.SSLContext:
        """The context; always the same one."""
        if self._context is None:
            self._context = _configured(truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return self._context


def _configured(context: ssl.SSLContext) -> ssl.SSLContext:
    """Speak HTTP/1.1, and accept any trusted certificate as the end of a chain, such as an intermediate or the leaf."""
    context.set_alpn_protocols(["http/1.1"])
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _unverified() -> ssl.SSLContext:
    context = _configured(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _trusting(path: Path) -> ssl.SSLContext:
    context = _configured(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    try:
        folder = path.is_dir()
        context.load_verify_locations(cafile=None if folder else path, capath=path if folder else None)
    except (OSError, ValueError) as error:  # a ValueError if no file system allows the path
        failure = local_limit_error([error]) or InvalidInputError(
            f"verify must be the path of a readable file of PEM certificates, or of a folder of such files, got {path}"
        )
    else:
        return context
    raise failure


def _identify(context: ssl.SSLContext, client_cert: ClientCert) -> None:
    """Load the client certificate into `context`."""
    certificate, key, password = _parts(client_cert)
    for name, path in (("certificate", certificate), ("key", key)):
        if (problem := _unreadable(path)) is not None:
            raise local_limit_error([problem]) or InvalidInputError(
                f"{_UNUSABLE}: the {name} file cannot be read: {problem.strerror}: {path}"
            )
    prompted: list[None] = []

    def answer() -> str:  # without a password, OpenSSL would ask for one at the terminal
        prompted.append(None)
        return password or ""

    try:
        context.load_cert_chain(certificate, key, answer)
    except (OSError, ValueError) as error:
        failure = local_limit_error([error]) or InvalidInputError(
            f"{_UNUSABLE}: {_client_cert_problem(error, certificate, key, encrypted=bool(prompted), password=password)}"
        )
    else:
        return
    raise failure


def _parts(client_cert: object) -> tuple[Path, Path, str | None]:
    match client_cert:
        case (str() | Path() as certificate, str() | Path() as key):
            return Path(certificate), Path(key), None
        case (str() | Path() as certificate, str() | Path() as key, str() as password):
            return Path(certificate), Path(key), password
        case _:
            raise InvalidInputError(
                "client_cert must be a tuple of the paths of a certificate and of its key, and optionally the password "
                f"of the key, got {type(client_cert).__name__}"
            )


def _unreadable(path: Path) -> OSError | None:
    """Why the file cannot be read; `ssl` does not say which of two files it is."""
    try:
        path.open("rb").close()
    except OSError as error:
        return error
    return None


def _client_cert_problem(
    error: Exception, certificate: Path, key: Path, *, encrypted: bool, password: str | None
) -> str:
    """What is wrong, and then the path, because a long path is cut off at the end of a message."""
    reason = getattr(error, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return f"the key does not belong to the certificate, which must be the first of its file: {key}, {certificate}"
    if reason in _TOO_WEAK:
        return f"it has a key or digest that is not secure; use another one: {certificate}"
    if encrypted and password is None:
        return f"the key is encrypted; give its password in client_cert= or AIOCONNECTIONS_CLIENT_KEY_PASSWORD: {key}"
    if encrypted:
        return f"the password does not open the key: {key}"
    if not _has_certificate(certificate):
        return f"the file contains no certificate in PEM format: {certificate}"
    return f"the file contains no private key in PEM format: {key}"


def _has_certificate(path: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        return False
    return True


class RecordTracker:
    """Tracks the boundaries of TLS records in received data.

    Attributes:
        at_boundary: whether the data so far ends with a complete record.
    """

    __slots__ = ("_header", "_missing", "at_boundary")

    def __init__(self) -> None:
        self.at_boundary: bool = True
        self._missing = 0  # bytes of the current record that have not arrived
        self._header = b""  # incomplete header of the next record

    def feed(self, data: bytes | memoryview) -> None:
        """Track `data`, in pieces of any size."""
        size = len(data)
        if self.at_boundary and size > _HEADER and size == _HEADER + (data[3] << 8 | data[4]):
            return  # exactly one record, the usual case
        at = self._missing
        if self._header:
            data = self._header + bytes(data)
            self._header = b""
            size = len(data)
        while at < size:
            if size - at < _HEADER:
                self._header = bytes(data[at:])
                break
            at += _HEADER + (data[at + 3] << 8 | data[at + 4])
        self._missing = max(0, at - size)
        self.at_boundary = not (self._missing or self._header)
