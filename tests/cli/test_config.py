"""Profiles of the configuration file: what they set, in which order, and which secrets go with them."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from attrs import fields
from screen import Terminal

from aioconnections.cli.config_file import SETTINGS
from aioconnections.cli.server import ServerOptions
from aioconnections.reference import Directory

Command = Callable[..., Any]
ConfigFile = Callable[[str], Path]

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest

PROD = """
default_profile = "prod"

[profiles.prod]
url = "https://connections.example.com"
user = "ajones"
max_per_second = 20

[profiles.test]
url = "https://test.example.com"
trust_env = true
ca-file = "ca/company.pem"

[profiles.fast]
max_per_second = 1000.5
"""


@pytest.fixture
def config_file(tmp_path: Path) -> ConfigFile:
    """Writes the configuration file where a command looks for it."""

    def write(text: str) -> Path:
        path = tmp_path / ".config" / "aioconnections" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture
def shown(command: Command) -> Callable[..., dict[str, Any]]:
    """What `config --json` shows."""

    def call(*words: str) -> dict[str, Any]:
        said = command("config", "--json", *words)
        assert (said.code, said.err) == (0, "")
        return dict(json.loads(said.out))

    return call


def test_a_profile_may_set_every_option_of_the_server() -> None:
    assert {*SETTINGS} == {option.name for option in fields(ServerOptions)} - {"profile"}


def test_without_a_file_nothing_changes(shown: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    found = shown()
    assert found["file"] == str(tmp_path / ".config" / "aioconnections" / "config.toml")
    assert (found["file_exists"], found["profile"], found["profiles"]) == (False, None, [])
    assert {row["source"] for row in found["settings"].values()} == {"default", "not set"}


@pytest.mark.parametrize(
    ("words", "variables", "url", "user"),
    [
        ([], {}, "default profile", "default profile"),
        ([], {"URL": "https://e.example.com"}, "environment", "default profile"),
        (["--profile", "prod"], {"URL": "https://e.example.com", "USER": "bsmith"}, "profile", "profile"),
        (["--profile", "test"], {"URL": "https://e.example.com", "USER": "bsmith"}, "profile", "environment"),
        (["--profile", "fast"], {"URL": "https://e.example.com"}, "environment", "not set"),
        (["--profile", "fast"], {}, "not set", "not set"),
        (["--url", "https://a.example.com"], {"URL": "https://e.example.com"}, "argument", "default profile"),
        (["--url", "https://a.example.com", "--profile", "prod"], {}, "argument", "profile"),
        (["--user", "", "--profile", "prod"], {"USER": "bsmith"}, "profile", "argument"),
        ([], {"URL": "", "USER": ""}, "default profile", "default profile"),  # an empty variable is none
    ],
)
def test_precedence_of_each_setting(
    config_file: ConfigFile,
    shown: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    variables: dict[str, str],
    url: str,
    user: str,
) -> None:
    config_file(PROD)
    for name, value in variables.items():
        monkeypatch.setenv(f"AIOCONNECTIONS_{name}", value)
    settings = shown(*words)["settings"]
    assert (settings["url"]["source"], settings["user"]["source"]) == (url, user)
    letter = {"argument": "a", "environment": "e", "not set": None}.get(
        url, "test" if "test" in words else "connections"
    )
    assert settings["url"]["value"] == (letter and f"https://{letter}.example.com")


def test_values_of_each_kind(config_file: ConfigFile, shown: Callable[..., dict[str, Any]]) -> None:
    path = config_file(PROD)
    settings = shown("--profile", "test")["settings"]
    assert settings["trust_env"] == {"value": True, "source": "profile", "name": "test"}
    assert settings["ca_file"]["value"] == str(path.parent / "ca" / "company.pem")
    assert shown("--profile", "fast")["settings"]["max_per_second"]["value"] == 1000.5
    assert shown()["settings"]["max_per_second"] == {"value": 20, "source": "default profile", "name": "prod"}


@pytest.mark.parametrize("setting", ["log_level", "token_paths"])
def test_a_profile_may_have_every_choice_of_an_option(
    config_file: ConfigFile, command: Command, shown: Callable[..., dict[str, Any]], setting: str
) -> None:
    refused = command("config", f"--{setting.replace('_', '-')}", "x").err
    choices = re.findall(r'"(\w+)"', refused.partition("Choose from")[2])
    assert len(choices) > 1
    for choice in choices:
        config_file(f"[profiles.p]\n{setting} = '{choice}'\n")
        assert shown("--profile", "p")["settings"][setting]["value"] == choice


def test_config_as_text(config_file: ConfigFile, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    path = config_file(PROD)
    monkeypatch.setenv("AIOCONNECTIONS_USER", "bsmith")
    said = command("config", "--max-connections", 3)
    lines = [line.split("  ") for line in said.out.splitlines()]
    assert lines[0] == [f"file: {path}"]
    assert lines[1:3] == [["profile: prod (the default)"], ["other profiles: test, fast"]]
    rows = {cells[0]: [cell.strip() for cell in cells[1:] if cell] for cells in lines[4:]}
    assert rows["url"] == ["https://connections.example.com", "default profile prod"]
    assert rows["user"] == ["bsmith", "environment AIOCONNECTIONS_USER"]
    assert rows["max_connections"] == ["3", "argument --max-connections"]
    assert rows["max_per_second"] == ["20", "default profile prod"]
    assert rows["token_paths"] == ["oauth", "default"]
    assert rows["ca_file"] == ["-", "not set"]
    assert rows["login"] == ["prompt", "no password is stored"]


PROBLEMS = {
    "": ([], ""),
    "[profiles.prod]\nurl = 'https://c.example.com'\n": (["--profile", "test"], 'has no profile "test"; it has "prod"'),
    "default_profile = 'test'\n": ([], 'has no profile "test"; it has no profiles'),
    "default_profile = ''\n": ([], "default_profile must be the name of a profile in quotes"),
    "default_profile = 3\n": ([], "default_profile must be the name of a profile in quotes"),
    "url = 'https://c.example.com'\n": (
        [],
        'there is no key "url"; settings belong into a table such as [profiles.prod]',
    ),
    "[profiles]\nprod = 3\n": ([], "a profile must be a table, such as [profiles.prod]"),
    "profiles = 3\n": ([], "a profile must be a table"),
    "[profiles.p]\nmax_per_secnd = 3\n": (
        ["--profile", "p"],
        'profile "p": there is no setting "max_per_secnd"; did you mean max_per_second?',
    ),
    "[profiles.p]\nMAX-CONNECTION = 3\n": (["--profile", "p"], "did you mean max_connections?"),
    "[profiles.p]\nxyz = 3\n": (["--profile", "p"], "there are url, user, password_file"),
    "[profiles.p]\nca-file = 'a'\nca_file = 'b'\n": (["--profile", "p"], "ca_file is set twice; remove one"),
    "[profiles.p]\nurl = 3\n": (["--profile", "p"], 'profile "p": url must be text in quotes'),
    "[profiles.p]\nurl = ''\n": (["--profile", "p"], "url is empty; remove it"),
    "[profiles.p]\nca_file = '~no-such-user/x'\n": (
        ["--profile", "p"],
        "ca_file begins with the home folder of an unknown user",
    ),
    "[profiles.p]\ntrust_env = 'yes'\n": (["--profile", "p"], "trust_env must be true or false"),
    "[profiles.p]\nmax_connections = true\n": (["--profile", "p"], "max_connections must be a whole number"),
    "[profiles.p]\nmax_connections = 1.5\n": (["--profile", "p"], "max_connections must be a whole number"),
    "[profiles.p]\nmax_per_second = 2026-01-01\n": (["--profile", "p"], "max_per_second must be a number"),
    "[profiles.p]\nmax_connections = 0\n": (
        ["--profile", "p"],
        "config.toml: it must be a whole number, at least 1",
    ),
    "[profiles.p]\nmax_per_second = inf\n": (["--profile", "p"], "max_per_second in the profile"),
    "[profiles.p]\nlog_level = 'gehe1m'\n": (["--profile", "p"], 'log_level must be "debug", "info" or "warning"'),
    "[profiles.p]\nlog_level = 3\n": (["--profile", "p"], 'log_level must be "debug", "info" or "warning"'),
    "[profiles.p]\ntoken_paths = 'gehe1m'\n": (["--profile", "p"], 'token_paths must be "oauth" or "ordinary"'),
    "[profiles.p]\npassword_file = 'x'\n": (["--profile", "p"], "password_file needs url and user in the same profile"),
    "[profiles.p]\ntoken_file = 'x'\n": (["--profile", "p"], "token_file needs url in the same profile"),
    "[profiles.p]\nurl = 'http://h'\nuser = 'u'\ntoken_file = 'x'\npassword_file = 'x'\n": (
        ["--profile", "p"],
        "cannot be used together",
    ),
    "[profiles.p]\nurl = 'https://gehe1m@h'\n": (
        ["--profile", "p"],
        "a URL must not contain a user, a password or a fragment",
    ),
    "x": ([], "at its end: "),
    "x\n": ([], "line 1, column 2: "),
    '[profiles.prod]\nurl = "https://c\n': ([], "line 2, column 17: Illegal character"),
    "[profiles.prod]\nurl = 'a'\nurl = 'b'\n": ([], "line 3, column 10: Cannot overwrite a value"),
    '[profiles.p]\nurl = "': ([], "at its end: "),
    "x = " + "[" * 5_000: ([], "nested too deeply"),
    ".".join("x" * 5_000) + " = 1": ([], "nested too deeply"),
    "[profiles.p]\nmax_connections = " + "1" * 5_000: ([], "a number has too many digits"),
    "[profiles.p]\nmax_connections = 0x" + "f" * 5_000: (["--profile", "p"], "max_connections is too large a number"),
    "[profiles.p]\nmax_per_second = 0x" + "f" * 5_000: (["--profile", "p"], "max_per_second is too large a number"),
}


@pytest.mark.parametrize("text", list(PROBLEMS)[1:], ids=lambda text: ascii(text)[:40])
def test_what_is_wrong_with_a_file_is_one_line_that_names_it(
    config_file: ConfigFile, command: Command, text: str
) -> None:
    path, (words, problem) = config_file(text), PROBLEMS[text]
    said = command("config", *words)
    assert (said.code, said.out) == (2, "")
    told = " ".join(said.err.replace("│", " ").split())
    assert problem in told
    assert "gehe1m" not in told
    assert "a URL must" in told or str(path) in said.err.replace("│\n│ ", "").replace(" │", "")


@pytest.mark.parametrize(
    "text",
    [
        "[profiles.other]\npassword = 'gehe1m'\n",
        "[profiles.other]\nPassword = 'gehe1m'\n",
        "[profiles.other]\npassword-file-password = 'gehe1m'\n",
        "[profiles.other]\ntoken = 'gehe1m'\n",
        "[profiles.other]\nclient_key_password = 'gehe1m'\n",
        "[profiles.other]\nshared-secret = 'gehe1m'\n",
        "[profiles.other]\napi_key = 'gehe1m'\n",
        "[profiles.other.login]\npasswd = 'gehe1m'\n",
        "[[profiles.other.logins]]\npassphrase = 'gehe1m'\n",
        "[profiles.other]\nshared = 'redis://:gehe1m@h:6379'\n",
        "[profiles.other]\nshared = 'redis://h:6379/0?password=gehe1m'\n",
        "[profiles.other]\nshared = '//:gehe1m@h'\n",
        "[profiles.other]\nurl = 'https://ajones:gehe1m@h'\n",
        "[profiles.other]\nURL = 'https://ajones:gehe1m@h:8443/social'\n",
        "[profiles.other]\nlogins = [[{password = 'gehe1m'}]]\n",
        "[profiles.other]\npass = 'gehe1m'\n",
        "[profiles.other]\nprivate-key = 'gehe1m'\n",
        "[profiles.other]\nclient_key = '''-----BEGIN RSA PRIVATE KEY-----\ngehe1m'''\n",
        "password = 'gehe1m'\n",
    ],
)
def test_a_secret_in_any_profile_is_refused_and_not_shown(config_file: ConfigFile, command: Command, text: str) -> None:
    path = config_file(f"{text}[profiles.p]\n")
    for words in (["config"], ["config", "--profile", "p"], ["search", "x", "--profile", "p"]):
        said = command(*words)
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith(f'aioconnections: {path}: "')
        assert "looks like a secret, which this file must not hold; remove it, and " in said.err
        assert "gehe1m" not in said.err


@pytest.mark.parametrize(
    ("setting", "advice"),
    [
        ("password", 'use "aioconnections login", which stores a password in the keyring'),
        ("shared", "set AIOCONNECTIONS_SHARED"),
        ("shared-secret", "set AIOCONNECTIONS_SHARED_SECRET"),
        ("client_key", "name the file of the key"),
        ("client_key_password", "set AIOCONNECTIONS_CLIENT_KEY_PASSWORD"),
        ("token", "use token_file, or set AIOCONNECTIONS_TOKEN"),
    ],
)
def test_where_each_secret_belongs(config_file: ConfigFile, command: Command, setting: str, advice: str) -> None:
    config_file(f"[profiles.p]\n{setting} = 'redis://:gehe1m@h?-----END PRIVATE KEY-----'\n")
    assert command("config").err.endswith(f"; remove it, and {advice}\n")


def test_a_port_and_an_at_sign_in_a_url_are_no_secret(
    config_file: ConfigFile, shown: Callable[..., dict[str, Any]]
) -> None:
    config_file("[profiles.p]\nurl = 'https://c.example.com:8443/a@b'\nshared = 'redis://r.example.com:6379/0'\n")
    settings = shown("--profile", "p")["settings"]
    assert settings["url"]["value"] == "https://c.example.com:8443/a@b"
    assert settings["shared"]["value"] == "redis://r.example.com:6379/0"


def test_the_name_of_a_profile_is_free(config_file: ConfigFile, shown: Callable[..., dict[str, Any]]) -> None:
    names = ["token test", "é", "a/b", ".", "-x", "\u202e"]
    config_file("".join(f"[profiles.{json.dumps(name)}]\nuser = 'u'\n" for name in names))
    for name in names:
        assert shown(f"--profile={name}")["profile"] == name


@pytest.mark.usefixtures("signed_in")
def test_an_empty_store_overrides_that_of_a_profile(
    config_file: ConfigFile, command: Command, pairs_file: Callable[..., Path]
) -> None:
    config_file("[profiles.many]\nshared = 'redis://127.0.0.1:1'\n")
    words = ("check", pairs_file(count=3), "--profile", "many", "--shared")
    assert command(*words, "").code == 0
    assert command(*words, "", "--shared-fallback", 2).err == "aioconnections: --shared-fallback needs --shared\n"
    assert command(*words[:-1]).code == 5, "nothing listens on port 1"


def test_an_empty_name_of_a_profile(config_file: ConfigFile, command: Command) -> None:
    config_file(PROD)
    said = command("config", "--profile", "")
    assert (said.code, said.err) == (2, "aioconnections: --profile is empty; give the name of a profile\n")


def test_a_profile_without_a_file(command: Command, tmp_path: Path) -> None:
    said = command("search", "x", "--profile", "prod")
    path = tmp_path / ".config" / "aioconnections" / "config.toml"
    assert said.code == 2
    assert said.err == f'aioconnections: there is no profile "prod", because {path} is missing\n'


OTHER_FILE = f"choose another configuration file in AIOCONNECTIONS_CONFIG, or {os.devnull} for none"


def test_files_that_cannot_be_read(
    config_file: ConfigFile, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = config_file(PROD)
    problems: dict[str, Callable[[], object]] = {
        "Is a directory": path.mkdir,
        "Too many levels of symbolic links": lambda: path.symlink_to(path),
        "No such file or directory": lambda: path.symlink_to("missing.toml"),
        "is not text in UTF-8": lambda: path.write_bytes(b"x = '\xff'\n"),
    }
    for problem, make in problems.items():
        path.unlink()
        make()
        said = command("search", "x")
        assert said.code == 2
        assert said.err.startswith(f"aioconnections: {path}")
        assert problem in said.err
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
            path.touch()
    monkeypatch.setenv("AIOCONNECTIONS_CONFIG", "missing.toml")  # a file that is named must be there
    assert command("search", "x").err == f"aioconnections: missing.toml: No such file or directory; {OTHER_FILE}\n"
    monkeypatch.setenv("AIOCONNECTIONS_CONFIG", "")
    path.unlink()
    path.write_bytes(b"\xef\xbb\xbf" + PROD.replace("\n", "\r\n").encode())  # as Notepad writes it
    assert command("config").code == 0
    monkeypatch.setenv("AIOCONNECTIONS_CONFIG", os.devnull)
    assert json.loads(command("config", "--json").out)["profile"] is None
    assert tmp_path in path.parents


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("is_named", [True, False])
def test_a_file_that_could_block_or_be_endless_is_not_opened(
    config_file: ConfigFile, command: Command, monkeypatch: pytest.MonkeyPatch, *, is_named: bool
) -> None:
    path = config_file("")
    path.unlink()
    if is_named:
        path = Path("/dev/zero")
        monkeypatch.setenv("AIOCONNECTIONS_CONFIG", str(path))
    else:
        os.mkfifo(path)
    said = command("search", "x")
    problem = "is not a regular file; choose another one in AIOCONNECTIONS_CONFIG"
    assert (said.code, said.err) == (2, f"aioconnections: {path} {problem}\n")


def test_the_largest_file(config_file: ConfigFile, command: Command) -> None:
    config_file(PROD + "#" * ((1 << 20) - len(PROD)))
    assert command("config").code == 0
    path = config_file(PROD + "#" * ((1 << 20) - len(PROD) + 1))
    said = command("config")
    assert said.code == 2
    assert said.err.startswith(f"aioconnections: {path} is larger than 1 MiB; ")


@pytest.mark.parametrize("function", ["open", "stat"])
def test_a_file_or_folder_without_permission(
    config_file: ConfigFile, command: Command, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    path = config_file(PROD)
    real = getattr(Path, function)

    def refuse(self: Path, *arguments: object, **options: object) -> object:  # root may read every file
        if self == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, function, refuse)
    said = command("search", "x")
    advice = f"make it readable for you, or {OTHER_FILE}"
    assert (said.code, said.err) == (2, f"aioconnections: {path}: Permission denied; {advice}\n")
    monkeypatch.setenv("AIOCONNECTIONS_CONFIG", os.devnull)
    assert command("config").code == 0


def test_the_result_is_not_written_over_the_file(config_file: ConfigFile, command: Command) -> None:
    path = config_file(PROD)
    said = command("search", "x", "--output", path)
    assert said.err == "aioconnections: the result cannot be written over the configuration file; choose another file\n"
    assert path.read_text("utf-8") == PROD


@pytest.fixture
def people(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server whose URL, user and password are not in the environment."""
    for name in ("URL", "USER", "PASSWORD"):
        monkeypatch.delenv(f"AIOCONNECTIONS_{name}")
    return signed_in


def authorizations(server: Any) -> int:
    """The number of requests so far."""
    return int(server.app.requests.total)


def test_a_command_uses_the_profile(config_file: ConfigFile, command: Command, people: Any) -> None:
    path = config_file(f"[profiles.p]\nurl = '{people.url}'\nuser = 'admin'\npassword_file = 'p.txt'\n")
    (path.parent / "p.txt").write_text("secret\n", "utf-8")
    said = command("search", "--name", "a*", "--profile", "p")
    assert (said.code, bool(said.rows)) == (0, True)


WITHHELD = "is not used: the URL is that of a profile, and AIOCONNECTIONS_URL does not name the same server"


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("secret", ["PASSWORD", "TOKEN"])
@pytest.mark.parametrize("named", [None, "https://connections.example.com", "{other port}"])
def test_a_secret_in_the_environment_is_not_sent_to_the_server_of_a_profile(
    config_file: ConfigFile,
    command: Command,
    people: Any,
    monkeypatch: pytest.MonkeyPatch,
    named: str | None,
    secret: str,
    *,
    explicit: bool,
) -> None:
    default = "" if explicit else "default_profile = 'p'\n"
    config_file(f"{default}[profiles.p]\nurl = '{people.url}'\nuser = 'admin'\n")
    monkeypatch.setenv(f"AIOCONNECTIONS_{secret}", "secret")
    if named is not None and explicit:
        monkeypatch.setenv("AIOCONNECTIONS_URL", named.replace("{other port}", "http://127.0.0.1:9"))
    said = command("search", "x", *["--profile", "p"] * explicit)
    assert said.code == 2
    assert said.err.startswith(f"aioconnections: AIOCONNECTIONS_{secret} {WITHHELD}\n")
    assert people.app.requests.total == 0


def test_a_password_in_the_environment_is_not_sent_for_the_user_of_a_profile(
    config_file: ConfigFile, command: Command, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_file(f"[profiles.p]\nurl = '{people.url}'\nuser = 'admin'\n")
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "secret")
    monkeypatch.setenv("AIOCONNECTIONS_URL", people.url)
    for user in (None, "Admin"):
        if user is not None:
            monkeypatch.setenv("AIOCONNECTIONS_USER", user)
        said = command("search", "x", "--profile", "p")
        assert said.code == 2
        assert "AIOCONNECTIONS_PASSWORD is not used: the user is that of a profile, and AIOCONNECTIONS_USER" in said.err
    assert people.app.requests.total == 0


def test_a_password_in_the_environment_is_sent_if_it_names_the_same_login(
    config_file: ConfigFile, command: Command, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_file(f"[profiles.p]\nurl = '{people.url}'\nuser = 'admin'\n")
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "secret")
    monkeypatch.setenv("AIOCONNECTIONS_URL", people.url.replace("http", "HTTP") + "/")
    monkeypatch.setenv("AIOCONNECTIONS_USER", "admin")
    assert command("search", "--name", "a*", "--profile", "p").code == 0


def test_a_password_in_the_environment_goes_with_arguments(
    config_file: ConfigFile, command: Command, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_file(PROD)
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "secret")
    assert command("search", "--name", "a*", "--url", people.url, "--user", "admin").code == 0


@pytest.mark.parametrize("setting", ["password_file", "token_file"])
def test_a_secret_file_of_a_profile_is_not_read_for_another_server_or_user(
    config_file: ConfigFile, command: Command, people: Any, setting: str
) -> None:
    path = config_file(f"[profiles.p]\nurl = 'https://c.example.com'\nuser = 'admin'\n{setting} = 's.txt'\n")
    (path.parent / "s.txt").write_text("secret\n", "utf-8")
    said = command("search", "x", "--profile", "p", "--url", people.url)
    assert said.code == 2
    assert said.err.startswith(f"aioconnections: {setting} is not used: the URL is not that of the profile\n")
    if setting == "password_file":
        config_file(f"[profiles.p]\nurl = '{people.url}'\nuser = 'bsmith'\npassword_file = 's.txt'\n")
        said = command("search", "x", "--profile", "p", "--user", "admin")
        assert said.err.startswith("aioconnections: password_file is not used: the user is not that of the profile\n")
    assert people.app.requests.total == 0


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("user", [None, "ajones"])
def test_a_user_in_an_argument_takes_precedence_over_the_token_of_a_profile(
    config_file: ConfigFile,
    shown: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    user: str | None,
    *,
    named: bool,
) -> None:
    default, words = ("", ["--profile", "p"]) if named else ("default_profile = 'p'\n", [])
    entry = "" if user is None else f"user = '{user}'\n"
    config_file(f"{default}[profiles.p]\nurl = 'https://c.example.com'\ntoken_file = 't'\n{entry}")

    def used(*more: str) -> tuple[object, object]:
        found = shown(*words, *more)
        return found["settings"]["login"]["value"], found["notes"][:1]

    note = ["token_file is not used: the user is not that of the profile"]
    assert used() == ("bearer token", [])
    assert used("--user", "") == ("bearer token", [])
    assert used("--user", "bsmith") == ("prompt", note)
    assert used("--user", "ajones") == (("bearer token", []) if user else ("prompt", note))
    monkeypatch.setenv("AIOCONNECTIONS_USER", "bsmith")
    assert used() == (("bearer token", []) if named else ("prompt", note))


def test_precedence_of_secrets(
    config_file: ConfigFile, shown: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    login = "url = 'https://c.example.com'\nuser = 'ajones'\n"
    config_file(f"default_profile = 'p'\n[profiles.p]\n{login}password_file = 'p'\n")
    Path("t").write_text("t0ken", "utf-8")

    def used(*words: str) -> tuple[str, str]:
        row = shown(*words)["settings"]["login"]
        return row["value"], row["name"] or row["source"]

    assert used() == ("password", "password_file")
    assert used("--token-file", "t") == ("bearer token", "token_file")
    for name, value in {"URL": "https://c.example.com", "USER": "ajones", "PASSWORD": "e"}.items():
        monkeypatch.setenv(f"AIOCONNECTIONS_{name}", value)
    assert used() == ("password", "AIOCONNECTIONS_PASSWORD")
    assert used("--profile", "p") == ("password", "password_file")
    monkeypatch.setenv("AIOCONNECTIONS_TOKEN", "t0ken")
    assert used() == ("bearer token", "AIOCONNECTIONS_TOKEN")
    monkeypatch.delenv("AIOCONNECTIONS_PASSWORD")
    assert used() == ("bearer token", "AIOCONNECTIONS_TOKEN")
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "e")
    assert used("--profile", "p") == ("password", "password_file")
    config_file(f"[profiles.p]\n{login}")
    assert used("--profile", "p") == ("password", "AIOCONNECTIONS_PASSWORD")  # --profile names a user, so no token
    assert used("--password-file", "t", "--profile", "p") == ("password", "password_file")


def test_a_certificate_and_its_key_come_from_one_place(
    config_file: ConfigFile, shown: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config_file("default_profile = 'p'\n[profiles.p]\nclient_cert = 'a.pem'\nclient_key = 'a.key'\n")

    def used(*words: str) -> tuple[Any, Any]:
        settings = shown(*words)["settings"]
        return settings["client_cert"]["value"], settings["client_key"]["value"]

    ours = str(path.parent / "a.pem"), str(path.parent / "a.key")
    assert used() == ours
    monkeypatch.setenv("AIOCONNECTIONS_CLIENT_CERT", "b.pem")
    assert used() == ("b.pem", None)
    assert used("--profile", "p") == ours
    assert used("--profile", "p", "--client-key", "c.key") == ("b.pem", "c.key")
    monkeypatch.setenv("AIOCONNECTIONS_CLIENT_KEY", "b.key")
    config_file("[profiles.p]\nclient_cert = 'a.pem'\n")
    assert used("--profile", "p") == (ours[0], None)
    assert shown("--profile", "p")["settings"]["client_key"]["source"] == "not set"


def test_the_paths_of_a_token_in_a_profile_do_not_disturb_a_password(
    config_file: ConfigFile, command: Command, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_file("default_profile = 'p'\n[profiles.p]\ntoken_paths = 'ordinary'\n")
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "secret")
    assert command("search", "--name", "a*", "--url", people.url, "--user", "admin").code == 0


def test_no_secret_is_shown(config_file: ConfigFile, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    config_file(PROD)
    secrets = {
        "PASSWORD": "gehe1m",
        "TOKEN": "gehe1m",
        "CLIENT_KEY_PASSWORD": "gehe1m",
        "SHARED": "redis://:gehe1m@redis.example.com:6380/0",
        "SHARED_SECRET": "gehe1m" * 3,
    }
    for name, value in secrets.items():
        monkeypatch.setenv(f"AIOCONNECTIONS_{name}", value)
    for words in ([], ["--json"], ["--url", "https://a.example.com"], ["--profile", "test"]):
        said = command("config", *words)
        assert (said.code, said.err) == (0, "")
        assert "redis.example.com:6380 (password not shown)" in said.out
        assert "gehe1m" not in said.out
    said = command("config", "--url", "https://u:gehe1m@a.example.com")
    assert (said.code, said.out, "gehe1m" in said.err) == (2, "", False)


@pytest.fixture(params=[40, 80, 120], ids="{} columns".format)
def terminal(request: pytest.FixtureRequest) -> Generator[Terminal]:
    with Terminal(request.param) as terminal:
        yield terminal


@pytest.mark.slow
def test_the_screen_of_config(terminal: Terminal, config_file: ConfigFile) -> None:
    config_file(PROD)
    terminal.start("config", "--max-connections", 3, env={"AIOCONNECTIONS_PASSWORD": "gehe1m"})
    assert terminal.wait() == 0
    lines = terminal.screen.text.splitlines()
    row = next(line for line in lines if line.startswith("max_connections"))
    in_columns = ["max_connections", "3", "argument", "--max-connections"]
    expected = in_columns if terminal.screen.columns > 40 else ["max_connections:", "3", "(argument"]
    assert row.split()[: len(expected)] == expected
    told = " ".join(terminal.screen.text.split())
    assert told.endswith(
        "AIOCONNECTIONS_PASSWORD is not used: the URL is that of a profile, and AIOCONNECTIONS_URL does not name the "
        "same server this machine has no keyring that can be used; use --password-file instead"
    )
    assert "gehe1m" not in told


@pytest.mark.slow
def test_the_screen_of_an_invalid_file(terminal: Terminal, config_file: ConfigFile) -> None:
    config_file("default_profile = 'p'\n[profiles.p]\nmax_per_secnd = 3\n")
    terminal.start("search", "x")
    assert terminal.wait() == 2
    told = " ".join(terminal.screen.text.split())
    assert told.endswith('profile "p": there is no setting "max_per_secnd"; did you mean max_per_second?')
    assert terminal.screen.colours == []


LOADED = """
import sys
from aioconnections.cli import run
code = run({words!r})
print(code, *sorted({{"tomllib", "platformdirs", "keyring"}} & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "loaded"),
    [
        (["--help"], "0"),
        (["check", "--help"], "0"),
        (["report", "missing.sqlite"], "2"),
        (["search", "x", "--url", "ftp://c", "--user", "u"], "2 platformdirs"),
    ],
)
def test_modules_for_the_configuration_are_loaded_when_needed(words: list[str], loaded: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(words=words)], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stderr.splitlines()[-1] == loaded


def test_a_cluster_run_takes_no_login_from_a_profile(config_file: ConfigFile, command: Command) -> None:
    config_file(PROD)
    said = command("check", "missing.csv", "--cluster", "local:1", "--output", "out")
    assert "--user" not in said.err
    assert "missing.csv" in said.err
