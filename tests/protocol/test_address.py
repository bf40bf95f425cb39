"""Base URLs as people write them, and values as they are written into a URL."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.errors import InvalidInputError, UnexpectedResponseError
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
        ("https://[2001:DB8:0::1]", Origin("https", "2001:db8::1", 443), ""),
        ("https://Bücher.example", Origin("https", "xn--bcher-kva.example", 443), ""),
        ("https://c.example.com/#", Origin("https", "c.example.com", 443), ""),
    ],
)
def test_a_base_url_is_normalised(url: str, origin: Origin, context: str) -> None:
    address = Address.of(url)
    assert (address.origin, address.context) == (origin, context)
    assert address.profiles == f"{context}/profiles/atom"


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
        ("/elsewhere?q=ä b", "/elsewhere?q=%C3%A4%20b"),
    ],
)
def test_a_link_is_followed_on_our_own_server_with_the_segment_of_oauth(href: str, target: str) -> None:
    assert Address.of("https://c.example.com", oauth=True).follow(href) == target


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
        "https://evil.example.com/profiles/atom/x",  # below no context of ours
        "//evil.example.com/",
        "https://amy:pw@c.example.com/social/profiles/atom/x",
        "javascript:alert(1)",
        "https://[broken/social/profiles/",
    ],
)
def test_no_link_leads_to_another_server(href: str) -> None:
    with pytest.raises(UnexpectedResponseError):
        Address.of("https://c.example.com/social").follow(href)
