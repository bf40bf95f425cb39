"""Endpoints of people: service documents, profiles, search, and the requester's own userid."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from fnmatch import translate
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from attrs import frozen

from aioconnections.reference.context import PERSON, ServerContext
from aioconnections.reference.documents import PROFILE_UPDATED, ProfileFormat, ProfilesFeed
from aioconnections.reference.markup import DECLARATION
from aioconnections.reference.request import page_of
from aioconnections.reference.responses import (
    INVALID,
    AtomDocument,
    ErrorResult,
    OperationResult,
    PlainResult,
    RefusedError,
)

if TYPE_CHECKING:
    from aioconnections.reference.request import ServerRequest

__all__ = ["ProfileEndpoints", "requested_format"]
_MAX_FOUND = 250  # the limit of a recorded search
_PAGE_SIZE = 10
_NO_PROFILE = ErrorResult(404, "The profile does not exist.")  # invented: there is no recording
_WILDCARDS = str.maketrans({"%": "?", "?": "[?]", "[": "[[]"})  # to the wildcards of fnmatch; * is the same in both
_Texts: TypeAlias = Callable[[int], tuple[str, ...]]


class _Criterion(NamedTuple):
    """A search parameter; a person matches if `pattern` matches one of the person's `texts`."""

    parameter: str
    value: str
    pattern: re.Pattern[str]
    texts: _Texts

    def matches(self, person: int) -> bool:
        return any(self.pattern.fullmatch(text) for text in self.texts(person))


@frozen
class ProfileEndpoints:
    """The operations on people."""

    context: ServerContext

    def service_document(self, request: ServerRequest) -> OperationResult:
        """GET and HEAD ``profileService.do``: of the signed-in user, or of the named person."""
        if any(name in request.query for name, _ in PERSON):
            number = self.context.lookup.person(request.query, PERSON)
            if number is None:
                return INVALID
        else:
            number = request.signed_in()
        write = partial(self.context.documents.service_document, number)
        return AtomDocument("service document", write, PROFILE_UPDATED // 1000)

    def profile(self, request: ServerRequest) -> OperationResult:
        """GET ``profile.do``: a feed of the known people among those named; a userid takes precedence."""
        query = {name: values for name, values in request.query.items() if name == "userid"} or request.query
        kind, text = self.context.lookup.identifier(query, PERSON)
        numbers = (
            self.context.lookup.people(kind, text) if kind == "email" else [self.context.directory.number(kind, text)]
        )
        known = list(dict.fromkeys(number for number in numbers if number is not None))
        documents, form = self.context.documents, requested_format(request)
        feed = ProfilesFeed("Profiles", request.path, request.link_query(), None, self.context.commits.now())

        def write(base: str) -> str:
            links = documents.colleagues_link(known[0], base) if len(known) == 1 else ""
            entries = (documents.profile_entry(number, base, form) for number in known)
            return documents.feed(feed._replace(links=links), base, entries)

        return AtomDocument("profiles", write)

    def profile_entry(self, request: ServerRequest) -> OperationResult:
        """GET ``profileEntry.do``: one entry; for an unknown person only an XML declaration, as recorded."""
        number = self.context.lookup.person(request.query, PERSON)
        if number is not None:
            write = partial(self.context.documents.profile, number, form=requested_format(request))
            return AtomDocument("profiles", write, PROFILE_UPDATED // 1000)
        return AtomDocument("profiles", _rootless) if self.context.settings.rootless_profile_entry else _NO_PROFILE

    def search(self, request: ServerRequest) -> OperationResult:
        """GET ``search.do``: the people who match all criteria, 250 at most."""
        criteria = self._criteria(request)
        if not criteria:
            return INVALID
        found = list(islice(self._find(criteria, inactive=request.first("activeUsersOnly") == "false"), _MAX_FOUND))
        settings, documents, form = self.context.settings, self.context.documents, requested_format(request)
        page = page_of(request, len(found), default=settings.page_default or _PAGE_SIZE, maximum=settings.max_ps)
        conditions = " and ".join(f"{criterion.parameter}={criterion.value}" for criterion in criteria)
        now = self.context.commits.now()
        feed = ProfilesFeed(f"profiles where  {conditions}", request.path, request.link_query(), page, now)

        def write(base: str) -> str:
            entries = (documents.profile_entry(number, base, form) for number in page.of(found))
            return documents.feed(feed, base, entries)

        return AtomDocument("profiles", write)

    def service_configs(self, request: ServerRequest) -> OperationResult:  # noqa: ARG002  # all operations take a request
        """GET ``serviceconfigs``: the installed services, and whether e-mail addresses are hidden."""
        write = partial(self.context.documents.service_configs, now=self.context.commits.now())
        return AtomDocument("profiles", write)

    def me(self, request: ServerRequest) -> OperationResult:
        """GET ``/connections/opensocial/…/rest/people/@me/``: the requester, with the userid at the end of the id."""
        person = self.context.directory.person(request.signed_in())
        entry: dict[str, object] = {
            "id": f"urn:lsid:lconn.ibm.com:profiles.person:{person.userid}",
            "displayName": person.name,
        }
        if self.context.settings.emails == "exposed":
            entry["emails"] = [{"type": "primary", "value": str(person.email), "primary": True}]
        return PlainResult(200, "application/json; charset=UTF-8", json.dumps({"entry": entry}, ensure_ascii=False))

    def _criteria(self, request: ServerRequest) -> list[_Criterion]:
        """The search criteria. In values ``%`` matches one character, and ``*`` any number of characters."""
        directory = self.context.directory

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
        if "email" in request.query and self.context.settings.emails == "hidden":
            raise RefusedError(INVALID)
        return [
            _Criterion(parameter, request.first(parameter), _pattern(request.first(parameter)), texts_of)
            for parameter, texts_of in texts.items()
            if request.first(parameter)
        ]

    def _find(self, criteria: list[_Criterion], *, inactive: bool) -> Iterator[int]:
        """The numbers of the matching people; inactive ones only on request."""
        directory = self.context.directory
        numbers: Iterator[int] | list[int] = iter(range(directory.administrator + 1))
        for criterion in criteria:  # an exact identifier saves a scan of up to a million people
            if criterion.parameter in {"email", "userid"} and not set(criterion.value) & {"*", "%"}:
                number = directory.number("email" if criterion.parameter == "email" else "userid", criterion.value)
                numbers = [] if number is None else [number]
        for number in numbers:
            if all(criterion.matches(number) for criterion in criteria) and (
                inactive or directory.person(number).state == "active"
            ):
                yield number


def requested_format(request: ServerRequest) -> ProfileFormat:
    """The requested form of profiles; by default a short hCard, as from version 3.0 on.

    Raises:
        RefusedError: an unknown form.
    """
    output, size = request.first("output") or "hcard", request.first("format") or "lite"
    if output not in {"hcard", "vcard"} or size not in {"lite", "full"}:
        raise RefusedError(INVALID)
    return ProfileFormat(output == "vcard", size == "full")


def _pattern(value: str) -> re.Pattern[str]:
    return re.compile(translate(value.translate(_WILDCARDS)), re.IGNORECASE)


def _rootless(_: str) -> str:
    return DECLARATION
