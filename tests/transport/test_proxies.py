"""The proxy that the environment names for an origin, and URLs that name none."""

from __future__ import annotations

import os
import pickle
import sys

import pytest

from aioconnections.errors import InvalidInputError
from aioconnections.protocol.address import split_url
from aioconnections.transport.proxies import Proxy, is_loopback, proxy_variable

PROXY = "http://proxy.example:3128"
HTTPS = "https://c.example.com"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("REQUEST_METHOD", raising=False)


@pytest.mark.parametrize(
    ("environment", "url", "found"),
    [
        ({}, HTTPS, None),
        ({"https_proxy": PROXY}, HTTPS, "https_proxy"),
        ({"HTTPS_PROXY": PROXY}, HTTPS, "HTTPS_PROXY"),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other"}, HTTPS, "https_proxy"),
        ({"https_proxy": PROXY, "HTTP_PROXY": PROXY}, "http://c.example.com", "HTTP_PROXY"),
        ({"https_proxy": PROXY}, "http://c.example.com", None),
        ({"HTTP_PROXY": PROXY}, HTTPS, None),
        ({"http_proxy": PROXY}, "http://c.example.com:8080", "http_proxy"),
        ({"all_proxy": PROXY}, HTTPS, "all_proxy"),
        ({"ALL_PROXY": PROXY}, "http://c.example.com", "ALL_PROXY"),
        ({"ALL_PROXY": "http://other", "https_proxy": PROXY}, HTTPS, "https_proxy"),
        ({"https_proxy": "", "ALL_PROXY": PROXY}, HTTPS, "ALL_PROXY"),
        ({"https_proxy": " ", "HTTPS_PROXY": PROXY}, HTTPS, "HTTPS_PROXY"),
        ({"https_proxy": "", "HTTPS_PROXY": "", "ALL_PROXY": ""}, HTTPS, None),
        ({"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, "http://c.example.com", None),
        ({"http_proxy": PROXY, "REQUEST_METHOD": "GET"}, "http://c.example.com", "http_proxy"),
        ({"all_proxy": PROXY}, "http://localhost:8080", None),
        ({"all_proxy": PROXY}, "http://127.0.0.2:8080", None),
        ({"all_proxy": PROXY}, "https://[::1]", None),
        ({"all_proxy": PROXY, "no_proxy": "", "NO_PROXY": "c.example.com"}, HTTPS, None),
        ({"all_proxy": PROXY, "no_proxy": "other.example", "NO_PROXY": "c.example.com"}, HTTPS, "all_proxy"),
    ],
)
def test_all_proxy_https_proxy_and_http_proxy_in_both_cases_and_empty(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, found: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_variable(split_url(url)[0]) == found


EXCEPTED = [
    # names and wildcards
    ("*", "https://c.example.com", True),
    ("other.example, *", "https://c.example.com", True),
    ("example.com", "https://c.example.com", True),
    ("example.com", "https://example.com", True),
    ("example.com", "https://notexample.com", False),
    ("example.com", "https://example.com.evil.example", False),
    (".example.com", "https://c.example.com", True),
    (".example.com", "https://example.com", True),
    (".example.com", "https://notexample.com", False),
    ("*.example.com", "https://c.example.com", True),
    ("*.example.com", "https://a.b.example.com", True),
    ("*.example.com", "https://example.com", False),
    ("*.example.com", "https://cxexample.com", False),
    ("*example.com", "https://notexample.com", True),
    ("c.*.com", "https://c.example.com", True),
    ("C.EXAMPLE.COM", "https://c.Example.com", True),
    ("c.example.com.", "https://c.example.com", True),
    ("c.example.com", "https://c.example.com.", True),
    ("b\u00fccher.example", "https://b\u00fccher.example", True),
    ("\udcff", "https://c.example.com", False),
    (" ,; c.example.com ,", "https://c.example.com", True),
    ("a.example c.example.com", "https://c.example.com", True),
    ("a.example\tb.example", "https://c.example.com", False),
    (",", "https://c.example.com", False),
    (".", "https://c.example.com", False),
    # ports
    ("c.example.com:443", "https://c.example.com", True),
    ("c.example.com:8443", "https://c.example.com:8443", True),
    ("c.example.com:443", "https://c.example.com:8443", False),
    (".example.com:8443", "https://c.example.com:8443", True),
    ("*:8443", "https://c.example.com:8443", True),
    ("*:8443", "https://c.example.com", False),
    ("10.1.2.3:443", "https://10.1.2.3", True),
    ("10.1.2.3:8443", "https://10.1.2.3", False),
    # IPv4 addresses and networks
    ("10.1.2.3", "https://10.1.2.3", True),
    ("10.1.2.3", "https://10.1.2.30", False),
    ("1.2.3", "https://10.1.2.3", False),
    ("10.0.0.0/8", "https://10.1.2.3", True),
    ("10.9.9.9/8", "https://10.1.2.3", True),
    ("10.0.0.0/8", "https://11.1.2.3", False),
    ("192.168.1.0/24", "https://192.168.1.255", True),
    ("192.168.1.0/24", "https://192.168.2.1", False),
    ("192.168.1.0/255.255.255.0", "https://192.168.1.7", True),
    ("10.1.2.3/32", "https://10.1.2.3", True),
    ("0.0.0.0/0", "https://10.1.2.3", True),
    ("10.0.0.0/33", "https://10.1.2.3", False),
    ("10.0.0.0/8", "https://c.example.com", False),
    ("10.0.0.0/8", "https://10.example.com", False),
    ("10.*", "https://10.1.2.3", True),
    ("10.0.0.0/8", "https://[::ffff:10.1.2.3]", True),
    # IPv6 addresses and networks
    ("fd00::1", "https://[fd00::1]", True),
    ("[fd00::1]", "https://[fd00::1]", True),
    ("FD00:0:0::1", "https://[fd00::1]", True),
    ("[fd00::1]:443", "https://[fd00::1]", True),
    ("[fd00::1]:8443", "https://[fd00::1]", False),
    ("fd00::1:443", "https://[fd00::1]", False),
    ("fd00::2", "https://[fd00::1]", False),
    ("fd00::/8", "https://[fd12::1]", True),
    ("[fd00::]/8", "https://[fd12::1]", True),
    ("[fd00::/8]", "https://[fd12::1]", True),
    ("fd00::/8", "https://[fe80::1]", False),
    ("fd00::/8", "https://10.1.2.3", False),
    ("::/0", "https://[fd12::1]", True),
]


@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize(("entries", "url", "excepted"), EXCEPTED, ids=[f"{e!a} {u}" for e, u, _ in EXCEPTED])
def test_no_proxy_with_cidr_blocks_ipv6_addresses_and_wildcards(
    monkeypatch: pytest.MonkeyPatch, variable: str, entries: str, url: str, *, excepted: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv(variable, entries)
    assert (proxy_variable(split_url(url)[0]) is None) is excepted


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("localhost.", True),
        ("app.localhost", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("notlocalhost", False),
        ("127.example.com", False),
        ("128.0.0.1", False),
        ("::2", False),
    ],
)
def test_this_machine(host: str, *, here: bool) -> None:
    assert is_loopback(host) is here


@pytest.mark.parametrize(
    ("value", "url", "login"),
    [
        ("proxy.example:3128", "http://proxy.example:3128", None),
        (" proxy.example ", "http://proxy.example", None),
        ("HTTP://Proxy.Example:3128/", "http://proxy.example:3128", None),
        ("https://proxy.example", "https://proxy.example", None),
        ("http://[FD00::1]:3128", "http://[fd00::1]:3128", None),
        ("http://10.0.0.1:3128", "http://10.0.0.1:3128", None),
        ("http://b\u00fccher.example", "http://xn--bcher-kva.example", None),
        ("http://amy:pa%3Ass%40@proxy.example:3128", "http://proxy.example:3128", ("amy", "pa:ss@")),
        ("amy:gehe1m@proxy.example:3128", "http://proxy.example:3128", ("amy", "gehe1m")),
        ("http://amy@proxy.example", "http://proxy.example", ("amy", "")),
    ],
)
def test_a_proxy_url_with_and_without_scheme_and_login(value: str, url: str, login: tuple[str, str] | None) -> None:
    proxy = Proxy.of("HTTPS_PROXY", value)
    assert proxy.url == url
    assert (proxy.login and proxy.login()) == login
    assert "gehe1m" not in f"{proxy!r} {proxy} {vars(type(proxy))}"
    if login is not None:
        with pytest.raises((pickle.PicklingError, AttributeError)):
            pickle.dumps(proxy)


@pytest.mark.parametrize("scheme", ["ftp", "socks", "socks4", "socks4a", "file", "quic+x"])
def test_a_proxy_url_with_an_unsupported_scheme(scheme: str) -> None:
    with pytest.raises(InvalidInputError) as info:
        Proxy.of("ALL_PROXY", f"{scheme}://amy:gehe1m@proxy.example")
    assert str(info.value) == (
        f"ALL_PROXY names a proxy of the unsupported scheme '{scheme}'; use http, https, socks5 or socks5h"
    )


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_without_the_extra(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(InvalidInputError, match=r'ALL_PROXY names a SOCKS proxy.*pip install "httpx\[socks\]"'):
        Proxy.of("ALL_PROXY", f"{scheme}://proxy.example:1080")
    monkeypatch.setitem(sys.modules, "socksio", sys)
    assert Proxy.of("ALL_PROXY", f"{scheme}://proxy.example:1080").scheme == scheme


@pytest.mark.parametrize(
    "value",
    [
        "http://",
        "http://:3128",
        "http://[::1",
        "http://[gehe1m]",
        "http://proxy.example:port",
        "http://proxy.example:0",
        "http://proxy.example:70000",
        "http://amy:geh#e1m@proxy.example",
        "http://amy:geh/e1m@proxy.example",
        "http://amy:geh?e1m@proxy.example",
        "http://amy:gehe1m%ff@proxy.example",
        "http://amy:gehe1m\udcff@proxy.example",
        "http://proxy.example/proxy.pac",
        "http://proxy example",
        "http:proxy.example:3128",
        "://proxy.example",
        "amy gehe1m://x",
    ],
)
def test_a_malformed_proxy_url_names_the_variable_and_not_the_password(value: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^HTTPS_PROXY (is not the URL|names a proxy)") as info:
        Proxy.of("HTTPS_PROXY", value)
    assert "e1m" not in str(info.value)
    assert info.value.__context__ is None
