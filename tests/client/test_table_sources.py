"""Tables of pandas, polars, duckdb and pyarrow as sources of bulk runs, and results as tables."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import duckdb
import httpx
import pandas as pd  # type: ignore[import-untyped, unused-ignore] # its types are a package of their own
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped, unused-ignore] # it has no types
import pytest

from aioconnections import (
    Checked,
    Client,
    Email,
    Failed,
    InvalidInputError,
    Journal,
    Pair,
    TableSource,
    UsageError,
    Userid,
)
from aioconnections.reference import Directory, app

DIRECTORY = Directory.generate(people=60, seed=7)
PEOPLE = [*DIRECTORY.people]
MEMORY = Path(__file__).parent.parent / "support" / "table_memory.py"
IDS = [str(person.userid) for person in PEOPLE]
PAIRS = [(PEOPLE[n], PEOPLE[n + 1]) for n in range(8)]

OUTCOME = [
    *(("index", pa.int64()), ("outcome", pa.string()), ("status", pa.string()), ("via", pa.string())),
    *(("age", pa.duration("us")), ("duplicate_of", pa.int64()), ("error", pa.string()), ("attempts", pa.int64())),
    *(("elapsed", pa.duration("us")), ("waited", pa.duration("us")), ("replayed", pa.bool_())),
    ("recorded_at", pa.timestamp("us", tz="UTC")),
]

ROWS: dict[str, list[Any]] = {
    "source_userid": IDS[:8],
    "target_userid": IDS[1:9],
    "number": [1, None, 3, 4, 5, 6, 7, 8],
    "share": [0.5, 1.5, None, 2.5, 3.5, 4.5, 5.5, 6.5],
    "note": ["a", None, "ü", "", "e", "f", "g", "h"],
    "day": [dt.date(2026, 1, day) for day in range(1, 9)],
}


def of_duckdb() -> Any:
    return duckdb.from_arrow(pa.table(ROWS))


MAKERS: dict[str, Callable[[], Any]] = {
    "pyarrow": lambda: pa.table(ROWS),
    "pyarrow reader": lambda: pa.table(ROWS).to_reader(max_chunksize=3),
    "pyarrow batch": lambda: pa.table(ROWS).to_batches()[0],
    "polars": lambda: pl.DataFrame(ROWS),
    "pandas": lambda: pd.DataFrame(ROWS),
    "duckdb": of_duckdb,
}


def client_of(**options: Any) -> Client:
    options = {"auth": ("admin", "secret"), "max_per_second": None, **options}
    return Client("http://localhost", transport=httpx.ASGITransport(app(DIRECTORY)), **options)


class Instant(httpx.AsyncBaseTransport):
    """Responds to every check at once."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        if request.method == "GET":
            return httpx.Response(200, headers={"content-type": "application/atomsvc+xml"})
        return httpx.Response(200, headers={"X-Profiles-Connection-Status": "accepted"})


def instant(**options: Any) -> Client:
    return Client("http://localhost", auth=("admin", "secret"), max_per_second=None, transport=Instant(), **options)


def expected_statuses() -> list[str]:
    return [str(DIRECTORY.status(*pair) or "none") for pair in PAIRS]


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.anyio
async def test_a_table_in_and_a_table_out(kind: str) -> None:
    made, again = MAKERS[kind](), MAKERS[kind]()
    given = pa.table(ROWS) if kind == "pyarrow batch" else pa.RecordBatchReader.from_stream(again).read_all()
    async with client_of() as client:
        run = client.check_many(made, ordered=True)
        result = await run.to_arrow()
    assert run.table is result
    names = given.schema.names
    assert result.schema.names == [*names, *(name for name, _ in OUTCOME)]
    assert [*zip(result.schema.names[len(names) :], result.schema.types[len(names) :], strict=True)] == OUTCOME
    assert result.select(names).schema.types == given.schema.types
    for name in names:
        assert result[name].to_pylist() == given[name].to_pylist(), name
    assert result["status"].to_pylist() == expected_statuses()
    assert result["index"].to_pylist() == [*range(8)]
    assert result["attempts"].to_pylist() == [1] * 8
    assert run.tally.checked == 8


@pytest.mark.asyncio
async def test_results_go_back_into_each_library() -> None:
    async with client_of() as client:
        frame = pl.DataFrame(ROWS)
        result = pl.DataFrame(await client.check_many(frame, ordered=True).to_arrow())
        assert result.select(frame.columns).equals(frame)
        assert result["elapsed"].dtype == pl.Duration("us")
        data = pd.DataFrame(ROWS)
        back = (await client.check_many(data, ordered=True).to_arrow()).to_pandas()
        pd.testing.assert_frame_equal(
            back[[*data.columns]], pa.Table.from_pandas(data).replace_schema_metadata().to_pandas()
        )
        table = await client.check_many(of_duckdb(), ordered=True).to_arrow()
        relation = duckdb.from_arrow(table)
        assert [row[0] for row in relation.project("status").fetchall()] == expected_statuses()
        assert relation.project("day").types == of_duckdb().project("day").types


@pytest.mark.asyncio
async def test_holes_and_numbers() -> None:
    data = pd.DataFrame(
        {"source_userid": [7.0, math.nan, 9.0, 1.5], "target_userid": [1, 2, 9, 4], "note": list("abcd")}
    )
    async with instant() as client:
        run = client.check_many(data, ordered=True)
        outcomes = await run.collect()
        result = await client.check_many(data, ordered=True).to_arrow()
    assert isinstance(outcomes[0], Checked)
    assert outcomes[0].pair == outcomes[0].item
    assert outcomes[0].pair.source == Userid("7")
    problems = [str(outcome.error) for outcome in outcomes if isinstance(outcome, Failed)]
    assert problems == [
        "row 2: no source: source_userid, source_key and source_email are empty",
        "row 3: source and target are the same person",
        "row 4: source_userid is a number with a fraction; an id is text or a whole number",
    ]
    item: Any = outcomes[1].item
    assert dict(item) == {"source_userid": None, "target_userid": 2, "note": "b"}
    assert item["note"] == "b"
    with pytest.raises(KeyError):
        item["other"]
    assert result["note"].to_pylist() == ["a", "b", "c", "d"]
    assert result["outcome"].to_pylist() == ["checked", "failed", "failed", "failed"]
    assert result["error"].to_pylist()[1] == f"TableRowError: {problems[0]}"


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["1", "2"], pa.large_string()),
        pa.array(["1", "2"], pa.string_view()),
        pa.array(["1", "2"]).dictionary_encode(),
        pa.array([1, 2], pa.uint8()),
        pa.array([1, 2], pa.float32()),
        pa.array([1, 2], pa.decimal128(38, 0)),
        pa.RunEndEncodedArray.from_arrays([1, 2], ["1", "2"]),
    ],
    ids=lambda column: str(column.type),
)
@pytest.mark.asyncio
async def test_types_of_ids(column: Any) -> None:
    table = pa.table({"source_userid": column, "target_key": ["x", "y"]})
    async with instant() as client:
        run = client.check_many(table)
        result = await run.to_arrow()
        assert result["source_userid"].type == column.type
        assert sorted(map(str, result["source_userid"].to_pylist())) == sorted(map(str, column.to_pylist()))
        outcomes = await client.check_many(table, ordered=True).collect()
    assert [outcome.pair and outcome.pair.source for outcome in outcomes] == [Userid("1"), Userid("2")]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ([b"1"], "binary"),
        ([True], "bool"),
        ([["1"]], "list"),
        ([dt.date(2026, 1, 1)], "date32"),
        ([{"a": 1}], "struct"),
    ],
)
@pytest.mark.asyncio
async def test_columns_that_hold_no_ids(column: list[Any], kind: str) -> None:
    async with instant() as client:
        with pytest.raises(InvalidInputError, match=f"the column source_key holds values of the type {kind}"):
            await client.check_many(pa.table({"source_key": column, "target_key": ["x"]})).collect()


@pytest.mark.parametrize(("kind", "first"), [(pa.float16(), 2**11), (pa.float32(), 2**24), (pa.float64(), 2**53)])
@pytest.mark.asyncio
async def test_numbers_whose_digits_are_lost_are_no_ids(kind: Any, first: int) -> None:
    column = pa.array([float(first), float(first - 1), -float(first), None], pa.float64()).cast(kind)
    table = pa.table({"source_userid": column, "target_key": list("abcd")})
    async with instant() as client:
        run = client.check_many(table, ordered=True)
        result = await run.to_arrow()
        assert result["source_userid"].type == kind
        assert result["outcome"].to_pylist() == ["failed", "checked", "failed", "failed"]
        lost = "source_userid is a number whose last digits may be lost; write the id as text"
        assert lost in result["error"].to_pylist()[0]
        checked = (await client.check_many(table, ordered=True).collect())[1]
    assert checked.pair
    assert checked.pair.source == Userid(str(first - 1))


@pytest.mark.asyncio
async def test_ids_that_are_not_utf_8() -> None:
    offsets = pa.py_buffer(b"".join(end.to_bytes(4, "little") for end in (0, 2)))
    column = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"a\xff")])
    async with instant() as client:
        with pytest.raises(InvalidInputError, match="the column source_key of the table has text that is not UTF-8"):
            await client.check_many(pa.table({"source_key": column, "target_key": ["b"]})).collect()


@pytest.mark.asyncio
async def test_columns_named_like_people_are_carried_unless_they_are_chosen() -> None:
    days = [dt.date(2026, 1, 1)]
    table = pa.table({"source_key": ["a"], "target_key": ["b"], "source": [[1]], "target": days, "person": [True]})
    async with instant() as client:
        result = await client.check_many(table).to_arrow()
        assert [result[name].to_pylist() for name in ("source", "target", "person")] == [[[1]], days, [True]]
        chosen = TableSource(table, id_type="key", source_column="source_key", target_column="target_key")
        assert (await client.check_many(chosen).to_arrow())["source"].to_pylist() == [[1]]
        bare = pa.table({"source": ["a"], "target": days})
        with pytest.raises(InvalidInputError, match="the column target holds values of the type date32"):
            await client.check_many(TableSource(bare, id_type="key")).collect()


@pytest.mark.asyncio
async def test_an_index_of_pandas_may_name_people() -> None:
    people = pd.Index(["a", "b"], name="source_key")
    async with instant() as client:
        result = await client.check_many(
            pd.DataFrame({"target_key": ["c", "d"]}, index=people), ordered=True
        ).to_arrow()
    assert result["source_key"].to_pylist() == ["a", "b"]
    assert result["status"].to_pylist() == ["accepted"] * 2


WITHOUT = "the table has no column for the source: source_userid, source_key, source_email"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: pl.DataFrame({"a": [1]}), f"{WITHOUT}, or source with id_type; its columns are: a"),
        (lambda: pd.DataFrame({"a": [1]}), f"{WITHOUT}, or source with id_type; its columns are: a"),
        (lambda: duckdb.sql("select 1 a"), f"{WITHOUT}, or source with id_type; its columns are: a"),
        (lambda: pa.table({}), f"{WITHOUT}, or source with id_type; it has no columns"),
        (lambda: pa.table({"source": ["a"], "target": ["b"]}), f"{WITHOUT}; to use source, add id_type; its columns"),
        (
            lambda: pl.LazyFrame({"a": [1]}),
            "expected a table, not a LazyFrame; collect it first, as in frame.collect()",
        ),
        (
            lambda: pa.table([["a"], ["b"], ["c"]], names=["source_key", "Source Key", "target_key"]),
            "the input has two columns source_key, spelled source_key and Source Key; remove or rename one",
        ),
        (lambda: TableSource(pa.table({"a": ["x"]}), person_column="a"), "person_column needs id_type"),
        (lambda: TableSource(pa.table({"a": ["x"]}), id_type="name"), "id_type must be email, userid, key or None"),  # type: ignore[arg-type] # refused
        (lambda: TableSource([("a", "b")]), "expected a table of pandas, polars, duckdb or pyarrow, got list"),  # type: ignore[arg-type] # refused
        (
            lambda: TableSource(pa.table({"a": ["x"]}), id_type="key", source_column="b", target_column="a"),
            "the table has no column b, which source_column names; its columns are: a",
        ),
        (
            lambda: TableSource(pa.table({"source_key": ["x"]}), message_column="m"),
            "message_column is for invitations to become colleagues; leave it out",
        ),
    ],
)
@pytest.mark.asyncio
async def test_what_is_no_table_of_pairs_is_refused_at_once(make: Callable[[], Any], problem: str) -> None:
    async with instant() as client:
        with pytest.raises(InvalidInputError) as caught:
            client.check_many(make())
    assert problem in str(caught.value)


@pytest.mark.parametrize("make", [lambda: pl.Series([1]), lambda: pa.chunked_array([[1]])])
@pytest.mark.asyncio
async def test_a_column_is_no_table(make: Callable[[], Any]) -> None:
    async with instant() as client:
        with pytest.raises(InvalidInputError, match="expected a table with named columns, not a"):
            await client.check_many(make()).collect()


@pytest.mark.asyncio
async def test_a_column_of_pandas_may_hold_pairs() -> None:
    async with instant() as client:
        assert (await client.check_many(pd.Series(PAIRS, dtype=object)).drain()).checked == len(PAIRS)


@pytest.mark.asyncio
async def test_every_verb_takes_a_table(tmp_path: Any) -> None:
    people = pl.DataFrame({"userid": IDS[20:26], "team": list("abcabc")})
    pairs = pl.DataFrame({"source_userid": IDS[30:34], "target_userid": IDS[40:44], "team": list("abcd")})
    async with client_of() as client:
        runs = {
            "resolve": client.resolve_many(people),
            "batch": client.resolve_many(people, per_request=5),
            "list": client.colleagues_many(people, journal=Journal(tmp_path / "lists.sqlite")),
            "invite": client.invite_many(people, journal=Journal(tmp_path / "invite.sqlite")),
            "connect": client.admin.connect_many(pairs),
            "disconnect": client.admin.disconnect_many(pairs),
            "accept": client.accept_many(pl.DataFrame({"connection_id": ["a"], "team": ["a"]})),
            "remove": client.remove_many(pl.DataFrame({"connection_id": ["a"], "team": ["a"]})),
            "planned": client.check_many(pairs, plan="auto"),
            "journal": client.check_many(pairs, journal=Journal(tmp_path / "check.sqlite")),
            "community": client.community(DIRECTORY.communities[0].uuid).invite_many(people, journal=None),
            "join": client.community_invitations.accept_many(pl.DataFrame({"community_uuid": ["a"], "team": ["a"]})),
            "decline": client.community_invitations.decline_many(pl.DataFrame({"edit_href": ["a"], "team": ["a"]})),
        }
        for name, run in runs.items():
            table = await run.to_arrow()  # type: ignore[attr-defined] # each is a run
            assert table.num_rows in {1, 4, 6}, name
            assert table["team"].null_count == 0, name
            assert table["outcome"].null_count == 0, name
        assert runs["journal"].table["recorded_at"].null_count == 0  # type: ignore[attr-defined] # see above
        network = client.network(people)
        edges = await network.to_arrow()
        assert edges.num_rows == len(network.edges)
        assert edges.schema.field("updated").type == pa.timestamp("us", tz="UTC")
        assert [member.item["team"] for member in network.members] == list("abcabc")  # type: ignore[index] # a row


@pytest.mark.asyncio
async def test_messages_are_sent_only_from_the_column_that_is_named() -> None:
    server = app(DIRECTORY)
    people = pa.table({"who": IDS[20:23], "message": ["Hello", None, " "]})
    async with Client(
        "http://localhost", auth=(str(PEOPLE[0].userid), "secret"), transport=httpx.ASGITransport(server)
    ) as client:
        source = TableSource(people, id_type="userid", person_column="who", message_column="message")
        await client.invite_many(source, message="common", journal=None, ordered=True).collect()
        first = await client.connection(PEOPLE[0], PEOPLE[20], include_message=True)
        second = await client.connection(PEOPLE[0], PEOPLE[21], include_message=True)
        plain = pa.table({"userid": IDS[24:25], "message": ["not to be sent"]})
        await client.invite_many(plain, message="common", journal=None).collect()
        third = await client.connection(PEOPLE[0], PEOPLE[24], include_message=True)
    assert [found and found.message for found in (first, second, third)] == ["Hello", "common", "common"]


@pytest.mark.anyio
async def test_a_table_is_read_in_another_thread_and_closed() -> None:
    threads, read, closed = set[int](), list[int](), threading.Event()
    schema = pa.schema([("source_key", pa.string()), ("target_key", pa.string())])

    def batches() -> Iterator[Any]:
        try:
            for number in range(1_000):
                threads.add(threading.get_ident())
                read.append(number)
                yield pa.record_batch([[f"s{number}"] * 10, [f"t{number}"] * 10], schema=schema)
        finally:
            closed.set()

    class Query:
        """A table of a library that makes its batches when they are asked for."""

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            threads.add(threading.get_ident())
            return pa.RecordBatchReader.from_batches(schema, batches()).__arrow_c_stream__(requested_schema)

    async with instant() as client:
        async with client.check_many(Query()) as run:
            async for _ in run:
                break
        assert closed.wait(10)
        assert run.tally.read < 100
    assert len(read) < 15
    assert threading.get_ident() not in threads


async def _take_batches(run: Any, found: list[Any]) -> None:
    async with run:
        async for batch in run.arrow_batches():
            found.append(batch)  # noqa: PERF401 # what was found before an exception counts


@pytest.mark.asyncio
async def test_a_source_that_raises_in_the_middle() -> None:
    schema = pa.schema([("source_key", pa.string()), ("target_key", pa.string())])
    error = LookupError("gone")

    def batches() -> Iterator[Any]:
        yield pa.record_batch([["a", "b"], ["c", "d"]], schema=schema)
        yield pa.record_batch([[], []], schema=schema)
        raise error

    async with instant() as client:
        run = client.check_many(pa.RecordBatchReader.from_batches(schema, batches()))
        with pytest.raises(LookupError) as caught:
            await run.to_arrow()
        assert caught.value is error
        assert sorted(run.table["source_key"].to_pylist()) == ["a", "b"]
        run = client.check_many(pa.RecordBatchReader.from_batches(schema, batches()))
        found = list[Any]()
        with pytest.raises(LookupError):
            await _take_batches(run, found)
        assert [batch.num_rows for batch in found] == [2]
        query = duckdb.sql("select cast(if(i = 5, 'x', '1') as int) source_userid, 2 target_userid from range(9) t(i)")
        assert query is not None
        with pytest.raises((OSError, duckdb.Error), match="Could not convert string"):
            await client.check_many(query).collect()


@pytest.mark.asyncio
async def test_cancellation_does_not_wait_for_the_table() -> None:
    started, go_on = threading.Event(), threading.Event()
    schema = pa.schema([("source_key", pa.string()), ("target_key", pa.string())])

    def batches() -> Iterator[Any]:
        started.set()
        go_on.wait(30)
        yield pa.record_batch([["a"], ["b"]], schema=schema)

    async with instant() as client:
        task = asyncio.create_task(client.check_many(pa.RecordBatchReader.from_batches(schema, batches())).collect())
        await asyncio.to_thread(started.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not go_on.is_set()
        go_on.set()
        assert await client.check(Userid("a"), Userid("b")) == "accepted"


@pytest.mark.asyncio
async def test_odd_tables(caplog: pytest.LogCaptureFixture) -> None:
    empty = pa.table({"source_key": pa.array([], pa.string()), "target_key": pa.array([], pa.string())})
    async with instant() as client:
        result = await client.check_many(empty).to_arrow()
        assert (result.num_rows, result.schema.names[:2]) == (0, ["source_key", "target_key"])
        result = await client.check_many([]).to_arrow()
        assert result.schema.names[:3] == ["index", "outcome", "source_email"]
        result = await client.check_many([(Email("a@example.com"), Userid("b")), "x"], ordered=True).to_arrow()  # type: ignore[list-item] # a bad item
        assert result["source_email"].to_pylist() == ["a@example.com", None]
        assert result["outcome"].to_pylist() == ["checked", "failed"]
        odd = pa.table(
            [["a"], ["b"], [1], [2], ["gone"], [[{"x": 1}]]],
            names=["Source Key", "target_key", "twice", "twice", "status", "nested"],
        )
        caplog.clear()
        result = await client.check_many(odd).to_arrow()
        warning = "these columns of the source are replaced by those of the result: status"
        assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [warning]
        caplog.clear()
        await client.check_many(result).to_arrow()
        assert "replaced" not in caplog.text, "an earlier result"
        assert result.schema.names[:5] == ["Source Key", "target_key", "twice", "twice_2", "nested"]
        assert result["status"].to_pylist() == ["accepted"]
        assert result["nested"].to_pylist() == [[{"x": 1}]]
        frame = pd.DataFrame([["a", "b", 1, 2]], columns=["source_key", "target_key", "n", "n"])
        with pytest.raises(InvalidInputError, match="this DataFrame cannot be read as a table: Duplicate column names"):
            await client.check_many(frame).collect()
        indexed = pd.DataFrame({"source_key": ["a"], "target_key": ["b"]}, index=["row"])
        assert (await client.check_many(indexed).to_arrow())["__index_level_0__"].to_pylist() == ["row"]
        run = client.check_many(empty)
        with pytest.raises(InvalidInputError, match="rows must be a whole number of at least 1, got 0"):
            run.arrow_batches(0)
        await run.to_arrow()
        with pytest.raises(UsageError, match="entered only once"):
            await run.to_arrow()


@pytest.mark.asyncio
async def test_batches_of_a_run_that_is_left() -> None:
    table = pa.table({"source_key": [f"a{n}" for n in range(100)], "target_key": ["b"] * 100})
    async with instant() as client:
        async with client.check_many(table, ordered=True) as run:
            async for batch in run.arrow_batches(rows=7):
                assert batch["source_key"].to_pylist() == [f"a{n}" for n in range(7)]
                break
        assert run.tally.read == 7 + len(run.undelivered)
        run = client.check_many(table)
        assert isinstance((await run.collect())[0].pair, Pair)
        sizes = list[int]()
        async with client.check_many(table) as run:
            async for batch in run.arrow_batches(rows=30):
                sizes.append(batch.num_rows)
        assert sizes == [30, 30, 30, 10]


@pytest.mark.parametrize(
    "kind",
    [
        "pyarrow",
        "pandas",
        pytest.param("polars", marks=pytest.mark.full),
        pytest.param("duckdb", marks=pytest.mark.full),
    ],
)
@pytest.mark.parametrize(
    ("count", "most"),
    [pytest.param(20_000, 45, marks=pytest.mark.slow), pytest.param(1_000_000, 200, marks=pytest.mark.full)],
)
def test_memory(kind: str, count: int, most: int) -> None:
    def peak(rows: int) -> int:
        done = subprocess.run(
            [sys.executable, str(MEMORY), str(rows), kind], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert (peak(count) - peak(0)) / 1024 < most


@pytest.mark.asyncio
async def test_without_pyarrow_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame(ROWS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    async with instant() as client:
        with pytest.raises(UsageError, match='Arrow tables need pyarrow; run: pip install "aioconnections\\[data\\]"'):
            client.check_many(frame)
        run = client.check_many([])
        with pytest.raises(UsageError, match="Arrow tables need pyarrow"):
            await run.to_arrow()
        await run.collect()
