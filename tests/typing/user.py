"""What a user writes, checked under `mypy --strict` and basedpyright. Never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Literal, assert_never, assert_type

from aioconnections import (
    Accepted,
    AcceptOutcome,
    Administration,
    AlreadyExists,
    Attempt,
    Auth,
    Basic,
    Bearer,
    Checked,
    CheckOutcome,
    Client,
    Clock,
    Community,
    Connected,
    Connection,
    ConnectionLike,
    ConnectionsError,
    ConnectOutcome,
    Duplicate,
    Edge,
    Email,
    Failed,
    Headers,
    Identity,
    IdentityKind,
    InDoubt,
    InvalidInputError,
    Invitation,
    Invite,
    Invited,
    InviteOutcome,
    Key,
    Listed,
    Ltpa,
    Member,
    Network,
    OAuth2,
    OnProgress,
    Outcomes,
    Pair,
    PairLike,
    Person,
    PersonLike,
    Profile,
    Progress,
    Rejected,
    Removed,
    RemoveOutcome,
    Resolved,
    ResolveOutcome,
    Response,
    ResponseError,
    Send,
    ServiceDocument,
    Status,
    Stream,
    Tally,
    Timeouts,
    Tokens,
    TransportError,
    Unprocessed,
    Userid,
    Verify,
    pairs_from,
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
        case ResponseError(status=status, code=code):
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
                    case Checked(status, pair=pair):
                        assert_type(status, Status | None)
                        assert_type(pair, Pair)
                        assert_type(outcome.pair, Pair)
                    case Rejected(error) | Failed(error):
                        assert_type(error, ConnectionsError)
                    case Unprocessed(reason):
                        assert_type(reason, str)
                    case _:
                        assert_never(outcome)
        assert_type(outcomes.stopped, ConnectionsError | None)
        assert_type(outcomes.tally.checked, int)


async def verbs(ann: Person, bob: Email) -> None:
    async with Client("https://connections.example.com", auth=("ajones", "secret")) as client:
        assert_type(await client.invite(bob, message="<b>Hi</b>", message_type="html"), Invited | AlreadyExists)
        assert_type(await client.connection(ann, bob), Connection | None)
        assert_type(await client.connection("c0ffee", include_message=True), Connection | None)
        async for connection in client.colleagues(ann, status=Status.PENDING, sort_by="modified"):
            assert_type(connection, Connection)
            assert_type(connection.message_type, str)
            assert_type(await client.accept(connection), Accepted)
        for which in ("c0ffee", Pair(ann, bob), (ann, bob)):
            assert_type((await client.remove(which)).was, Status | None)
        async for profile in client.search(name="a*"):
            assert_type(profile, Profile)
        async for common in client.colleagues_in_common(ann, bob):
            assert_type(common, Profile)
        assert_type(await client.profile(bob), Profile | None)
        assert_type(await client.service_document(bob), ServiceDocument | None)
        assert_type(await client.me(), Person)
        assert_type((await client.me()).identity, Identity)
        assert_type(await client.admin.connect(ann, bob), Connected | AlreadyExists)
        assert_type(await client.admin.disconnect(ann, bob), Removed)
        community = client.community("uuid")
        assert_type(await community.invite(bob, title="Join us"), Invited | AlreadyExists)
        async for invitation in client.community_invitations.received():
            assert_type(await client.community_invitations.get(invitation), Invitation | None)
            assert_type(await client.community_invitations.accept(invitation), Accepted)
            assert_type(await client.community_invitations.decline(invitation), Removed)


async def verbs_in_bulk(ann: Person, bob: Email, invitations: list[Invitation]) -> None:
    async with Client("https://connections.example.com") as client:
        assert_type(client.invite_many([ann, bob, Invite(bob, "Hi")], journal=None), Outcomes[InviteOutcome])
        assert_type(client.accept_many(["c0ffee", (ann, bob)]), Outcomes[AcceptOutcome])
        assert_type(client.remove_many([Pair(ann, bob)]), Outcomes[RemoveOutcome])
        assert_type(client.resolve_many([ann, bob]), Outcomes[ResolveOutcome])
        assert_type(client.admin.connect_many([(ann, bob)]), Outcomes[ConnectOutcome])
        assert_type(client.admin.disconnect_many(from_a_database()), Outcomes[RemoveOutcome])
        assert_type(client.community("uuid").invite_many([ann, bob], journal=None), Outcomes[InviteOutcome])
        assert_type(client.community_invitations.accept_many(invitations), Outcomes[AcceptOutcome])
        assert_type(client.community_invitations.decline_many(invitations), Outcomes[RemoveOutcome])
        async with client.community_invitations.revoke_many(invitations) as outcomes:
            async for outcome in outcomes:
                match outcome:
                    case Removed(was):
                        assert_type(was, Status | None)
                    case InDoubt(error) | Rejected(error) | Failed(error):
                        assert_type(error, ConnectionsError)
                    case Unprocessed(reason):
                        assert_type(reason, str)
                    case _:
                        assert_never(outcome)


def configured(verify: Verify, clock: Clock | None) -> Client:
    def seen(attempt: Attempt) -> None:
        assert_type(attempt.status, int | None)

    timeouts = Timeouts(attempt=5, run=3_600, outage=None)
    return Client(
        "https://connections.example.com", verify=verify, clock=clock, timeouts=timeouts, on_attempt=seen, cookies=True
    )


async def whole_runs(pairs: list[PairLike], people: list[PersonLike], connections: list[ConnectionLike]) -> Tally:
    """The forms that need no loop."""
    tallies: list[Tally] = []

    def report(progress: Progress) -> None:
        tallies.append(progress.tally)

    on_progress: OnProgress = report
    async with configured("/etc/ssl/internal.pem", None) as client:
        async with client.check_many(pairs, on_progress=on_progress) as checks:
            assert_type(await checks.collect(), list[CheckOutcome])
        async with client.check_many(pairs) as checks:
            async for batch in checks.batches():
                assert_type(batch, list[CheckOutcome])
        async with client.accept_many(connections) as accepted:
            assert_type(await accepted.collect(), list[AcceptOutcome])
        async with client.invite_many(people, journal=None) as invited:
            first_indexes = [outcome.of for outcome in await invited.collect() if isinstance(outcome, Duplicate)]
            assert_type(first_indexes, list[int])
        async with client.colleagues_many(people, status=Status.ACCEPTED, journal=None) as lists:
            listed = [it.connections for it in await lists.collect() if isinstance(it, Listed)]
            assert_type(listed, list[tuple[Connection, ...]])
        async with client.resolve_many(people) as resolved:
            return await resolved.drain(print)


async def people_of_outcomes(client: Client, people: list[Identity]) -> AsyncIterator[Identity | Pair | None]:
    """Where an outcome has people for certain, its type says so."""
    async with client.invite_many(people, journal=None) as invites:
        async for outcome in invites:
            match outcome:
                case Invited(person=person) | Duplicate(person=person):
                    assert_type(person, Identity)
                    yield person
                case AlreadyExists() | InDoubt() | Rejected() | Failed() | Unprocessed():
                    assert_type(outcome.person, Identity | None)
                    yield outcome.person
                case _:
                    assert_never(outcome)
    async for resolved in client.resolve_many(people):
        if isinstance(resolved, Resolved):
            assert_type(resolved.person, Identity)
    async for connected in client.admin.connect_many([(people[0], people[1])]):
        if isinstance(connected, Connected):
            assert_type(connected.pair, Pair)
    async for accepted in client.accept_many(["c0ffee"]):
        assert_type(accepted.pair, Pair | None)  # an id names no pair
    async for removed in client.remove_many(["c0ffee"]):
        assert_type(removed.pair, Pair | None)


async def tables(client: Client, rows: list[dict[str, str]], kind: IdentityKind) -> Outcomes[CheckOutcome]:
    async def from_a_cursor() -> AsyncIterator[dict[str, str]]:
        yield rows[0]

    assert_type(pairs_from(rows, kind=kind), Iterator[Pair | InvalidInputError])
    found = pairs_from(from_a_cursor(), source="from", target="to", kind=("email", "key"))
    assert_type(found, AsyncIterator[Pair | InvalidInputError])
    client.admin.connect_many(pairs_from(rows, kind="userid"))
    return client.check_many(found)


async def group(client: Client, people: list[PersonLike]) -> None:
    network: Network = client.network(people, journal=None)
    edges = [edge async for edge in network]
    assert_type(edges, list[Edge])
    members: tuple[Member, ...] = network.members
    assert_type([it.problem for it in members], list[Rejected | Failed | Unprocessed | None])
    assert_type(edges[0].seen_from, Literal["both", "one"])


async def resources(client: Client, ann: Email) -> None:
    admin: Administration = client.admin
    community: Community = client.community("uuid")
    stream: Stream[Connection] = client.colleagues(ann)
    assert_type(await admin.disconnect(ann, Userid("20091")), Removed)
    assert_type(await community.invite(ann), Invited | AlreadyExists)
    assert_type([connection.id async for connection in stream], list[str | None])


class Token:
    """A login of the user's own."""

    async def headers(self, send: Send, refused: Headers | None) -> Headers:
        response = await send("POST", "/token", headers={"X-Again": "yes" if refused else "no"})
        assert_type(response, Response)
        return Headers([("Authorization", f"Bearer {response.body.decode()}")])


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
