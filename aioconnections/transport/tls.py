"""The TLS settings of a client: one context, made when the first connection needs it."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from typing import TypeAlias

import truststore

from aioconnections.errors import InvalidInputError

__all__ = ["Verify", "tls_context"]

Verify: TypeAlias = bool | str | Path | ssl.SSLContext
"""True: the system's trust store; False: anybody; a path: the certificates in that file, or in that folder, where
OpenSSL finds them by names that ``openssl rehash`` gives."""


def tls_context(verify: Verify) -> ssl.SSLContext:
    """A context for `verify`; making one takes some 20 ms, so it is shared.

    Raises:
        InvalidInputError: the path holds no certificates.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    if verify is True:
        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if verify is False:
        warnings.warn("verify=False: anybody can pose as the server and read the password", stacklevel=2)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    path = Path(verify)
    try:
        return ssl.create_default_context(
            cafile=None if path.is_dir() else str(path), capath=str(path) if path.is_dir() else None
        )
    except (OSError, ssl.SSLError):
        problem = f"verify: {path} holds no certificates that can be read"
    raise InvalidInputError(problem)
