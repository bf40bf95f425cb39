"""One canary per credential, and nothing more once it was refused."""

from __future__ import annotations

import pytest

from aioconnections.errors import AuthenticationError
from aioconnections.policy.gate import Gate


def refusal(message: str = "the server refused the login") -> AuthenticationError:
    return AuthenticationError(401, None, message)


def test_a_new_credential_wants_proof_and_passes() -> None:
    gate = Gate()
    gate.check()
    assert gate.wants_proof(0.0, 0)
    assert repr(gate) == "Gate(open)"


def test_a_proof_holds_for_ten_minutes() -> None:
    gate = Gate()
    gate.proved(100.0, 0)
    assert [gate.wants_proof(t, 0) for t in (100.0, 699.9, 700.0)] == [False, False, True]


def test_a_doubt_ends_a_proof_that_came_before_it() -> None:
    gate = Gate()
    gate.proved(100.0, 3)
    assert [gate.wants_proof(101.0, doubts) for doubts in (3, 4)] == [False, True]
    gate.proved(101.0, 4)
    assert not gate.wants_proof(102.0, 4)


def test_a_refusal_closes_for_good() -> None:
    gate = Gate()
    gate.proved(0.0, 0)
    gate.close(refusal())
    assert repr(gate) == "Gate(closed)"
    assert not gate.wants_proof(1e9, 1), "a closed gate sends no canary"
    gate.proved(0.0, 0)
    for _ in range(2):
        with pytest.raises(AuthenticationError, match="refused"):
            gate.check()


def test_the_first_refusal_is_told() -> None:
    gate = Gate()
    gate.close(refusal("first"))
    gate.close(refusal("second"))
    with pytest.raises(AuthenticationError, match="first"):
        gate.check()


def test_each_caller_gets_an_exception_of_its_own() -> None:
    gate = Gate()
    gate.close(refusal())
    caught = []
    for _ in range(2):
        with pytest.raises(AuthenticationError) as info:
            gate.check()
        caught.append(info.value)
    assert caught[0] is not caught[1]
    assert caught[0].status == caught[1].status == 401
    assert gate.refusal is not None
    assert gate.refusal.__traceback__ is None, "the kept one grows no traceback"
