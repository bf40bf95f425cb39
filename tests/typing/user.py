"""What a user writes, checked under `mypy --strict` and basedpyright. Never run."""

from __future__ import annotations

from typing import Literal, assert_type

from aioconnections.errors import AnswerError, InvalidInputError, TransportError
from aioconnections.records import Email, Identity, Key, Pair, Person, Status, Userid, identity_of


def identities(person: Person) -> list[Identity]:
    assert_type(person.email, Email | None)
    assert_type(identity_of(person), Email | Userid | Key)
    return [Email("amy.jones@example.com"), Userid("20091"), Key("f3ee4a40"), person.identity]


def pairs(people: list[Person]) -> list[Pair]:
    return [Pair(people[0], other) for other in people[1:]]


def describe(status: Status | None) -> str:
    match status:
        case Status.ACCEPTED:
            return "colleagues"
        case Status.PENDING | Status.UNCONFIRMED:
            return "invited"
        case None:
            return "nothing visible"


def explain(error: Exception) -> str:
    match error:
        case InvalidInputError():
            return str(error)
        case TransportError(sent=sent):
            assert_type(sent, Literal["no", "maybe"])
            return sent
        case AnswerError(status=status, code=code):
            assert_type(code, str | None)
            return f"{status} {code}"
        case _:
            return "not ours"
