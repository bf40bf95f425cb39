"""What a certificate says: whom it names, who has signed it, and how long it is valid. Nothing is verified here."""

from __future__ import annotations

import ipaddress
import warnings
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from aioconnections.reprs import frozen

__all__ = ["CertificateFacts", "facts_of"]

_MOST_NAMES = 5
_UNREADABLE = (ValueError, TypeError, x509.InvalidVersion)  # raised for what does not follow the standard
_LONGEST_NAME = 80  # characters of a name that are shown; the server has written it


@frozen(kw_only=True)
class CertificateFacts:
    """What the certificate of a server says.

    Attributes:
        subject: its name.
        issuer: name of the certificate that has signed it.
        names: the host names and addresses that it is for; at most five.
        more_names: how many others it is for.
        not_before: when it begins to be valid, aware.
        not_after: when it expires, aware.
        is_self_signed: whether it names itself as its issuer.
        chain: names of the certificates that the server sent, its own first, and when each expires.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    more_names: int
    not_before: datetime
    not_after: datetime
    is_self_signed: bool
    chain: tuple[tuple[str, datetime], ...]


def facts_of(chain: Sequence[bytes]) -> CertificateFacts | None:
    """Read a chain of certificates in DER, that of the server first; None if its own cannot be read."""
    read = [found for found in map(_read, chain) if found is not None]
    own = _read(chain[0]) if chain else None
    if own is None:
        return None
    names = _names(own)
    return CertificateFacts(
        subject=_shown(own.subject) or next(iter(names), "without a name"),
        issuer=_shown(own.issuer) or "an issuer without a name",
        names=tuple(names[:_MOST_NAMES]),
        more_names=max(0, len(names) - _MOST_NAMES),
        not_before=own.not_valid_before_utc,
        not_after=own.not_valid_after_utc,
        is_self_signed=own.subject == own.issuer,
        chain=tuple((_shown(each.subject) or "without a name", each.not_valid_after_utc) for each in read),
    )


def _read(der: bytes) -> x509.Certificate | None:
    """One certificate; None if its dates or names cannot be read either."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about serial numbers and lengths, which are not shown
            certificate = x509.load_der_x509_certificate(der)
            _ = certificate.subject, certificate.issuer
            _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except _UNREADABLE:
        return None
    return certificate


def _names(certificate: x509.Certificate) -> list[str]:
    """The hosts that a certificate is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, *_UNREADABLE):
        return []
    addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = [
        address
        for address in found.get_values_for_type(x509.IPAddress)
        if isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address)
    ]
    names = [*found.get_values_for_type(x509.DNSName), *map(str, addresses)]
    return [name[:_LONGEST_NAME] for name in names]


def _shown(name: x509.Name) -> str:
    """The common name, or else the organisation and its unit, or an empty string."""
    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in name.get_attributes_for_oid(kind):
            value = attribute.value
            if isinstance(value, str) and value:
                return value[:_LONGEST_NAME]
    return ""
