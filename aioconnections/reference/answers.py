"""What an operation answers, as a value. `replies` puts it into headers and bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "INVALID",
    "NOT_AUTHORIZED",
    "NO_CONNECTION",
    "Answer",
    "Application",
    "Document",
    "Done",
    "Header",
    "LoginNeeded",
    "Look",
    "Plain",
    "Refusal",
    "Refused",
]

Header: TypeAlias = tuple[bytes, bytes]
Application: TypeAlias = Literal["profiles", "communities"]
Look: TypeAlias = Literal["profiles", "service document", "communities"]


class Document(NamedTuple):
    """An Atom document, written only when somebody will read it.

    Attributes:
        look: what its headers are like.
        write: its text, given where its links begin: what stands before ``/profiles``.
        modified: seconds since 1970; None says that it was made just now, as feeds do.
        headers: those that it has besides.
        status: 200, or 201 for what a request has made.
    """

    look: Look
    write: Callable[[str], str]
    modified: int | None = None
    headers: tuple[Header, ...] = ()
    status: int = 200


class Done(NamedTuple):
    """A success with nothing to say: no body, and of type ``text/html``, as recorded."""

    status: int = 200
    application: Application = "profiles"
    location: str | None = None


class Refused(NamedTuple):
    """An error document. Its ``code`` repeats the status, unless it is another one."""

    status: int
    message: str
    application: Application = "profiles"
    code: str | None = None


class LoginNeeded(NamedTuple):
    """Nobody has signed in, and this is not for everybody."""


class Plain(NamedTuple):
    """Something that is no Atom: JSON, or a page for people."""

    status: int
    content_type: str
    text: str
    headers: tuple[Header, ...] = ()


Answer: TypeAlias = Document | Done | Refused | LoginNeeded | Plain


class Refusal(Exception):  # noqa: N818  # it is no failure of this server
    """Ends an operation with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


INVALID = Refused(400, "CLFRN1172E: The request is invalid.")
"""What Profiles says of a request that it cannot use."""
NOT_AUTHORIZED = Refused(403, "CLFRN1174E: You are not authorized to perform that action.")
NO_CONNECTION = Refused(404, "The connection does not exist.")  # no recording of this one: the words are ours
