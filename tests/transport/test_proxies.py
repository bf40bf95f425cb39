"""The proxy that the environment names for an origin."""

from __future__ import annotations

import os

import pytest

from aioconnections.protocol.messages import Origin
from aioconnections.transport.connect import proxy_from_environment

HTTPS = Origin("https", "c.example.com", 443)
HTTP = Origin("http", "c.example.com", 8080)
PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("environment", "origin", "found"),
    [
        ({}, HTTPS, None),
        ({"https_proxy": PROXY}, HTTPS, ("https_proxy", PROXY)),
        ({"HTTPS_PROXY": PROXY}, HTTPS, ("HTTPS_PROXY", PROXY)),
        ({"https_proxy": PROXY}, HTTP, None),
        ({"http_proxy": PROXY}, HTTP, ("http_proxy", PROXY)),
        ({"all_proxy": PROXY}, HTTPS, ("all_proxy", PROXY)),
        ({"ALL_PROXY": "http://other", "https_proxy": PROXY}, HTTPS, ("https_proxy", PROXY)),
        ({"https_proxy": "", "ALL_PROXY": PROXY}, HTTPS, ("ALL_PROXY", PROXY)),
        ({"https_proxy": "proxy.example:3128"}, HTTPS, ("https_proxy", PROXY)),
        ({"https_proxy": PROXY, "no_proxy": "example.com"}, HTTPS, None),
        ({"https_proxy": PROXY, "NO_PROXY": "*"}, HTTPS, None),
        ({"http_proxy": PROXY, "no_proxy": "c.example.com:8080"}, HTTP, None),
        ({"https_proxy": PROXY, "no_proxy": "other.example"}, HTTPS, ("https_proxy", PROXY)),
    ],
)
def test_the_proxy_for_an_origin(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], origin: Origin, found: tuple[str, str] | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_from_environment(origin) == found
