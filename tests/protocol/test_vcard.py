"""What stands on a vCard, however it is folded and encoded."""

import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.atom import Category, Content, Entry
from aioconnections.errors import AtomError
from aioconnections.protocol.people import card_properties, profile_from
from aioconnections.records import Email

QP = "ENCODING=QUOTED-PRINTABLE"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("FN:Jörg Quill", "Jörg Quill"),
        (f"FN;{QP};CHARSET=UTF-8:J=C3=B6rg Quill", "Jörg Quill"),
        (f"FN;CHARSET=utf-8;{QP.lower()}:J=c3=b6rg=20Quill", "Jörg Quill"),
        ("FN;QUOTED-PRINTABLE:J=C3=B6rg", "Jörg"),
        (f"FN;{QP};CHARSET=ISO-8859-1:J=F6rg", "Jörg"),
        (f'FN;{QP};CHARSET="windows-1252":=80', "€"),
        (f"FN;{QP};CHARSET=US-ASCII:J=6Frg", "Jorg"),
        (f"FN;{QP};CHARSET=zlib_codec:J=C3=B6rg", "Jörg"),
        (f"FN;{QP}:J=F6rg", "J\ufffdrg"),
        (f"FN;{QP}:Jörg =3D =xy =3", "Jörg = =xy =3"),
        (f"FN;{QP}:a=0D=0Ab", "a\nb"),
        (f"FN;{QP}:J=\nö=\n rg", "Jö rg"),
        (f"FN;{QP}:J=C3=\r\n=B6rg=\r\n Quill", "Jörg Quill"),
        (f"FN;{QP}:J=C3= \n=B6rg", "Jörg"),
        (f"FN;{QP}:a=3D=\n:b", "a=:b"),
        ("FN;CHARSET=UTF-8:J=C3=B6rg=", "J=C3=B6rg="),
        ("FN:Jö\n rg", "Jörg"),
        ("FN:Jö\r\n\trg", "Jörg"),
        (f"FN;{QP}:J=\n=C3=B6\n rg", "Jörg"),
        ("FN;\n ENCODING=QUOTED-PRINTABLE:=41", "A"),
        ("FN:", ""),
        (f"FN;{QP};CHARSET=ISO-8859-1:Jörg =F6=3D", "Jörg ö="),
        (f"FN;{QP}:a=08b=EF=BF=BF==x", "a\ufffdb\ufffd==x"),
        ("FN:a\x08b", "a\ufffdb"),
        ("FN" + ";x" * 100_000 + ":a", "a"),
    ],
)
def test_values(line: str, expected: str) -> None:
    card = f"\nBEGIN:VCARD\nVERSION:2.1\n{line}\nTITLE:next\nno colon\nEND:VCARD\n"
    assert list(card_properties(card)) == [("fn", expected), ("title", "next")]


plain = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Zs"]), min_size=1)


@given(plain)
def test_what_another_encoder_wrote_is_read(value: str) -> None:
    encoded = quopri.encodestring(value.encode(), quotetabs=True).decode("ascii")
    assert list(card_properties(f"FN;CHARSET=UTF-8;{QP}:{encoded}\nTITLE:t")) == [("fn", value), ("title", "t")]


@given(st.text(st.sampled_from("A:;= \t\r\nC3é\u2028")))
def test_no_card_is_too_odd(value: str) -> None:
    for name, found in card_properties(f"FN;{QP}:{value}\nEND:VCARD"):
        assert name == name.lower()
        assert found == found.strip()


def test_a_card_that_breaks_off_in_a_soft_line_break() -> None:
    assert list(card_properties(f"FN;{QP}:a=")) == [("fn", "a")]
    assert list(card_properties("")) == []


def test_time_does_not_grow_with_the_square() -> None:
    # Takes minutes where what came before is looked at again with every line.
    for start, line in ((f"FN;{QP}:", "=\n"), ("x" * 200_000, "\n ="), (f"FN;{QP}:", "x\n ")):
        assert len(list(card_properties(start + line * 200_000))) <= 1


def hcard(markup: str) -> Entry:
    kind = Category("profile", "http://www.ibm.com/xmlns/prod/sn/type")
    return Entry(categories=(kind,), content=Content(markup, "xhtml"))


@pytest.mark.parametrize(
    "markup",
    [
        '<p class="a">' * 80 + "x" * 20_000 + "</p>" * 80,
        f'<p class="{"ab " * 5_000}">{"x" * 20_000}</p>',
        f'<p class="{"ab " * 30_000}"/>',
    ],
)
def test_an_hcard_grows_no_longer_than_a_multiple_of_itself(markup: str) -> None:
    with pytest.raises(AtomError, match="properties of an hCard are far longer than the card"):
        profile_from(hcard(markup))


def test_an_hcard_of_deep_elements() -> None:
    names = ["adr", "work", "org", "unit"]
    markup = "".join(f'<p class="{name}">' for name in names) + " Rowing\n team " + "</p>" * 4 + '<a class="url"/>'
    expected = [*((name, "Rowing team") for name in names), ("url", "")]
    assert list(profile_from(hcard(f'<p class="vcard">{markup}</p>')).properties) == expected


def test_a_profile_of_a_card_that_is_quoted_printable() -> None:
    card = f"BEGIN:VCARD\nFN;{QP};CHARSET=UTF-8:J=C3=B6rg =\nQuill\nEMAIL;INTERNET;{QP}:j=40example.com\nEND:VCARD"
    entry = Entry(categories=(Category("profile", "http://www.ibm.com/xmlns/prod/sn/type"),), content=Content(card))
    found = profile_from(entry)
    assert found.person.name == "Jörg Quill"
    assert found.person.email == Email("j@example.com")
    assert found.properties == (("fn", "Jörg Quill"), ("email", "j@example.com"))
