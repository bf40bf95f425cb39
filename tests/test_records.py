"""Records validate their values, and compare as people do."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from aioconnections import Email, Identity, InvalidInputError, Key, Pair, Person, Status, Userid
from aioconnections.records import identity_of

KINDS: list[type[Identity]] = [Email, Userid, Key]


TEXTS: dict[type[Identity], str] = {
    Email: "Zoë.O'Neill+x@Example.com",
    Userid: "cn=Zoë O'Neill+x,ou=Einkauf & Vertrieb,dc=example,dc=com",
    Key: "7f3c9a80-1234-4bcd-9e01-aa00bb11cc22",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("around", ["", " ", "\t\r\n", "\u00a0", "\u3000", "\x85", "\u2028"], ids=ascii)
def test_an_identity_is_stripped_and_otherwise_kept(kind: type[Identity], around: str) -> None:
    identity = kind(f"{around}{TEXTS[kind]}{around}")
    assert identity.value == str(identity) == TEXTS[kind]
    assert identity.kind == kind.__name__.lower()
    with pytest.raises(FrozenInstanceError):
        identity.value = "other"  # type: ignore[misc]


def refusal(kind: type[Identity], value: Any) -> str:
    with pytest.raises(InvalidInputError) as info:
        kind(value)
    assert info.value.__context__ is None
    return str(info.value)


NAMES = {Email: "e-mail address", Userid: "userid", Key: "key"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "the {} is empty"),
        ("   ", "the {} is empty"),
        ("\n\u00a0", "the {} is empty"),
        (None, "the {} must be text, not NoneType"),
        (7, "the {} must be text, not int"),
        (b"a@x", "the {} must be text, not bytes"),
        (Email("a@b.example"), "the {} must be text, not Email"),
    ],
    ids=ascii,
)
def test_an_identity_must_be_text_and_not_empty(kind: type[Identity], value: object, problem: str) -> None:
    assert refusal(kind, value) == problem.format(NAMES[kind])


UNSEEN = [
    ("\u200b", "U+200B ZERO WIDTH SPACE, which is invisible: remove it"),
    ("\ufeff", "U+FEFF ZERO WIDTH NO-BREAK SPACE, which is invisible: remove it"),
    ("\u00ad", "U+00AD SOFT HYPHEN, which is invisible: remove it"),
    ("\u200e", "U+200E LEFT-TO-RIGHT MARK, which is invisible: remove it"),
    ("\u202e", "U+202E RIGHT-TO-LEFT OVERRIDE, which is invisible: remove it"),
    ("\u2066", "U+2066 LEFT-TO-RIGHT ISOLATE, which is invisible: remove it"),
    ("\u2060", "U+2060 WORD JOINER, which is invisible: remove it"),
    ("\U000e0041", "U+E0041 TAG LATIN CAPITAL LETTER A, which is invisible: remove it"),
    ("\ufe0f", "U+FE0F VARIATION SELECTOR-16, which is invisible: remove it"),  # printable for Python
    ("\u3164", "U+3164 HANGUL FILLER, which is invisible: remove it"),  # likewise
    ("\u2800", "U+2800 BRAILLE PATTERN BLANK, which is invisible: remove it"),  # likewise
    ("\x00", "U+0000 NULL, a control character: remove it"),
    ("\x07", "U+0007, a control character: remove it"),
    ("\x1c", "U+001C, a control character: remove it"),  # which str.strip() takes for white space
    ("\x7f", "U+007F, a control character: remove it"),
    ("\ud800", "U+D800, a lone surrogate: correct the encoding of the input, which is not text in UTF-8"),
    ("\udce9", "U+DCE9, a lone surrogate: correct the encoding of the input, which is not text in UTF-8"),
    (
        "\ufffd",
        "U+FFFD REPLACEMENT CHARACTER, which replaces lost text: copy the value from its source again",
    ),
    ("\ufffe", "U+FFFE, which is not a character: remove it"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("character", "problem"), UNSEEN, ids=[ascii(character) for character, _ in UNSEEN])
def test_invisible_characters_are_refused_at_any_position(kind: type[Identity], character: str, problem: str) -> None:
    text, name = TEXTS[kind], NAMES[kind]
    assert refusal(kind, f"{character}{text}") == f"character 1 of the {name} is {problem}"
    assert refusal(kind, f" {character} {text}") == f"character 2 of the {name} is {problem}"
    assert refusal(kind, f"{text[:2]}{character}{text[2:]}") == f"character 3 of the {name} is {problem}"
    assert refusal(kind, f" {text}{character}") == f"character {len(text) + 2} of the {name} is {problem}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\t", "U+0009 TAB, a control character: remove it"),
        ("\n", "U+000A LINE FEED, a control character: remove it"),
        ("\x85", "U+0085, a control character: remove it"),
        ("\u00a0", "U+00A0 NO-BREAK SPACE: remove it; one value names one person"),
        ("\u2003", "U+2003 EM SPACE: remove it; one value names one person"),
        ("\u2028", "U+2028 LINE SEPARATOR: remove it; one value names one person"),
    ],
    ids=ascii,
)
def test_white_space_inside_an_identity_is_refused(kind: type[Identity], character: str, name: str) -> None:
    text = TEXTS[kind]
    assert refusal(kind, f"{text[:4]}{character}{text[4:]}") == f"character 5 of the {NAMES[kind]} is {name}"


@pytest.mark.parametrize("kind", [Email, Key])
@pytest.mark.parametrize(
    ("character", "name"),
    [(" ", "U+0020 SPACE: remove it; one value names one person"), (",", "U+002C COMMA: name one person at a time")],
)
def test_spaces_and_commas_are_refused_except_in_userids(kind: type[Email | Key], character: str, name: str) -> None:
    text = TEXTS[kind]
    assert refusal(kind, f"{text}{character}{text}") == f"character {len(text) + 1} of the {NAMES[kind]} is {name}"
    assert Userid(f"{text}{character}{text}").value == f"{text}{character}{text}"


_ALONE = "pass the address alone, without a name, quotes, brackets or a scheme such as mailto:"
_DOMAIN = "a domain holds letters, digits, hyphens and single dots between them"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("mailto:ann@example.com", f"character 7 of the e-mail address is U+003A COLON: {_ALONE}"),
        ("<ann@example.com>", f"character 1 of the e-mail address is U+003C LESS-THAN SIGN: {_ALONE}"),
        ("Ann<a@x>", f"character 4 of the e-mail address is U+003C LESS-THAN SIGN: {_ALONE}"),
        (
            "Ann <a@x>",
            f"character 4 of the e-mail address is U+0020 SPACE: {_ALONE}",
        ),
        ("ann a@x", "character 4 of the e-mail address is U+0020 SPACE: remove it; one value names one person"),
        ('"ann"@example.com', f"character 1 of the e-mail address is U+0022 QUOTATION MARK: {_ALONE}"),
        ("“a@x”", f"character 1 of the e-mail address is U+201C LEFT DOUBLE QUOTATION MARK: {_ALONE}"),
        ("ann(work)@x", f"character 4 of the e-mail address is U+0028 LEFT PARENTHESIS: {_ALONE}"),
        ("ann@[192.0.2.1]", f"character 5 of the e-mail address is U+005B LEFT SQUARE BRACKET: {_ALONE}"),
        ("a@x,b@x", "character 4 of the e-mail address is U+002C COMMA: name one person at a time"),
        ("a@x, b@x", "character 4 of the e-mail address is U+002C COMMA: name one person at a time"),
        ("a@x;b@x", "character 4 of the e-mail address is U+003B SEMICOLON: name one person at a time"),
        ("a@x\uff0cb@x", "character 4 of the e-mail address is U+FF0C FULLWIDTH COMMA: name one person at a time"),
        (
            "a@b@x",
            "character 4 of the e-mail address is U+0040 COMMERCIAL AT, the second one: name one person at a time",
        ),
        ("'ann@x", "character 1 of the e-mail address is U+0027 APOSTROPHE: remove the quotation mark"),
        (
            "o\u2019hara@x",
            "character 2 of the e-mail address is U+2019 RIGHT SINGLE QUOTATION MARK: use the ASCII apostrophe",
        ),
        ("ann\u2013lee@x", "character 4 of the e-mail address is U+2013 EN DASH: use the ASCII hyphen"),
        ("ann\uff20x", "character 4 of the e-mail address is U+FF20 FULLWIDTH COMMERCIAL AT: use the ASCII @"),
        (
            "ann.lee",
            "the e-mail address has no @; pass a userid or a key as Userid or Key, or in a column for these",
        ),
        (
            "20000001.0",
            "the e-mail address has no @; pass a userid or a key as Userid or Key, or in a column for these",
        ),
        ("@x", "the e-mail address has nothing before its @"),
        ("ann@", "the e-mail address has nothing after its @"),
        *(
            (
                value,
                f"character {at} of the e-mail address is {name}: {_DOMAIN}",
            )
            for value, at, name in [
                ("ann@x?subject=Hi", 6, "U+003F QUESTION MARK"),
                (" ann@x/", 7, "U+002F SOLIDUS"),
                ("ann@x'", 6, "U+0027 APOSTROPHE"),
                ("ann@.x", 5, "U+002E FULL STOP"),
                ("ann@x..y", 6, "U+002E FULL STOP"),
                ("ann@x.y.", 8, "U+002E FULL STOP"),
            ]
        ),
    ],
    ids=ascii,
)
def test_anything_but_the_address_of_one_person_is_refused(value: str, problem: str) -> None:
    assert refusal(Email, value) == problem
    assert value not in problem


@pytest.mark.parametrize(
    "value",
    [
        "o'hara@example.com",
        "a.b+c_d=e&f!g#h$i%j*k/l?m^n`o{p|q}r~s-t@sub.example-1.co.uk",
        "Ann_Lee/Org@NOTES",
        "a..b.@example.com",
        "1@x",
        "用户@例え.jp",
        "δοκιμή@παράδειγμα.δοκιμή",
        f"{'a' * 1_100}@example.com",
    ],
)
def test_valid_addresses_are_kept(value: str) -> None:
    assert Email(value).value == value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("letter", "size"), [("a", 1), ("é", 2), ("\U0001f980", 4)])
def test_an_identity_has_at_most_2048_bytes(kind: type[Identity], letter: str, size: int) -> None:
    end = "@x" if kind is Email else "--"
    longest = letter * (2_046 // size) + "-" * (2_046 % size) + end
    assert len(kind(longest).value.encode()) == 2_048
    problem = f"the {NAMES[kind]} has {{}} bytes in UTF-8; at most 2,048 are allowed"
    assert refusal(kind, f"-{longest}") == problem.format("2,049")
    assert refusal(kind, letter * (10_000_000 // size)) == problem.format("10,000,000")


@pytest.mark.parametrize(
    "value",
    [
        "🦀",
        "عربى",
        "uid=ann,ou=people,dc=example,dc=com",
        "山田\u3000太郎",
        "\ue000",
        "葛\U000e0100城",
        "mailto:a@x",
        "<a>",
    ],
)
def test_unusual_but_valid_text_is_kept(value: str) -> None:
    assert Userid(value).value == value


def test_a_subclass_of_str_becomes_a_plain_str() -> None:
    class Text(str):
        __slots__ = ()

    for kind in KINDS:
        assert type(kind(Text(TEXTS[kind])).value) is str


@pytest.mark.parametrize("kind", [Email, Key])
def test_emails_and_keys_compare_case_insensitively(kind: type[Email | Key]) -> None:
    assert kind("Amy@Example.com") == kind("amy@example.COM")
    assert len({kind("Amy@Example.com"), kind("amy@example.COM")}) == 1


def test_addresses_that_differ_by_more_than_case_are_different_people() -> None:
    """Case folding would make them equal."""
    assert Email("weiß@example.com") != Email("weiss@example.com")
    assert Email("WEIẞ@example.com") == Email("weiß@example.com")


def test_userids_compare_case_sensitively() -> None:
    assert Userid("A") != Userid("a")


def test_identities_of_different_kinds_are_unequal() -> None:
    assert len({kind("a@x") for kind in KINDS}) == 3


@pytest.mark.parametrize("kind", KINDS)
@given(st.text() | st.from_regex(r"\A[^@]{1,8}@[a-z.]{1,8}\Z"))
def test_any_text_is_accepted_or_refused(kind: type[Identity], text: str) -> None:
    try:
        value = kind(text).value
    except InvalidInputError:
        return
    assert value == text.strip() != ""
    value.encode()
    assert kind is Userid or not set(value) & {" ", ","}
    assert kind is not Email or value.count("@") == 1


def test_statuses_are_text() -> None:
    assert [f"{status}" for status in Status] == ["accepted", "pending", "unconfirmed"]


def test_the_preferred_identity_of_a_person() -> None:
    userid, key, email = Userid("u"), Key("k"), Email("e@example.com")
    assert Person(userid=userid, key=key, email=email).identity is userid
    assert Person(key=key, email=email).identity is key
    assert Person(name="Amy", email=email).identity is email
    with pytest.raises(InvalidInputError, match="the person has no userid, key or e-mail address"):
        _ = Person(name="Amy").identity


def test_identity_of_accepts_identities_and_people() -> None:
    assert identity_of(Key("k")) == Key("k")
    assert identity_of(Person(userid=Userid("u"))) == Userid("u")
    with pytest.raises(InvalidInputError, match="got str"):
        identity_of("amy@example.com")  # type: ignore[arg-type]


def test_a_pair_holds_identities() -> None:
    pair = Pair(Person(userid=Userid("u")), Email("e@example.com"))
    assert (pair.source, pair.target) == (Userid("u"), Email("e@example.com"))
    assert pickle.loads(pickle.dumps(pair)) == pair  # noqa: S301 # our own
    assert len({pair, Pair(Userid("u"), Email("E@EXAMPLE.com"))}) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: Pair(Email("a@example.com"), Email("A@example.com")),
        lambda: Pair(Userid("u"), Person(userid=Userid("u"))),
        lambda: Pair(Email("a@example.com"), "b@example.com"),  # type: ignore[arg-type]
        lambda: Pair(Person(), Userid("u")),
    ],
)
def test_a_pair_must_name_two_people(make: Callable[[], Pair]) -> None:
    with pytest.raises(InvalidInputError):
        make()


def test_the_same_text_of_two_kinds_may_be_two_people() -> None:
    assert Pair(Userid("x"), Key("x")).source != Pair(Userid("x"), Key("x")).target
