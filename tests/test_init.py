"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import aioconnections
from aioconnections import atom, errors, outcomes


def test_all_is_sorted_and_complete() -> None:
    assert aioconnections.__all__ == sorted(set(aioconnections.__all__))
    assert set(errors.__all__) <= set(aioconnections.__all__)
    assert set(outcomes.__all__) - {"Count"} <= set(aioconnections.__all__)
    assert set(aioconnections.__all__) <= set(dir(aioconnections))
    assert dir(aioconnections) == sorted(dir(aioconnections))


def test_the_atom_package_has_its_names_before_they_are_imported() -> None:
    assert set(atom.__all__) <= set(dir(atom))
    for name in atom.__all__:
        assert getattr(atom, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Rieder'"):
        _ = atom.Rieder


@pytest.mark.parametrize("name", aioconnections.__all__)
def test_every_name_is_there_and_shadows_no_builtin(name: str) -> None:
    assert getattr(aioconnections, name) is not None
    assert name not in dir(import_module("builtins"))


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Klient'"):
        _ = aioconnections.Klient


def test_a_lazy_name_is_looked_up_once() -> None:
    assert aioconnections.Basic is import_module("aioconnections.auth.credentials").Basic
    assert "Basic" in vars(aioconnections)


IMPORTS = """
import sys
before = set(sys.modules)  # what measures coverage has its own
import aioconnections
{then}
print(*sorted({{name.partition(".")[0] for name in set(sys.modules) - before}}))
"""


def imported(then: str) -> set[str]:
    run = subprocess.run(  # this very Python
        [sys.executable, "-c", IMPORTS.format(then=then)], capture_output=True, check=True, text=True
    )
    return set(run.stdout.split())


def test_the_vocabulary_costs_neither_httpx_nor_an_event_loop() -> None:
    names = imported("aioconnections.Pair(aioconnections.Email('a@x'), aioconnections.Key('b'))")
    assert "attrs" in names
    assert not names & {
        "sqlite3",
        "httpx",
        "httpcore",
        "anyio",
        "asyncio",
        "ssl",
        "truststore",
        "uvicorn",
        "rich",
        "cyclopts",
    }


def test_the_client_does_without_httpx_until_it_is_made() -> None:
    assert "httpx" not in imported("aioconnections.Client")


NEEDED = "aioconnections.atom.reader, aioconnections.atom.writer, aioconnections.bulk.run"
NEEDED += ", email.message, email.utils, hashlib"


def test_a_client_needs_no_import_for_its_requests() -> None:
    """A process may have no file descriptor left when it makes them."""
    then = "client = aioconnections.Client('https://h'); loaded = set(sys.modules)"
    assert imported(f"{then}; import {NEEDED}; assert loaded == set(sys.modules)")


def test_importing_the_client_imports_neither_the_transport_nor_bulk_runs_nor_the_reader() -> None:
    late = {"aioconnections.transport.pool", "aioconnections.transport.connect", "aioconnections.bulk.run"}
    late |= {"aioconnections.atom.reader", "aioconnections.atom.writer", "hashlib", "httptools"}
    assert imported(f"aioconnections.Client; assert not {late} & (set(sys.modules) - before)")
    assert imported(f"aioconnections.Client('https://h'); assert {late} <= set(sys.modules)")


def test_importing_the_package_imports_no_other_module_than_the_errors() -> None:
    own = {"aioconnections", "aioconnections._version", "aioconnections.errors", "aioconnections.lazy"}
    assert imported(f"assert {{n for n in sys.modules if n.startswith('aioconnections')}} == {own}")


def test_a_journal_does_without_sqlite_until_it_is_opened() -> None:
    assert "sqlite3" not in imported("aioconnections.Journal('run.sqlite')")
