"""No public object has a state in which its ``repr`` raises: debuggers and logs show objects in any state."""

from __future__ import annotations

import importlib
import inspect
from enum import Enum
from typing import Any

import pytest
from attrs import field

from aioconnections import Email, Pair, Userid
from aioconnections.reprs import frozen, safe_repr


def public_classes() -> dict[str, type]:
    """Every public class whose objects can be half built; enumerations and tuples are complete from the beginning."""
    modules = [importlib.import_module(f"aioconnections{part}") for part in ("", ".atom", ".journal", ".transport")]
    named = {name: getattr(module, name) for module in modules for name in module.__all__}
    return {
        name: kind
        for name, kind in named.items()
        if inspect.isclass(kind) and not issubclass(kind, Enum | tuple) and not inspect.isabstract(kind)
    }


CLASSES = public_classes()


def test_the_classes_are_found() -> None:
    assert {"Person", "ResponseError", "Client", "Entry", "Report", "LaneTransport"} <= CLASSES.keys()


@pytest.mark.parametrize("name", CLASSES)
def test_repr_of_a_half_built_record_never_raises(name: str) -> None:
    kind: Any = CLASSES[name]
    assert isinstance(repr(kind.__new__(kind)), str)


def test_a_record_within_another_is_shown_alone_as_incomplete() -> None:
    pair = Pair(Userid("a"), Userid("b"))
    object.__setattr__(pair, "target", Email.__new__(Email))
    assert repr(pair) == "Pair(source=Userid(value='a'), target=<Email, incomplete>)"
    assert repr(Pair.__new__(Pair)) == "<Pair, incomplete>"


def test_an_attribute_that_is_set_later_is_shown_as_attrs_does() -> None:
    @frozen(kw_only=True)
    class Sparse:
        one: str = "x"
        two: str = field(init=False)

    assert repr(Sparse()).endswith("Sparse(one='x', two=NOTHING)")


def test_only_a_missing_attribute_is_forgiven() -> None:
    class Wrong:
        @safe_repr
        def __repr__(self) -> str:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        repr(Wrong())
