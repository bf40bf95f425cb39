from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., "subprocess.Popen[str]"]
DEMO = import_module("aioconnections.cli.demo")  # in the package, the name is that of the command


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def url_in(text: str) -> str:
    return text.partition("is listening on ")[2].split()[0]


def test_it_shows_the_main_job_from_one_end_to_the_other(
    command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(DEMO, "_PAIRS", 300)
    said = command("demo")
    assert (said.code, said.out) == (0, "")
    assert "A Connections server with 5,000 generated people is listening on http://127.0.0.1:" in said.err
    assert "  source_email,target_email,source_name,target_name\n" in said.err
    assert "300 checked in " in said.err
    assert ": 50 accepted, 50 pending, 50 unconfirmed, 150 none\n" in said.err
    assert (
        "  source_email,target_email,source_name,target_name,status,http_status,attempts,elapsed_ms,error\n" in said.err
    )
    assert said.err.endswith("check pairs.csv --url https://connections.example.com --user YOU -o results.csv\n")
    (results,) = tmp_path.glob("*/results.csv")
    assert len(results.read_text("utf-8").splitlines()) == 301
    assert_gone(url_in(said.err))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_end_in_the_middle_leaves_no_server_behind(start: Start, number: signal.Signals) -> None:
    demo = start("demo")
    assert demo.stderr is not None
    text = ""
    while "--ordered" not in text:
        text += demo.stderr.readline()
    demo.send_signal(number)
    _, rest = demo.communicate(timeout=30)
    assert demo.returncode == 130
    assert rest.splitlines()[-1] == "aioconnections: interrupted"
    assert "Traceback" not in rest
    assert_gone(url_in(text))


def test_a_server_that_does_not_start_is_no_mystery(
    command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DEMO, "_PEOPLE", 5)
    said = command("demo")
    assert said.code == 2
    assert (
        said.err == 'aioconnections: the reference server did not start; run "aioconnections serve" to see the reason\n'
    )


def assert_gone(url: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
