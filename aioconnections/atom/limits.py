"""How much of a document is borne."""

from __future__ import annotations

from typing import TypedDict

from attrs import field, frozen

__all__ = ["LimitOptions", "Limits"]


def _at_least_one(_: object, attribute: object, value: int) -> None:
    if value < 1:
        raise ValueError(f"{getattr(attribute, 'name', 'a limit')} must be at least 1")


@frozen(kw_only=True)
class Limits:
    """How much of a document is borne; `Reader` says what each of them counts.

    Raises:
        ValueError: a limit below 1.
    """

    max_bytes: int = field(default=1 << 26, validator=_at_least_one)
    max_markup: int = field(default=1 << 22, validator=_at_least_one)
    max_density: int = field(default=1_280, validator=_at_least_one)
    max_token: int = field(default=1 << 18, validator=_at_least_one)
    max_depth: int = field(default=100, validator=_at_least_one)
    max_attributes: int = field(default=250, validator=_at_least_one)
    max_elements: int = field(default=5_000, validator=_at_least_one)
    max_entry: int = field(default=1 << 18, validator=_at_least_one)
    max_entries: int = field(default=100_000, validator=_at_least_one)


class LimitOptions(TypedDict, total=False):
    """The same, as the keyword arguments of `Reader`."""

    max_bytes: int
    max_markup: int
    max_density: int
    max_token: int
    max_depth: int
    max_attributes: int
    max_elements: int
    max_entry: int
    max_entries: int
