"""Passwords in the keyring: what is stored, which server and user get it, and which keyrings are refused."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from own_keyring import FileKeyring, ForgetfulKeyring, LockedKeyring, MemoryKeyring
from screen import Terminal

from aioconnections.reference import Fault

Command = Callable[..., Any]

CHECK = ("search", "--name", "a*")
NO_PASSWORD = 'aioconnections: the password is missing; use --password-file or "aioconnections login"'


def use(monkeypatch: pytest.MonkeyPatch, backend: KeyringBackend) -> None:
    monkeypatch.setattr("keyring.get_keyring", lambda: backend)


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> MemoryKeyring:
    """The keyring that commands use."""
    keyring = MemoryKeyring()
    use(monkeypatch, keyring)
    return keyring


@pytest.fixture
def people(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server whose password is in no environment."""
    monkeypatch.delenv("AIOCONNECTIONS_PASSWORD")
    Path("right").write_text("secret\n", "utf-8")
    Path("wrong").write_text("gehe1m\n", "utf-8")
    return signed_in


def keep(keyring: MemoryKeyring, url: str, *, user: str = "admin", value: str = "secret") -> None:
    """Store a password for a URL with a port."""
    keyring.stored[f"{user} @ aioconnections {url}"] = value


def test_a_password_is_verified_stored_used_and_removed(command: Command, keyring: MemoryKeyring, people: Any) -> None:
    said = command("login", "--password-file", "right")
    assert (said.code, said.out) == (0, "")
    verified, stored = said.err.splitlines()
    assert verified.startswith(f"Signed in at {people.url} as ")
    assert stored == f"The password of admin for {people.url} is stored in the keyring own_keyring.MemoryKeyring."
    assert keyring.stored == {f"admin @ aioconnections {people.url}": "secret"}
    assert command(*CHECK).code == 0
    shown = json.loads(command("config", "--json").out)["settings"]["login"]
    assert shown == {"value": "password", "source": "keyring", "name": "own_keyring.MemoryKeyring"}
    said = command("logout")
    assert (said.code, said.out, said.err) == (0, "", f"The password of admin for {people.url} is removed.\n")
    assert keyring.stored == {}
    said = command("logout")
    assert (said.code, said.err) == (0, f"No password of admin for {people.url} was stored.\n")
    assert command(*CHECK).err.startswith(NO_PASSWORD)


def test_a_wrong_password_is_sent_once_and_not_stored(command: Command, keyring: MemoryKeyring, people: Any) -> None:
    said = command("login", "--password-file", "wrong")
    assert said.code == 3
    assert said.err.startswith("aioconnections: the password was not stored\naioconnections: HTTP 401: ")
    assert "gehe1m" not in said.err
    assert keyring.stored == {}
    assert people.app.requests.total == 1


@pytest.mark.parametrize("retry_after", [None, "0"])
def test_a_server_that_is_unavailable_gets_the_password_once(
    command: Command, keyring: MemoryKeyring, people: Any, retry_after: str | None
) -> None:
    people.app.faults = [Fault("refuse", status=503, retry_after=retry_after)]
    said = command("login", "--password-file", "right")
    assert said.code == 5
    assert said.err.startswith("aioconnections: the password was not stored\naioconnections: HTTP 503")
    assert (keyring.stored, people.app.requests.total) == ({}, 1)


def test_a_server_that_is_away_stores_nothing(command: Command, keyring: MemoryKeyring, people: Any) -> None:
    said = command("login", "--password-file", "right", "--url", "http://127.0.0.1:1")
    assert said.code == 5
    assert said.err.startswith("aioconnections: the password was not stored\n")
    assert keyring.stored == {}
    said = command("login", "--password-file", "right", "--url", "http://127.0.0.1:1", "--no-verify")
    assert said.code == 0
    assert keyring.stored == {"admin @ aioconnections http://127.0.0.1:1": "secret"}
    assert people.app.requests.total == 0


@pytest.mark.usefixtures("people")
def test_a_password_from_standard_input(
    command: Command, keyring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("secret\r\nmore\n"))
    assert command("login", "--password-stdin").code == 0
    assert [*keyring.stored.values()] == ["secret"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    said = command("login", "--password-stdin")
    assert (said.code, said.err) == (2, "aioconnections: the first line of standard input is empty\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("\ufeffsecret\n"))  # as PowerShell may write it
    assert command("login", "--password-stdin").code == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"gehe1m\xff\n"), "utf-8"))
    said = command("login", "--password-stdin")
    assert (said.code, said.err) == (2, "aioconnections: the first line of standard input is not text\n")
    assert [*keyring.stored.values()] == ["secret"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "the password is missing; use --password-file or --password-stdin"),
        (
            ["--password-stdin", "--password-file", "right"],
            "--password-stdin and --password-file cannot be used together",
        ),
        (["--token-file", "right"], "--token-file has no meaning with login, which stores a password; omit it"),
        (["--user", ""], "the user is missing; use --user or --profile, or set AIOCONNECTIONS_USER"),
        (["--user", "a:b"], "user must not contain a colon"),
        (["--url", ""], "the URL is missing"),
        (["--url", "https://admin:gehe1m@c.example.com"], "a URL must not contain a user, a password or a fragment"),
        (["--password-file", "missing"], "missing: No such file or directory"),
    ],
)
def test_what_login_refuses(
    command: Command, keyring: MemoryKeyring, people: Any, words: list[str], problem: str
) -> None:
    said = command("login", *words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"aioconnections: {problem}")
    assert (keyring.stored, people.app.requests.total) == ({}, 0)


def test_logout_needs_a_user(command: Command, keyring: MemoryKeyring, people: Any) -> None:
    keep(keyring, people.url)
    assert command("logout", "--user", "").code == 2
    assert keyring.stored


@pytest.mark.parametrize(
    ("stored", "used"),
    [
        ("https://connections.example.com:443", "https://evil.example/"),
        ("https://connections.example.com:443", "https://connections.example.com.evil.example"),
        ("https://connections.example.com:443", "https://connections.example.com:8443"),
        ("https://connections.example.com:443", "http://connections.example.com:443"),
        ("https://connections.example.com:443", "http://connections.example.com"),
        ("https://connections.example.com:443", "https://connections.example.com."),
        ("https://connections.example.com:443", "https://xn--connections-example.com"),
        ("https://connections.example.com:443", "https://connections.example.com%2eevil.example"),
        ("https://connections.example.com:443", "https://connections.example.com@evil.example"),
        ("https://connections.example.com:443", "https://connections.example.com\\@evil.example"),
        ("https://connections.example.com:443", "https://evil.example/?https://connections.example.com"),
        ("https://connections.example.com:443", "https://evil.example#connections.example.com"),
        ("https://[fe80::1%eth0]:443", "https://[fe80::1%eth1]"),
        ("https://[fe80::1]:443", "https://[fe80::1%25eth1]"),
    ],
)
@pytest.mark.usefixtures("people")
def test_another_url_never_gets_the_password(command: Command, keyring: MemoryKeyring, stored: str, used: str) -> None:
    Path("config.toml").write_text(
        "default_profile = 'p'\n[profiles.p]\nurl = 'https://connections.example.com'\nuser = 'admin'\n", "utf-8"
    )
    keep(keyring, stored)
    said = command(*CHECK, "--url", used)
    assert said.code == 2
    assert said.err.startswith((NO_PASSWORD, "aioconnections: a URL must", "aioconnections: the base URL must"))
    shown = command("config", "--url", used)
    assert shown.code == 2 or "no password is stored" in shown.out


@pytest.mark.parametrize(
    "used",
    [
        "https://connections.example.com",
        "HTTPS://Connections.Example.COM",
        "https://connections.example.com:443/",
        "https://connections.example.com/social",
    ],
)
@pytest.mark.usefixtures("people")
def test_other_spellings_of_the_url_get_it(command: Command, keyring: MemoryKeyring, used: str) -> None:
    keep(keyring, "https://connections.example.com:443")
    assert "keyring own_keyring.MemoryKeyring" in command("config", "--url", used).out
    assert "no password is stored" in command("config", "--url", used, "--user", "Admin").out


def test_other_secrets_take_precedence_over_the_keyring(
    command: Command, keyring: MemoryKeyring, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(keyring, people.url, value="gehe1m")
    assert command(*CHECK).code == 3
    assert command(*CHECK, "--password-file", "right").code == 0
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "secret")
    assert command(*CHECK).code == 0
    said = command("login", "--password-file", "right")
    assert (
        said.err.splitlines()[-1] == "aioconnections: AIOCONNECTIONS_PASSWORD takes precedence over the stored password"
    )


@pytest.mark.usefixtures("people")
def test_the_keyring_is_not_looked_into_if_no_password_is_needed(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, LockedKeyring())
    said = command(*CHECK, "--password-file", "right")
    assert (said.code, "keyring" in said.err) == (0, False)


class BrokenKeyring(MemoryKeyring):
    def get_password(self, service: str, username: str) -> str | None:
        raise OSError(f"no bus for {service}\x1b[31m, {username}")


class PlaintextKeyring(MemoryKeyring):
    """As those of keyrings.alt are named."""


Alternative = type("EncryptedKeyring", (MemoryKeyring,), {"__module__": "keyrings.alt.file"})
Derived = type("CompanyKeyring", (Alternative,), {"__module__": "company.keyring"})


class Chain(chainer.ChainerBackend):
    """A chain of given keyrings."""

    backends: Any = ()


new_chain: Callable[[], Any] = Chain
no_keyring: Callable[[], KeyringBackend] = fail.Keyring
null_keyring: Callable[[], KeyringBackend] = null.Keyring


def chain(*links: KeyringBackend) -> KeyringBackend:
    made = new_chain()
    made.backends = list(links)
    return cast("KeyringBackend", made)


UNAVAILABLE = "this machine has no keyring that can be used; use --password-file instead"
REFUSED: dict[str, tuple[KeyringBackend, str]] = {
    "none": (no_keyring(), UNAVAILABLE),
    "a chain of none": (chain(no_keyring()), UNAVAILABLE),
    "null": (null_keyring(), "the keyring null.Keyring does not protect passwords; use --password-file instead"),
    "plaintext": (PlaintextKeyring(), "the keyring test_login.PlaintextKeyring does not protect passwords"),
    "keyrings.alt": (Alternative(), "the keyring file.EncryptedKeyring does not protect passwords"),
    "derived": (Derived(), "the keyring keyring.CompanyKeyring does not protect passwords"),
    "a chain": (chain(null_keyring(), PlaintextKeyring()), "the keyring null.Keyring does not protect passwords"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_keyring_that_does_not_protect_passwords_is_refused(
    command: Command, people: Any, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    backend, problem = REFUSED[case]
    use(monkeypatch, backend)
    for verb in (["login", "--password-file", "right"], ["logout"]):
        said = command(*verb)
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith(f"aioconnections: {problem}")
        assert len(said.err.splitlines()) == 1
    assert not getattr(backend, "stored", None)
    if isinstance(backend, MemoryKeyring):  # nor is it read
        keep(backend, people.url)
    said = command(*CHECK)
    assert (said.code, said.err.startswith(NO_PASSWORD)) == (2, True)
    assert people.app.requests.total == 0
    assert problem in command("config").out


@pytest.mark.usefixtures("people")
def test_a_chain_uses_the_keyrings_that_protect_passwords(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, first, second = PlaintextKeyring(), MemoryKeyring(), MemoryKeyring()
    use(monkeypatch, chain(plain, first, second))
    assert command("login", "--password-file", "right").code == 0
    assert (len(plain.stored), len(first.stored), len(second.stored)) == (0, 1, 0)
    second.stored, first.stored = first.stored, {}
    assert command(*CHECK).code == 0
    assert command("logout").err.endswith("is removed.\n")
    assert second.stored == {}


@pytest.mark.parametrize(
    ("backend", "problem"),
    [
        (
            LockedKeyring(),
            "own_keyring.LockedKeyring cannot be used: KeyringLocked: Failed to unlock the collection! (dismissed)",
        ),
        (BrokenKeyring(), r"test_login.BrokenKeyring cannot be used: OSError: no bus for aioconnections"),
    ],
)
@pytest.mark.usefixtures("people")
def test_a_keyring_that_fails_is_one_line_with_advice(
    command: Command, monkeypatch: pytest.MonkeyPatch, backend: KeyringBackend, problem: str
) -> None:
    use(monkeypatch, backend)
    for verb in (["login", "--password-file", "right", "--no-verify"], ["logout"]):
        said = command(*verb)
        assert said.code == 2
        assert said.err.startswith(f"aioconnections: the keyring {problem}")
        assert said.err.endswith("; use --password-file instead\n")
        assert (len(said.err.splitlines()), "\x1b" in said.err) == (1, False)
    warning, missing = command(*CHECK).err.splitlines()
    assert warning.startswith(f"aioconnections: warning: the keyring {problem}")
    assert missing.startswith(NO_PASSWORD)


class ReadOnlyKeyring(MemoryKeyring):
    """As those for the tokens of package indexes, which come first in a chain."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


@pytest.mark.usefixtures("people")
def test_a_chain_stores_in_the_first_keyring_that_can(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ReadOnlyKeyring(), MemoryKeyring()
    use(monkeypatch, chain(first, second))
    said = command("login", "--password-file", "right")
    assert (said.code, "is stored in the keyring own_keyring.MemoryKeyring." in said.err) == (0, True)
    assert [*second.stored.values()] == ["secret"]
    assert command(*CHECK).code == 0
    assert "keyring own_keyring.MemoryKeyring" in command("config").out
    for only in (first, chain(first, ReadOnlyKeyring())):
        use(monkeypatch, only)
        said = command("login", "--password-file", "right")
        problem = "the keyring test_login.ReadOnlyKeyring cannot be used: NotImplementedError; use --password-file"
        assert (said.code, problem in said.err) == (2, True)


@pytest.mark.usefixtures("people")
def test_a_keyring_that_fails_hides_no_other_in_a_chain(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    second = MemoryKeyring()
    use(monkeypatch, second)
    assert command("login", "--password-file", "right").code == 0
    use(monkeypatch, chain(BrokenKeyring(), second))
    said = command(*CHECK)
    assert (said.code, "keyring" in said.err) == (0, False)
    said = command("logout")  # the password may be in the first one too
    assert (said.code, "test_login.BrokenKeyring cannot be used" in said.err) == (2, True)
    assert second.stored == {}


class BytesKeyring(MemoryKeyring):
    def get_password(self, service: str, username: str) -> Any:
        return f"{service} {username} gehe1m".encode()


class LeavingKeyring(MemoryKeyring):
    def get_password(self, service: str, username: str) -> str | None:
        sys.exit(f"{username} of {service}")


class OddChain(MemoryKeyring):
    @property
    def backends(self) -> Any:
        raise OSError("no bus")


@pytest.mark.parametrize(
    ("backend", "problem"),
    [
        (BytesKeyring(), "the keyring test_login.BytesKeyring cannot be used: its password is not text; "),
        (
            LeavingKeyring(),
            "the keyring test_login.LeavingKeyring cannot be used: SystemExit: admin of aioconnections ",
        ),
        (OddChain(), "the keyring cannot be used: OSError: no bus; "),
    ],
    ids=lambda it: type(it).__name__,
)
def test_keyrings_that_do_odd_things(
    command: Command, people: Any, monkeypatch: pytest.MonkeyPatch, backend: KeyringBackend, problem: str
) -> None:
    use(monkeypatch, backend)
    for verb in (["login", "--password-file", "right", "--no-verify"], ["logout"]):
        said = command(*verb)
        assert (said.code, said.err.startswith(f"aioconnections: {problem}")) == (2, True)
        assert (said.err.endswith("; use --password-file instead\n"), len(said.err.splitlines())) == (True, 1)
    said = command("config")
    assert (said.code, problem in said.out, "gehe1m" in said.out) == (0, True, False)
    assert command(*CHECK).code == 2
    assert people.app.requests.total == 0


@pytest.mark.usefixtures("people")
def test_a_keyring_that_forgets_is_noticed(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, ForgetfulKeyring())
    said = command("login", "--password-file", "right", "--no-verify")
    assert said.code == 2
    assert "the keyring own_keyring.ForgetfulKeyring did not keep the password" in said.err


@pytest.mark.usefixtures("people")
def test_a_keyring_that_cannot_be_loaded(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> KeyringBackend:
        raise ModuleNotFoundError("No module named 'company'", name="company")

    monkeypatch.setattr("keyring.get_keyring", load)
    said = command("login", "--password-file", "right")
    assert (said.code, "the keyring cannot be used: ModuleNotFoundError: No module named" in said.err) == (2, True)
    monkeypatch.setattr("keyring.get_keyring", lambda: 1 / 0)
    said = command("login", "--password-file", "right")
    assert (said.code, "the keyring cannot be used: ZeroDivisionError" in said.err) == (2, True)


@pytest.mark.usefixtures("people")
def test_without_the_package_a_line_says_what_to_install(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "keyring"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "keyring", None)  # makes the import fail
    said = command("login", "--password-file", "right")
    assert said.code == 2
    assert 'run: pip install "aioconnections[keyring]", or use --password-file instead' in said.err
    assert command(*CHECK).err.startswith(NO_PASSWORD)
    assert command(*CHECK, "--password-file", "right").code == 0


@pytest.fixture(params=[40, 80, 120], ids="{} columns".format)
def terminal(request: pytest.FixtureRequest, people: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    del people
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", f"{FileKeyring.__module__}.{FileKeyring.__name__}")
    monkeypatch.setenv("OWN_KEYRING", str(Path("keyring.json").absolute()))
    monkeypatch.setenv("PYTHONPATH", str(Path(FileKeyringFile).parent), prepend=":")
    with Terminal(request.param) as terminal:
        yield terminal


FileKeyringFile = sys.modules[FileKeyring.__module__].__file__ or ""


@pytest.mark.slow
def test_the_screens_of_login_and_logout(terminal: Terminal, people: Any) -> None:
    terminal.start("login")
    terminal.wait_for("Password of admin:")
    terminal.press("secret\n")
    assert terminal.wait() == 0
    told = " ".join(terminal.screen.text.split())
    assert re.fullmatch(
        rf"Password of admin: Signed in at {people.url} as \S+ the server accepts the password\. "
        rf"The password of admin for {people.url} is stored in the keyring own_keyring\.FileKeyring\.",
        told,
    )
    assert "secret" not in terminal.screen.text
    terminal.screen.clear()
    terminal.start("config")
    assert terminal.wait() == 0
    assert "keyring own_keyring.FileKeyring" in " ".join(terminal.screen.text.split())
    assert "secret" not in terminal.screen.text
    terminal.screen.clear()
    terminal.start("search", "--name", "a*", "-o", "found.csv")
    assert terminal.wait() == 0
    assert "Password" not in terminal.screen.text
    terminal.screen.clear()
    terminal.start("logout")
    assert terminal.wait() == 0
    assert " ".join(terminal.screen.text.split()) == f"The password of admin for {people.url} is removed."
    assert all(len(line) <= terminal.screen.columns for line in terminal.screen.lines)


@pytest.mark.slow
def test_a_prompt_that_is_left(terminal: Terminal) -> None:
    for key, code in (("\x04", 2), ("\x03", 130)):
        terminal.start("login")
        terminal.wait_for("Password of admin:")
        terminal.press(key)
        assert terminal.wait() == code
        terminal.screen.clear()
    assert not Path("keyring.json").exists()
