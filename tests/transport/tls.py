"""The CA of the tests, and TLS contexts for server and client."""

from __future__ import annotations

import ssl

import trustme

__all__ = ["CA", "server_context", "trusting"]

CA = trustme.CA()


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """The TLS context of a server with `certificate`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trusting() -> ssl.SSLContext:
    """The TLS context of a client that trusts `CA`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    return context
