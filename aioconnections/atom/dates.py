"""Conversion between dates in Atom documents and aware datetimes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from aioconnections.errors import InvalidInputError

__all__ = ["parse_date", "write_date"]

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:)(\d\d)(?:[.,](\d+))?(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)", re.ASCII
)
_EPOCH_MILLISECONDS = re.compile(r"\d{11,14}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_date(text: str | None) -> datetime | None:
    """Parse an RFC 3339 date or one of the variants that the vendor's servers send.

    The variants are milliseconds since 1970 (in links), and RFC 3339 with a space instead of the ``T``, a comma before
    the fraction, or an offset without colon or minutes. Digits below a microsecond are dropped. A leap second
    becomes the following second, as in POSIX time.

    Args:
        text: the date; surrounding whitespace is ignored.

    Returns:
        an aware datetime with the offset of `text`; None if `text` is None, is not a date, or has no offset.
    """
    if text is None:
        return None
    text = text.strip()
    try:
        # Fast path for the form in all recorded responses: UTC with milliseconds.
        if len(text) == 24 and text[10] == "T" and text[19] == "." and text[23] == "Z" and text[17] != "6":
            return datetime.fromisoformat(text)
        match = _RFC3339.fullmatch(text)
        if match is not None:
            return _to_datetime(match)
        if _EPOCH_MILLISECONDS.fullmatch(text):
            return _EPOCH + timedelta(milliseconds=int(text))
    except (ValueError, OverflowError):
        pass
    return None


def write_date(when: datetime) -> str:
    """Format a datetime as the vendor's servers do: in UTC, with milliseconds, or microseconds where needed.

    Raises:
        InvalidInputError: `when` has no time zone.
    """
    if when.utcoffset() is None:
        raise InvalidInputError(f"the date must have a time zone, got {when.isoformat()}")
    utc = when.astimezone(UTC)
    precision = "microseconds" if utc.microsecond % 1000 else "milliseconds"
    return utc.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def _to_datetime(match: re.Match[str]) -> datetime:
    day, time, second, fraction, zulu, sign, hours, minutes = match.groups()
    leap = timedelta(seconds=1 if second == "60" else 0)
    naive = datetime.fromisoformat(f"{day}T{time}{'59' if leap else second}") + leap
    micros = int(((fraction or "0") + "000000")[:6])
    if zulu:
        zone = UTC
    else:
        offset = timedelta(hours=int(hours), minutes=int(minutes or "0"))
        zone = timezone(-offset if sign == "-" else offset)
    return naive.replace(microsecond=micros, tzinfo=zone)
