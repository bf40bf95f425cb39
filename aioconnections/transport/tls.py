"""Whom to trust. The system's own store by default, on every platform."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path

import truststore

from aioconnections.errors import InvalidInputError
from aioconnections.transport.limits import local_limit

__all__ = ["RecordEnds", "Trust", "Verify"]

Verify = bool | str | Path | ssl.SSLContext


class Trust:
    """What the option ``verify`` says, as a context that is made when it is first needed: making one takes 17 ms.

    Args:
        verify: True for the system's trust store; the path of a file of certificates to trust in its place, or of a
            folder, where OpenSSL finds them by names that ``openssl rehash`` gives; a context, which is used as it is;
            or False to accept any certificate, which gives a warning.

    Raises:
        InvalidInputError: the path does not name certificates.
        LocalLimitError: no file descriptor is left to read them.
    """

    def __init__(self, verify: Verify) -> None:
        self._context: ssl.SSLContext | None = None
        if verify is False:
            warnings.warn("verify=False: anybody can pose as the server and read the login", stacklevel=3)
            self._context = _trusting_anybody()
        elif isinstance(verify, ssl.SSLContext):
            self._context = verify
        elif verify is not True:
            self._context = _trusting(Path(verify))

    def context(self) -> ssl.SSLContext:
        """The one context of this client."""
        if self._context is None:
            self._context = _spoken(truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return self._context


def _spoken(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_alpn_protocols(["http/1.1"])
    return context


def _trusting_anybody() -> ssl.SSLContext:
    context = _spoken(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _trusting(path: Path) -> ssl.SSLContext:
    context = _spoken(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    folder = path.is_dir()
    try:
        context.load_verify_locations(cafile=None if folder else path, capath=path if folder else None)
    except OSError as error:
        failure = local_limit([error]) or InvalidInputError(f"verify: {path} holds no certificates that can be read")
    else:
        return context
    raise failure


_HEADER = 5  # bytes: type, version, and in the last two the length of what follows (RFC 8446, section 5.1)


class RecordEnds:
    """Follows what arrives from record to record.

    Attributes:
        whole: whether it ends where a record does.
    """

    __slots__ = ("_header", "_missing", "whole")

    def __init__(self) -> None:
        self.whole: bool = True
        self._missing = 0  # bytes of the record under way that have not come
        self._header = b""  # of the next one, as much as has come

    def feed(self, data: bytes | memoryview) -> None:
        """What has arrived, in whatever pieces."""
        size = len(data)
        if self.whole and size > _HEADER and size == _HEADER + (data[3] << 8 | data[4]):
            return  # one record: nearly always
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
        self.whole = not (self._missing or self._header)
