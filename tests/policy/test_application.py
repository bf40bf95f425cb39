"""What a doubtful response means, by what is known of the application; and which canaries vouch for it."""

from __future__ import annotations

import pytest

from aioconnections.policy.application import Application, Canary, Form

HEAD, OTHER = ("a", "head"), ("another", "head")


def application() -> Application:
    return Application(lambda: 0.0)


def test_the_first_response_with_a_head_is_asked_about_and_what_was_learned_holds() -> None:
    it = application()
    assert it.form_of("HEAD", 404, HEAD) is None
    for form in Form:
        it.learn(HEAD, form)
        assert it.form_of("HEAD", 404, HEAD) is form
    assert it.form_of("HEAD", 404, OTHER) is None


def test_what_has_its_own_form_elsewhere_is_foreign_here() -> None:
    it = application()
    it.learn(HEAD, Form.UNDECIDED)
    it.saw_own_form("HEAD", 404)
    assert it.proved
    assert it.form_of("HEAD", 404, HEAD) is Form.FOREIGN
    assert it.form_of("HEAD", 404, OTHER) is Form.FOREIGN
    assert it.form_of("HEAD", 400, OTHER) is None  # of this status nothing is known
    assert it.form_of("GET", 404, OTHER) is None  # a front end may treat the two differently
    it.learn(OTHER, Form.OWN)
    assert it.form_of("HEAD", 404, OTHER) is Form.OWN


def test_a_server_that_makes_up_heads_without_end_does_not_double_the_requests() -> None:
    it = application()
    for number in range(64):
        assert it.form_of("HEAD", 404, number) is None
        it.learn(number, Form.UNDECIDED)
    assert it.form_of("HEAD", 404, "one more") is Form.UNDECIDED
    assert it.form_of("HEAD", 404, 0) is Form.UNDECIDED
    assert repr(it) == "Application(not proved, 64 heads)"


def looked_after(it: Application, *canaries: tuple[float, bool]) -> None:
    for sent, good in canaries:
        it.canary_ended(Canary(it.canary_sent(sent), sent, sent, good))


@pytest.mark.parametrize(
    ("before", "after", "vouched"),
    [
        ([(9.5, True)], [(10.5, True)], True),
        ([(9.0, True)], [(10.5, True)], True),
        ([(10.0, True)], [(10.5, True)], True),  # sent at the same moment, by a clock that stands still
        ([(8.9, True)], [(10.5, True)], False),
        ([(9.5, True)], [], False),
        ([], [(10.5, True)], False),
        ([(9.5, False)], [(10.5, True)], False),
        ([(9.5, True)], [(10.5, False)], False),
        ([(9.5, True), (9.8, False)], [(10.5, True)], False),
        ([(9.5, True)], [(10.5, False), (10.6, True)], False),
    ],
)
def test_a_good_canary_on_either_side_vouches(
    before: list[tuple[float, bool]], after: list[tuple[float, bool]], *, vouched: bool
) -> None:
    it = application()
    looked_after(it, (5.0, True), *before)
    count = it.sent_count
    looked_after(it, *after)
    assert it.vouches_for(10.0, count) is vouched


def test_requests_go_out_soon_after_a_canary_only_where_responses_are_undecided() -> None:
    it = application()
    assert not it.is_stale(10.0)
    it.is_watched = True
    assert it.is_stale(10.0)
    it.canary_sent(10.0)
    assert not it.is_stale(11.0)
    assert it.is_stale(11.1)


def test_a_slow_canary_counts_from_its_response_on() -> None:
    it = application()
    it.is_watched = True
    it.canary_ended(Canary(it.canary_sent(1.0), 1.0, 10.0, good=True))
    assert not it.is_stale(11.0)
    assert it.is_stale(11.1)
    count = it.sent_count
    it.canary_ended(Canary(it.canary_sent(11.5), 11.5, 20.0, good=True))
    assert it.vouches_for(11.0, count)
    assert not it.vouches_for(11.1, count)


def test_for_a_minute_after_a_bad_canary_one_response_is_not_enough() -> None:
    it = application()
    assert not it.is_shaky(0.0)
    looked_after(it, (10.0, False))
    assert it.is_shaky(69.9)
    assert not it.is_shaky(70.1)
    before = it.proved
    looked_after(it, (80.0, True))
    assert (before, it.proved) == (False, True)
    it.outage.begin(90.0)
    assert repr(it) == "Application(away, 0 heads)"
