"""No result and no journal is written over a file that the command reads or depends on."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from aioconnections.reference import Directory

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, ANN, BOB = DIRECTORY.people[:3]

Command = Callable[..., Any]
Start = Callable[..., "subprocess.Popen[str]"]

PAIRS = f"source_email,target_email\n{ANN.email},{BOB.email}\n"
PEOPLE = f"email\n{ANN.email}\n"
COMMUNITY = DIRECTORY.communities[0].uuid

LISTINGS = [
    ["colleagues", "--email", "a@example.com"],
    ["search", "--name", "a*"],
    ["invitations", "list"],
    ["community", "invitations", COMMUNITY],
]
BULK = [
    ["check", "pairs"],
    ["connect", "pairs"],
    ["disconnect", "pairs"],
    ["accept", "pairs"],
    ["remove", "pairs"],
    ["profile", "people"],
    ["colleagues", "people"],
    ["network", "people"],
    ["invite", "people", "--no-journal"],
    ["community", "invite", COMMUNITY, "people", "--no-journal"],
    *(["invitations", verb, "invitations"] for verb in ("accept", "decline", "revoke")),
]


def words_of(words: list[str]) -> str:
    return " ".join(word for word in words if word.isalpha())


@pytest.fixture(autouse=True)
def files(signed_in: Any) -> Any:
    texts = {
        "pairs": PAIRS,
        "people": PEOPLE,
        "invitations": "community_uuid\nx\n",
        "message": "Hello",
        "password": "secret\n",
        "token": "t\n",
    }
    for name, text in texts.items():
        Path(name).write_text(text, "utf-8")
    trustme.CA().cert_pem.write_to_path("ca.pem")
    return signed_in


def refused(command: Command, reference: Any, file: str, words: list[str], problem: str) -> None:
    """The command changes nothing and asks nothing, under any name of the file."""
    path, before = Path(file), Path(file).read_bytes()
    Path("folder").mkdir()
    Path("symbolic").symlink_to(path)
    Path("folder/chain").symlink_to(Path.cwd() / "symbolic")
    Path("hard").hardlink_to(path)
    there = sorted(Path().iterdir())
    for name in (file, f"./{file}", path.absolute(), f"folder/../{file}", "symbolic", "folder/chain", "hard"):
        said = command(*words, "-o", name)
        assert (said.code, said.out) == (2, "")
        assert said.err == f"aioconnections: {problem}; choose another file\n"
        assert path.read_bytes() == before
    assert sorted(Path().iterdir()) == there
    assert reference.app.requests.total == 0


@pytest.mark.slow
@pytest.mark.parametrize("dry", [False, True], ids=["run", "dry run"])
@pytest.mark.parametrize("words", BULK, ids=words_of)
def test_a_result_is_not_written_over_its_input(command: Command, files: Any, words: list[str], *, dry: bool) -> None:
    file = next(word for word in reversed(words) if Path(word).exists())
    refused(command, files, file, [*words, *["--dry-run"] * dry], "the result cannot be written over its own input")


@pytest.mark.slow
@pytest.mark.parametrize("option", ["password", "token", "ca"])
@pytest.mark.parametrize("words", [*BULK, *LISTINGS], ids=words_of)
def test_a_result_is_not_written_over_what_the_login_needs(
    command: Command, files: Any, words: list[str], option: str
) -> None:
    file = "ca.pem" if option == "ca" else option
    problem = f"the result cannot be written over the file of --{option}-file"
    refused(command, files, file, [*words, f"--{option}-file", file], problem)


@pytest.mark.parametrize("dry", [False, True], ids=["run", "dry run"])
@pytest.mark.parametrize("words", [["invite", "people", "--no-journal"], ["connect", "pairs"]], ids=words_of)
def test_a_result_is_not_written_over_the_message(command: Command, files: Any, words: list[str], *, dry: bool) -> None:
    words = [*words, "--message-file", "message", *["--dry-run"] * dry]
    refused(command, files, "message", words, "the result cannot be written over the file of --message-file")


def test_a_result_is_not_written_over_a_certificate_in_a_folder(command: Command, files: Any) -> None:
    Path("certificates").mkdir()
    Path("certificates/0a1b2c3d.0").symlink_to(Path("ca.pem").absolute())
    words = ["check", "pairs", "--ca-file", "certificates"]
    refused(command, files, "ca.pem", words, "the result cannot be written over the file of --ca-file")


def test_a_result_is_not_written_over_the_certificates_of_the_environment(
    command: Command, files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "ca.pem")
    assert ssl.get_default_verify_paths().cafile == "ca.pem"
    refused(command, files, "ca.pem", ["check", "pairs"], "the result cannot be written over the file of SSL_CERT_FILE")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["/dev/stdin", "/dev/fd/0", "pairs"])
def test_a_result_is_not_written_over_a_file_that_is_standard_input(start: Start, files: Any, name: str) -> None:
    if not Path(name).exists():
        pytest.skip("no such device here")
    with Path("pairs").open(encoding="utf-8") as stdin:
        process = start("check", "-", "-o", name, stdin=stdin)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    assert err == "aioconnections: the result cannot be written over its own input; choose another file\n"
    assert Path("pairs").read_text("utf-8") == PAIRS
    assert files.app.requests.total == 0


def test_standard_output_is_not_appended_to_the_input(start: Start, files: Any) -> None:
    with Path("pairs").open("a", encoding="utf-8") as stdout:
        process = start("check", "pairs", stdout=stdout)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert err == "aioconnections: the result cannot be written over its own input; choose another file\n"
    assert Path("pairs").read_text("utf-8") == PAIRS
    assert files.app.requests.total == 0


@pytest.mark.parametrize("beside", ["", "-wal", "-shm", "-journal", ".lock"])
@pytest.mark.parametrize("linked", [False, True], ids=["journal", "link to a journal"])
@pytest.mark.parametrize("dry", [False, True], ids=["run", "dry run"])
def test_a_result_is_not_written_over_a_journal_that_is_not_there_yet(
    command: Command, files: Any, beside: str, *, linked: bool, dry: bool
) -> None:
    journal = "link" if linked else "j.sqlite"
    if linked:
        Path("link").symlink_to("j.sqlite")
    output = Path("..") / Path.cwd().name / f"j.sqlite{beside}"
    words = ["invite", "people", "--journal", journal, *["--dry-run"] * dry]
    said = command(*words, "-o", output)
    problem = "aioconnections: the result cannot be written over the journal; choose another file\n"
    assert (said.code, said.out, said.err) == (2, "", problem)
    assert not Path("j.sqlite").exists()
    assert files.app.requests.total == 0


@pytest.mark.parametrize("beside", ["-wal", "-shm", "-journal", ".lock"])
def test_a_report_is_not_written_over_a_file_of_its_journal(command: Command, beside: str) -> None:
    assert command("invite", "people", "--journal", "j.sqlite").code == 0
    Path(f"j.sqlite{beside}").write_text("x", "utf-8")
    said = command("report", "j.sqlite", "-o", f"j.sqlite{beside}")
    problem = "aioconnections: the result cannot be written over the journal; choose another file\n"
    assert (said.code, said.err) == (2, problem)
    assert Path(f"j.sqlite{beside}").read_text("utf-8") == "x"


@pytest.mark.parametrize(
    ("words", "journal", "what"),
    [
        ([], "people", "its own input"),
        (["--message-file", "message"], "message", "the file of --message-file"),
        (["--password-file", "password"], "password", "the file of --password-file"),
        (["--token-file", "token"], "./token", "the file of --token-file"),
        (["--ca-file", "ca.pem"], "ca.pem", "the file of --ca-file"),
        (["--message-file", "j.sqlite-wal"], "j.sqlite", "the file of --message-file"),
    ],
    ids=["input", "message", "password", "token", "certificates", "beside a journal"],
)
def test_a_journal_is_not_written_over_an_input(
    command: Command, files: Any, words: list[str], journal: str, what: str
) -> None:
    Path("j.sqlite-wal").write_text("Hello", "utf-8")
    Path("empty").touch()
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    said = command("invite", "people", *words, "--journal", journal)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"aioconnections: the journal cannot be written over {what}; choose another file\n"
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before
    assert files.app.requests.total == 0


@pytest.mark.parametrize(
    "words", [["check", "missing"], ["invite", "people", "--no-journal", "--token-file", "missing"]]
)
def test_a_file_that_is_not_there_is_not_made(command: Command, words: list[str]) -> None:
    said = command(*words, "-o", "./missing")
    assert (said.code, said.out) == (2, "")
    assert "cannot be written over" in said.err
    assert not Path("missing").exists()


def test_a_device_may_be_input_and_output(command: Command) -> None:
    said = command("check", "pairs", "--token-file", os.devnull, "-o", os.devnull)
    assert (said.code, said.err) == (2, f"aioconnections: the first line of {os.devnull} is empty\n")


def test_a_commit_log_is_not_written_over_the_tokens(command: Command) -> None:
    Path("tokens").write_text(f"token,email\nt,{ANN.email}\n", "utf-8")
    said = command("serve", "--auth", "oauth", "--tokens", "tokens", "--commit-log", "./tokens")
    assert (said.code, said.out) == (2, "")
    assert said.err == "aioconnections: --commit-log is the file of --tokens; choose another file\n"
