"""In what the versions of the product differ, as far as this server speaks them. From recorded answers."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import frozen

__all__ = ["DIALECTS", "Dialect", "Version"]

Version: TypeAlias = Literal["4.5", "5.0", "6.0"]


@frozen(kw_only=True)
class Dialect:
    """How one version answers.

    Attributes:
        generator: the version number in ``generator`` elements.
        line_end: what ends the lines of an error document.
        knows_guests: whether people carry ``snx:isExternal``.
        unknown_person: status of a check that names nobody. Recorded for lists of colleagues only, where 4.5 answers
            as for somebody without colleagues and later versions find the request invalid.
        closes_after_400: whether the connection ends with an invalid request.
        session_cookie: name of the cookie of the web container.
        ltpa_cookies: names of the cookies that carry the login.
        auth_header: value of ``X-LConn-Auth``; its meaning is not known.
        varies: whether ``Vary: Accept-Encoding`` is sent.
        is_cloud: whether it was recorded in the cloud, where Communities adds ``private`` to its ``Cache-Control`` and
            an organisation to contributors.
        says_no_store: whether writes are answered with ``Surrogate-Control: no-store``.
    """

    generator: str
    line_end: str
    knows_guests: bool
    unknown_person: Literal[400, 404]
    closes_after_400: bool
    session_cookie: str
    ltpa_cookies: tuple[str, ...]
    auth_header: str
    varies: bool
    is_cloud: bool
    says_no_store: bool


DIALECTS: dict[Version, Dialect] = {
    "4.5": Dialect(
        generator="4.5.0.0",
        line_end="\n",
        knows_guests=False,
        unknown_person=404,
        closes_after_400=False,
        session_cookie="LCSESSIONID",
        ltpa_cookies=("LtpaToken", "LtpaToken2"),
        auth_header="false",
        varies=False,
        is_cloud=False,
        says_no_store=True,
    ),
    "5.0": Dialect(
        generator="5.0.0.0",
        line_end="\n",
        knows_guests=True,
        unknown_person=400,
        closes_after_400=True,
        session_cookie="ICSESSIONID",
        ltpa_cookies=("LtpaToken2",),
        auth_header="false",
        varies=False,
        is_cloud=False,
        says_no_store=False,
    ),
    "6.0": Dialect(
        generator="6.0.0.0",
        line_end="\r\n",
        knows_guests=True,
        unknown_person=400,
        closes_after_400=False,
        session_cookie="JSESSIONID",
        ltpa_cookies=("LtpaToken2",),
        auth_header="true",
        varies=True,
        is_cloud=True,
        says_no_store=False,
    ),
}
