"""`pairs_from`: pairs from rows of mappings and from tables, with an error in the place of each bad row."""

from __future__ import annotations

import csv
import io
import math
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest
from doors import Script, client_of, connected

from aioconnections import Checked, Email, Failed, InvalidInputError, Key, Pair, Userid, pairs_from

ROWS: list[dict[str, object]] = [
    {"from": "ann@example.com", "to": "bob@example.com", "note": "first"},
    {"from": None, "to": "bob@example.com", "note": None},
    {"from": "ann@example.com", "to": "not an address", "note": "x"},
    {"from": "ann@example.com", "to": "zoë@example.com", "note": "last"},
]
FOUND: list[object] = [
    Pair(Email("ann@example.com"), Email("bob@example.com")),
    "row 2: from is empty",
    "row 3: to: character 4 of the e-mail address is U+0020 SPACE: remove it; one value names one person",
    Pair(Email("ann@example.com"), Email("zoë@example.com")),
]


def shown(pairs: Iterable[Pair | InvalidInputError]) -> list[object]:
    return [str(each) if isinstance(each, InvalidInputError) else each for each in pairs]


def from_(rows: Any) -> list[object]:
    return shown(pairs_from(rows, source="from", target="to", kind="email"))


def of_pyarrow(kind: str) -> Any:
    pa = pytest.importorskip("pyarrow")
    table = pa.Table.from_pylist(ROWS)
    return {"table": table, "batches": pa.concat_tables([table[:1], table[1:]]), "batch": table.to_batches()[0]}[kind]


TABLES: dict[str, Callable[[], Any]] = {
    "list": lambda: ROWS,
    "generator": lambda: (row for row in ROWS),
    "pyarrow table": lambda: of_pyarrow("table"),
    "pyarrow chunks": lambda: of_pyarrow("batches"),
    "pyarrow batch": lambda: of_pyarrow("batch"),
    "pandas": lambda: pytest.importorskip("pandas").DataFrame(ROWS),
    "polars": lambda: pytest.importorskip("polars").DataFrame(ROWS),
}


@pytest.mark.parametrize("table", TABLES)
def test_the_pairs_of_any_table_with_an_error_in_the_place_of_a_bad_row(table: str) -> None:
    assert from_(TABLES[table]()) == FOUND


@pytest.mark.parametrize("table", [name for name in TABLES if name not in ("list", "generator")])
def test_a_table_without_the_column_is_refused_at_once(table: str) -> None:
    with pytest.raises(InvalidInputError, match="the table has no column of; its columns are: from, to, note"):
        pairs_from(TABLES[table](), source="of", target="to", kind="email")


def test_both_people_from_one_column_are_the_same_person() -> None:
    for table in TABLES.values():
        found = shown(pairs_from(table(), source="to", target="to", kind="email"))
        assert found[0] == "row 1: to and to: source and target are the same person"


def test_a_csv_file_with_its_own_kind_for_each_column() -> None:
    rows = csv.DictReader(io.StringIO("source,target\n20000001,F3EE\n20000001.0,k\n 5 ,\n1,2,3\n1\n"))
    assert shown(pairs_from(rows, kind=("userid", "key"))) == [
        Pair(Userid("20000001"), Key("F3EE")),
        "row 2: source ends in .0, as spreadsheets and pandas write whole numbers; write 20000001",
        "row 3: target is empty",
        Pair(Userid("1"), Key("2")),
        "row 5: target is empty",
    ]
    with pytest.raises(InvalidInputError, match="the table has no column source; its columns are: a, b"):
        pairs_from(csv.DictReader(io.StringIO("a,b\n1,2\n")), kind="key")
    with pytest.raises(InvalidInputError, match="the table has more than one column source; its"):
        pairs_from(csv.DictReader(io.StringIO("source,source,target\n1,2,3\n")), kind="key")


def test_the_rows_of_a_database() -> None:
    with sqlite3.connect(":memory:") as database:
        database.row_factory = sqlite3.Row
        rows = database.execute("select 1 as source, '2' as target union all select 1, null")
        assert shown(pairs_from(rows, kind="userid")) == [Pair(Userid("1"), Userid("2")), "row 2: target is empty"]
        rows = database.execute("select 1 as source")
        assert shown(pairs_from(rows, kind="userid")) == ["row 1: there is no column target"]
    database.close()


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (math.nan, "source is empty"),
        (" \t", "source is empty"),
        (20000001, None),
        (20000001.0, None),
        (0.5, "source is a number with a fraction; an id is text or a whole number"),
        (math.inf, "source is a number with a fraction; an id is text or a whole number"),
        (float(2**53), "source is a number whose last digits may be lost; write the id as text"),
        ("2E+7", "source is a number with an exponent, as spreadsheets write long ones; write all its digits"),
        (True, "source is neither text nor a whole number"),
        ([1], "source is neither text nor a whole number"),
        (b"20000001", "source is neither text nor a whole number"),
    ],
)
def test_cells(cell: object, problem: str | None) -> None:
    (found,) = shown(pairs_from([{"source": cell, "target": "b"}], kind="userid"))
    assert found == (f"row 1: {problem}" if problem else Pair(Userid("20000001"), Userid("b")))


def test_numbers_of_few_bits_whose_digits_are_lost() -> None:
    pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    cells = [20_000_004.0, 7.0, None]  # a number of 32 bits may have been 20000003
    single = pa.table({"source": pa.array(cells, pa.float32()), "target": list("xyz")})
    half = single.set_column(0, "source", pa.array([2_048.0, 7.0, None], pa.float64()).cast(pa.float16()))
    tables = [
        *(single, half, single.to_batches()[0], pl.DataFrame(single)),
        single.to_pandas(),
        single.to_pandas(types_mapper=pd.ArrowDtype),
        pd.DataFrame({"source": pd.array(cells, "Float32"), "target": list("xyz")}),
    ]
    for table in tables:
        assert shown(pairs_from(table, kind="userid")) == [
            "row 1: source is a number whose last digits may be lost; write the id as text",
            Pair(Userid("7"), Userid("y")),
            "row 3: source is empty",
        ]


def test_ids_of_pandas_and_what_it_has_in_place_of_missing_ones() -> None:
    pd = pytest.importorskip("pandas")
    ids = {
        "float64": pd.Series([7, None]),
        "Int64": pd.array([7, None], "Int64"),
        "object": pd.Series([7, pd.NA], dtype=object),
        "NaT": pd.Series(["7", pd.NaT], dtype=object),
        "string": pd.array(["7", None], "string"),
    }
    for name, column in ids.items():
        table = pd.DataFrame({"source": column, "target": ["a", "b"]})
        expected = [Pair(Userid("7"), Userid("a")), "row 2: source is empty"]
        assert shown(pairs_from(table, kind="userid")) == expected, name
    twice = pd.DataFrame([["a", "b", "c"]], columns=["source", "source", "target"])
    with pytest.raises(InvalidInputError, match="the table has more than one column source; its columns are: source, "):
        pairs_from(twice, kind="key")
    numbers = pd.DataFrame({"source": pd.Series([7], dtype="int32"), "target": pd.Series([8], dtype="uint64")})
    assert shown(pairs_from(iter([numbers.iloc[0]]), kind="key")) == [Pair(Key("7"), Key("8"))]  # numpy's own numbers


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("rows.csv", "expected rows, one mapping of columns to cells for each, not one str"),
        (b"rows", "not one bytes"),
        ({"source": ["a"], "target": ["b"]}, "not one dict"),
        (5, "expected a table or an iterable of rows, not int"),
        (None, "expected a table or an iterable of rows, not NoneType"),
    ],
)
def test_what_has_no_rows(rows: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        pairs_from(rows, kind="email")


def test_a_lazy_frame_must_be_collected_first() -> None:
    pl = pytest.importorskip("polars")
    with pytest.raises(InvalidInputError, match="not a LazyFrame; collect it first"):
        pairs_from(pl.DataFrame(ROWS).lazy(), kind="email")


@pytest.mark.parametrize("kind", ["mail", "", None, ("email",), ("email", "name"), ("email", "key", "key"), ["email"]])
def test_an_unknown_kind(kind: Any) -> None:
    with pytest.raises(InvalidInputError, match="kind must be one or a tuple of two of email, userid, key, got"):
        pairs_from([], kind=kind)


def test_what_is_no_row() -> None:
    given: list[object] = [("a", "b"), InvalidInputError("no such file"), {"source": "a"}, Pair(Key("a"), Key("b"))]
    assert shown(pairs_from(given, kind="key")) == [
        "row 1: expected a mapping of columns to cells, not tuple",
        "row 2: no such file",
        "row 3: there is no column target",
        "row 4: expected a mapping of columns to cells, not Pair",
    ]


def test_rows_are_read_as_they_are_needed_and_a_failing_source_is_not_hidden() -> None:
    read: list[int] = []

    def rows() -> Iterable[dict[str, str]]:
        for number in range(3):
            read.append(number)
            yield {"source": f"a{number}", "target": "b"}
        raise OSError("the database has gone away")

    pairs = pairs_from(rows(), kind="key")
    assert not read
    next(pairs)
    assert read == [0]
    with pytest.raises(OSError, match="gone away"):
        list(pairs)


@pytest.mark.anyio
async def test_a_run_over_a_table_reports_the_bad_rows_and_goes_on() -> None:
    async def stream() -> AsyncIterator[dict[str, object]]:
        for row in ROWS:
            yield row

    async with client_of(Script(connected)) as client:
        for rows in (
            pairs_from(ROWS, source="from", target="to", kind="email"),
            pairs_from(stream(), source="from", target="to", kind="email"),
        ):
            outcomes = await client.check_many(rows, ordered=True).collect()
            assert [type(outcome) for outcome in outcomes] == [Checked, Failed, Failed, Checked]
            assert [outcome.pair for outcome in outcomes] == [FOUND[0], None, None, FOUND[3]]
            errors = [str(outcome.error) for outcome in outcomes if isinstance(outcome, Failed)]
            assert errors == FOUND[1:3]


def test_no_library_of_tables_is_imported() -> None:
    program = (
        "import sys; from aioconnections import pairs_from\n"
        "list(pairs_from([{'source': 'a', 'target': 'b'}], kind='key'))\n"
        "print([name for name in ('numpy', 'pandas', 'polars', 'pyarrow', 'httpx', 'ssl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
