"""One canary per credential, and nothing more once it was refused."""

from __future__ import annotations

import pytest

from aioconnections.errors import AuthenticationError
from aioconnections.policy.gate import Gate


def refusal(message: str = "the server refused the login") -> AuthenticationError:
    return AuthenticationError(401, None, message)


def test_a_new_credential_is_not_proved_and_passes() -> None:
    gate = Gate()
    gate.check()
    assert gate.proved_until == float("-inf")
    assert repr(gate) == "Gate(open)"


def test_a_proof_holds_for_ten_minutes_and_until_the_next_doubt() -> None:
    gate = Gate()
    gate.proved(100.0, 3)
    assert (gate.proved_until, gate.doubts_at_proof) == (700.0, 3)
    gate.proved(101.0, 4)
    assert (gate.proved_until, gate.doubts_at_proof) == (701.0, 4)


def test_a_refusal_closes_for_good() -> None:
    gate = Gate()
    gate.proved(0.0, 0)
    gate.close(refusal())
    assert repr(gate) == "Gate(closed)"
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
