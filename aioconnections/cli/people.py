"""``aioconnections profile`` and ``search``."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from aioconnections.cli.invite_options import NO_PERSON, One
from aioconnections.cli.options import PERSON_ROWS, PLAIN, File, PersonRows, Result
from aioconnections.cli.run_options import RUN, RunOptions
from aioconnections.cli.server import SERVER, ServerOptions
from aioconnections.errors import InvalidInputError

__all__ = ["profile", "search"]


def profile(
    people: File = None,
    /,
    *,
    server: ServerOptions = SERVER,
    person: One = NO_PERSON,
    run: RunOptions = RUN,
    rows: PersonRows = PERSON_ROWS,
) -> int:
    """Look up each person in a file in the directory, for example the userids behind e-mail addresses.

    Each row is written with eight more columns, which replace columns of the same names: outcome (resolved, unknown,
    rejected, failed, unprocessed or unreadable), name, found_userid, found_key, found_email, attempts, elapsed_ms and
    error. The name and the found columns are empty for an unknown person.

    Args:
        people: CSV with a header, JSON lines or Parquet. Columns are email, userid or key; others are copied to the
            result. Omitted or "-": standard input.
        server: Server, login and speed.
        person: One person instead of a file.
        run: Time limit.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import RESOLVE

    return do_rows(RESOLVE, server, Source(people, person.row), run, rows)


def search(  # noqa: PLR0913 # the vendor's parameters, all by name
    text: str | None = None,
    /,
    *,
    server: ServerOptions = SERVER,
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
    active_users_only: Annotated[bool, Parameter(negative="")] = False,
    result: Result = PLAIN,
) -> int:
    """List the people whose profiles match all the given criteria; servers list at most 250.

    "%" matches any one character, and "*" any number of characters.

    Args:
        text: Words anywhere in the profile.
        server: Server, login and speed.
        name: Name.
        email: E-mail address.
        userid: Id in the directory.
        city: City.
        country: Country.
        job_title: Job title.
        organization: Organisation.
        phone_number: Phone number.
        tags: Tags, separated by commas.
        profile_type: Kind of profile, such as "default".
        school: School.
        active_users_only: List only active people.
        result: How the result is written.
    """
    from aioconnections.cli.listing import list_records
    from aioconnections.cli.record_rows import PROFILES

    wanted: dict[str, Any] = {
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
    if all(value is None for value in wanted.values()):
        raise InvalidInputError("no search criteria; give words of a profile, or an option such as --name or --tags")
    return list_records(
        server,
        lambda client: client.search(**wanted, active_users_only=active_users_only or None),
        PROFILES,
        result,
    )
