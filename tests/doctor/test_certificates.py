"""What certificates say, and what doctor makes of it."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from aioconnections.doctor.certificates import CertificateFacts, facts_of
from aioconnections.doctor.network_verdicts import on_certificate
from aioconnections.protocol.messages import Origin

ORIGIN = Origin("https", "connections.example.com", 443)
NOW = datetime(2026, 11, 29, 9, 30, tzinfo=UTC)
LATER = datetime(2027, 5, 1, tzinfo=UTC)
FACTS = CertificateFacts(
    subject="connections.example.com",
    issuer="Example CA 2",
    names=("connections.example.com",),
    more_names=0,
    not_before=NOW - timedelta(days=30),
    not_after=LATER,
    is_self_signed=False,
    chain=(("connections.example.com", LATER), ("Example CA 2", LATER)),
)


def der(*blobs: trustme.Blob) -> list[bytes]:
    return [x509.load_pem_x509_certificate(blob.bytes()).public_bytes(Encoding.DER) for blob in blobs]


def test_a_chain() -> None:
    middle = trustme.CA().create_child_ca()
    expires = datetime(2027, 1, 2, 3, 4, tzinfo=UTC)
    leaf = middle.issue_cert(
        *(f"{name}.example.com" for name in "abcdef"), "192.0.2.7", common_name="a.example.com", not_after=expires
    )
    facts = facts_of(der(*leaf.cert_chain_pems))
    assert facts is not None
    assert (facts.subject, facts.issuer, facts.is_self_signed) == ("a.example.com", facts.chain[1][0], False)
    assert facts.names == tuple(f"{name}.example.com" for name in "abcde")
    assert facts.more_names == 2
    assert facts.not_after == expires
    assert [name for name, _ in facts.chain] == ["a.example.com", facts.issuer]
    assert facts.issuer.startswith("Testing CA #")


def test_a_self_signed_certificate_without_names() -> None:
    facts = facts_of(der(trustme.CA().cert_pem))
    assert facts is not None
    assert facts.is_self_signed
    assert facts.names == ()


@pytest.mark.parametrize("chain", [[], [b""], [b"not a certificate"]])
def test_what_is_no_certificate(chain: list[bytes]) -> None:
    assert facts_of(chain) is None


def test_a_certificate_of_an_unknown_version() -> None:
    (found,) = der(trustme.CA().cert_pem)
    version = bytes.fromhex("a003020102")  # [0] EXPLICIT INTEGER 2, for X.509 v3
    assert found.count(version) == 1
    assert facts_of([found.replace(version, bytes.fromhex("a003020107"))]) is None


def test_a_name_of_the_wrong_type() -> None:
    (found,) = der(trustme.CA(organization_name="Example Corp").cert_pem)
    name = b"\x0c\x0cExample Corp"  # a UTF8String
    assert found.count(name) == 2
    assert facts_of([found.replace(name, b"\x03\x0c\x00xample Corp")]) is None  # a BIT STRING


def test_a_negative_serial_number_is_not_warned_about() -> None:
    """Appliances have such certificates; a warning of Python would be among the findings."""
    (found,) = der(trustme.CA().cert_pem)
    at = found.index(bytes.fromhex("a003020102")) + 7
    facts = facts_of([found[:at] + b"\x80" + found[at + 1 :]])
    assert facts is not None
    assert facts.is_self_signed


def test_a_certificate_in_the_chain_that_cannot_be_read() -> None:
    leaf = der(trustme.CA().cert_pem)
    facts = facts_of([*leaf, b"broken"])
    assert facts is not None
    assert len(facts.chain) == 1


# --- accepted ---


@pytest.mark.parametrize(("days", "status"), [(14, "ok"), (13.9, "warning"), (0.1, "warning")])
def test_validity(days: float, status: str) -> None:
    end = NOW + timedelta(days=days)
    facts = evolve(FACTS, not_after=end, chain=(("connections.example.com", end), ("Example CA 2", LATER)))
    finding = on_certificate(ORIGIN, None, facts, NOW)
    assert finding.status == status
    assert finding.details["days_left"] == int(days)
    assert ("replace it within" in finding.advice) is (status == "warning")


def test_hours_are_shown_below_two_days() -> None:
    end = NOW + timedelta(hours=25.5)
    finding = on_certificate(ORIGIN, None, evolve(FACTS, not_after=end, chain=(("a", end),)), NOW)
    assert finding.advice == "ask the administrator of the server to replace it within 25 hours"


def test_an_intermediate_certificate_that_expires_first() -> None:
    soon = NOW + timedelta(days=3)
    chain = (("connections.example.com", LATER), ("Example CA 2", soon), ("Old root", NOW - timedelta(days=900)))
    finding = on_certificate(ORIGIN, None, evolve(FACTS, chain=chain), NOW)
    assert finding.status == "warning"
    assert "Example CA 2 in its chain expires first, on 2026-12-02 09:30 UTC" in finding.found


def test_an_accepted_certificate_that_cannot_be_read() -> None:
    assert on_certificate(ORIGIN, None, None, NOW).status == "ok"


# --- refused ---


def refused(code: int, facts: CertificateFacts | None = FACTS) -> tuple[str, str]:
    error = ssl.SSLCertVerificationError()
    error.verify_code = code
    finding = on_certificate(ORIGIN, error, facts, NOW)
    assert finding.status == "failed"
    return finding.found, finding.advice


def test_an_expired_certificate_in_the_chain() -> None:
    chain = (("connections.example.com", LATER), ("Example CA 2", NOW - timedelta(days=10)))
    found, _ = refused(10, evolve(FACTS, chain=chain))
    assert "Example CA 2 in its chain was valid until 2026-11-19 09:30 UTC, 10 days ago" in found


def test_an_expired_certificate_that_the_server_did_not_send() -> None:
    found, advice = refused(10)
    assert found == (
        "the server's certificate has expired; in fact, that of a CA that this machine trusts has expired,"
        " and none that the server sent; the clock of this machine says 2026-11-29 09:30 UTC"
    )
    assert advice.startswith("replace the certificate of this CA on this machine")


def test_a_certificate_of_a_ca_that_is_not_valid_yet() -> None:
    found, advice = refused(9)
    assert "in fact, that of a CA in its chain is not; the clock of this machine says 2026-11-29 09:30 UTC" in found
    assert "valid from" not in found
    assert advice.startswith("check the clock of this machine")


@pytest.mark.parametrize(
    ("code", "facts", "found", "advice"),
    [
        (
            18,
            evolve(FACTS, issuer="connections.example.com", is_self_signed=True, chain=FACTS.chain[:1]),
            "connections.example.com is self-signed; the server sent this certificate alone",
            "if you trust this certificate, pass its file as --ca-file",
        ),
        (
            20,
            FACTS,
            (
                "connections.example.com is signed by Example CA 2; the server sent 2 certificates:"
                " connections.example.com, Example CA 2"
            ),
            "pass the certificate of the CA as --ca-file",
        ),
        (
            62,
            evolve(FACTS, names=(), more_names=0),
            "it names no host at all",
            "ask the administrator of the server for a certificate for this host",
        ),
        (
            23,
            FACTS,
            (
                "connections.example.com is signed by Example CA 2; the server sent 2 certificates:"
                " connections.example.com, Example CA 2"
            ),
            "ask the administrator of the server for a new one",
        ),
    ],
)
def test_refusals(code: int, facts: CertificateFacts, found: str, advice: str) -> None:
    said, to_do = refused(code, facts)
    assert said.startswith("the server's certificate ")
    assert said.endswith(f"; {found}")
    assert to_do == advice


def test_a_refused_certificate_that_cannot_be_read() -> None:
    found, advice = refused(18, None)
    assert found == "the server's certificate is not signed by a trusted CA"
    assert advice == "pass verify= or --ca-file"
