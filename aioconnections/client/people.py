"""People: the verbs of a client that ask the directory."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import cast

from aioconnections.bulk import Outcomes, WorkItem
from aioconnections.client.base import Base, OnProgress, PersonLike
from aioconnections.errors import InvalidInputError
from aioconnections.identifiers import plain_text
from aioconnections.outcomes import Resolved, ResolveOutcome
from aioconnections.protocol import discovery, listing
from aioconnections.protocol.messages import Flow
from aioconnections.records import Identity, Profile, ServiceDocument, identity_of
from aioconnections.session.listing import Stream
from aioconnections.session.session import Session

__all__ = ["People"]


class People(Base):
    """What has to do with people and their profiles."""

    async def me(self) -> ServiceDocument:
        """The signed-in user's service document.

        Raises:
            ConnectionsError: the server refuses, or the answer makes no sense.
        """
        found = await self._call(discovery.service_document_of(self._here().address))
        return found or ServiceDocument(None, None)

    async def service_document(self, person: PersonLike) -> ServiceDocument | None:
        """The service document of a person; None if there is no such person.

        Page "Retrieving the Profiles service document".

        Raises:
            ConnectionsError: the server refuses, or the answer makes no sense.
        """
        identity = identity_of(person)
        return await self._found(discovery.service_document_of(self._here().address, identity), identity)

    async def profile(self, person: PersonLike) -> Profile | None:
        """What the directory says of a person; None if it knows no such person.

        Page "Retrieving a profile".

        Raises:
            ConnectionsError: the server refuses, or the answer makes no sense.
        """
        identity = identity_of(person)
        return await self._found(discovery.profile(self._here().address, identity), identity)

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
        """People whose profiles match all that is given; servers stop at 250.

        Page "Searching profiles". ``%`` stands for any one character and ``*`` for any number of them.

        Raises:
            InvalidInputError: nothing to search for, a page size below 1, or a term that is empty, has more than 2,048
                bytes in UTF-8, or holds control characters or something invisible.
        """
        given = {
            "search": text,
            "name": name,
            "email": email,
            "userid": userid,
            "city": city,
            "country": country,
            "jobTitle": job_title,
            "organization": organization,
            "phoneNumber": phone_number,
            "profileTags": tags,
            "profileType": profile_type,
            "school": school,
        }
        terms = {key: plain_text(value, f"{key} to search for") for key, value in given.items() if value is not None}
        if not terms or page_size < 1:
            raise InvalidInputError("a search needs at least one thing to search for, and a positive page_size")
        if active_users_only is not None:
            terms["activeUsersOnly"] = str(active_users_only).lower()
        session = self._here()
        return Stream(session, listing.search(session.address, terms, page_size=page_size))

    def resolve_many(
        self,
        people: Iterable[PersonLike] | AsyncIterable[PersonLike],
        *,
        ordered: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Outcomes[ResolveOutcome]:
        """Ask the directory for every person of a source, for example for the userids behind e-mail addresses.

        There is no journal of it: a journal keeps no profiles.
        """
        session = self._here()

        def understand(item: object) -> WorkItem[Resolved]:
            person = identity_of(item)  # type: ignore[arg-type] # it refuses the rest
            return WorkItem(lambda _: _resolve(session, person), person=person, people=(person,))

        run = self._many(understand, people, "resolve", ordered=ordered, changes=False, on_progress=on_progress)
        return cast("Outcomes[ResolveOutcome]", run)  # nothing is in doubt


def _resolve(session: Session, person: Identity) -> Flow[Resolved]:
    return Resolved((yield from discovery.profile(session.address, person)))
