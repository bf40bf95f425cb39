"""Whether lists of colleagues say the same as checks.

What a list shows and what it leaves out depends on the signed-in user and on the settings of the server. So nothing is
concluded from lists before checks of this run have confirmed it: for people in lists, and for people whom a list does
not name. The user's own lists and those of other people are judged apart, because a server shows more of the former.

A list of colleagues does not name people with whom there is only an invitation. For most users these people have no
connection; an administrator may see the invitations of other people, and then "not in the list" is not "none". So the
first lists of other people are read together with the lists of their invitations. If the server gives any, checks tell
whether this user sees them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from aioconnections.records import Status

__all__ = ["ABSENT_CHECKS", "PRESENT_CHECKS", "Evidence", "Invitations", "Standing"]

PRESENT_CHECKS = 50
ABSENT_CHECKS = 100
_LISTS = 10  # people whose invitations are read although none were found
_CHECKS = 3  # invitations in lists that are checked

Standing: TypeAlias = Literal["open", "proved", "refuted"]
"""Whether lists may answer in place of checks: not yet known, yes, or no."""


class Evidence:
    """What checks have said about the lists of one class of people.

    Attributes:
        standing: whether these lists may answer.
        concludes_absence: whether a person whom a list does not name has no connection. False once a check has shown an
            invitation that no list did.
    """

    __slots__ = ("_agreed", "_asked", "concludes_absence", "standing")

    def __init__(self) -> None:
        self.standing: Standing = "open"
        self.concludes_absence: bool = True
        self._asked = {True: 0, False: 0}
        self._agreed = {True: 0, False: 0}

    def wants(self, *, present: bool) -> bool:
        """Whether one more check of a pair that a list names, or does not name, would help; counts it as asked."""
        if self.standing != "open" or self._asked[present] >= (PRESENT_CHECKS if present else ABSENT_CHECKS):
            return False
        self._asked[present] += 1
        return True

    def failed(self, *, present: bool) -> None:
        """Note that a check that `wants` has counted gave no status."""
        self._asked[present] -= 1

    def checked(self, listed: Status | None, status: Status | None) -> bool:
        """Compare the status that a check gave with that of a list; False if they contradict each other.

        Args:
            listed: the status in the list; None if the list does not name the person.
            status: the status that the check gave.
        """
        if listed is None and status in (Status.PENDING, Status.UNCONFIRMED):
            self.concludes_absence = False
        elif listed is not status:
            return False
        else:
            self._agreed[listed is not None] += 1
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

    __slots__ = ("_are_listed", "_asked", "_hidden", "_lists", "are_visible", "may_be_visible")

    def __init__(self) -> None:
        self.are_visible: bool | None = None
        self.may_be_visible: bool = False
        self._lists = 0
        self._are_listed = False
        self._asked = 0
        self._hidden = 0

    @property
    def are_read(self) -> bool:
        """Whether to read the invitations of the next person too."""
        return self.are_visible is not False

    def listed(self, found: int) -> int:
        """Take note of the invitations of one person; returns how many of them to check."""
        if self.are_visible is not None:
            return 0
        self._lists += 1
        self._are_listed |= found > 0
        if self._lists >= _LISTS and not self._are_listed and not self.may_be_visible:
            self.are_visible = False
        checks = min(found, _CHECKS - self._asked)
        self._asked += checks
        return checks

    def refused(self) -> None:
        """Take note that the server does not give the invitations of other people."""
        if self.are_visible is None and not self.may_be_visible:
            self.are_visible = False

    def checked(self, *, is_shown: bool) -> None:
        """Take note of a check of an invitation in a list: whether it showed the invitation."""
        self._hidden += not is_shown
        if is_shown:
            self.are_visible = True
        elif self._hidden >= _CHECKS and self.are_visible is None:
            self.are_visible = False

    def failed(self) -> None:
        """Take note that a check gave no status, so that another one is needed."""
        self._asked -= 1

    def __repr__(self) -> str:
        return f"Invitations({self.are_visible})"
