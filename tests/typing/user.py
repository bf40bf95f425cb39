"""What a user writes, checked under `mypy --strict` and basedpyright. Never run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal, assert_never, assert_type

from aioconnections import (
    AnswerError,
    Auth,
    Basic,
    Bearer,
    Checked,
    Client,
    ConnectionsError,
    Email,
    Failed,
    Headers,
    Identity,
    InvalidInputError,
    Key,
    Ltpa,
    OAuth2,
    Pair,
    Person,
    Rejected,
    Response,
    Send,
    Status,
    Tokens,
    TransportError,
    Unprocessed,
    Userid,
)


def identities(person: Person) -> list[Identity]:
    assert_type(person.email, Email | None)
    assert_type(person.identity, Email | Userid | Key)
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


async def from_a_database() -> AsyncIterator[tuple[Email, Person]]:
    yield Email("amy.jones@example.com"), Person(userid=Userid("20091"))


async def use() -> None:
    async with Client("https://connections.example.com", auth=Basic("ajones", "secret"), max_per_second=None) as client:
        assert_type(await client.check(Email("a@example.com"), Userid("b")), Status | None)
        async with client.check_many(from_a_database(), ordered=True) as outcomes:
            async for outcome in outcomes:
                assert_type(outcome.pair, Pair | None)
                match outcome:
                    case Checked(status):
                        assert_type(status, Status | None)
                    case Rejected(error) | Failed(error):
                        assert_type(error, ConnectionsError)
                    case Unprocessed(reason):
                        assert_type(reason, str)
                    case _:
                        assert_never(outcome)
        assert_type(outcomes.stopped, ConnectionsError | None)
        assert_type(outcomes.tally.checked, int)


class Token:
    """A login of the user's own."""

    async def headers(self, send: Send, refused: Headers | None) -> Headers:
        answer = await send("POST", "/token", headers={"X-Again": "yes" if refused else "no"})
        assert_type(answer, Response)
        return Headers([("Authorization", f"Bearer {answer.body.decode()}")])


def signed_in() -> Client:
    auth: Auth = Token()
    return Client("https://connections.example.com", auth=auth)


async def another_token() -> str:
    return "token"


async def another_sign_on() -> dict[str, str]:
    return {"LtpaToken2": "a/b+c="}


def store(tokens: Tokens) -> None:
    assert_type(tokens.access_token.reveal(), str)
    assert_type(tokens.expires_in, float | None)
    if tokens.refresh_token is not None:
        assert_type(tokens.refresh_token.reveal(), str)


def ways_to_sign_in() -> list[Auth]:
    return [
        Bearer("token", renew=another_token),
        Ltpa("a/b+c=", others={"SMSESSION": "d"}, renew=another_sign_on),
        OAuth2("app", "secret", "refresh", access_token="access", on_tokens=store),
        OAuth2.from_code("app", "secret", "code", redirect_uri="https://app.example.com/back"),
    ]
