"""Validates the identifiers of people, connections and communities.

A server does not distinguish an invalid identifier from an unknown one, so the text is checked before it is sent. An
error names the first invalid character by its position and its Unicode name. It never shows the value, because e-mail
addresses do not belong in error messages.
"""

from __future__ import annotations

import re
import unicodedata

from attrs import frozen

from aioconnections.errors import InvalidInputError

__all__ = ["LONGEST", "email", "key", "plain_text", "userid"]

LONGEST = 2_048
"""Maximum length of an identifier in bytes of UTF-8. Web servers refuse request lines that are a few times longer."""

# White space that is stripped: that of str.strip() without the separators U+001C to U+001F.
_AROUND = (
    " \t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

# Invisible characters that Python counts as printable or unassigned, U+FFFD and noncharacters.
_UNSEEN = r"\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufdd0-\ufdef\ufe00-\ufe0f\uffa0\ufff0-\uffff"
_SELECTORS = r"\U000e0100-\U000e01ef"  # variants of ideographs, which occur in names
# RFC 5322 3.2.3 allows the ASCII ones within quotes only; word processors insert the others in their place.
_SPECIAL = (
    r"()<>\[\]:;\\\",\u00ab\u00bb\u2010-\u2015\u2018-\u201f\u2039\u203a\u3001\uff0c\uff1a\uff1b\uff1c\uff1e\uff20"
)

# Fast path for nearly every value: short, plain ASCII, without surrounding white space.
_LABEL = "[A-Za-z0-9_-]{1,63}"
_plain_email = re.compile(
    rf"[A-Za-z0-9!#$%&*+/=?^_`{{|}}~.-][A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]{{0,1000}}@{_LABEL}(?:\.{_LABEL}){{0,15}}"
).fullmatch
_plain_userid = re.compile(r"[!-~](?:[ -~]{0,2046}[!-~])?").fullmatch
_plain_key = re.compile(r"[!-+\--~]{1,2048}").fullmatch

_NOT_IN_DOMAINS = re.compile(r"[\x00-,/:-@\[-^`{-\x7f]")  # ASCII except letters, digits, "_", "-" and "."
_EMPTY_LABEL = re.compile(r"^\.|\.(?=\.|$)")

_CONTROLS = {"\0": " NULL", "\t": " TAB", "\n": " LINE FEED", "\r": " CARRIAGE RETURN"}
_ALONE = ": pass the address alone, without a name, quotes, brackets or a scheme such as mailto:"
_ONE = ": name one person at a time"
_INVISIBLE = ", which is invisible: remove it"
_ADVICE_BY_CHARACTER = {
    **dict.fromkeys("\u2018\u2019", ": use the ASCII apostrophe"),
    **dict.fromkeys(",;\u3001\uff0c\uff1b", _ONE),
    "\uff20": ": use the ASCII @",
    "\ufffd": ", which replaces lost text: copy the value from its source again",
    "\u2800": _INVISIBLE,
}
_ADVICE_BY_CATEGORY = {
    "Cc": ", a control character: remove it",
    "Cn": ", which is not a character: remove it",
    "Cs": ", a lone surrogate: correct the encoding of the input, which is not text in UTF-8",
    "Pd": ": use the ASCII hyphen",
    **dict.fromkeys(("Pe", "Pf", "Pi", "Po", "Ps", "Sm"), _ALONE),
    **dict.fromkeys(("Zl", "Zp", "Zs"), ": remove it; one value names one person"),
}


@frozen
class _Rule:
    """The characters that one kind of text may hold.

    Attributes:
        name: name of the kind in error messages.
        refused: pattern of invalid characters, in addition to those that are not printable; `re` compiles it at its
            first use, because that takes milliseconds and most values never need it.
        spaces: valid characters that are not printable.
        categories: Unicode categories of valid characters that are not printable. Private-use and unassigned characters
            may be letters that an organisation or a newer version of Unicode defines.
    """

    name: str
    refused: str
    spaces: str = ""
    categories: frozenset[str] = frozenset(("Co", "Cn"))


_EMAIL = _Rule("e-mail address", f"[ {_SPECIAL}{_UNSEEN}{_SELECTORS}]")
_USERID = _Rule("userid", f"[{_UNSEEN}]", spaces="\u3000")
_KEY = _Rule("key", f"[ ,{_UNSEEN}{_SELECTORS}]")
_ANY_SPACE = frozenset(("Co", "Cn", "Zs"))


def email(value: object) -> str:
    """Validate an internet e-mail address, and strip surrounding white space.

    Page "Retrieving a profile": a list joined by commas selects several people, so commas are refused.

    Raises:
        InvalidInputError: `value` is not the address of one person.
    """
    if type(value) is str and _plain_email(value):
        return value
    text, before = _accepted(value, _EMAIL)
    name, at, domain = text.partition("@")
    if not at:
        raise InvalidInputError(
            "the e-mail address has no @; pass a userid or a key as Userid or Key, or in a column for these"
        )
    if not name or not domain:
        raise InvalidInputError(f"the e-mail address has nothing {'after' if name else 'before'} its @")
    if name.startswith("'"):
        raise _refusal(_EMAIL, "'", before, ": remove the quotation mark")
    before += len(name) + 1
    if "@" in domain:
        raise _refusal(_EMAIL, "@", before + domain.index("@"), f", the second one{_ONE}")
    invalid = _NOT_IN_DOMAINS.search(domain) or _EMPTY_LABEL.search(domain)
    if invalid is not None:
        what = ": a domain holds letters, digits, hyphens and single dots between them"
        raise _refusal(_EMAIL, invalid[0], before + invalid.start(), what)
    return text


def userid(value: object) -> str:
    """Validate an id of the directory, which may be a distinguished name, and strip surrounding white space.

    Raises:
        InvalidInputError: `value` is not a valid userid.
    """
    if type(value) is str and _plain_userid(value):
        return value
    return _accepted(value, _USERID)[0]


def key(value: object) -> str:
    """Validate an id of Profiles, and strip surrounding white space.

    Raises:
        InvalidInputError: `value` is not a valid key.
    """
    if type(value) is str and _plain_key(value):
        return value
    return _accepted(value, _KEY)[0]


def plain_text(value: object, name: str, *, longest: int = LONGEST) -> str:
    """Validate any other name or search term, and strip surrounding white space.

    Args:
        value: the text.
        name: name of the text in error messages.
        longest: maximum length, in bytes of UTF-8.

    Raises:
        InvalidInputError: `value` is empty, too long, or holds control or invisible characters.
    """
    return _accepted(value, _Rule(name, _USERID.refused, categories=_ANY_SPACE), longest)[0]


def _accepted(value: object, rule: _Rule, longest: int = LONGEST) -> tuple[str, int]:
    """The stripped text, and the number of characters before it in `value`."""
    if not isinstance(value, str):
        raise InvalidInputError(f"the {rule.name} must be text, not {type(value).__name__}")
    text = value.strip(_AROUND)
    if not text:
        raise InvalidInputError(f"the {rule.name} is empty")
    size = len(text.encode(errors="surrogatepass"))
    if size > longest:
        raise InvalidInputError(f"the {rule.name} has {size:,} bytes in UTF-8; at most {longest:,} are allowed")
    before = len(value) - len(value.lstrip(_AROUND))
    if not text.isprintable() or re.search(rule.refused, text):
        for at, character in enumerate(text, before):
            if _is_refused(character, rule):
                is_named = rule is _EMAIL and character == " " and "<" in text  # such as: Ann Lee <ann@example.com>
                raise _refusal(rule, character, at, _ALONE if is_named else _advice(character))
    return text, before


def _is_refused(character: str, rule: _Rule) -> bool:
    if re.match(rule.refused, character):
        return True
    valid = character.isprintable() or character in rule.spaces
    return not valid and unicodedata.category(character) not in rule.categories


def _refusal(rule: _Rule, character: str, at: int, why: str) -> InvalidInputError:
    name = unicodedata.name(character, "")
    shown = f"U+{ord(character):04X}{f' {name}' if name else _CONTROLS.get(character, '')}"
    return InvalidInputError(f"character {at + 1:,} of the {rule.name} is {shown}{why}")


def _advice(character: str) -> str:
    """What is wrong with an invalid character, and what to do."""
    return _ADVICE_BY_CHARACTER.get(character) or _ADVICE_BY_CATEGORY.get(unicodedata.category(character), _INVISIBLE)
