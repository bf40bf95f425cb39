"""Partitions: which files, which rows, and that a worker reads the same rows as the driver."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped, unused-ignore] # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore] # it has no types
import pytest

from aioconnections.cluster.partitions import Files, Partition, found_files, input_file, opened_rows, partitions
from aioconnections.columns import Untyped
from aioconnections.errors import InvalidInputError, UsageError
from aioconnections.files.rows import BadRowError

HEADER = "source_userid,target_userid,note\n"


def of(*paths: Path, rows: int = 2, untyped: Untyped | None = None) -> list[Partition]:
    return list(partitions([input_file(path) for path in paths], untyped, rows))


def read(partition: Partition, untyped: Untyped | None = None) -> list[object]:
    with opened_rows(partition, untyped) as opened:
        return [row.problem if isinstance(row, BadRowError) else row.row for row in opened.rows]


def test_patterns_give_sorted_files_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.csv", "a.csv", "c[1].csv", "d.txt"):
        (tmp_path / name).write_text(HEADER)
    monkeypatch.chdir(tmp_path)
    names = [path.relative_to(tmp_path).name for path in found_files(["d.txt", "*.csv", tmp_path / "a.csv"])]
    assert names == ["d.txt", "a.csv", "b.csv", "c[1].csv"]
    assert found_files("c[1].csv") == [tmp_path / "c[1].csv"]
    assert all(path.is_absolute() for path in found_files(Path("a.csv")))


def test_a_file_with_two_names_is_taken_once(tmp_path: Path) -> None:
    first, folder = tmp_path / "pairs-1.csv", tmp_path / "folder"
    first.write_text(HEADER)
    (tmp_path / "pairs-latest.csv").symlink_to(first)
    folder.mkdir()
    assert found_files(tmp_path / "pairs-*.csv") == [first]
    assert found_files([first, folder / ".." / "pairs-1.csv"]) == [first]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ("-", "workers read files"),
        ("", "workers read files"),
        ([], "no file is given"),
        ("none-*.csv", r"no file matches none-\*\.csv"),
        (["there.csv", "gone.csv"], "no file matches|gone.csv"),
    ],
)
def test_files_that_cannot_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Files, problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.csv").write_text(HEADER)
    with pytest.raises(InvalidInputError, match=problem):
        _ = [input_file(path) for path in found_files(files)]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is a folder; name files"):
        input_file(tmp_path)


def test_partitions_are_numbered_over_all_files(tmp_path: Path) -> None:
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    first.write_text(HEADER + "a,b,1\na,c,2\na,d,3\n")
    second.write_text(HEADER + "a,e,4\nx,x,5\n")
    found = of(first, second)
    assert [(at.number, Path(at.file.path).name, at.section.rows) for at in found] == [
        (0, "1.csv", 2),
        (1, "1.csv", 1),
        (2, "2.csv", 2),
    ]
    assert [len(read(at)) for at in found] == [2, 1, 2]


def test_a_problem_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "1.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InvalidInputError, match=r"1\.csv: the input has no column for the source"):
        of(path)


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "1.csv"
    path.write_text(HEADER + "a,b,1\n")
    before = input_file(path)
    path.write_text(HEADER + "a,b,1\na,c,1\n")
    with pytest.raises(InvalidInputError, match="was changed while it was read"):
        list(partitions([before], None, 5))


def parquet(path: Path, rows: int, *, group: int, **more: Any) -> Path:
    table = {
        "Source Userid": [f"a{n}" for n in range(rows)],
        "target_userid": [f"b{n}" if n != 3 else None for n in range(rows)],
        "n": pa.array(range(rows), pa.int16()),
        **more,
    }
    pq.write_table(pa.table(table), path, row_group_size=group)
    return path


def test_row_groups_become_partitions(tmp_path: Path) -> None:
    path = parquet(tmp_path / "pairs.parquet", 10, group=2)
    found = of(path, rows=5)
    assert [(at.section.start, at.section.end, at.section.line, at.section.rows) for at in found] == [
        (0, 2, 1, 4),
        (2, 4, 5, 4),
        (4, 5, 9, 2),
    ]
    rows = [row for at in found for row in read(at)]
    assert rows[0] == {"source_userid": "a0", "target_userid": "b0", "n": 0}
    assert str(rows[3]).startswith("no target: ")
    assert len(rows) == 10


def test_the_name_of_a_parquet_file_does_not_matter(tmp_path: Path) -> None:
    (only,) = of(parquet(tmp_path / "pairs.csv", 4, group=9))
    assert only.form.form == "parquet"


def test_a_parquet_file_without_rows_has_one_partition(tmp_path: Path) -> None:
    (only,) = of(parquet(tmp_path / "pairs.parquet", 0, group=9))
    assert read(only) == []


@pytest.mark.parametrize("renamed", ["Target-Userid", "target_userid "])
def test_columns_of_one_meaning_are_refused(tmp_path: Path, renamed: str) -> None:
    path = parquet(tmp_path / "pairs.parquet", 4, group=9, **{renamed: ["x"] * 4})
    with pytest.raises(InvalidInputError, match=r"pairs\.parquet: the input has two columns target_userid"):
        of(path)


def test_a_parquet_file_without_a_column(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({"source_userid": ["a"], "x": ["b"]}), path)
    with pytest.raises(InvalidInputError, match=r"no column for the target: .*; its columns are: source_userid, x"):
        of(path)


def test_chosen_columns_of_a_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({"from": ["a"], "to": ["b"]}), path)
    untyped = Untyped("userid", {"source": "from", "target": "to"})
    (only,) = of(path, untyped=untyped)
    assert read(only, untyped) == [{"from": "a", "to": "b"}]


def test_numbers_and_other_types_of_ids_in_a_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    source = pa.array([7.0, None, 20_000_004.0], pa.float32())
    pq.write_table(pa.table({"source_userid": source, "target_key": list("xyz"), "source": [1.0] * 3}), path)
    (only,) = of(path)
    first, *others = read(only)
    assert str(first) == "{'source_userid': 7, 'target_key': 'x', 'source': 1.0}"
    assert [str(other).partition(":")[0] for other in others] == [
        "no source",
        "source_userid is a number whose last digits may be lost; write the id as text",
    ]
    offsets = pa.py_buffer(b"".join(end.to_bytes(4, "little") for end in (0, 2)))
    not_text = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"a\xff")])
    pq.write_table(pa.table({"source_userid": not_text, "target_key": ["x"]}), path)
    (only,) = of(path)
    with pytest.raises(InvalidInputError, match="is not a valid Parquet file: it has text that is not UTF-8"):
        read(only)
    pq.write_table(pa.table({"source_userid": [True], "target_key": ["x"]}), path)
    with pytest.raises(InvalidInputError, match="the column source_userid holds values of the type bool"):
        of(path)


def test_a_parquet_file_that_has_changed_is_noticed(tmp_path: Path) -> None:
    path = parquet(tmp_path / "pairs.parquet", 4, group=9)
    (only,) = of(path)
    parquet(path, 5, group=9)
    with pytest.raises(InvalidInputError, match="does not have the content that it had"), opened_rows(only, None):
        pass


def test_other_values_below_the_same_footer_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"

    def write(*targets: str) -> bytes:
        table = pa.table({"source_userid": [*"abcdef"], "target_userid": [*targets, "t", "u" * 100_000]})
        pq.write_table(table, path, row_group_size=2, compression="none", use_dictionary=False, write_statistics=False)
        return path.read_bytes()

    before = write("p", "q", "r", "s")
    first, second, _ = of(path)
    after = write("p", "q", "s", "r")
    assert (len(after), after[-70_000:]) == (len(before), before[-70_000:]), "only the digest of the data can tell"
    assert len(read(first)) == 2
    with pytest.raises(InvalidInputError, match="does not have the content that it had"):
        read(second)


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    path.write_bytes(b"PAR1 and nothing of the kind PAR1")
    with pytest.raises(InvalidInputError, match=r"pairs\.parquet is not a valid Parquet file"):
        of(path)


def test_without_pyarrow_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path / "pairs.parquet", 4, group=9)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UsageError, match=r'run: pip install "aioconnections\[data\]"'):
        of(path)
