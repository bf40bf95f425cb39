"""How much of a document is borne."""

from __future__ import annotations

from attrs import field, frozen

__all__ = ["Limits"]


def _at_least_one(_: object, attribute: object, value: int) -> None:
    if value < 1:
        raise ValueError(f"{getattr(attribute, 'name', 'a limit')} must be at least 1")


@frozen(kw_only=True)
class Limits:
    """How much of a document is borne; whatever goes beyond is refused with an `AtomError`.

    Attributes:
        max_bytes: of the document, as it came. 64 MiB.
        max_markup: most tags, comments, CDATA sections and processing instructions, counted by their ``<``: it is they
            that cost time, more than bytes do. 4,194,304, which is one for every 16 of these bytes.
        max_token: most bytes of one tag, comment, CDATA section, processing instruction or run of text. 1 MiB.
        max_depth: most elements inside each other. 100.
        max_attributes: most attributes of one element, namespace declarations among them. 250.
        max_elements: most elements in one entry, and in all that the feed says of itself. 10,000.
        max_entries: 100,000.

    Raises:
        ValueError: a limit below 1.
    """

    max_bytes: int = field(default=1 << 26, validator=_at_least_one)
    max_markup: int = field(default=1 << 22, validator=_at_least_one)
    max_token: int = field(default=1 << 20, validator=_at_least_one)
    max_depth: int = field(default=100, validator=_at_least_one)
    max_attributes: int = field(default=250, validator=_at_least_one)
    max_elements: int = field(default=10_000, validator=_at_least_one)
    max_entries: int = field(default=100_000, validator=_at_least_one)
