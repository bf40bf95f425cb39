"""The CA of the tests, and TLS contexts for server and client."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from OpenSSL import crypto

__all__ = ["CA", "real_handshakes", "server_context", "trusting", "weak_server"]

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


def weak_server(key_bits: int = 2048, ca_bits: int = 2048, digest: str = "sha256") -> tuple[ssl.SSLContext, str]:
    """The TLS context of a server whose certificate is bare and may be weak, and the CA that has signed it."""
    ca_key, key = (rsa.generate_private_key(65537, bits) for bits in (ca_bits, key_bits))
    ca = _signed(ca_key, ca_key, "CA", x509.BasicConstraints(ca=True, path_length=None))
    certificate = _signed(key, ca_key, "localhost", x509.SubjectAlternativeName([x509.DNSName("localhost")]))
    if digest != "sha256":
        certificate = _signed_again(certificate, ca_key, digest)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "server.pem"
        path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        context.load_cert_chain(path)
    return context, ca.public_bytes(Encoding.PEM).decode()


def _signed(
    key: rsa.RSAPrivateKey, ca_key: rsa.RSAPrivateKey, name: str, extension: x509.ExtensionType
) -> x509.Certificate:
    """A certificate without key identifiers."""
    now = datetime.datetime.now(datetime.UTC)
    subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, "CA"))
    unsigned = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(extension, critical=name == "CA")
    )
    return unsigned.sign(ca_key, hashes.SHA256())


def _signed_again(certificate: x509.Certificate, ca_key: rsa.RSAPrivateKey, digest: str) -> x509.Certificate:
    """The certificate signed with a digest that cryptography does not sign with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        copy = crypto.X509.from_cryptography(certificate)
        copy.sign(crypto.PKey.from_cryptography_key(ca_key), digest)
        return copy.to_cryptography()


@contextlib.contextmanager
def real_handshakes(context: ssl.SSLContext, *, resets: bool = True) -> Iterator[tuple[int, list[str]]]:
    """A server that sends its alerts, which the streams of anyio do not.

    After an alert it closes the connection at once, which resets it; or with ``resets=False`` once the client has.

    Yields:
        The port, and the reasons for which the handshakes failed; a list that grows.
    """
    reasons: list[str] = []

    def handle(plain: socket.socket) -> None:
        with context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as secure:
            try:
                secure.do_handshake()
                secure.recv(1)
                reasons.append("a request was read")
            except OSError as error:
                reasons.append(getattr(error, "reason", None) or type(error).__name__)
                with contextlib.suppress(OSError), socket.socket(fileno=secure.detach()) as still_open:
                    while not resets and still_open.recv(65536):
                        pass

    def accept() -> None:
        while True:
            plain, _ = listener.accept()
            if stopped.is_set():
                plain.close()
                return
            handle(plain)

    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        address = listener.getsockname()
        try:
            yield address[1], reasons
        finally:
            stopped.set()
            socket.create_connection(address).close()
            thread.join(30)
