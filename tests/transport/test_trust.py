"""The values of ``verify``."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
import truststore

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
