"""After any sequence of operations both sides of every relationship agree, and no other relationship has changed."""

from __future__ import annotations

import asyncio
from itertools import permutations, product
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aioconnections.records import Person, Status
from aioconnections.reference import Directory, app

OTHER_SIDE = {
    Status.ACCEPTED: Status.ACCEPTED,
    Status.PENDING: Status.UNCONFIRMED,
    Status.UNCONFIRMED: Status.PENDING,
    None: None,
}
PROFILES = "/profiles/atom/"
_FEW = 4


class Step(NamedTuple):
    verb: str
    one: int
    other: int


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(["invite", "accept", "keep", "remove", "connect", "disconnect"]),
        st.integers(0, _FEW - 1),
        st.integers(0, _FEW - 1),
    ).filter(lambda step: step.one != step.other),
    max_size=25,
)


def _after(verb: str, status: Status | None) -> tuple[set[int], Status | None]:
    """The expected response statuses and the resulting relationship, by the rules of the protocol."""
    if verb == "invite":
        return ({201}, Status.UNCONFIRMED) if status is None else ({400}, status)
    if verb == "connect":
        return ({400}, status) if status is Status.ACCEPTED else ({201}, Status.ACCEPTED)
    if verb in {"remove", "disconnect"}:
        return ({404} if status is None else {200}, None)
    if verb == "accept" and status is Status.PENDING:
        return {200}, Status.ACCEPTED
    return {200, 400, 403, 404}, status


class ModelledServer:
    """A server, and a model of the relationships of some people."""

    def __init__(self, seed: int, ask: Any, invitation: Any) -> None:
        directory = Directory.generate(people=10, seed=seed)
        self.app = app(directory)
        self.people = directory.people[:_FEW]
        self.model = {pair: directory.status(*pair) for pair in permutations(self.people, 2)}
        self._ask, self._invitation = ask, invitation

    async def perform_steps(self, steps: list[Step]) -> None:
        for step in steps:
            one, other = self.people[step.one], self.people[step.other]
            expected, seen = _after(step.verb, self.model[one, other])
            assert (await self._perform(step.verb, one, other)).status_code in expected, step
            self.model[one, other], self.model[other, one] = seen, OTHER_SIDE[seen]
            for pair, status in self.model.items():
                assert self.app.status(*pair) is status

    async def check_lists(self) -> None:
        for one, status in product(self.people, Status):
            query = f"connectionType=colleague&key={one.key}&status={status}&outputType=profile&ps=250"
            feed = await self._ask(self.app, "GET", f"{PROFILES}connections.do?{query}", user=one)
            for other in self.people:
                if other != one:
                    shown = f"<id>tag:profiles.ibm.com,2006:entry{other.key}</id>" in feed.text
                    assert shown is (self.model[one, other] is status)

    async def _perform(self, verb: str, one: Person, other: Person) -> Any:
        ends = f"sourceKey={one.key}&targetKey={other.key}"
        if verb in {"connect", "disconnect"}:
            url = f"/profiles/admin/atom/connections.do?action=complete&{ends}"
            return await self._ask(self.app, "PUT" if verb == "connect" else "DELETE", url, user="admin")
        if verb == "invite":
            url = f"{PROFILES}connections.do?connectionType=colleague&key={other.key}"
            return await self._ask(self.app, "POST", url, user=one, content=self._invitation())
        check = f"{PROFILES}connection.do?connectionType=colleague&{ends}"
        found = (await self._ask(self.app, "GET", check, user=one)).text
        edit = found.partition("connectionId=")[2].partition('"')[0] or "none"
        content = self._invitation(status="accepted" if verb == "accept" else "pending")
        method = "DELETE" if verb == "remove" else "PUT"
        return await self._ask(
            self.app, method, f"{PROFILES}connection.do?connectionId={edit}", user=one, content=content
        )


@settings(max_examples=settings().max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, seed=st.integers(0, 5))
def test_both_sides_agree_after_every_step(ask: Any, invitation: Any, steps: list[Step], seed: int) -> None:
    server = ModelledServer(seed, ask, invitation)

    async def conversation() -> None:
        await server.perform_steps(steps)
        await server.check_lists()

    asyncio.run(conversation())
    assert [commit.number for commit in server.app.commits] == list(range(len(server.app.commits)))
