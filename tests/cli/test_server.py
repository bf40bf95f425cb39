from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aioconnections.cli.server import ServerOptions
from aioconnections.errors import InvalidInputError
from aioconnections.protocol.messages import Headers
from aioconnections.reference import Directory, app

URL = "http://127.0.0.1:1"
DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
BASIC = {"me:secret": "Basic bWU6c2VjcmV0", "me:zażółć": "Basic bWU6emHFvMOzxYLEhw=="}


def login(**options: Any) -> Headers:
    """What a server is sent."""
    auth = ServerOptions(url=URL, **options).client()._caller.auth
    assert auth is not None

    async def send(*_: object, **__: object) -> Any:
        raise AssertionError

    return asyncio.run(auth.headers(send, None))


def file(text: str | bytes, name: str = "secret.txt") -> Path:
    path = Path(name)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("text", ["secret", "secret\n", "secret\r\nmore\n", "\ufeffsecret\n"])
def test_the_first_line_of_a_file_is_the_password(text: str) -> None:
    assert login(user="me", password_file=file(text)) == Headers([("Authorization", BASIC["me:secret"])])


def test_the_first_line_of_a_file_is_the_token() -> None:
    assert login(token_file=file("t0ken\n")) == Headers([("Authorization", "Bearer t0ken")])


def test_secrets_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "zażółć")
    assert login(user="me") == Headers([("Authorization", BASIC["me:zażółć"])])
    monkeypatch.setenv("AIOCONNECTIONS_TOKEN", "t0ken")
    assert login(user="me") == Headers([("Authorization", "Bearer t0ken")])
    assert login(user="me", password_file=file("secret")) == Headers([("Authorization", BASIC["me:secret"])])


def test_a_person_at_a_terminal_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("aioconnections.cli.secrets.can_prompt", lambda: True)

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "secret"

    monkeypatch.setattr("aioconnections.cli.secrets.getpass", ask)
    assert login(user="me") == Headers([("Authorization", BASIC["me:secret"])])
    assert asked == ["Password of me: "]


@pytest.mark.parametrize("end", [KeyboardInterrupt, EOFError])
def test_who_does_not_answer_leaves_a_whole_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], end: type[BaseException]
) -> None:
    monkeypatch.setattr("aioconnections.cli.secrets.can_prompt", lambda: True)

    def ask(_: str) -> str:
        raise end

    monkeypatch.setattr("aioconnections.cli.secrets.getpass", ask)
    with pytest.raises(InvalidInputError if end is EOFError else end):
        login(user="me")
    assert capsys.readouterr().err == "\n"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"user": "me"}, "the password is missing"),
        ({"user": "me", "password_file": "missing"}, "missing: No such file"),
        ({"user": "me", "password_file": "empty"}, "the first line of empty is empty"),
        ({"user": "me", "password_file": "binary"}, "binary is not text in UTF-8"),
        ({"password_file": "good"}, "--password-file needs --user"),
        ({"user": "", "password_file": "good"}, "--password-file needs --user"),
        ({"user": "me:you", "password_file": "good"}, "user must not contain a colon"),
        ({"token_file": "empty"}, "the first line of empty is empty"),
        ({"token_file": "good"}, "the bearer token must be non-empty printable ASCII without spaces"),
    ],
)
def test_a_login_that_cannot_work_is_refused_and_no_secret_is_told(options: dict[str, Any], problem: str) -> None:
    file("", "empty")
    file(b"\xff\xfe", "binary")
    file("gehe1m gehe1m\n", "good")
    paths = {name: Path(value) if name.endswith("_file") else value for name, value in options.items()}
    with pytest.raises(InvalidInputError, match=problem) as caught:
        login(**paths)
    assert "gehe1m" not in str(caught.value)


@pytest.mark.parametrize("dry", [True, False])
@pytest.mark.parametrize("options", [{}, {"user": "me", "password_file": Path("good")}])
def test_the_paths_of_a_token_need_a_token(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, *, dry: bool
) -> None:
    file("secret", "good")
    server = ServerOptions(url=URL, token_paths="ordinary", **options)
    if options:  # the password has precedence
        monkeypatch.setenv("AIOCONNECTIONS_TOKEN", "t0ken")
    with pytest.raises(InvalidInputError, match="--token-paths ordinary needs a token; use --token-file"):
        server.address() if dry else server.client()


@pytest.mark.parametrize("by", ["file", "environment"])
@pytest.mark.parametrize("paths", ["oauth", "ordinary"])
def test_a_token_is_sent_to_the_paths_that_take_it(
    command: Any, signed_in: Any, monkeypatch: pytest.MonkeyPatch, by: str, paths: Any
) -> None:
    person = DIRECTORY.people[0]
    signed_in.app = app(DIRECTORY, auth="oauth", tokens={"t0ken": person}, token_paths=paths, max_ps=3)
    if by == "environment":
        monkeypatch.setenv("AIOCONNECTIONS_TOKEN", "t0ken")
    login = ["--token-file", file("t0ken\n")] if by == "file" else []
    right = ["--token-paths", paths] if paths == "ordinary" else []
    wrong = [] if paths == "ordinary" else ["--token-paths", "ordinary"]
    listed = command("colleagues", "--userid", person.userid, *login, *right)
    assert (listed.code, len(listed.rows) > 3) == (0, True)
    removed = command("remove", "--connection-id", listed.rows[0]["connection_id"], *login, *right)
    assert removed.rows[0]["outcome"] == "removed"
    invitations = command("invitations", "list", *login, *right)
    assert invitations.code == 0
    refused = command("colleagues", "--userid", person.userid, *login, *wrong)
    assert refused.code == 3


def test_an_invalid_user_is_refused_before_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioconnections.cli.secrets.can_prompt", lambda: True)
    monkeypatch.setattr("aioconnections.cli.secrets.getpass", pytest.fail)
    for user in ("me:you", "me\udcff"):
        with pytest.raises(InvalidInputError, match="user must not contain"):
            login(user=user)


def test_without_a_login_there_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert ServerOptions(url=URL).client()._caller.auth is None
    assert capsys.readouterr().err == (
        "aioconnections: warning: without --user or a token, requests are sent without a login\n"
    )


def test_what_the_client_warns_of_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example.com:3128")
    url = "http://connections.example.com"
    ServerOptions(url=url, token_file=file("t0ken"), max_per_second=0).client()
    proxy, readable = capsys.readouterr().err.splitlines()
    assert (
        proxy == "aioconnections: warning: http_proxy names a proxy, which is not used; "
        "pass trust_env=True (--trust-env) to use it"
    )
    assert readable.startswith("aioconnections: warning: the login is sent unencrypted over http")
    ServerOptions(url=url, token_file=file("t0ken"), trust_env=True).client()
    assert "proxy" not in capsys.readouterr().err
