"""TLS trust: a context from the ``verify`` option. Also tracks record boundaries in received data."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from typing import cast

import truststore

from aioconnections.errors import InvalidInputError
from aioconnections.transport.limits import local_limit_error

__all__ = ["RecordTracker", "Trust", "Verify"]

Verify = bool | str | Path | ssl.SSLContext

_HEADER = 5  # bytes: type, version, and in the last two the length of the rest (RFC 8446, section 5.1)


class Trust:
    """Makes the TLS context for the option ``verify`` on first use, because this takes 17 ms.

    Args:
        verify: True for the system's trust store; the path of a file of certificates to trust instead, or of a folder
            prepared by ``openssl rehash``; a context, which is used unchanged; or False to accept any certificate,
            which warns.

    Raises:
        InvalidInputError: the path is not readable, or holds no certificates.
        LocalLimitError: no file descriptor is left to read the certificates.
    """

    def __init__(self, verify: Verify) -> None:
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

    def context(self) -> ssl.SSLContext:
        """The context; always the same one."""
        if self._context is None:
            self._context = _with_alpn(truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return self._context


def _with_alpn(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_alpn_protocols(["http/1.1"])
    return context


def _unverified() -> ssl.SSLContext:
    context = _with_alpn(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _trusting(path: Path) -> ssl.SSLContext:
    context = _with_alpn(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
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
