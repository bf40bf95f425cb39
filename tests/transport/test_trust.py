"""The values of ``verify``."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
import trustme
import truststore
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from aioconnections.errors import InvalidInputError
from aioconnections.transport.tls import Trust


def verifies(context: ssl.SSLContext) -> bool:
    return context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED


def test_the_default_is_the_trust_store_of_the_system() -> None:
    context = Trust(verify=True).context()
    assert isinstance(context, truststore.SSLContext)
    assert verifies(context)


def test_a_context_is_used_unchanged() -> None:
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert Trust(own).context() is own


@pytest.mark.parametrize("kind", [Path, str])
def test_a_file_replaces_the_trust_store_of_the_system(tmp_path: Path, kind: type[Path | str]) -> None:
    authority = trustme.CA()
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    context = Trust(kind(file)).context()
    assert verifies(context)
    assert len(context.get_ca_certs()) == 1


def test_a_folder_is_read_on_demand(tmp_path: Path) -> None:
    context = Trust(tmp_path).context()
    assert verifies(context)
    assert context.get_ca_certs() == []


def test_verify_false_warns() -> None:
    with pytest.warns(UserWarning, match="verify=False"):
        context = Trust(verify=False).context()
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname


@pytest.mark.parametrize("content", [None, "", "not a certificate"])
def test_a_path_without_certificates_is_refused(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InvalidInputError, match=r"ca\.pem") as info:
        Trust(file)
    assert info.value.__context__ is None


# --- the certificate of the client ---


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A certificate, its key in several forms, another key, and files that are neither."""
    authority = trustme.CA()
    mine, other = (authority.issue_cert(f"{name}@example.com") for name in ("ajones", "bsmith"))
    key = serialization.load_pem_private_key(mine.private_key_pem.bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"gehe1m"),
    )
    contents = {
        "certificate": b"".join(blob.bytes() for blob in mine.cert_chain_pems),
        "key": mine.private_key_pem.bytes(),
        "both": mine.private_key_and_cert_chain_pem.bytes(),
        "other": other.private_key_pem.bytes(),
        "encrypted": encrypted,
        "text": b"not PEM",
        "broken": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in (*contents, "missing")} | {"folder": tmp_path}


@pytest.mark.parametrize(
    ("certificate", "key", "password"),
    [("certificate", "key", ()), ("both", "both", ()), ("certificate", "encrypted", ("gehe1m",))],
)
@pytest.mark.parametrize("verify", [True, "path"])
def test_a_client_certificate_is_loaded_at_once(
    files: dict[str, Path], certificate: str, key: str, password: tuple[str, ...], *, verify: bool | str
) -> None:
    client_cert = (str(files[certificate]), files[key], *password)
    trust = Trust(files["certificate"] if verify == "path" else True, client_cert)  # type: ignore[arg-type] # 2 or 3
    assert verifies(trust.context())


@pytest.mark.parametrize(
    ("certificate", "key", "password", "problem"),
    [
        ("missing", "key", (), "the certificate file cannot be read: No such file or directory: {0}"),
        ("certificate", "missing", (), "the key file cannot be read: No such file or directory: {1}"),
        ("certificate", "folder", (), "the key file cannot be read: Is a directory: {1}"),
        ("text", "key", (), "the file contains no certificate in PEM format: {0}"),
        ("broken", "key", (), "the file contains no certificate in PEM format: {0}"),
        ("key", "certificate", (), "the file contains no certificate in PEM format: {0}"),
        ("certificate", "text", (), "the file contains no private key in PEM format: {1}"),
        ("certificate", "certificate", (), "the file contains no private key in PEM format: {1}"),
        (
            "certificate",
            "other",
            (),
            "the key does not belong to the certificate, which must be the first of its file: {1}, {0}",
        ),
        (
            "certificate",
            "encrypted",
            (),
            "the key is encrypted; give its password in client_cert= or AIOCONNECTIONS_CLIENT_KEY_PASSWORD: {1}",
        ),
        ("certificate", "encrypted", ("wr0ng",), "the password does not open the key: {1}"),
        ("certificate", "encrypted", ("wr0ng" * 1000,), "the password does not open the key: {1}"),
    ],
)
@pytest.mark.parametrize("folder", ["", "deep/" * 40], ids=["short paths", "long paths"])
def test_a_client_certificate_that_cannot_be_used(
    files: dict[str, Path], certificate: str, key: str, password: tuple[str, ...], problem: str, folder: str
) -> None:
    beside = files["folder"]
    (beside / folder).mkdir(parents=True, exist_ok=True)
    names = [files[name].relative_to(beside) for name in (certificate, key)]
    for name in {name for name in names if (beside / name).is_file()}:
        (beside / name).rename(beside / folder / name)
    paths = [beside / folder / name for name in names]
    with pytest.raises(InvalidInputError) as info:
        Trust(True, (*paths, *password))  # type: ignore[arg-type] # noqa: FBT003 # two or three; the value of verify
    expected = f"the client certificate cannot be used: {problem.format(*paths)}"
    told = str(info.value)
    assert told.removesuffix("…") == expected[: 299 if len(expected) > 300 else 300]
    assert told.startswith("the client certificate cannot be used: " + problem.partition("{")[0]), "a path is cut first"
    assert info.value.__context__ is None
    assert "wr0ng" not in str(info.value)


@pytest.mark.parametrize("value", ["me.pem", ("me.pem",), ("me.pem", None), ("me.pem", "me.key", b"x"), ()])
def test_a_client_certificate_of_another_type(value: object) -> None:
    with pytest.raises(InvalidInputError, match="client_cert must be a tuple of the paths of a certificate and of its"):
        Trust(True, value)  # type: ignore[arg-type] # noqa: FBT003 # the value of verify


def test_a_client_certificate_does_not_change_the_context_of_the_caller(files: dict[str, Path]) -> None:
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(InvalidInputError, match="a context as verify; call load_cert_chain of the context"):
        Trust(own, (files["certificate"], files["key"]))


def test_a_weak_client_certificate_is_refused(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 # what is refused
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ajones")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    path = tmp_path / "weak.pem"
    path.write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    with pytest.raises(InvalidInputError, match=r"a key or digest that is not secure; use another one: .*weak\.pem"):
        Trust(True, (path, path))  # noqa: FBT003 # the value of verify
