"""People: service documents, profiles, search, and what an application asks before it knows anybody."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from fnmatch import translate
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from attrs import frozen

from aioconnections.reference.answers import INVALID, Answer, Document, Plain, Refusal, Refused
from aioconnections.reference.cards import CHANGED, Card
from aioconnections.reference.documents import Feed
from aioconnections.reference.lookup import PERSON, cut
from aioconnections.reference.markup import DECLARATION
from aioconnections.reference.world import World

if TYPE_CHECKING:
    from aioconnections.reference.request import Request

__all__ = ["People", "card", "own_address"]

_MOST_FOUND = 250  # a recorded search ends there
_PAGE_SIZE = 10
_NO_PROFILE = Refused(404, "The profile does not exist.")  # no recording of this one: the words are ours
_WILDCARDS = str.maketrans({"%": "?", "?": "[?]", "[": "[[]"})  # a star means the same to both
_Texts: TypeAlias = Callable[[int], tuple[str, ...]]


class _Criterion(NamedTuple):
    name: str
    given: str
    pattern: re.Pattern[str]
    texts: _Texts

    def meets(self, person: int) -> bool:
        return any(self.pattern.fullmatch(text) for text in self.texts(person))


@frozen
class People:
    """The operations on people."""

    world: World

    def service_document(self, request: Request) -> Answer:
        """GET and HEAD ``profileService.do``: one's own, or that of the person named."""
        if any(name in request.query for name, _ in PERSON):
            number = self.world.lookup.person(request.query, PERSON)
            if number is None:
                return INVALID
        else:
            number = request.signed_in()
        return Document("service document", partial(self.world.documents.service_document, number), CHANGED // 1000)

    def profile(self, request: Request) -> Answer:
        """GET ``profile.do``: a feed of whoever is known of those named; a userid goes before everything else."""
        query = {name: values for name, values in request.query.items() if name == "userid"} or request.query
        kind, text = self.world.lookup.given(query, PERSON)
        numbers = (
            self.world.lookup.several(kind, text) if kind == "email" else [self.world.directory.number(kind, text)]
        )
        known = list(dict.fromkeys(number for number in numbers if number is not None))
        documents, look = self.world.documents, card(request)
        feed = Feed("Profiles", request.path, own_address(request), None, self.world.commits.now())

        def write(base: str) -> str:
            links = documents.colleagues_link(known[0], base) if len(known) == 1 else ""
            entries = (documents.profile_content(number, base, look) for number in known)
            return documents.feed(feed._replace(links=links), base, entries)

        return Document("profiles", write)

    def profile_entry(self, request: Request) -> Answer:
        """GET ``profileEntry.do``: one entry; of nobody there is only an XML declaration, as recorded."""
        number = self.world.lookup.person(request.query, PERSON)
        if number is not None:
            write = partial(self.world.documents.profile, number, look=card(request))
            return Document("profiles", write, CHANGED // 1000)
        return Document("profiles", _nothing) if self.world.settings.rootless_profile_entry else _NO_PROFILE

    def search(self, request: Request) -> Answer:
        """GET ``search.do``: everybody who meets all criteria, 250 at most."""
        criteria = self._criteria(request)
        if not criteria:
            return INVALID
        found = list(islice(self._search(criteria, everybody=request.first("activeUsersOnly") == "false"), _MOST_FOUND))
        settings, documents, look = self.world.settings, self.world.documents, card(request)
        page = cut(request, len(found), default=settings.page_default or _PAGE_SIZE, most=settings.max_ps)
        title = f"profiles where  {' and '.join(f'{it.name}={it.given}' for it in criteria)}"
        feed = Feed(title, request.path, own_address(request), page, self.world.commits.now())

        def write(base: str) -> str:
            return documents.feed(feed, base, (documents.profile_content(it, base, look) for it in page.of(found)))

        return Document("profiles", write)

    def service_configs(self, request: Request) -> Answer:  # noqa: ARG002  # operations are called alike
        """GET ``serviceconfigs``: what is installed, and whether e-mail addresses are hidden."""
        return Document("profiles", partial(self.world.documents.service_configs, now=self.world.commits.now()))

    def me(self, request: Request) -> Answer:
        """GET ``/connections/opensocial/…/rest/people/@me/``: the own userid, after the last colon of the id."""
        person = self.world.directory.person(request.signed_in())
        entry: dict[str, object] = {
            "id": f"urn:lsid:lconn.ibm.com:profiles.person:{person.userid}",
            "displayName": person.name,
        }
        if self.world.settings.emails == "exposed":
            entry["emails"] = [{"type": "primary", "value": str(person.email), "primary": True}]
        return Plain(200, "application/json; charset=UTF-8", json.dumps({"entry": entry}, ensure_ascii=False))

    def _criteria(self, request: Request) -> list[_Criterion]:
        """What a person has to be like. In all of them ``%`` is any one character, and ``*`` any number of them."""
        directory = self.world.directory

        def name(number: int) -> tuple[str, ...]:
            text = directory.person(number).name or ""
            return text, *text.split()

        texts: dict[str, _Texts] = {
            "name": name,
            "userid": lambda number: (str(directory.person(number).userid),),
            "email": lambda number: (str(directory.person(number).email),),
            "city": lambda number: (directory.details(number).city,),
            "country": lambda number: (directory.details(number).country,),
            "jobTitle": lambda number: (directory.details(number).job_title,),
            "organization": lambda number: (directory.details(number).organization,),
            "phoneNumber": lambda number: (directory.details(number).phone,),
            "school": lambda number: (directory.details(number).school,),
            "profileType": lambda _: ("default",),
            "profileTags": lambda number: (directory.details(number).tag,),
            "search": lambda number: (*name(number), *directory.details(number)),
        }
        if "email" in request.query and self.world.settings.emails == "hidden":
            raise Refusal(INVALID)
        return [
            _Criterion(parameter, request.first(parameter), _pattern(request.first(parameter)), of)
            for parameter, of in texts.items()
            if request.first(parameter)
        ]

    def _search(self, criteria: list[_Criterion], *, everybody: bool) -> Iterator[int]:
        directory = self.world.directory
        numbers: Iterator[int] | list[int] = iter(range(directory.administrator + 1))
        for criterion in criteria:  # whoever is named exactly need not be looked for among a million
            if criterion.name in {"email", "userid"} and not set(criterion.given) & {"*", "%"}:
                number = directory.number("email" if criterion.name == "email" else "userid", criterion.given)
                numbers = [] if number is None else [number]
        for number in numbers:
            if all(criterion.meets(number) for criterion in criteria) and (
                everybody or directory.person(number).state == "active"
            ):
                yield number


def card(request: Request) -> Card:
    """The form of profiles that the parameters ask for: by default an hCard, and from 3.0 on a short one.

    Raises:
        Refusal: a form that there is not.
    """
    output, size = request.first("output") or "hcard", request.first("format") or "lite"
    if output not in {"hcard", "vcard"} or size not in {"lite", "full"}:
        raise Refusal(INVALID)
    return Card(output == "vcard", size == "full")


def own_address(request: Request) -> dict[str, str]:
    """The parameters of a request, to be said again in links."""
    return {name: values[0] for name, values in sorted(request.query.items()) if name}


def _pattern(given: str) -> re.Pattern[str]:
    return re.compile(translate(given.translate(_WILDCARDS)), re.IGNORECASE)


def _nothing(_: str) -> str:
    return DECLARATION
