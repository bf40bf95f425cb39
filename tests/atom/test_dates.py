from datetime import UTC, datetime, timedelta, timezone

import pytest

from aioconnections.atom.dates import parse_date, write_date
from aioconnections.errors import InvalidInputError

CET = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2017-11-02T11:06:23.739Z", datetime(2017, 11, 2, 11, 6, 23, 739000, UTC)),
        ("\n 2017-11-02T11:06:23.739Z ", datetime(2017, 11, 2, 11, 6, 23, 739000, UTC)),
        ("2017-11-02t11:06:23z", datetime(2017, 11, 2, 11, 6, 23, 0, UTC)),
        ("2017-11-02T11:06:23.1234567891Z", datetime(2017, 11, 2, 11, 6, 23, 123456, UTC)),
        ("2017-11-02 11:06:23,5+01:00", datetime(2017, 11, 2, 11, 6, 23, 500000, CET)),
        ("2017-11-02T11:06:23+0100", datetime(2017, 11, 2, 11, 6, 23, 0, CET)),
        ("2017-11-02T11:06:23-05:30", datetime(2017, 11, 2, 16, 36, 23, 0, UTC)),
        ("2017-11-02T11:06:23+01", datetime(2017, 11, 2, 11, 6, 23, 0, CET)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60.500Z", datetime(2017, 1, 1, 0, 0, 0, 500000, UTC)),
        ("1509620783739", datetime(2017, 11, 2, 11, 6, 23, 739000, UTC)),
    ],
)
def test_dates(text: str, expected: datetime) -> None:
    found = parse_date(text)
    assert found == expected
    assert found is not None
    assert found.utcoffset() == (CET if expected.tzinfo is CET else found.tzinfo or UTC).utcoffset(None)


@pytest.mark.parametrize(
    "text",
    [
        None, "", "soon", "2017-11-02", "2017-11-02T11:06:23", "2017-13-02T11:06:23Z", "2017-11-02T24:00:00.000Z",
        "2017-11-02T11:61:23.000Z", "2017-11-02T11:06:61Z", "2017-11-02T11:06:23+99:00", "9999-12-31T23:59:60Z",
    ],
)  # fmt: skip
def test_what_is_no_date(text: str | None) -> None:
    assert parse_date(text) is None


def test_written_as_the_vendor_does() -> None:
    assert write_date(datetime(2017, 11, 2, 12, 6, 23, 739000, CET)) == "2017-11-02T11:06:23.739Z"
    assert write_date(datetime(2017, 11, 2, 11, 6, 23, 1, UTC)) == "2017-11-02T11:06:23.000001Z"
    with pytest.raises(InvalidInputError, match="the date must have a time zone, got 2017-11-02T00:00:00"):
        write_date(datetime(2017, 11, 2))  # noqa: DTZ001 # a naive datetime is refused
