"""What lists of colleagues say of pairs, for people as servers show them."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections import Email, Identity, Key, Pair, Person, Status, Userid
from aioconnections.policy.edges import EdgeTable
from aioconnections.policy.evidence import Invitations
from aioconnections.policy.read_lists import UNKNOWN, ListsOf, ReadLists, Unknown, folded, swapped

ACCEPTED, PENDING, UNCONFIRMED = Status.ACCEPTED, Status.PENDING, Status.UNCONFIRMED
LARGE = 1 << 20
TABLE_ALONE = EdgeTable(LARGE).bytes_used  # when it is empty

M = Userid("uid=JMueller,ou=Köln,o=Beispiel AG")
S = Userid("CN=Änne Straßer,OU=Zürich,O=Beispiel AG")
O = Userid("uid=goeztuerk,o=Beispiel AG")  # noqa: E741 # short, for tables
H = Userid("9f3a-BJØRN")
I = Userid("uid=ich,o=Beispiel AG")  # noqa: E741 # short, for tables
MUELLER = Person("Müller, Jürgen", M, email=Email("Juergen.Mueller@example.com"))
STRASSER = Person("Straßer, Änne", S, email=Email("a.strasser@example.com"))
OZTURK = Person("Öztürk, Gül", O, email=Email("guel@example.com"))
HIDDEN = Person("Ærø, Bjørn", H)  # the server shows no e-mail address
ME = Person("Ich", I, email=Email("ich@example.com"))
NAMELESS = Person("Gelöschter Benutzer", email=Email("gone@example.com"))  # without a userid
OTHER = Userid("uid=other")
KEY = Key("0F5C90B1-7D2A-4E1E-A4F1-2A0B6C9D8E7F")


def lists_of(
    person: Identity | Person,
    *colleagues: Person,
    invitations: dict[Status, tuple[Person, ...]] | None = None,
    shown_as: Userid | None = M,
) -> ListsOf:
    """The lists of a person, whose entries name the owner by the given userid, or else by `shown_as`."""
    owner = person.identity if isinstance(person, Person) else person
    shown = {owner if isinstance(owner, Userid) else shown_as} if colleagues or invitations else set[Userid]()
    found = None if invitations is None else tuple((it, at) for at, people in invitations.items() for it in people)
    return ListsOf(owner, frozenset(shown), colleagues, found)


def read(*lists: ListsOf, visible: bool | None = None, me: Identity | None = None, emails: bool = False) -> ReadLists:
    """What a run remembers of these lists."""
    known = ReadLists(LARGE, lambda: me)
    known.names_emails = emails
    know_visible(known.visible, visible=visible)
    for it in lists:
        known.add(it)
    return known


def know_visible(invitations: Invitations, *, visible: bool | None) -> None:
    if visible is not None:
        invitations.checked(is_shown=visible)
        invitations.refused()


def says(known: ReadLists, one: Identity, other: Identity) -> list[Status | Unknown | None]:
    """What lists say of two people, from both sides."""
    return [known.answer(Pair(one, other)), known.answer(Pair(other, one))]


def fills(known: ReadLists, *lists: ListsOf) -> list[bool]:
    """Whether the memory is full after each of these lists."""
    full: list[bool] = []
    for it in lists:
        known.add(it)
        full.append(known.is_full)
    return full


def both(answer: Status | Unknown | None) -> list[Status | Unknown | None]:
    return [answer, answer]


def test_before_any_list_nothing_is_known() -> None:
    known = read()
    assert says(known, M, S) == both(UNKNOWN)
    assert (repr(known), repr(UNKNOWN)) == ("ReadLists(0 people)", "UNKNOWN")
    assert not known.owns(M)
    assert not known.is_full
    assert repr(ReadLists.__new__(ReadLists)) == "<ReadLists, incomplete>"


def test_a_list_tells_who_is_a_colleague_and_who_is_not_from_both_sides() -> None:
    known = read(lists_of(MUELLER, STRASSER), visible=False)
    assert says(known, M, S) == both(ACCEPTED)
    assert says(known, M, O) == both(None)
    assert says(known, S, O) == both(UNKNOWN)
    assert repr(known) == "ReadLists(1 people)"


def test_an_empty_list_of_a_userid_tells_of_everyone() -> None:
    known = read(lists_of(MUELLER), visible=False)
    assert says(known, M, S) == both(None)
    assert known.owns(M)


def test_the_list_of_either_tells_and_the_one_that_knows_more_counts() -> None:
    known = read(lists_of(MUELLER), lists_of(STRASSER, invitations={}), visible=True)
    assert says(known, M, S) == both(None)
    assert says(known, M, O) == both(UNKNOWN), "invitations of this person were not read"


def test_a_userid_in_another_case_is_for_the_server_to_judge() -> None:
    lower, upper = (Userid(change(S.value)) for change in (str.lower, str.upper))
    known = read(lists_of(MUELLER, Person(userid=upper)), lists_of(OZTURK, Person(userid=lower)), visible=False)
    assert says(known, M, upper) == says(known, O, lower) == both(ACCEPTED)
    assert says(known, M, lower) == says(known, M, S) == both(UNKNOWN)
    assert says(known, O, upper) == says(known, O, S) == both(UNKNOWN)
    assert says(known, Userid(M.value.upper()), O) == both(None), "it is in no list"
    assert not known.owns(Userid(M.value.upper()))
    assert folded(lower) == folded(upper) == folded(Userid("cn=änne strasser,ou=zürich,o=beispiel ag"))


def test_an_invitation_of_a_userid_in_another_case_is_for_the_server_to_judge() -> None:
    known = read(lists_of(MUELLER, invitations={PENDING: (STRASSER,)}), visible=True)
    assert says(known, M, Userid(S.value.upper())) == both(UNKNOWN)


def test_the_user_is_recognized_in_any_case() -> None:
    known = read(lists_of(MUELLER), visible=False, me=I)
    assert known.is_me(Userid(I.value.upper()))
    assert says(known, M, Userid(I.value.upper())) == both(UNKNOWN)


def test_no_connection_holds_only_if_every_list_says_so() -> None:
    known = read(
        lists_of(MUELLER, invitations={}), lists_of(STRASSER, invitations={UNCONFIRMED: (MUELLER,)}), visible=True
    )
    assert known.answer(Pair(M, S)) == PENDING
    assert known.answer(Pair(S, M)) == UNCONFIRMED
    answer = known.answers_of(lists_of(MUELLER, invitations={}))
    assert answer(Pair(M, S)) == PENDING


def test_an_administrator_concludes_nothing_before_an_invitation_was_seen() -> None:
    known = read(lists_of(MUELLER, invitations={}))
    assert says(known, M, S) == both(None)
    known.visible.may_be_visible = True
    assert says(known, M, S) == both(UNKNOWN)
    known.visible.refused()
    for _ in range(20):
        known.visible.listed(0)
    assert known.visible.are_visible is None
    known.visible.checked(is_shown=True)
    assert says(known, M, S) == both(None)


def test_commas_in_distinguished_names_do_not_mix_people_up() -> None:
    one, other = Userid("cn=a,o=b"), Userid("cn=a")
    known = read(lists_of(one, Person(userid=Userid("o=c"))), visible=False)
    assert says(known, one, Userid("o=c")) == both(ACCEPTED)
    assert says(known, other, Userid("o=b,o=c")) == both(UNKNOWN)
    assert says(known, one, other) == both(None)


def test_a_userid_that_looks_like_an_email_address_or_a_key_is_another_identity() -> None:
    known = read(lists_of(MUELLER, Person(userid=Userid("guel@example.com"))), visible=False, emails=True)
    assert says(known, M, Userid("guel@example.com")) == both(ACCEPTED)
    assert says(known, M, Email("guel@example.com")) == both(UNKNOWN)
    assert says(known, M, Key("guel@example.com")) == both(UNKNOWN)


def test_email_addresses_are_compared_without_case_and_tell_nothing_if_the_list_does_not_have_them() -> None:
    known = read(lists_of(MUELLER, STRASSER, HIDDEN), visible=False, emails=True)
    assert says(known, M, Email("A.Strasser@Example.COM")) == both(ACCEPTED)
    assert says(known, M, Email("bjoern@example.com")) == both(UNKNOWN)
    assert says(known, M, H) == both(ACCEPTED)


def test_email_addresses_are_remembered_only_if_pairs_have_some() -> None:
    assert read(lists_of(MUELLER, STRASSER)).names_emails is False
    known = read(lists_of(MUELLER, STRASSER), visible=False)
    assert says(known, M, Email("a.strasser@example.com")) == both(UNKNOWN)


@pytest.mark.parametrize("requested", [Email("jm@example.com"), KEY])
def test_a_list_that_was_requested_by_email_or_key_shows_the_userid(requested: Identity) -> None:
    known = read(lists_of(requested, STRASSER, NAMELESS, shown_as=M), visible=False)
    again = type(requested)(requested.value.upper())
    assert known.known_as(again) == M
    assert known.owns(again)
    assert known.owns(M)
    for person in (requested, again, M):
        assert says(known, person, S) == both(ACCEPTED)
        assert says(known, person, O) == both(None)
        assert says(known, person, KEY if isinstance(requested, Email) else Email("x@example.com")) == both(UNKNOWN)
        assert not known.may_answer(person, O)


def test_absence_of_an_email_address_counts_once_a_list_has_shown_its_userid() -> None:
    alias = Email("Oeztuerk@example.com")  # not the one that entries show
    known = read(lists_of(MUELLER, STRASSER), visible=False)
    assert says(known, M, alias) == both(UNKNOWN)
    known.add(lists_of(alias, STRASSER, shown_as=OZTURK.userid))
    assert says(known, M, alias) == both(None)
    assert says(known, M, O) == both(None)
    assert says(known, S, alias) == both(ACCEPTED)


@pytest.mark.parametrize("requested", [Email("jm@example.com"), KEY])
@pytest.mark.parametrize("colleagues", [(), (STRASSER,)], ids=["empty list", "entries without the owner's userid"])
def test_a_list_that_does_not_show_the_userid_of_its_owner_tells_nothing(
    requested: Identity, colleagues: tuple[Person, ...]
) -> None:
    lists = lists_of(requested, *colleagues, shown_as=None)
    known = read(visible=False)
    assert known.may_answer(requested, S)
    assert known.doubts(lists) == []
    known.add(lists)
    assert says(known, requested, S) == both(UNKNOWN)
    assert known.answers_of(lists)(Pair(requested, S)) is UNKNOWN
    assert not known.owns(requested)
    assert not known.may_answer(requested, S), "reading it again is of no use"
    assert known.may_answer(S, requested)
    assert repr(known) == "ReadLists(0 people)"


INVITED: dict[Status, tuple[Person, ...]] = {PENDING: (OZTURK,), UNCONFIRMED: (HIDDEN, NAMELESS)}
BY_ADMINISTRATOR = {"visible": True, "me": I}
OWN = {"me": Userid(M.value.upper())}


@pytest.mark.parametrize("options", [BY_ADMINISTRATOR, {**OWN, "visible": False}, {**OWN, "visible": None}])
def test_invitations_are_seen_from_the_side_of_the_source(options: dict[str, Any]) -> None:
    lists = lists_of(MUELLER, STRASSER, invitations=INVITED)
    known = read(lists, **options)
    for answer in (known.answer, known.answers_of(lists)):
        assert [answer(Pair(M, it)) for it in (S, O, H)] == [ACCEPTED, PENDING, UNCONFIRMED]
        assert [answer(Pair(it, M)) for it in (S, O, H)] == [ACCEPTED, UNCONFIRMED, PENDING]
        assert answer(Pair(M, OTHER)) is None
    assert [swapped(it) for it in Status] == [ACCEPTED, UNCONFIRMED, PENDING]


@pytest.mark.parametrize(
    ("visible", "invitations", "invited", "absent"),
    [
        (None, None, UNKNOWN, UNKNOWN),
        (True, None, UNKNOWN, UNKNOWN),
        (False, None, None, None),
        (None, {}, None, None),
        (None, INVITED, UNKNOWN, None),  # checks have not yet shown whether they show invitations
        (False, INVITED, None, None),  # they do not
    ],
)
def test_what_a_list_of_another_person_tells_depends_on_what_checks_show(
    visible: bool | None,  # noqa: FBT001 # a parameter
    invitations: dict[Status, tuple[Person, ...]] | None,
    invited: Status | Unknown | None,
    absent: Status | Unknown | None,
) -> None:
    lists = lists_of(MUELLER, STRASSER, invitations=invitations)
    for me in (I, None):
        known = read(lists, visible=visible, me=me)
        assert says(known, M, S) == both(ACCEPTED)
        assert says(known, M, O) == both(invited)
        assert says(known, M, OTHER) == both(absent)
        assert [known.answers_of(lists)(Pair(M, it)) for it in (S, O)] == [ACCEPTED, invited]


@pytest.mark.parametrize("visible", [None, False, True])
@pytest.mark.parametrize("invitations", [None, {}, {PENDING: (ME,)}])
def test_what_others_invite_the_signed_in_user_to_is_told_only_by_the_users_own_lists(
    visible: bool | None,  # noqa: FBT001 # a parameter
    invitations: dict[Status, tuple[Person, ...]] | None,
) -> None:
    known = read(lists_of(MUELLER, STRASSER, invitations=invitations), visible=visible, me=I)
    assert says(known, M, I) == both(UNKNOWN)
    assert not known.may_answer(S, Userid(I.value.upper()))
    assert known.may_answer(Userid(I.value.upper()), S)
    assert known.may_answer(S, O)
    known.add(lists_of(ME, invitations={UNCONFIRMED: (MUELLER,)}))
    assert known.answer(Pair(M, I)) == PENDING
    assert known.answer(Pair(I, M)) == UNCONFIRMED
    assert says(known, I, O) == both(None)


@pytest.mark.parametrize("visible", [None, False, True])
def test_own_lists_without_invitations_tell_only_who_is_a_colleague(*, visible: bool | None) -> None:
    known = read(lists_of(ME, STRASSER), visible=visible, me=I)
    assert says(known, I, S) == both(ACCEPTED)
    assert says(known, I, O) == both(UNKNOWN)


def test_the_signed_in_user_is_asked_for_each_time() -> None:
    """The login may be proved after the first list."""
    me: list[Identity | None] = [None]
    known = ReadLists(LARGE, lambda: me[0])
    know_visible(known.visible, visible=False)
    known.add(lists_of(MUELLER))
    found: list[tuple[Identity | None, Status | Unknown | None]] = []
    for user in (None, I):
        me[0] = user
        found.append((known.me, known.answer(Pair(M, I))))
    assert found == [(None, None), (I, UNKNOWN)]


@pytest.mark.parametrize("me", [KEY, Email("ich@example.com")])
def test_a_signed_in_user_without_a_userid_is_recognized_after_a_list_has_shown_it(me: Identity) -> None:
    known = read(lists_of(me, invitations={UNCONFIRMED: (MUELLER,)}, shown_as=I), visible=False, me=me)
    assert known.me == I
    assert known.answer(Pair(I, M)) == UNCONFIRMED
    assert known.answer(Pair(M, me)) == PENDING
    assert not known.may_answer(M, I)


def test_a_colleague_who_is_also_in_a_list_of_invitations_is_accepted() -> None:
    """An invitation may be accepted while the lists are read."""
    known = read(lists_of(MUELLER, OZTURK, invitations=INVITED), visible=True)
    assert says(known, M, O) == both(ACCEPTED)


@pytest.mark.parametrize("method", ["doubts", "add"])
@pytest.mark.parametrize(
    ("requested", "shown_as", "message"),
    [
        (M, {S}, "another person"),
        (M, {M, S}, "another person"),
        (M, {M, None}, "another person"),
        (KEY, {M, S}, "several people"),
        (KEY, {M, None}, "several people"),
    ],
)
def test_the_list_of_another_person_is_refused(
    method: str, requested: Identity, shown_as: set[Userid | None], message: str
) -> None:
    known = read()
    with pytest.raises(ValueError, match=f"^the list belongs to {message}$"):
        getattr(known, method)(ListsOf(requested, frozenset(shown_as), (OZTURK,)))
    assert not known.owns(requested)


def test_doubts_are_the_owners_of_lists_of_whom_one_names_the_other_alone() -> None:
    known = read(lists_of(STRASSER, MUELLER), lists_of(OZTURK), lists_of(HIDDEN, MUELLER), lists_of(ME))
    assert known.doubts(lists_of(MUELLER, STRASSER, HIDDEN)) == []
    assert known.doubts(lists_of(MUELLER, STRASSER)) == [H]
    assert {*known.doubts(lists_of(MUELLER, HIDDEN, OZTURK, NAMELESS))} == {S, O}
    assert known.doubts(lists_of(Email("jm@example.com"), STRASSER)) == [H]


def invited(owner: Person, *, pending: tuple[Person, ...] = (), unconfirmed: tuple[Person, ...] = ()) -> ListsOf:
    """The lists of a person without colleagues."""
    return lists_of(owner, invitations={PENDING: pending, UNCONFIRMED: unconfirmed})


@pytest.mark.parametrize("earlier", [invited(STRASSER), invited(STRASSER, pending=(MUELLER,))])
def test_an_invitation_that_the_other_list_does_not_show_from_the_other_side_is_doubted(earlier: ListsOf) -> None:
    known = read(earlier, invited(OZTURK, unconfirmed=(MUELLER,)), visible=True)
    assert known.doubts(invited(MUELLER, pending=(STRASSER, OZTURK))) == [S]


def test_an_invitation_that_only_lists_read_earlier_show_is_doubted() -> None:
    known = read(invited(STRASSER, pending=(MUELLER,)), invited(OZTURK), lists_of(HIDDEN), visible=True)
    assert known.doubts(invited(MUELLER)) == [S]
    assert known.doubts(invited(MUELLER, unconfirmed=(STRASSER, HIDDEN, ME))) == []
    assert known.doubts(lists_of(MUELLER)) == [], "without invitations the list says nothing about these"


def test_a_person_is_doubted_once() -> None:
    known = read(invited(STRASSER, unconfirmed=(MUELLER,)), visible=True)
    assert known.doubts(lists_of(MUELLER, STRASSER, invitations={UNCONFIRMED: (STRASSER,)})) == [S]


@pytest.mark.parametrize("visible", [None, False])
def test_invitations_are_compared_once_checks_have_shown_them(*, visible: bool | None) -> None:
    known = read(
        invited(STRASSER, pending=(MUELLER, OZTURK)), invited(OZTURK, unconfirmed=(STRASSER,)), visible=visible
    )
    assert known.doubts(invited(MUELLER)) == []
    known.add(invited(MUELLER))
    known.visible.checked(is_shown=True)
    assert known.invitation_doubts() == [Pair(S, M)]


def test_lists_of_others_need_not_show_invitations_of_the_user() -> None:
    known = read(invited(ME, pending=(MUELLER,)), invited(STRASSER, unconfirmed=(ME,)), visible=True, me=I)
    assert known.doubts(invited(MUELLER)) == []
    assert known.doubts(invited(ME, unconfirmed=(STRASSER,))) == []
    assert known.invitation_doubts() == []


def test_invitations_of_lists_that_were_read_again_are_compared_as_they_are_now() -> None:
    known = read(invited(STRASSER, pending=(MUELLER,)), invited(STRASSER), visible=True)
    assert known.doubts(invited(MUELLER)) == []


def test_lists_say_the_status_of_each_person() -> None:
    lists = lists_of(MUELLER, STRASSER, NAMELESS, invitations={PENDING: (OZTURK, STRASSER), UNCONFIRMED: (HIDDEN,)})
    assert lists.statuses() == {S: ACCEPTED, O: PENDING, H: UNCONFIRMED}
    assert lists_of(MUELLER).statuses() == {}


def test_a_list_that_is_read_again_is_compared_too() -> None:
    known = read(lists_of(MUELLER), lists_of(STRASSER))
    assert known.doubts(lists_of(MUELLER, STRASSER)) == [S]
    assert known.doubts(lists_of(MUELLER, STRASSER, MUELLER)) == [S], "a list that names its owner"


def test_a_person_by_two_identities_is_one() -> None:
    known = read(lists_of(MUELLER, STRASSER), lists_of(KEY, STRASSER), visible=False)
    assert repr(known) == "ReadLists(1 people)"
    assert says(known, KEY, M) == both(None), "a check finds no connection of a person with the same person"


def test_a_connection_that_a_list_does_not_have_yet_can_be_noted() -> None:
    known = read(lists_of(MUELLER), lists_of(Email("oe@example.com"), STRASSER, shown_as=OZTURK.userid), visible=False)
    known.connect(Pair(Email("OE@example.com"), M))
    assert says(known, M, O) == both(ACCEPTED)
    assert says(known, M, S) == both(None)


def test_a_connection_can_be_noted_while_the_list_of_an_email_address_is_compared() -> None:
    known = read(lists_of(MUELLER), lists_of(OZTURK), visible=False)
    requested = Email("a.strasser@example.com")
    lists = lists_of(requested, MUELLER, shown_as=S)
    assert known.doubts(lists) == [M]
    assert known.known_as(requested) == S
    known.connect(Pair(requested, O))
    known.add(lists)
    assert says(known, S, O) == both(ACCEPTED)
    assert says(known, requested, O) == both(ACCEPTED)


@pytest.mark.parametrize("pair", [Pair(M, S), Pair(S, M)])
def test_a_person_of_a_connection_that_was_noted_may_be_doubted_when_their_list_is_read(pair: Pair) -> None:
    known = read(lists_of(MUELLER), lists_of(OZTURK, STRASSER))
    known.connect(pair)
    assert known.doubts(lists_of(STRASSER, MUELLER)) == [O]
    assert known.doubts(lists_of(STRASSER, OZTURK, MUELLER)) == []


def test_what_is_not_remembered_still_answers_the_pairs_that_wait() -> None:
    known = ReadLists(TABLE_ALONE + 450, lambda: None)
    know_visible(known.visible, visible=True)
    assert fills(known, lists_of(STRASSER), lists_of(OZTURK)) == [False, True]
    lists = lists_of(Email("jm@example.com"), STRASSER, HIDDEN, invitations={PENDING: (OZTURK,)})
    known.add(lists)
    assert not known.owns(M)
    assert says(known, M, H) == both(UNKNOWN)
    answer = known.answers_of(lists)
    assert [answer(Pair(M, it)) for it in (S, H, O, I)] == [ACCEPTED, ACCEPTED, PENDING, None]
    assert answer(Pair(Email("JM@example.com"), Email("A.Strasser@example.com"))) is ACCEPTED
    assert known.answers_of(lists_of(Key("k"), shown_as=None))(Pair(M, S)) is UNKNOWN


def test_a_list_that_does_not_fit_ends_the_reading_of_lists() -> None:
    known = ReadLists(TABLE_ALONE + 1000, lambda: None)
    people = (Person(userid=Userid(f"u{number}")) for number in range(100))
    assert fills(known, lists_of(MUELLER, *people)) == [True]
    assert not known.owns(M)


def test_invitations_take_memory() -> None:
    known = ReadLists(TABLE_ALONE + 1000, lambda: None)
    invited: list[tuple[Person, ...]] = [(STRASSER, OZTURK), (ME,)]
    lists = (lists_of(it, invitations={PENDING: them}) for it, them in zip((MUELLER, HIDDEN), invited, strict=True))
    assert fills(known, *lists) == [False, True]
    assert known.owns(H)


def test_invitations_of_a_person_by_two_identities_take_memory_once() -> None:
    known = ReadLists(TABLE_ALONE + 1400, lambda: None)
    invited: dict[Status, tuple[Person, ...]] = {PENDING: (STRASSER, OZTURK)}
    assert fills(known, *(lists_of(it, invitations=invited) for it in (M, KEY))) == [False, False]


def test_people_whose_lists_do_not_show_a_userid_take_memory() -> None:
    known = ReadLists(TABLE_ALONE + 1000, lambda: None)
    lists = (lists_of(Email(f"{it}@example.com"), shown_as=None) for it in ("a", "b", "c"))
    assert fills(known, *lists) == [False, False, True]


SHOWN = (None, (), "mine", "all")
"""The invitations of others that a server gives: it refuses, gives none, those with the user, or all."""


class Network:
    """People with colleagues and invitations, on a server that shows what a user may see.

    Args:
        size: number of people.
        statuses: status of two people, as the one with the lower number sees it.
        me: number of the signed-in user; None without a login.
        sees_all: whether the user sees invitations of others in checks.
        shown: see `SHOWN`.
        emails: whether entries show e-mail addresses.
    """

    def __init__(
        self,
        size: int,
        statuses: dict[tuple[int, int], Status],
        *,
        me: int | None,
        sees_all: bool,
        shown: Any,
        emails: bool,
    ) -> None:
        self.people = range(size)
        self._statuses = statuses
        self.me = me
        self._sees_all = sees_all
        self._shown = shown
        self._emails = emails

    def check(self, source: int, target: int) -> Status | None:
        """What a check says."""
        status = self._status(source, target)
        return status if status is ACCEPTED or self._sees_all or self.me in (source, target) else None

    def lists(self, owner: int, requested: Identity) -> ListsOf:
        """What the lists of a person show."""
        rows = [(other, self._status(owner, other)) for other in self.people]
        invited = [(other, status) for other, status in rows if status in (PENDING, UNCONFIRMED)]
        if owner == self.me or self._shown == "all":
            invitations = invited
        elif self._shown is None:
            invitations = None
        else:
            invitations = [row for row in invited if self._shown and row[0] == self.me]
        colleagues = tuple(self.entry(other) for other, status in rows if status is ACCEPTED)
        shown_as: set[Userid | None] = {Userid(f"uid={owner},o=köln")} if colleagues or invitations else set()
        found = None if invitations is None else tuple((self.entry(it), at) for it, at in invitations if at)
        return ListsOf(requested, frozenset(shown_as), colleagues, found)

    def entry(self, number: int) -> Person:
        email = Email(f"p{number}@example.com") if self._emails and number % 3 else None
        return Person(f"Ö {number}", Userid(f"uid={number},o=köln"), email=email)

    def _status(self, source: int, target: int) -> Status | None:
        status = self._statuses.get((min(source, target), max(source, target)))
        return status if status is None or source < target else swapped(status)


def _identity(number: int, kind: str) -> Identity:
    if kind == "key":
        return Key(f"key-{number}")
    if kind == "email":
        return Email(f"P{number}@example.com")
    if kind == "alias":  # an e-mail address that entries do not show
        return Email(f"alias{number}@example.com")
    return Userid(f"uid={number},o=köln" if kind == "userid" else f"UID={number},O=köln")


USERIDS = st.sampled_from(["userid", "userid in another case"])
REQUESTED = st.sampled_from(["userid", "email", "alias", "key"])
KINDS = st.one_of(USERIDS, REQUESTED)


@given(st.data())
def test_lists_say_what_checks_say_or_nothing(data: Any) -> None:
    draw = data.draw
    size = draw(st.integers(2, 5), "people")
    pairs = [*combinations(range(size), 2)]
    statuses = draw(st.dictionaries(st.sampled_from(pairs), st.sampled_from(Status)), "statuses")
    me = draw(st.one_of(st.none(), st.integers(0, size - 1)), "signed-in user")
    sees_all = me is not None and draw(st.booleans(), "sees all")
    shown = draw(st.sampled_from((None, "all") if sees_all else SHOWN), "invitations in lists")
    network = Network(size, statuses, me=me, sees_all=sees_all, shown=shown, emails=draw(st.booleans(), "emails"))
    user = None if me is None else _identity(me, draw(USERIDS))
    known = ReadLists(draw(st.sampled_from([LARGE, TABLE_ALONE, TABLE_ALONE + 900]), "memory"), lambda: user)
    known.names_emails = draw(st.booleans(), "remembers emails")
    know_visible(known.visible, visible=draw(st.sampled_from([None, sees_all]), "visible"))
    for owner in draw(st.lists(st.integers(0, size - 1), max_size=size + 2), "lists"):
        requested = _identity(owner, draw(REQUESTED))
        lists = network.lists(owner, requested)
        assert known.doubts(lists) == []
        known.add(lists)
        answers_of = known.answers_of(lists)
        for other in set(network.people) - {owner}:
            other_identity = _identity(other, draw(KINDS))
            _compare(answers_of(Pair(requested, other_identity)), network.check(owner, other))
            _compare(answers_of(Pair(other_identity, requested)), network.check(other, owner))
    for one, other in pairs:
        first, second = _identity(one, draw(KINDS)), _identity(other, draw(KINDS))
        for pair, status in (
            (Pair(first, second), network.check(one, other)),
            (Pair(second, first), network.check(other, one)),
        ):
            answer = known.answer(pair)
            _compare(answer, status)
            are_exact = (first, second) == (_identity(one, "userid"), _identity(other, "userid"))
            if are_exact and status is ACCEPTED:
                owns = known.owns(first) or known.owns(second)
                assert owns is (answer is ACCEPTED), "a colleague is known from the list of either"


@pytest.mark.parametrize("visible", [None, True, False])
def test_a_list_of_invitations_that_names_a_userid_in_another_case_says_nothing(visible: bool | None) -> None:  # noqa: FBT001 # a parameter
    lists = ReadLists(LARGE, lambda: Userid("me"))
    know_visible(lists.visible, visible=visible)
    found = ListsOf(Userid("ann"), frozenset({Userid("ann")}), (), ((Person("Bob", Userid("Bob")), PENDING),))
    lists.add(found)
    assert lists.answer(Pair(Userid("ann"), Userid("BOB"))) is UNKNOWN
    assert lists.answers_of(found)(Pair(Userid("BOB"), Userid("ann"))) is UNKNOWN


def _compare(answer: Status | Unknown | None, status: Status | None) -> None:
    assert isinstance(answer, Unknown) or answer is status
