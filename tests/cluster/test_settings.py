"""Arguments of a run on a cluster that are refused before anything is sent, and what the manifest refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioconnections import Basic
from aioconnections.cluster import check_many
from aioconnections.cluster.driver import ClusterRun
from aioconnections.cluster.manifest import Manifest, width_of
from aioconnections.cluster.settings import CheckOptions, auth_function, checked_shared, shared_of_environment
from aioconnections.errors import InvalidInputError, UsageError
from aioconnections.shared.settings import RedisShared

HEADER = "source_userid,target_userid\n"
URL = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    "auth",
    [("admin", "secret"), Basic("admin", "secret"), "secret", "admin:secret", "sys:no_such_name", ":x", 7, "a b:c"],
)
def test_a_credential_is_never_accepted(auth: Any) -> None:
    with pytest.raises(InvalidInputError, match="auth is never a credential") as caught:
        auth_function(auth)
    assert "admin" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_name_of_a_function_is_accepted() -> None:
    assert auth_function("pair_files:login") == "pair_files:login"
    assert auth_function(None) is None


@pytest.mark.parametrize(
    ("shared", "problem"),
    [
        (
            RedisShared("redis://127.0.0.1", secret="0123456789abcdef"),
            "set AIOCONNECTIONS_SHARED_SECRET in the environment",
        ),
        (RedisShared("redis://:secret@127.0.0.1"), "the URL of shared has a password"),
        ("redis://:secret@127.0.0.1", "shared must be a RedisShared"),
        (7, "shared must be a RedisShared"),
        ("sys:no_such_name", "shared must be a RedisShared"),
    ],
)
def test_secrets_of_a_store_are_refused(shared: object, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem) as caught:
        checked_shared(shared)
    assert "0123456789abcdef" not in str(caught.value)
    assert ":secret" not in str(caught.value)


def test_stores_without_a_secret_are_accepted() -> None:
    shared = RedisShared("redis://127.0.0.1")
    assert checked_shared(shared) is shared
    assert checked_shared("pair_files:login") == "pair_files:login"
    assert checked_shared(None) is None


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.csv"
    path.write_text(HEADER + "a,b\n" * 5)
    return path


Prepare = Callable[..., ClusterRun]


def prepare(*files: Path, folder: str = "results", url: str = URL, **options: Any) -> ClusterRun:
    def task(*_: object) -> dict[str, int]:
        raise AssertionError

    given: CheckOptions = {"rows_per_partition": 2, **options}  # type: ignore[typeddict-item] # invalid ones too
    with ClusterRun.of(files, url, files[0].parent / folder, given, task) as run:
        run.prepare()
    return run


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rows_per_partition": 0}, "rows_per_partition must be a positive whole number, got 0"),
        ({"rows_per_partition": True}, "rows_per_partition"),
        ({"format": "jsonl"}, 'format must be "csv" or "parquet"'),
        ({"plan": "fast"}, 'plan must be "head" or "auto"'),
        ({"url": "ftp://x"}, "a URL must look like"),
        ({"max_per_second": -1}, "max_per_second"),
        ({"max_connections": 0}, "max_connections"),
        ({"id_type": "name"}, "id_type must be"),
        ({"source_column": "x"}, "source_column and target_column need id_type"),
        ({"id_type": "email", "source_column": "x", "target_column": "x"}, "names of two columns"),
        ({"id_type": "email", "source_column": " "}, "names of two columns"),
    ],
)
def test_invalid_options(pairs: Path, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        prepare(pairs, **options)
    assert not (pairs.parent / "results").exists()


def test_the_cluster_is_a_client_or_an_address(pairs: Path) -> None:
    cluster: Any = 7
    with pytest.raises(InvalidInputError, match="cluster must be a client of distributed"):
        check_many(pairs, cluster=cluster, url=URL, output=pairs.parent / "results")


@pytest.mark.parametrize("address", ["", "scheduler", "tcp://scheduler", "tcp://:8786", "tls://scheduler:x"])
def test_an_address_without_a_host_or_a_port(pairs: Path, address: str) -> None:
    with pytest.raises(InvalidInputError, match="is not the address of a scheduler, such as tcp://scheduler:8786"):
        check_many(pairs, cluster=address, url=URL, output=pairs.parent / "results")


def test_without_distributed_the_package_is_named(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r'run: pip install "aioconnections\[dask\]"'):
        check_many(pairs, cluster="tcp://127.0.0.1:1", url=URL, output=pairs.parent / "results")


def test_the_manifest_is_written_first(pairs: Path) -> None:
    run = prepare(pairs)
    data = json.loads((pairs.parent / "results" / "manifest.json").read_text())
    assert data["settings"] == {
        "url": URL,
        "plan": "head",
        "format": "csv",
        "columns": None,
        "rows_per_partition": 2,
        "encoding": None,
    }
    assert [partition["part"] for partition in data["partitions"]] == [f"part-0000{n}.csv" for n in range(3)]
    assert data["missing"] == [0, 1, 2]
    again = prepare(pairs)
    assert again.manifest == run.manifest
    assert again.result().missing == 3


def change(path: Path) -> None:
    path.write_text(HEADER + "a,c\n" * 5)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": "http://127.0.0.1:2"}, 'url was "http://127.0.0.1:1" and is now "http://127.0.0.1:2"'),
        ({"plan": "auto"}, 'plan was "head" and is now "auto"'),
        ({"rows_per_partition": 3}, "rows_per_partition was 2 and is now 3"),
        ({"format": "parquet"}, "format was"),
        ({"id_type": "email"}, "columns was null and is now"),
        ({"encoding": "latin-1"}, "encoding was null"),
    ],
)
def test_other_settings_are_refused(pairs: Path, options: dict[str, Any], problem: str) -> None:
    prepare(pairs)
    with pytest.raises(
        InvalidInputError, match=f"has the results of another run: .*{problem}.*; choose another folder"
    ):
        prepare(pairs, **options)


def test_other_inputs_are_refused(pairs: Path) -> None:
    other = pairs.with_name("other.csv")
    other.write_text(HEADER + "a,b\n")
    prepare(pairs)
    with pytest.raises(InvalidInputError, match=r"other\.csv was no input and is one now"):
        prepare(pairs, other)
    with pytest.raises(InvalidInputError, match=r"pairs\.csv was an input and is none now"):
        prepare(other)
    prepare(pairs, other, folder="two")
    with pytest.raises(InvalidInputError, match="the files are given in another order"):
        prepare(other, pairs, folder="two")
    change(pairs)
    with pytest.raises(InvalidInputError, match=r"pairs\.csv has changed"):
        prepare(pairs)


def test_files_with_other_columns_are_refused(pairs: Path) -> None:
    other = pairs.with_name("other.csv")
    other.write_text("source_userid,target_userid,note,day\na,b,c,d\n")
    with pytest.raises(InvalidInputError, match="have different columns: only one has day, note;"):
        prepare(pairs, other)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"manifest": 1}', "{"])
def test_a_manifest_that_is_none(pairs: Path, text: str) -> None:
    folder = pairs.parent / "results"
    folder.mkdir()
    (folder / "manifest.json").write_text(text)
    with pytest.raises(InvalidInputError, match="is not the manifest of a run; choose another folder"):
        prepare(pairs)


def test_a_manifest_of_another_version(pairs: Path) -> None:
    folder = pairs.parent / "results"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"manifest": 2}')
    with pytest.raises(InvalidInputError, match="was written by another version"):
        prepare(pairs)


def test_parts_without_a_manifest_are_not_touched(pairs: Path) -> None:
    folder = pairs.parent / "results"
    folder.mkdir()
    (folder / "part-00000.csv").write_text("precious")
    with pytest.raises(InvalidInputError, match="has parts but no manifest"):
        prepare(pairs)
    assert (folder / "part-00000.csv").read_text() == "precious"


def test_one_run_at_a_time_writes_to_a_folder(pairs: Path) -> None:
    def task(*_: object) -> dict[str, int]:
        raise AssertionError

    with (
        ClusterRun.of(pairs, URL, pairs.parent / "results", {}, task),
        pytest.raises(UsageError, match="another run writes to"),
    ):
        prepare(pairs)
    prepare(pairs)


def test_names_of_parts_sort_in_the_order_of_the_rows() -> None:
    assert [width_of(count) for count in (0, 1, 100_000, 100_001, 1_000_001)] == [5, 5, 5, 6, 7]


def test_a_folder_without_a_manifest(tmp_path: Path) -> None:
    assert Manifest.read(tmp_path) is None


def test_workers_read_the_store_in_their_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInputError, match="set AIOCONNECTIONS_SHARED in the environment of each worker"):
        shared_of_environment()
    monkeypatch.setenv("AIOCONNECTIONS_SHARED", "redis://:secret@127.0.0.1")
    assert shared_of_environment() == RedisShared("redis://:secret@127.0.0.1")
    monkeypatch.setenv("AIOCONNECTIONS_SHARED_NAMESPACE", "other")
    assert shared_of_environment().namespace == "other"
