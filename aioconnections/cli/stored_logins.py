"""Passwords in the keyring of the operating system.

A password belongs to the scheme, host and port of a server, and to a user: any other URL or user has no password there.
The host is compared as the client connects to it, so also with a final dot or the zone of an address.

Keyrings that do not protect what they store are refused: the null keyring, and those of ``keyrings.alt`` or with
``plaintext`` in their names. Of a chain of keyrings, these are left out.

The package keyring is imported for a login that may be stored, and never for another command.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TypeVar

from attrs import frozen

from aioconnections.cli.progress import say
from aioconnections.cli.terminal import escaped
from aioconnections.errors import UsageError

if TYPE_CHECKING:
    from aioconnections.protocol.messages import Origin

__all__ = ["StoredLogins", "find_password"]

ResultT = TypeVar("ResultT")

_ADVICE = "use --password-file instead"
_MISSING = f'the keyring needs another package; run: pip install "aioconnections[keyring]", or {_ADVICE}'


class Keyring(Protocol):
    """What is used of a backend of the package keyring."""

    def get_password(self, service: str, username: str) -> str | None:
        """The password; None without one."""
        ...

    def set_password(self, service: str, username: str, password: str) -> None:
        """Store a password."""
        ...

    def delete_password(self, service: str, username: str) -> None:
        """Remove a password."""
        ...


def find_password(origin: Origin, user: str) -> str | None:
    """The stored password of a user of a server; None if there is none, or no keyring that could have one.

    A keyring that fails is reported, and counts as one without the password.
    """
    try:
        logins = StoredLogins.open()
    except UsageError:  # nothing can have been stored
        return None
    try:
        return logins.find(origin, user)
    except UsageError as error:
        say(f"aioconnections: warning: {error}")
        return None


@frozen(repr=False)
class StoredLogins:
    """The logins in the keyring.

    Attributes:
        backends: the keyrings to look into; passwords are stored in the first that can.
    """

    backends: tuple[Keyring, ...]

    @classmethod
    def open(cls) -> StoredLogins:
        """The keyring that the package keyring selects.

        Raises:
            UsageError: there is none that protects passwords, or the package is missing.
        """
        try:
            chosen: Keyring = import_module("keyring").get_keyring()
            links: list[Keyring] = list(getattr(chosen, "backends", ())) or [chosen]
        except ModuleNotFoundError as error:
            if error.name != "keyring":
                raise UsageError(f"the keyring cannot be used: {_in_words(error)}; {_ADVICE}") from None
            raise UsageError(_MISSING) from None
        except (Exception, SystemExit) as error:  # noqa: BLE001 # each backend has its own errors
            raise UsageError(f"the keyring cannot be used: {_in_words(error)}; {_ADVICE}") from None
        usable = tuple(link for link in links if not _is_unavailable(link) and _is_protected(link))
        if usable:
            return cls(usable)
        if all(map(_is_unavailable, links)):
            raise UsageError(f"this machine has no keyring that can be used; {_ADVICE}")
        raise UsageError(f"the keyring {_name(links[0])} does not protect passwords; {_ADVICE}")

    @property
    def name(self) -> str:
        """The name of the first keyring."""
        return _name(self.backends[0])

    def find(self, origin: Origin, user: str) -> str | None:
        """The password of a user of a server; None without one.

        Raises:
            UsageError: none was found, and a keyring is locked, or fails.
        """
        found = self._found(origin, user)
        return None if found is None else found[1]

    def holder(self, origin: Origin, user: str) -> str | None:
        """The name of the keyring that has the password of a user; None without one.

        Raises:
            UsageError: as of `find`.
        """
        found = self._found(origin, user)
        return None if found is None else found[0]

    def keep(self, origin: Origin, user: str, password: str) -> str:
        """Store a password, and return the name of the keyring: the first that is not read-only.

        Raises:
            UsageError: the keyring is locked, fails, or does not keep it.
        """
        problem: _ReadOnlyError | None = None
        for link in self.backends:
            try:
                _calling(link, partial(link.set_password, _service(origin), user, password))
            except _ReadOnlyError as error:  # such as the keyrings for tokens of package indexes
                problem = problem or error
                continue
            if _password(link, origin, user) != password:
                raise UsageError(f"the keyring {_name(link)} did not keep the password; {_ADVICE}")
            return _name(link)
        raise problem or UsageError("there is no keyring")

    def forget(self, origin: Origin, user: str) -> bool:
        """Remove the password of a user from each keyring; False if there was none.

        Raises:
            UsageError: a keyring is locked, or fails; the others were tried.
        """
        found, problem = False, None
        for link in self.backends:
            try:
                if _password(link, origin, user) is not None:
                    _calling(link, partial(link.delete_password, _service(origin), user))
                    found = True
            except UsageError as error:
                problem = problem or error
        if problem is not None:
            raise problem
        return found

    def _found(self, origin: Origin, user: str) -> tuple[str, str] | None:
        """The name of the first keyring that has the password, and the password; one that fails hides no other."""
        problem: UsageError | None = None
        for link in self.backends:
            try:
                password = _password(link, origin, user)
            except UsageError as error:
                problem = problem or error
            else:
                if password:
                    return _name(link), password
        if problem is not None:
            raise problem
        return None


class _ReadOnlyError(UsageError):
    """A keyring does not implement what was called."""


def _service(origin: Origin) -> str:
    """The name of a server in the keyring; ``str(origin)`` leaves out a final dot and the zone of an address."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return f"aioconnections {origin.scheme}://{host}:{origin.port}"


def _password(link: Keyring, origin: Origin, user: str) -> str | None:
    found: object = _calling(link, lambda: link.get_password(_service(origin), user))
    if found is None or isinstance(found, str):
        return found
    raise UsageError(f"the keyring {_name(link)} cannot be used: its password is not text; {_ADVICE}")


def _calling(link: Keyring, call: Callable[[], ResultT]) -> ResultT:
    try:
        return call()
    except NotImplementedError as error:
        raise _ReadOnlyError(f"the keyring {_name(link)} cannot be used: {_in_words(error)}; {_ADVICE}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 # each backend has its own errors
        raise UsageError(f"the keyring {_name(link)} cannot be used: {_in_words(error)}; {_ADVICE}") from None


def _is_unavailable(link: Keyring) -> bool:
    return type(link).__module__ == "keyring.backends.fail"


def _is_protected(link: Keyring) -> bool:
    """Whether a keyring keeps passwords from other users and programs."""
    return not any(
        base.__module__ == "keyring.backends.null"
        or base.__module__.startswith("keyrings.alt")
        or "plaintext" in base.__name__.lower()
        for base in type(link).__mro__
    )


def _name(link: Keyring) -> str:
    """The class of a keyring with the last part of its module, because many classes have the same name."""
    return escaped(f"{type(link).__module__.rpartition('.')[2]}.{type(link).__name__}")


def _in_words(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())
    return escaped(f"{type(error).__name__}: {text}" if text else type(error).__name__)
