"""The client: each verb starts a conversation of `protocol` and sends it through the caller."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeAlias, cast, get_args, overload

from aioconnections import bulk
from aioconnections.auth.credentials import Auth
from aioconnections.client.administration import Administration
from aioconnections.client.caller import Caller, OnProgress, PairLike, PersonLike, Resource, as_auth
from aioconnections.client.communities import Community, CommunityInvitations
from aioconnections.client.items import (
    ConnectionLike,
    Invite,
    check_choice,
    check_max_age,
    check_settle,
    connection_item,
    connection_ref,
    invitation_flow,
    named_people,
    pair_or_none,
    people_in,
    question_of,
    touched_by,
)
from aioconnections.client.server import ClientOptions, Server, Timeouts
from aioconnections.client.sources import Source, source_of
from aioconnections.clock import Clock
from aioconnections.errors import InvalidInputError, UnexpectedResponseError
from aioconnections.identifiers import plain_text
from aioconnections.outcomes import (
    Accepted,
    AcceptOutcome,
    AlreadyExists,
    Checked,
    CheckOutcome,
    Duplicate,
    Invited,
    InviteOutcome,
    Listed,
    ListOutcome,
    Removed,
    RemoveOutcome,
    Resolved,
    ResolveOutcome,
)
from aioconnections.protocol import colleagues, discovery, listing
from aioconnections.protocol.colleagues import OnUnknown
from aioconnections.protocol.messages import NEVER_SENT, Flow
from aioconnections.records import Connection, Identity, Person, Profile, ServiceDocument, Status, identity_of
from aioconnections.session.listing import Stream
from aioconnections.session.session import Session
from aioconnections.session.telemetry import Attempt, Stats

if TYPE_CHECKING:
    from aioconnections.client.network import Network
    from aioconnections.journal import Journal
    from aioconnections.otel.settings import OpenTelemetry
    from aioconnections.policy.plan import Plan
    from aioconnections.policy.status_cache import StatusCache
    from aioconnections.shared.settings import RedisShared
    from aioconnections.transport.httpx_family import AnyClient, AnyTransport
    from aioconnections.transport.tls import ClientCert, Verify

__all__ = ["Client"]

Order: TypeAlias = Literal["displayName", "modified"]

# The vendor's names of the arguments of `Client.search`, where they differ.
_SEARCH_PARAMETERS = {
    "text": "search",
    "job_title": "jobTitle",
    "phone_number": "phoneNumber",
    "tags": "profileTags",
    "profile_type": "profileType",
}


class Client(Resource):
    """A client of one Connections server, for one signed-in user.

    ``async with Client("https://connections.example.com", auth=("ajones", "secret")) as client: …``

    Any number of tasks of one event loop (asyncio or trio) may use it. What sends nothing works in any thread: `stats`,
    `as_user`, and making a run or a listing, which is then used in the event loop. A client may be created anywhere,
    also before a fork; it belongs to the event loop and the process in which it is entered.

    Every verb for one item takes `timeout`: the seconds that the whole call may take, with all attempts and all waits.
    A call that is not done by then raises `DeadlineError`, or `InDoubtError` if a change may have been made. By
    default, a call may take `Timeouts.item`, without its waits for a connection and for the rate limit.

    Args:
        base_url: URL of the server; a path before ``/profiles`` is part of it.
        auth: ``(user, password)``, an `Auth`, or None for the public data.
        max_connections: limit on requests under way. Bulk runs leave one of them to single calls, unless it is the
            only one.
        max_per_second: limit on requests started per second; None for no limit. Single calls go before bulk runs, which
            keep a tenth of it.
        max_waiting: limit on the single calls that wait for a connection, the rate limit, the login or a server that is
            away; None for no limit. A further call that would have to wait raises `OverloadedError` at
            once, and sends nothing.
        burst: number of requests that may start at once after a pause.
        timeouts: see `Timeouts`.
        max_attempts: limit on attempts for one call or item, not counting redirects within the server and the
            repetition after a renewed login.
        headers: additional headers of every request.
        cookies: keep the cookies that the server sets and send them back, for a load balancer that needs them. By
            default they are dropped: the server would accept them as a login, in place of the password.
        verify: True to verify certificates by the system's trust store, a path to trusted certificates, an
            `ssl.SSLContext`, or False to accept any certificate.
        client_cert: for a server that demands a client certificate, the paths of the certificate (PEM, followed by its
            intermediate certificates, if any) and of its key, and the password of an encrypted key:
            ``("me.pem", "me.key")``. With a context as `verify`, a `transport` or an `http_client`, load it there.
        transport: an async transport of httpx or httpx2 to use; closed with the client.
        http_client: an `AsyncClient` of httpx or httpx2 to use, without its login, cookies, headers and redirects; not
            closed.
        trust_env: use the proxy that the environment names for the server (``HTTPS_PROXY`` or ``HTTP_PROXY``, else
            ``ALL_PROXY``) unless ``NO_PROXY`` lists the server, by its name, a parent domain, a pattern with ``*``, its
            address or a network in CIDR form. By default, a warning names the variable.
        verify_login: send one request for the signed-in user's service document before other requests, and every ten
            minutes, to prove address and login.
        cache: remember the statuses that checks give, as the `StatusCache` says; None to remember none.
        shared: share the rate, pauses and refused logins with the clients of other processes, as the `RedisShared`
            says; None to share nothing.
        clock: source of time; by default the running event loop.
        rng: source of randomness for the pauses between attempts.
        on_attempt: called with an `Attempt` after each request, for metrics; it must not block.
        telemetry: an `OpenTelemetry` that makes spans and metrics of the work of this client; None for none.

    Raises:
        InvalidInputError: an argument is invalid.
        SharedStoreError: at ``async with``, `shared` is away, or refuses to work.
    """

    def __init__(  # noqa: PLR0913 # keyword-only options, each with its default
        self,
        base_url: str,
        *,
        auth: tuple[str, str] | Auth | None = None,
        max_connections: int = 16,
        max_per_second: float | None = 100,
        max_waiting: int | None = None,
        burst: int = 1,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 # immutable
        max_attempts: int = 4,
        headers: Mapping[str, str] | None = None,
        cookies: bool = False,
        verify: Verify = True,
        client_cert: ClientCert | None = None,
        transport: AnyTransport | None = None,
        http_client: AnyClient | None = None,
        trust_env: bool = False,
        verify_login: bool = True,
        cache: StatusCache | None = None,
        shared: RedisShared | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        on_attempt: Callable[[Attempt], object] | None = None,
        telemetry: OpenTelemetry | None = None,
    ) -> None:
        if transport is not None and http_client is not None:
            raise InvalidInputError("transport and http_client cannot be used together; pass one of them")
        if client_cert is not None and (transport is not None or http_client is not None):
            name = "transport" if http_client is None else "http_client"
            raise InvalidInputError(f"client_cert cannot be used together with {name}; load the certificate there")
        options = ClientOptions(
            max_connections=max_connections,
            max_per_second=max_per_second,
            max_waiting=max_waiting,
            burst=burst,
            timeouts=timeouts,
            max_attempts=max_attempts,
            headers=headers or {},
            cookies=cookies,
            verify=verify,
            client_cert=client_cert,
            trust_env=trust_env,
            verify_login=verify_login,
            cache=cache,
            shared=shared,
            clock=clock,
            rng=rng,
            on_attempt=on_attempt,
            telemetry=telemetry,
        )
        own = as_auth(auth)
        super().__init__(Caller(Server(base_url, own, options, transport or http_client), own))

    @property
    def max_per_second(self) -> float | None:
        """Limit on requests started per second, for all users; None for no limit.

        It may be changed at any time, in the event loop of the client.

        Raises:
            InvalidInputError: the value is neither positive nor None.
            UsageError: the client was entered in another event loop or thread.
        """
        return self._caller.server.limiter.max_per_second

    @max_per_second.setter
    def max_per_second(self, value: float | None) -> None:
        self._caller.server.change_rate(value)

    @property
    def admin(self) -> Administration:
        """The verbs of an administrator of Profiles."""
        return Administration(self._caller)

    @property
    def community_invitations(self) -> CommunityInvitations:
        """Invitations into communities."""
        return CommunityInvitations(self._caller)

    def community(self, uuid: str) -> Community:
        """One community, by its uuid.

        Raises:
            InvalidInputError: `uuid` is empty or too long, or holds control or invisible characters.
        """
        return Community(self._caller, uuid)

    def stats(self) -> Stats:
        """The statistics of this client, over all of its users; in any thread.

        The login in `Stats.wait` is that of this client alone.

        Raises:
            UsageError: the client was not entered.
        """
        return self._caller.server.stats(self._caller.session)

    def as_user(self, auth: tuple[str, str] | Auth | None) -> Self:
        """A client for another signed-in user of the same server, for example of a web application.

        It shares connections and rate limit with this client, and has its own login and cookies. It can be used at
        once, need not be closed, and ends with this client. Clients for equal credentials share what is known about the
        login, so that a web application may make one for each request.

        Raises:
            InvalidInputError: `auth` is neither a tuple of user and password, an `Auth`, nor None.
            UsageError: this client is closed, was not entered, or was entered before this process was forked.
        """
        self._caller.anywhere()
        client = copy(self)
        Resource.__init__(client, Caller(self._caller.server, as_auth(auth), self._caller))
        return client

    async def aclose(self) -> None:
        """Close all connections; later calls raise `UsageError`. A client from `as_user` closes none."""
        await self._caller.aclose()

    async def __aenter__(self) -> Self:
        self._caller.enter()
        await self._caller.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def check(
        self, source: PersonLike, target: PersonLike, *, max_age: float | None = None, timeout: float | None = None
    ) -> Status | None:
        """The status of the connection between two people, seen from the source; one HEAD request.

        Page "Checking whether two people are colleagues". Callers who ask for the same pair at the same time share the
        request. With a `StatusCache`, a remembered status may take its place; see `check_outcome`.

        Args:
            source: the person whose connections are examined.
            target: the other person.
            max_age: maximum age in seconds of a remembered status, if that is less than the cache allows. 0 asks the
                server in any case, by a request of its own that caches on the way do not answer.
            timeout: seconds for the whole call; see `Client`.

        Returns:
            The status, or None if no connection is visible to the signed-in user.

        Raises:
            InvalidInputError: both are the same person, one is not an identity, or the server hides e-mail addresses.
            BadRequestError: the server finds the request invalid, for example because it does not know a person.
            AuthenticationError: the login was refused; nothing more is sent with it.
            ConnectionsError: there is no response, or it cannot be read.
        """
        return (await self.check_outcome(source, target, max_age=max_age, timeout=timeout)).status

    async def check_outcome(
        self, source: PersonLike, target: PersonLike, *, max_age: float | None = None, timeout: float | None = None
    ) -> Checked:
        """Check as `check` does; the outcome says where the status comes from, and how old it is.

        A remembered status gives `Checked.via` ``"cache"``, and `Checked.age`.

        Args:
            source: see `check`.
            target: see `check`.
            max_age: see `check`.
            timeout: seconds for the whole call; see `Client`.

        Raises:
            ConnectionsError: as for `check`.
        """
        check_max_age(max_age)
        return await self._caller.check(source, target, max_age, timeout=timeout)

    def check_many(
        self,
        pairs: Source[PairLike | InvalidInputError],
        *,
        plan: Literal["head", "auto"] | Plan = "head",
        ordered: bool = False,
        journal: Journal | None = None,
        max_age: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> bulk.Outcomes[CheckOutcome]:
        """Check every pair of a source; see `check` for one.

        The source is read as the outcomes are consumed, at most ``2 × max_connections`` items ahead.

        With a `Plan`, the source is read further ahead, and pairs are answered from a list of colleagues
        (`Checked.via`) where one list answers several pairs. Nothing is concluded from lists before 50 checks of people
        in lists and 100 of people who are not have confirmed it, for the lists of the signed-in user and for those of
        others apart. That two people are not connected is concluded if the lists of both say so, or from one list after
        lists of 150 of the other people, and of a colleague of each, have shown that lists name them. Lists are
        compared with each other and with all checks of the run. If a contradiction is left after asking again, the
        other pairs are checked one by one, and the run ends with an `InconsistentListsError` in `stopped` if it had
        concluded from a list that two people are not connected (`Tally.doubtful`). A list cannot show that a userid
        does not exist: where a check would be rejected for it, the status is None.

        Args:
            pairs: any iterable or async iterable of `Pair` or tuples of source and target. Any other item is `Failed`.
                A source may yield an `InvalidInputError` instead of a pair, to say why it has none, as `pairs_from`
                does for the rows of a table; this holds for the sources of all bulk runs. An iterable must
                not block, and may be read in no task: use an async iterable if it needs the current task.
            plan: ``"head"`` to check each pair, ``"auto"`` or a `Plan` to use lists where that takes less time.
            ordered: give the outcomes in the order of the source instead of as they complete.
            journal: records the run, so that it can be continued. In an unfinished run with a plan, pairs of people
                without a connection that were found by lists are asked again.
            max_age: use statuses that the cache remembers, up to this age in seconds, and remember those that are
                found; not together with a plan or a journal. 0 asks the server for each pair, past all caches. Without
                it, the run neither uses the cache of the client nor adds to it.
            on_progress: called twice a second with the progress.

        Returns:
            The run: one `Checked`, `Rejected`, `Failed` or `Unprocessed` for each item that was read.

        Raises:
            InvalidInputError: an argument is invalid.
        """
        check_max_age(max_age)
        if max_age is not None and (journal is not None or plan != "head"):
            raise InvalidInputError("max_age cannot be used together with a plan or a journal; leave one of them out")
        job = self._caller.check_job(journal, self._caller.prices() if plan == "head" else None, max_age)
        backlog = None
        if plan != "head":
            backlog = self._caller.check_backlog(job, _plan_of(plan))
        source = source_of(pairs, "pairs")
        return self._caller.run_job(job, source, ordered=ordered, on_progress=on_progress, backlog=backlog)

    @overload
    async def connection(
        self, source: PersonLike, target: PersonLike, /, *, include_message: bool = False, timeout: float | None = None
    ) -> Connection | None: ...

    @overload
    async def connection(
        self, connection: ConnectionLike, /, *, include_message: bool = False, timeout: float | None = None
    ) -> Connection | None: ...

    async def connection(
        self,
        connection: PersonLike | ConnectionLike,
        target: PersonLike | None = None,
        /,
        *,
        include_message: bool = False,
        timeout: float | None = None,
    ) -> Connection | None:
        """A connection, seen from its source; None if it is not visible to the signed-in user.

        Pages "Checking whether two people are colleagues" and "Retrieving a connection".

        Args:
            connection: the source, if `target` is given; otherwise a pair, a record, an id, or a self link.
            target: the other person.
            include_message: request the text of the invitation too; the server gives it to the source only.
            timeout: seconds for the whole call; see `Client`.

        Raises:
            InvalidInputError: the arguments name no connection.
            AtomError: the response cannot be read.
            ConnectionsError: as for `check`.
        """
        which = connection_ref(connection if target is None else (connection, target))
        address, people = self._caller.here().address, named_people(which)
        found = await self._caller.ask(
            "connection",
            ("connection", question_of(which), include_message),
            lambda: colleagues.get(address, which, message=include_message),
            *people,
            depends_on=people or None,
            timeout=timeout,
        )
        if found is not None:
            self._caller.here().learn(found.source, found.target)
        return found

    def colleagues(
        self,
        person: PersonLike,
        *,
        status: Status | None = None,
        since: datetime | None = None,
        sort_by: Order | None = None,
        include_message: bool = False,
        page_size: int = 250,
    ) -> Stream[Connection]:
        """The connections of a person, each once, page by page.

        Page "Getting colleagues".

        Args:
            person: one end of the connections.
            status: `ACCEPTED` by default; other statuses only for the signed-in user.
            since: only connections that changed after this time, which must have a time zone.
            sort_by: the server's order.
            include_message: request the texts of the invitations too.
            page_size: connections per request; servers give at most 250.

        Raises:
            InvalidInputError: `since` has no time zone, `page_size` is below 1, or `status` or `sort_by` is unknown.
        """
        if since is not None and since.tzinfo is None:
            raise InvalidInputError(f"since must have a time zone, got {since.isoformat()}")
        _check_page_size(page_size)
        if status is not None:
            check_choice("status", status, tuple(Status))
        if sort_by is not None:
            check_choice("sort_by", sort_by, get_args(Order))
        moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z" if since is not None else None
        identity = identity_of(person)
        pager = listing.colleagues(
            self._caller.anywhere().address,
            identity,
            status=status,
            since=moment,
            sort_by=sort_by,
            message=include_message,
            page_size=page_size,
        )
        return self._caller.stream("colleagues", pager)

    def colleagues_many(
        self,
        people: Source[PersonLike],
        *,
        status: Status | None = None,
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> bulk.Outcomes[ListOutcome]:
        """List the connections of every person of a source; see `colleagues` for one, `check_many` for the arguments.

        A list counts only if it is complete, which its total shows; pages are read again until it is. If it never is,
        the outcome is `Failed` with an `IncompleteListError`. A person whom the server does not know is `Rejected`,
        also on servers before version 5.0, which give an empty list: there a person with an empty list is looked up by
        one more request. A repeated person is a `Duplicate`. The run keeps no list after it was delivered.

        With a journal, the lists of an earlier run are given again from the file, which holds the ids, the statuses,
        and the userids and e-mail addresses: about 150 bytes per connection, without names, titles, times and links.

        Args:
            people: any iterable or async iterable.
            status: `ACCEPTED` by default; other statuses only for the signed-in user.
            ordered: see `check_many`.
            journal: see `check_many`. It is bound to the status.
            on_progress: see `check_many`.

        Raises:
            InvalidInputError: `status` is unknown.
        """
        if status is not None:
            check_choice("status", status, tuple(Status))
        job, verb = self._caller.list_job(status), f"list {status or Status.ACCEPTED} connections"
        source = source_of(people, "people")
        run = self._caller.run_flow_job(job, source, verb, ordered=ordered, journal=journal, on_progress=on_progress)
        return cast("bulk.Outcomes[ListOutcome]", run)  # nothing is in doubt

    def network(
        self,
        people: Source[PersonLike],
        *,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> Network:
        """The colleagues within a group: every connected pair of its members, once.

        The list of each member is read, as by `colleagues_many`: one request for each 250 colleagues of a member, which
        is far less than one for each pair. Members are recognized in the lists of others by the given identity, and by
        the userid and the e-mail address that their own list shows.

        Args:
            people: the group: any iterable or async iterable, which is read as a whole before the first request.
            journal: records the lists, so that the run can be continued; see `colleagues_many`, whose journal over the
                same people is the same.
            on_progress: called twice a second with the progress.

        Raises:
            InvalidInputError: `people` or `journal` is something else.
        """
        from aioconnections.client.network import Network

        self._caller.anywhere()
        return Network(
            lambda group: self.colleagues_many(group, journal=journal, on_progress=on_progress),
            source_of(people, "people"),
        )

    def colleagues_in_common(self, one: PersonLike, other: PersonLike) -> Stream[Profile]:
        """The colleagues that two people share (page "Finding colleagues shared by two people").

        Raises:
            InvalidInputError: the two are not identified in the same way.
        """
        people = identity_of(one), identity_of(other)
        return self._caller.stream("colleagues_in_common", listing.in_common(self._caller.anywhere().address, *people))

    async def invite(
        self,
        person: PersonLike,
        *,
        message: str = "",
        message_type: Literal["text", "html"] = "text",
        discover: bool = False,
        settle: float = 30.0,
        on_unknown: OnUnknown = "recheck",
        timeout: float | None = None,
    ) -> Invited | AlreadyExists:
        """Invite a person to become a colleague, at most once.

        Page "Inviting a person to become a colleague".

        Args:
            person: the invitee.
            message: text of the invitation.
            message_type: whether the message is plain text or HTML.
            discover: fetch the person's service document and post to the feed that it names, as the page describes,
                instead of the well-known address of that feed.
            settle: seconds to wait after a lost response before verifying whether the invitation was made.
            on_unknown: what to do after a lost response: ``recheck`` verifies, and invites once more if there is no
                invitation; ``report`` raises.
            timeout: seconds for the whole call; see `Client`.

        Raises:
            InvalidInputError: `message`, `message_type`, `person`, `settle` or `on_unknown` is invalid.
            InDoubtError: the invitation was sent, and whether it was made is not known.
            ConnectionsError: the invitation was not made.
        """
        check_settle(settle, on_unknown)
        body = colleagues.invitation_body(message, message_type)
        identity = identity_of(person)
        begin = invitation_flow(
            self._caller.here(), identity, body, discover=discover, settle=settle, on_unknown=on_unknown
        )
        return await self._caller.change(
            "invite",
            begin(NEVER_SENT),
            person,
            identity,
            timeout=timeout,
            person=identity,
            touches=lambda session: session.with_me(person),
        )

    def invite_many(
        self,
        people: Source[PersonLike | Invite | InvalidInputError],
        *,
        message: str = "",
        message_type: Literal["text", "html"] = "text",
        settle: float = 30.0,
        on_unknown: OnUnknown = "recheck",
        journal: Journal | None,
        ordered: bool = False,
        on_progress: OnProgress | None = None,
    ) -> bulk.Outcomes[InviteOutcome]:
        """Invite every person of a source, each at most once; see `invite` for one.

        A repeated person is a `Duplicate`. With a journal this holds across runs, too: an invitation that a killed run
        may have sent is verified, `settle` seconds after it was sent, before it is sent again. After fifteen minutes,
        or with ``on_unknown="report"``, it is only reported as `InDoubt`.

        Args:
            people: any iterable or async iterable.
            message: text of the invitations to people without an individual message.
            message_type: type of all messages; see `invite`.
            settle: see `invite`.
            on_unknown: see `invite`.
            journal: records the run, so that it can be continued. There is no default, because without a journal a
                crash leaves no record of the people who were invited; None runs without a journal.
            ordered: give the outcomes in the order of the source instead of as they complete.
            on_progress: called twice a second with the progress.

        Raises:
            InvalidInputError: the message cannot be sent, or `settle` or `on_unknown` is invalid.
        """
        check_settle(settle, on_unknown)
        common = colleagues.invitation_body(message, message_type)
        session, digest = self._caller.anywhere(), bulk.digest_of(common)

        def parse(item: object) -> bulk.WorkItem[Invited | AlreadyExists | Duplicate]:
            wanted = item if isinstance(item, Invite) else Invite(item)  # type: ignore[arg-type] # it refuses anything else
            person, own = wanted.person, wanted.message
            body = common if own is None else colleagues.invitation_body(own, message_type)
            begin = invitation_flow(session, person, body, discover=False, settle=settle, on_unknown=on_unknown)
            sent = digest if own is None else bulk.digest_of(body)
            touches = session.with_me(person)
            return bulk.WorkItem(begin, person=person, people=(person,), digest=sent, touches=touches)

        return self._caller.run_flows(
            "invite_many",
            parse,
            source_of(people, "invites"),
            "invite",
            ordered=ordered,
            once=True,
            journal=journal,
            on_progress=on_progress,
        )

    async def accept(self, connection: ConnectionLike, *, timeout: float | None = None) -> Accepted:
        """Accept an invitation: fetch the entry, change only its status, and put it back.

        Page "Accept an invitation to become a colleague".

        Args:
            connection: a record, the pair of invitee and inviter, a bare id, or a self link.
            timeout: seconds for the whole call; see `Client`.

        Raises:
            NotFoundError: there is no such invitation, or it was withdrawn.
            InvalidInputError: the signed-in user is the inviter.
            InDoubtError: the response was lost, and verification did not settle whether the change was made.
            ConnectionsError: the invitation was not accepted.
        """
        which = connection_ref(connection)
        flow, touches = colleagues.accept(self._caller.here().address, which), touched_by(which)
        return await self._caller.change(
            "accept", flow, connection, *named_people(which), timeout=timeout, pair=pair_or_none(which), touches=touches
        )

    async def remove(self, connection: ConnectionLike, *, timeout: float | None = None) -> Removed:
        """Decline, withdraw or remove a connection; the outcome says which it was.

        Pages "Deleting connections" and "Accept an invitation to become a colleague".

        Args:
            connection: a record, a pair, a bare id, or a self link.
            timeout: seconds for the whole call; see `Client`.

        Raises:
            NotFoundError: there is no such connection.
            InDoubtError: the response was lost, and verification did not settle whether the change was made.
            ConnectionsError: the connection was not removed.
        """
        which = connection_ref(connection)
        flow, touches = colleagues.remove(self._caller.here().address, which), touched_by(which)
        return await self._caller.change(
            "remove", flow, connection, *named_people(which), timeout=timeout, pair=pair_or_none(which), touches=touches
        )

    def accept_many(
        self,
        connections: Source[ConnectionLike | InvalidInputError],
        *,
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> bulk.Outcomes[AcceptOutcome]:
        """Accept every invitation of a source; see `accept` for one, and `check_many` for the arguments."""
        address = self._caller.anywhere().address

        def parse(item: object) -> bulk.WorkItem[Accepted]:
            which = connection_ref(item)
            return connection_item(which, lambda _: colleagues.accept(address, which))

        return self._caller.run_flows(
            "accept_many",
            parse,
            source_of(connections, "connections"),
            "accept",
            ordered=ordered,
            journal=journal,
            on_progress=on_progress,
        )

    def remove_many(
        self,
        connections: Source[ConnectionLike | InvalidInputError],
        *,
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> bulk.Outcomes[RemoveOutcome]:
        """Remove every connection of a source; see `remove` for one, and `check_many` for the arguments."""
        address = self._caller.anywhere().address

        def parse(item: object) -> bulk.WorkItem[Removed]:
            which = connection_ref(item)
            return connection_item(which, lambda earlier: colleagues.remove(address, which, earlier=earlier))

        return self._caller.run_flows(
            "remove_many",
            parse,
            source_of(connections, "connections"),
            "remove",
            ordered=ordered,
            journal=journal,
            on_progress=on_progress,
        )

    async def me(self, *, timeout: float | None = None) -> Person:
        """The signed-in user: userid, key or both, so that `identity` never fails; no name and no e-mail address.

        Page "Retrieving the Profiles service document".

        Raises:
            UnexpectedResponseError: the server does not say who is signed in.
            ConnectionsError: the server refuses, or the response cannot be read.
        """
        flow = discovery.service_document_of(self._caller.here().address)
        document = await self._caller.call("me", flow, timeout=timeout)
        if document is None or not (document.userid or document.key):
            raise UnexpectedResponseError(200, None, "the server does not say who is signed in")
        return Person(userid=document.userid, key=document.key)

    async def service_document(self, person: PersonLike, *, timeout: float | None = None) -> ServiceDocument | None:
        """The service document of a person; None if the server does not know the person.

        Page "Retrieving the Profiles service document".

        Raises:
            ConnectionsError: the server refuses, or the response cannot be read.
        """
        identity = identity_of(person)
        flow = discovery.service_document_of(self._caller.here().address, identity)
        return await self._caller.find("service_document", flow, identity, timeout=timeout)

    async def profile(self, person: PersonLike, *, timeout: float | None = None) -> Profile | None:
        """The profile of a person in the directory; None if the server does not know the person.

        Page "Retrieving a profile".

        Raises:
            ConnectionsError: the server refuses, or the response cannot be read.
        """
        identity, address = identity_of(person), self._caller.here().address
        found = await self._caller.look_up(
            "profile", ("profile", identity), lambda: discovery.profile(address, identity), identity, timeout=timeout
        )
        if found is not None:
            self._caller.here().learn(found.person)
        return found

    def search(  # noqa: PLR0913 # the vendor's parameters, all by keyword
        self,
        *,
        text: str | None = None,
        name: str | None = None,
        email: str | None = None,
        userid: str | None = None,
        city: str | None = None,
        country: str | None = None,
        job_title: str | None = None,
        organization: str | None = None,
        phone_number: str | None = None,
        tags: str | None = None,
        profile_type: str | None = None,
        school: str | None = None,
        active_users_only: bool | None = None,
        page_size: int = 250,
    ) -> Stream[Profile]:
        """People whose profiles match all terms; servers give at most 250.

        Page "Searching profiles". ``%`` matches any one character, and ``*`` any number of characters.

        Raises:
            InvalidInputError: there is no term, `page_size` is below 1, or a term is empty, has more than 2,048 bytes
                in UTF-8, or holds control or invisible characters.
        """
        given = {
            "text": text,
            "name": name,
            "email": email,
            "userid": userid,
            "city": city,
            "country": country,
            "job_title": job_title,
            "organization": organization,
            "phone_number": phone_number,
            "tags": tags,
            "profile_type": profile_type,
            "school": school,
        }
        terms = {
            _SEARCH_PARAMETERS.get(argument, argument): plain_text(value, f"{argument} to search for")
            for argument, value in given.items()
            if value is not None
        }
        if not terms:
            raise InvalidInputError("search needs at least one term; pass name=, for example")
        _check_page_size(page_size)
        if active_users_only is not None:
            terms["activeUsersOnly"] = str(active_users_only).lower()
        return self._caller.stream(
            "search", listing.search(self._caller.anywhere().address, terms, page_size=page_size)
        )

    def resolve_many(
        self,
        people: Source[PersonLike | InvalidInputError],
        *,
        per_request: int = 1,
        listed: Iterable[Person | Connection | Listed] = (),
        ordered: bool = False,
        on_progress: OnProgress | None = None,
    ) -> bulk.Outcomes[ResolveOutcome]:
        """Look up the profile of every person of a source, for example to get the userids of e-mail addresses.

        A person who comes again is not asked for again (`Resolved.via`), as long as at most 1,000 others came in
        between. This run takes no journal, because a journal stores no profiles.

        With `per_request`, one request names several e-mail addresses, which the page "Retrieving a profile" allows;
        userids and keys are asked for one by one. A profile counts for the address that it shows. An address without a
        profile in the response, such as an alias or an unknown one, is asked for alone, as are all addresses of a
        request that failed. The first ten profiles found in this way are compared with those that a request for each
        person gives, so runs over fewer than 20 addresses ask one by one. After a difference, or if three requests in a
        row find fewer than two people each, the other people are asked for one by one.

        With `listed`, people whom lists have named already are not asked for, if names are all that is wanted: their
        profile then has a `person` and nothing else. The first ten of them are asked for and compared, as are those
        whom two lists describe differently. After a difference, the lists are not used.

        Args:
            people: any iterable or async iterable.
            per_request: limit on the e-mail addresses in one request, whose URL is limited as well. The source is read
                at most ``2 × max_connections × per_request`` items ahead, or 40 if that is less.
            listed: people, connections or outcomes of `colleagues_many`, in any order and number. They are read at
                once. Only people with a name and a userid count.
            ordered: see `check_many`.
            on_progress: see `check_many`.

        Raises:
            InvalidInputError: `per_request` is below 1, or `listed` has something else.
        """
        if per_request < 1:
            raise InvalidInputError(f"per_request must be at least 1, got {per_request}")
        session = self._caller.anywhere()

        def parse(item: object) -> bulk.WorkItem[Resolved]:
            person = identity_of(item)  # type: ignore[arg-type] # it refuses anything else
            return bulk.WorkItem(lambda _: _resolve(session, person), person=person, people=(person,))

        job, backlog = self._caller.resolve_job(parse, per_request, people_in(listed))
        source = source_of(people, "people")
        return self._caller.run_job(
            job, source, ordered=ordered, on_progress=on_progress, backlog=backlog, gives="resolve"
        )


def _resolve(session: Session, person: Identity) -> Flow[Resolved]:
    profile = yield from discovery.profile(session.address, person)
    if profile is not None:
        session.learn(profile.person)
    return Resolved(profile, person=person)


def _check_page_size(page_size: int) -> None:
    if page_size < 1:
        raise InvalidInputError(f"page_size must be at least 1, got {page_size}")


def _plan_of(plan: object) -> Plan:
    """The `Plan` that an argument stands for."""
    from aioconnections.policy.plan import Plan

    if plan == "auto":
        return Plan()
    if not isinstance(plan, Plan):
        raise InvalidInputError(f'plan must be "head", "auto" or a Plan, got {plan!r}')
    return plan
