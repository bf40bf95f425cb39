"""Base URLs as people write them, and values as they are written into a URL."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.errors import InvalidInputError
from aioconnections.protocol.address import Address, split_url
from aioconnections.protocol.messages import Origin, Request, encode


@pytest.mark.parametrize(
    ("url", "origin", "context"),
    [
        ("https://c.example.com", Origin("https", "c.example.com", 443), ""),
        (" https://c.example.com/ ", Origin("https", "c.example.com", 443), ""),
        ("HTTPS://C.Example.COM:443", Origin("https", "c.example.com", 443), ""),
        ("http://c.example.com", Origin("http", "c.example.com", 80), ""),
        ("http://c.example.com:8080/", Origin("http", "c.example.com", 8080), ""),
        ("https://c.example.com/social", Origin("https", "c.example.com", 443), "/social"),
        ("https://c.example.com/a/b%20c//", Origin("https", "c.example.com", 443), "/a/b%20c"),
        ("https://c.example.com./", Origin("https", "c.example.com.", 443), ""),
        ("https://intra_net", Origin("https", "intra_net", 443), ""),
        ("https://10.0.0.1", Origin("https", "10.0.0.1", 443), ""),
        ("https://[::1]:8443", Origin("https", "::1", 8443), ""),
        ("https://[FE80::1%25eth0]:8443", Origin("https", "fe80::1%eth0", 8443), ""),
        ("https://[fe80::1%eth0.1]", Origin("https", "fe80::1%eth0.1", 443), ""),
        ("https://[fe80::1%251]", Origin("https", "fe80::1%1", 443), ""),
        ("https://[2001:DB8:0::1]", Origin("https", "2001:db8::1", 443), ""),
        ("https://Bücher.example", Origin("https", "xn--bcher-kva.example", 443), ""),
        ("https://c.example.com/#", Origin("https", "c.example.com", 443), ""),
    ],
)
def test_a_base_url_is_normalised(url: str, origin: Origin, context: str) -> None:
    address = Address.of(url)
    assert (address.origin, address.context) == (origin, context)
    assert address.profiles == f"{context}/profiles/atom"


def test_the_zone_of_a_link_local_address_stays_on_this_machine() -> None:
    assert Address.of("https://[fe80::1%25eth0]:8443").origin.authority == "[fe80::1]:8443"


def test_oauth_has_its_segment_after_the_context_root_of_profiles() -> None:
    address = Address.of("https://c.example.com/social", oauth=True)
    assert address.profiles == "/social/profiles/oauth/atom"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "c.example.com",
        "//c.example.com",
        "ftp://c.example.com",
        "https://",
        "https:///profiles",
        "https://:443",
        "https://c.example.com:0",
        "https://c.example.com:65536",
        "https://c.example.com:port",
        "https://amy:secret@c.example.com",
        "https://amy@c.example.com",
        "https://@c.example.com",
        "https://c.example.com/?a=b",
        "https://c.example.com/#top",
        "https://c.example.com/a b",
        "https://c.example.com/ä",
        "https://c.example.com/a//b",
        "https://c .example.com",
        "https://c\x00.example.com",
        "https://<c>.example.com",
        "https://c\\.example.com",
        "https://c..example.com",
        "https://" + "ä" * 70 + ".example",
        "https://[::1",
        "https://[nonsense:]",
        # malformed zones, brackets, labels, ports and escapes
        "http://[fe80::1%..]",
        "http://[fe80::1%]",
        "http://[fe80::1%25]",
        "http://[fe80::1%25..]",
        "http://[fe80::1%eth0/x]",
        "http://[fe80::1%et h]",
        "http://[fe80::1%eth0%1]",
        "http://[fe80::1%\ud800]",
        "http://[10.0.0.1%eth0]",
        "http://fe80::1",
        "http://[::1]x",
        "http://[::1]:8080x",
        "http://x[::1]",
        "http://[[::1]]",
        "http://[]",
        "http://[v1.x]",
        "http://[1.2.3.4]",
        "http://::1]",
        "http://c.example.com:1:2",
        "http://c.example.com:-1",
        "http://c.example.com:\u0661",
        "http://" + "x" * 64 + ".example.com",
        "http://c%2eexample.com",
        "http://\ud800.example.com",
        "http://c.example.com/\ud800",
        "http://c.example.com/%zz",
        "http://c.example.com/a%2",
        "http://\u2100.example.com",
        None,
        7,
        b"https://c.example.com",
    ],
)
def test_what_is_no_base_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(InvalidInputError) as info:
        Address.of(url)
    assert "secret" not in str(info.value)
    assert info.value.__context__ is None


@given(st.text(max_size=30))
def test_any_text_is_an_address_that_can_be_asked_or_refused(text: str) -> None:
    try:
        address = Address.of(f"https://{text}")
    except InvalidInputError:
        return
    Request("GET", f"{address.profiles}/x")
    assert address.origin.authority.isascii()
    assert address.origin.authority.isprintable()
    assert " " not in address.origin.authority


def test_a_url_is_split_into_origin_and_target() -> None:
    assert split_url("https://c.example.com/a/b?x=1&y=%20") == (
        Origin("https", "c.example.com", 443),
        "/a/b?x=1&y=%20",
    )
    assert split_url("http://c.example.com")[1] == "/"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_value_comes_back_from_the_url(value: str) -> None:
    encoded = encode(value)
    assert unquote(encoded, errors="strict") == value
    assert parse_qs(f"a={encoded}&b=1", keep_blank_values=True, strict_parsing=True) == {"a": [value], "b": ["1"]}


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("amy@example.com", "amy%40example.com"),
        ("a+b&c=d", "a%2Bb%26c%3Dd"),
        ("100% sure", "100%25%20sure"),
        ("a/b?c#d;e", "a%2Fb%3Fc%23d%3Be"),
        ("-._~", "-._~"),
        ("Zoë", "Zo%C3%AB"),
        ("", ""),
    ],
)
def test_everything_but_the_unreserved_is_percent_encoded(value: str, encoded: str) -> None:
    assert encode(value) == encoded


@pytest.mark.parametrize(
    ("href", "target"),
    [
        ("https://c.example.com/profiles/atom/x.do?a=1", "/profiles/oauth/atom/x.do?a=1"),
        ("https://c.example.com/profiles/oauth/atom/x.do", "/profiles/oauth/atom/x.do"),
        ("https://c.example.com/profiles/admin/atom/x.do", "/profiles/oauth/admin/atom/x.do"),
        ("http://visible.example.com:9/profiles/atom/x.do", "/profiles/oauth/atom/x.do"),
        ("//visible.example.com/profiles/atom/x.do", "/profiles/oauth/atom/x.do"),
        ("/profiles/atom/x.do", "/profiles/oauth/atom/x.do"),
        ("/profiles/photo.do", "/profiles/photo.do"),
        ("/communities/service/atom/community?u=1", "/communities/service/atom/oauth/community?u=1"),
        ("/communities/service/atom/oauth/community", "/communities/service/atom/oauth/community"),
        ("/communities/service/html/x", "/communities/service/html/x"),
        ("/profiles/atom/x.do?q=ä b", "/profiles/oauth/atom/x.do?q=%C3%A4%20b"),
        (
            "/profiles/atom/x.do;jsessionid=0000a-B:1?q=a%2Fb/../c",
            "/profiles/oauth/atom/x.do;jsessionid=0000a-B:1?q=a%2Fb/../c",
        ),
        ("https://c.example.com/profiles/atom/x.do?a#part", "/profiles/oauth/atom/x.do?a"),
    ],
)
def test_a_link_is_followed_on_our_own_server_with_the_segment_of_oauth(href: str, target: str) -> None:
    assert Address.of("https://c.example.com", oauth=True).follow(href) == target


@pytest.mark.parametrize(
    "host", ["https://gw.example.com", "https://gw.example.com:8443", "http://inner:9080", "//v", ""]
)
@pytest.mark.parametrize("context", ["/ctx", ""])
@pytest.mark.parametrize("path", ["/profiles/atom/x.do?a=1", "/communities/service/atom/community/invites?u=1"])
def test_a_link_is_rebased_on_the_configured_origin_and_context(host: str, context: str, path: str) -> None:
    assert Address.of("https://gw.example.com/ctx").follow(f"{host}{context}{path}") == f"/ctx{path}"


def test_a_relative_link_refers_to_the_response_it_is_in() -> None:
    address = Address.of("https://gw.example.com/ctx")
    base = address.url_of("/ctx/profiles/atom/connections.do?page=1")
    for href in ("x.do?a=1", "./x.do?a=1", "../atom/x.do?a=1", "/profiles/atom/x.do?a=1"):
        assert address.follow(href, base) == "/ctx/profiles/atom/x.do?a=1"
    assert address.follow("?page=2", base) == "/ctx/profiles/atom/connections.do?page=2"
    assert address.follow("../../../x.do", base) is None


def test_a_link_of_another_login_is_left_as_it_is() -> None:
    address = Address.of("https://c.example.com/social")
    assert address.follow("https://v.example.com/social/profiles/atom/x") == "/social/profiles/atom/x"
    assert (address.administration, address.communities) == (
        "/social/profiles/admin/atom",
        "/social/communities/service/atom",
    )


@pytest.mark.parametrize(
    "href",
    [
        "https://evil.example.com/x",
        "https://evil.example.com/social/profilesx/y",
        "https://evil.example.com/other/profiles/atom/x",  # below no context of ours
        "https://c.example.com/other/profiles/atom/x",  # a context that was renamed
        "https://c.example.com/social/elsewhere",
        "https://c.example.com/social/profilesX/atom/x",
        "https://c.example.com/social/Profiles/atom/x",
        "https://c.example.com/socialite/profiles/atom/x",
        "https://c.example.com/profiles/../elsewhere",
        "https://c.example.com/profiles/./atom/x",
        "https://c.example.com/profiles/..;a=b/elsewhere",
        "https://c.example.com/profiles/%2e%2e/elsewhere",
        "https://c.example.com/profiles/%252e%252e/elsewhere",
        "https://c.example.com/profiles/..%2felsewhere",
        "https://c.example.com/profiles%2fatom/x",
        "https://c.example.com/profiles/atom%5c..%5c..%5cx",
        "https://c.example.com/profiles/..\\..\\x",
        "https://c.example.com/profiles//elsewhere",
        "https://c.example.com/profiles/",
        "https://c.example.com/;a/profiles/atom/x",
        "/\\evil.example.com/profiles/atom/x",
        "\\\\evil.example.com/profiles/atom/x",
        "https://evil.example.com:0/profiles/atom/x",
        "ftp://c.example.com/profiles/atom/x",
        "/profiles/\x00",
        "profiles",
        "#top",
        "",
        "//evil.example.com/",
        "https://amy:pw@c.example.com/social/profiles/atom/x",
        "javascript:alert(1)",
        "https://[broken/social/profiles/",
    ],
)
def test_no_link_leads_to_another_server(href: str) -> None:
    assert Address.of("https://c.example.com/social").follow(href) is None


def test_a_link_with_a_lone_surrogate_is_the_fault_of_the_caller() -> None:
    with pytest.raises(InvalidInputError, match="lone surrogate"):
        Address.of("https://c.example.com").follow("https://c.example.com/profiles/\ud800")


@given(
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.sampled_from(["", "/ctx", "https://evil.example.com", "/profiles/"]),
)
def test_whatever_a_link_says_the_request_goes_below_our_roots(text: str, beginning: str) -> None:
    target = Address.of("https://c.example.com/ctx").follow(beginning + text)
    if target is not None:
        assert target.startswith(("/ctx/profiles/", "/ctx/communities/"))
        path = Request("GET", target).path
        assert urljoin("https://c.example.com/", path) == f"https://c.example.com{path}"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://inner.example.com/profiles/atom/y", "/ctx/profiles/atom/y"),
        ("http://gw.example.com/ctx/profiles/atom/y", "/ctx/profiles/atom/y"),
        ("/profiles/atom/y", "/ctx/profiles/atom/y"),
        ("y", "/ctx/profiles/atom/y"),
        ("/ctx/elsewhere", "/ctx/elsewhere"),
        ("/elsewhere", "/elsewhere"),
        # the gateway has dropped its path; the request itself would be sent again and again
        ("https://gw.example.com/profiles/atom/x", "/profiles/atom/x"),
        ("https://inner.example.com/profiles/atom/x", None),
        ("https://inner.example.com/ctx/profiles/atom/x", None),
        ("https://evil.example.com/", None),
        ("https://evil.example.com/profiles/../x", None),
        ("https://amy:pw@gw.example.com/elsewhere", None),
        ("https://[broken", None),
    ],
)
def test_a_redirect_stays_on_the_server(location: str, target: str | None) -> None:
    assert Address.of("https://gw.example.com/ctx").redirected("/ctx/profiles/atom/x", location) == target


@pytest.mark.parametrize(
    ("target", "template"),
    [
        ("/profiles/atom/connection.do?sourceUserid=a", "/profiles/atom/connection.do"),
        ("/profiles/oauth/admin/atom/connections.do", "/profiles/oauth/admin/atom/connections.do"),
        ("/communities/service/atom/community/invites/my?page=2", "/communities/service/atom/community/invites/my"),
        ("/profiles/photo.do?userid=a", None),
        ("/somewhere/else", None),
    ],
)
@pytest.mark.parametrize("context", ["", "/social"])
def test_a_known_path_has_a_template_that_names_no_person(target: str, template: str | None, context: str) -> None:
    address = Address.of(f"https://c.example.com{context}")
    assert address.template_of(context + target) == (None if template is None else context + template)
    assert address.template_of("/other" + target) is None


@pytest.mark.parametrize(
    ("query", "is_followed"),
    [
        ("a=1&b=%40%2B", True),
        ("b=@%2b&z&a=1", True),
        ("a=1&b=%2540%252B", False),
        ("a=1&b=%40+", False),
        ("a=1", False),
        ("a=1&a=2&b=%40%2B", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("path", ["/profiles/atom/y", "/elsewhere"])
def test_a_redirect_keeps_the_parameters(path: str, query: str, *, is_followed: bool) -> None:
    redirected = Address.of("https://gw.example.com").redirected("/profiles/atom/x?a=1&b=%40%2B", f"{path}?{query}")
    assert redirected == (f"{path}?{query}" if is_followed else None)
