"""Generated colleague feeds in the form of the vendor's servers: any number of entries, the same on every run."""

from __future__ import annotations

from collections.abc import Iterator

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><feed xmlns:app="http://www.w3.org/2007/app" '
    'xmlns:thr="http://purl.org/syndication/thread/1.0" xmlns:fh="http://purl.org/syndication/history/1.0" '
    'xmlns:snx="http://www.ibm.com/xmlns/prod/sn" xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" '
    'xmlns="http://www.w3.org/2005/Atom"><id>tag:profiles.ibm.com,2006:feed</id>'
    '<generator version="6.0.0.0" uri="http://www.ibm.com/xmlns/prod/sn">IBM Connections - Profiles</generator>'
    '<title type="text">Connections of Ada Marsh</title><author><name>IBM Connections - Profiles</name></author>'
    "<updated>2017-11-02T11:06:23.739Z</updated><opensearch:totalResults>{count}</opensearch:totalResults>"
    "<opensearch:startIndex>1</opensearch:startIndex><opensearch:itemsPerPage>{count}</opensearch:itemsPerPage>"
)
TAIL = "</feed>"
_FIRST = ("Ada", "Bruno", "Chloé", "Dmitri", "Elif", "Femi", "Grete", "Hiro", "Inés", "Jörg")
_LAST = ("Marsh", "Okafor", "Petrov", "Quill", "Rossi", "Søndergaard", "Tanaka", "Ueda", "Varga", "Włodarczyk")
_SERVER = "https://connections.example.com/profiles/atom/connection.do?connectionId="


def _person(number: int) -> str:
    name = f"{_FIRST[number % 10]} {_LAST[number // 10 % 10]}"
    email = f"<email>person{number}@example.com</email>" if number % 10 != 3 else ""  # some have none
    return (
        f"<name>{name}</name><snx:userid>{number:08X}-9C1B-4F7E-8A55-0123456789AB</snx:userid>"
        f"{email}<snx:userState>active</snx:userState>"
        "<snx:isExternal>false</snx:isExternal>"
    )


def entry(number: int) -> str:
    """One accepted connection of person 0, about 2 KB."""
    other = number + 1
    key = f"{other:08x}-7d2e-4c1a-9b3f-00112233{other % 65536:04x}"
    sides = "".join(
        f'<contributor snx:rel="http://www.ibm.com/xmlns/prod/sn/connection/{side}" '
        f'xmlns:snx="http://www.ibm.com/xmlns/prod/sn">{_person(who)}</contributor>'
        for side, who in (("source", 0), ("target", other))
    )
    return (
        f'<entry><id>tag:profiles.ibm.com,2006:entry{key}</id><title type="text">'
        f"{_FIRST[other % 10]} {_LAST[other // 10 % 10]}</title>"
        f"<updated>2017-05-15T13:{other % 60:02}:45.123Z</updated>"
        '<category term="connection" scheme="http://www.ibm.com/xmlns/prod/sn/type"></category>'
        '<category term="colleague" scheme="http://www.ibm.com/xmlns/prod/sn/connection/type"></category>'
        '<category term="accepted" scheme="http://www.ibm.com/xmlns/prod/sn/status"></category>'
        f"<author>{_person(0)}</author><contributor>{_person(other)}</contributor>"
        f'<snx:connection>{sides}</snx:connection><content type="html"></content>'
        f'<link rel="self" type="application/atom+xml" href="{_SERVER}{key}"></link>'
        f'<link rel="edit" type="application/atom+xml" href="{_SERVER}{key}&amp;inclMessage=true"></link>'
        '<summary type="text"></summary></entry>'
    )


def chunks(count: int, size: int = 1 << 16) -> Iterator[bytes]:
    """A feed of `count` entries in chunks of `size` bytes, generated on demand."""
    pending = bytearray(HEAD.format(count=count).encode())
    for number in range(count):
        pending += entry(number).encode()
        while len(pending) >= size:
            yield bytes(pending[:size])
            del pending[:size]
    yield bytes(pending) + TAIL.encode()
