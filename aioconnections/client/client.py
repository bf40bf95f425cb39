"""The client as its users see it."""

from __future__ import annotations

from aioconnections.client.administration import Administration
from aioconnections.client.communities import Communities
from aioconnections.client.people import People
from aioconnections.client.verbs import Colleagues

__all__ = ["Client"]


class Client(Colleagues, People, Communities):
    """A client of one Connections server, for one signed-in user.

    ``async with Client("https://connections.example.com", auth=("ajones", "secret")) as client: …``

    It may be used by any number of tasks of one event loop (asyncio or trio), not by several threads.

    Args:
        base_url: where the server is; a path before ``/profiles`` belongs to it.
        auth: ``(user, password)``, an `Auth`, or None for what the server shows to everybody.
        max_connections: how many requests may be under way at once.
        max_per_second: how many may start per second; None for no limit.
        burst: how many may start at once after a pause.
        attempt_timeout: seconds for one request, from connecting to the last byte of its answer.
        item_timeout: seconds for one call or one item over all of its attempts; waiting for a free connection, for
            the rate limit, and in a bulk run for a server that is away, does not count. An `Auth` has as long to give
            its headers.
        run_timeout: seconds for one bulk run; then nothing more of it is started, and it stops. None: no end.
        max_attempts: how many times one call or item is tried at most; redirects within the server, and the repetition
            after a login was renewed, come on top.
        max_outage: seconds for which a bulk run waits for a server that is away, before it stops with
            `ServerUnavailableError`; None: as long as it takes. A single call waits no longer than `item_timeout`.
        headers: sent with every request.
        cookies: keep the cookies that the server sets and send them back, as a load balancer in front of it may ask
            for. By default they are dropped: the server takes them for a login that goes before the password.
        verify: True for the system's trust store, a path to certificates, an `ssl.SSLContext`, or False.
        transport: an httpx transport to go through; closed with the client.
        http_client: an httpx client to go through, without its login, cookies, headers and redirects; not closed.
        trust_env: go through the proxy that the environment names. By default such a proxy is named in a warning only.
        verify_login: let one request for the signed-in user's service document prove address and login before anything
            else is sent, and every ten minutes.
        clock: where the time comes from; by default the running event loop.
        rng: where the random part of the pauses between attempts comes from.
        on_attempt: called with an `Attempt` after each request, for metrics; it must not wait.

    Raises:
        InvalidInputError: an argument that cannot be used.
    """

    @property
    def admin(self) -> Administration:
        """What only an administrator of Profiles may do."""
        return Administration(self)
