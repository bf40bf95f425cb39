"""Whether lists of colleagues say the same as checks.

What a list shows and what it leaves out depends on the signed-in user and on the settings of the server. So nothing is
concluded from lists before checks of this run have confirmed it: for people in lists, and for people whom a list does
not name. The user's own lists and those of other people are judged apart, because a server shows more of the former.

A list of colleagues does not name people with whom there is only an invitation. For most users these people have no
connection; an administrator may see the invitations of other people, and then "not in the list" is not "none". So the
first lists of other people are read together with the lists of their invitations. If the server gives any, checks tell
whether this user sees them. If so, these lists answer only after checks have confirmed invitations in them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from aioconnections.records import Status

__all__ = [
    "ABSENT_CHECKS",
    "FEWEST_PAIRS",
    "INVITATION_CHECKS",
    "INVITATION_LISTS",
    "INVITED",
    "PRESENT_CHECKS",
    "Evidence",
    "Invitations",
    "Standing",
]

PRESENT_CHECKS = 50
ABSENT_CHECKS = 100
FEWEST_PAIRS = 2 * (PRESENT_CHECKS + ABSENT_CHECKS)
"""Number of pairs below which no list is read, because confirming the lists takes nearly as many checks."""
INVITATION_CHECKS = 10  # of the people in lists; fewer if lists show fewer invitations
INVITATION_LISTS = 10
"""Number of people whose invitations are read although none were found."""
INVITED = frozenset({Status.PENDING, Status.UNCONFIRMED})
_HIDDEN = 3  # invitations in lists that checks do not show, after which none are read

Standing: TypeAlias = Literal["open", "proved", "refuted"]
"""Whether lists may answer in place of checks: not yet known, yes, or no."""


class Evidence:
    """What checks have said about the lists of one class of people.

    Attributes:
        standing: whether these lists may answer.
        concludes_absence: whether a person whom a list does not name has no connection. False once a check has shown an
            invitation that no list did.
        has_invitations: whether there are invitations for sure, so that nothing is concluded before a check has
            confirmed one in a list.
    """

    __slots__ = (
        "_agreed",
        "_asked",
        "_confirmed",
        "_probed",
        "_shown",
        "concludes_absence",
        "has_invitations",
        "standing",
    )

    def __init__(self) -> None:
        self.standing: Standing = "open"
        self.concludes_absence: bool = True
        self.has_invitations: bool = False
        self._asked = {True: 0, False: 0}  # people in lists, with invitations, and others
        self._agreed = {True: 0, False: 0}
        self._shown = 0  # invitations in lists
        self._probed = 0  # of these, checks made
        self._confirmed = 0

    @property
    def shows_invitations(self) -> bool:
        """Whether lists have shown invitations."""
        return self._shown > 0

    def believes(self, listed: Status | None) -> bool:
        """Whether lists may answer with this status, or None for no connection, in place of a check."""
        if self.standing != "proved" or listed is Status.ACCEPTED:
            return self.standing == "proved"
        needed = max(min(self._shown, INVITATION_CHECKS), self.has_invitations)
        return self._confirmed >= needed and not self.disbelieves(listed)

    def disbelieves(self, listed: Status | None) -> bool:
        """Whether these lists may not answer with this status, and no further check changes that."""
        return self.standing == "refuted" or (
            self.standing == "proved" and listed is None and not self.concludes_absence
        )

    def shows(self, invitations: int) -> None:
        """Take note of the number of invitations in the lists of one more person."""
        self._shown += invitations

    def ignore_invitations(self) -> None:
        """Take note that checks do not show the invitations in these lists."""
        self._shown = 0

    def wants(self, listed: Status | None) -> bool:
        """Whether one more check of a pair with this status in a list, None if in no list, would help; counts it."""
        if self.standing == "refuted":
            return False
        if listed in INVITED and self._probed < INVITATION_CHECKS:
            self._probed += 1
        elif self.standing != "open" or self._asked[listed is not None] >= _most(listed):
            return False
        self._asked[listed is not None] += 1
        return True

    def failed(self, listed: Status | None) -> None:
        """Note that a check that `wants` has counted gave no status."""
        self._asked[listed is not None] -= 1
        self._probed -= listed in INVITED

    def checked(self, listed: Status | None, status: Status | None) -> bool:
        """Compare the status that a check gave with that of a list; False if they contradict each other.

        Args:
            listed: the status in the list; None if the list does not name the person.
            status: the status that the check gave.
        """
        if listed is None and status in INVITED and not self._shown:
            self.concludes_absence = False
        elif listed is not status:
            return False
        else:
            self._agreed[listed is not None] += 1
            self._confirmed += listed in INVITED
        if (
            self.standing == "open"
            and self._agreed[True] >= PRESENT_CHECKS
            and (self._agreed[False] >= ABSENT_CHECKS or not self.concludes_absence)
        ):
            self.standing = "proved"
        return True

    def refute(self) -> None:
        """Conclude nothing from these lists any more."""
        self.standing = "refuted"

    def __repr__(self) -> str:
        return f"Evidence({self.standing}, {self._agreed[True]} present, {self._agreed[False]} absent)"


class Invitations:
    """Whether the signed-in user sees the invitations of other people.

    Attributes:
        are_visible: whether checks show them; None if it is not known yet.
        may_be_visible: whether the user is an administrator, who may see them although the first lists have none. Then
            nothing is concluded from a list before checks have shown one.
    """

    __slots__ = ("_are_listed", "_hidden", "_lists", "are_visible", "may_be_visible")

    def __init__(self) -> None:
        self.are_visible: bool | None = None
        self.may_be_visible: bool = False
        self._lists = 0
        self._are_listed = False
        self._hidden = 0

    @property
    def are_read(self) -> bool:
        """Whether to read the invitations of the next person too."""
        return self.are_visible is not False

    @property
    def are_expected(self) -> bool:
        """Whether the invitations of most further people have to be read too."""
        return self.may_be_visible if self.are_visible is None else self.are_visible

    def listed(self, found: int) -> None:
        """Take note of the number of invitations in the lists of one person."""
        if self.are_visible is not None:
            return
        self._lists += 1
        self._are_listed |= found > 0
        if self._lists >= INVITATION_LISTS and not self._are_listed and not self.may_be_visible:
            self.are_visible = False

    def refused(self) -> None:
        """Take note that the server does not give the invitations of other people."""
        if self.are_visible is None and not self.may_be_visible:
            self.are_visible = False

    def checked(self, *, is_shown: bool) -> None:
        """Take note of a check of an invitation in a list: whether it showed the invitation."""
        self._hidden += not is_shown
        if is_shown:
            self.are_visible = True
        elif self._hidden >= _HIDDEN and self.are_visible is None:
            self.are_visible = False

    def __repr__(self) -> str:
        return f"Invitations({self.are_visible})"


def _most(listed: Status | None) -> int:
    """The number of checks of people in lists, or of others."""
    return ABSENT_CHECKS if listed is None else PRESENT_CHECKS
