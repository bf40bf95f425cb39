"""Who vouches for the servers of the tests."""

from __future__ import annotations

import ssl

import trustme

__all__ = ["CA", "server_context", "trusting"]

CA = trustme.CA()


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """What a server with this certificate speaks TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trusting() -> ssl.SSLContext:
    """What a client that trusts `CA` speaks TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    return context
