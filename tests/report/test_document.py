"""What the document of a report says; it is small and loads nothing, and hostile names change nothing in it."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_facts import BEGUN, HOSTILE, WALL, facts, failures, timeline

from aioconnections import errors
from aioconnections.outcomes import Tally
from aioconnections.policy.timeline import PAUSES, Timeline, TimelineBucket
from aioconnections.report import FailureLog, RunFacts, document
from aioconnections.report.advice import advice_for

VOID = {"meta", "input", "path", "rect"}


class Page(HTMLParser):
    """Checks that elements are closed in order, and collects the text of cells, classes and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.rows: list[list[str]] = []
        self.styles: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        place = self.open[-1] if self.open else ""
        if place == "style":
            self.styles.append(data)
        elif place == "script":
            self.scripts.append(data)
        else:
            self.text.append(data)
            if {"td", "th"} & {*self.open}:
                self.rows[-1][-1] += data

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def test_it_says_what_the_run_did() -> None:
    page = Page(document(facts(failures=failures("No such person", "No such person", "x"))))
    assert "check at https://connections.example.com" in page.words
    assert "Run as ajones , begun 2026-11-28 09:30:00. All times are in UTC." in page.words
    assert "Finished 2026-11-28 09:31:01." in page.words
    assert "Running time with login 1 min" in page.words
    assert [row[:3] for row in page.rows[1:5]] == [
        ["checked", "600", "98.4 %"],
        ["accepted", "400", "65.6 %"],
        ["no connection", "200", "32.8 %"],
        ["rejected", "10", "1.6 %"],
    ]
    (kind,) = [row for row in page.rows if row[0] == "3"][:1]
    assert kind[:4] == ["3", "rejected", "BadRequestError", "No such person"]
    assert "does not know a person" in kind[4]
    assert page.rows[-1] == ["3", "x", "rejected", "x", "2026-11-28 09:30:00"]
    assert page.tags.count("figure") == 3


def test_nothing_is_loaded_and_only_its_own_script_and_style_are_allowed() -> None:
    text = document(facts(failures=failures(*HOSTILE)))
    page = Page(text)
    names = {name for name, _ in page.attributes}
    assert not names & {"src", "href", "style", "srcset", "action", "ping"}
    assert not any(name.startswith("on") for name in names)
    assert not {"link", "img", "iframe", "object", "base"} & {*page.tags}
    (policy,) = [value for name, value in page.attributes if "default-src" in value and name == "content"]
    allowed = dict(re.findall(r"(style|script)-src '(sha256-[^']+)'", policy))
    for kind, contents in (("style", page.styles), ("script", page.scripts)):
        assert allowed[kind] == f"sha256-{b64encode(sha256(''.join(contents).encode()).digest()).decode()}"
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_hostile_names_are_text() -> None:
    plain, hostile = (Page(document(facts(failures=failures(*texts)))) for texts in (["a"] * 8, HOSTILE))
    assert hostile.tags == plain.tags
    assert [row[1][:20] for row in hostile.rows[-8:]] == [
        "</script><script>ale",
        '"><img src=x onerror',
        "</style></title></ta",
        "\\u202eevil\\u2066\\u20",
        "nul \\x00 bell \\x07 e",
        "surrogate \\ud800 alo",
        "é" * 20,
        "'" * 20,
    ]
    assert hostile.rows[-1][1].endswith("…")


@given(st.text(), st.text())
def test_any_text_gives_a_well_formed_document_that_can_be_encoded(who: str, text: str) -> None:
    log = FailureLog()
    log.add(number=1, who=who, outcome="failed", error=text, text=text)
    made = document(facts(verb=who, origin=text, user=who, stopped=text, failures=log))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", made)
    made.encode()
    Page(made)


def test_the_login_in_a_url_is_left_out() -> None:
    made = document(facts(origin="https://u:pw@h.example.com", failures=failures("see http://u:pw@x.example.com/")))
    assert "pw" not in made
    assert "https://h.example.com" in made


def longest(step: int) -> RunFacts:
    """A run with as much of everything as there can be, of seconds or of a month."""
    course = Timeline()
    for number in range(1_000 if step == 1 else 4_000):
        reason = PAUSES[number % 3]
        bucket = TimelineBucket(
            600.0, done=number * 997 % 12_345, failed=number * 31 % 999, requests=12_345, refused=number, lost=3
        )
        bucket.limited, bucket.limit = 600.0, 600.0 * (number % 97 + 1)
        bucket.under_way, bucket.bound = 600.0 * (number % 89), 600.0 * (number % 83 + 1)
        bucket.paused = {reason: float(step)} if number % 2 else {}
        for latency in range(20):
            bucket.time(0.001 * 1.5 ** ((latency + number) % 23))
        course.add(WALL + step * number, bucket)
    log = FailureLog()
    for number in range(3_000):
        kind = ("rejected", "failed", "in_doubt", "unprocessed")[number % 4]
        text = f"{number} " + "\"'<&" * 300
        log.add(number=10**7 + number, who="&" * 254, outcome=kind, error=f"Kind{number}", text=text, at=BEGUN)
    everything = dict.fromkeys(Tally().as_dict(), 10**7) | {"read": 10**9}
    return facts(timeline=course, failures=log, tally=Tally(**everything), origin="https://" + "'" * 5_000)


@pytest.mark.parametrize("step", [1, 650])
def test_it_is_small_whatever_the_length_of_the_run(step: int) -> None:
    run = longest(step)
    assert len(run.timeline or ()) > 500
    made = document(run)
    assert len(made.encode()) < 500_000
    page = Page(made)
    assert sum(row[0].startswith("10,00") for row in page.rows) >= 1_000
    assert "the first 1,000 of 3,000" in page.words


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tally": Tally(), "timeline": Timeline()}, ["No items were read.", "No request was sent."]),
        ({"timeline": None}, ["of a format without it"]),
        ({"timeline": timeline(2)}, ["The run took 2 s, too short for charts.", "Figures over time"]),
        ({"finished": None}, ["Not finished:"]),
        ({"finished": None, "stopped": "disk full"}, ["Stopped early: disk full ."]),
        ({"replayed": 1_200}, ["1,200 outcomes are from an earlier run, and describe that time."]),
        ({"replayed": 1}, ["1 outcome is from an earlier run, and describes that time."]),
        (
            {"tally": Tally(read=1, failed=1), "failures": failures("x")},
            ["1 item by outcome", "1 item by kind"],
        ),
        ({}, ["Every item that was read is done."]),
        (
            {"tally": Tally(read=10_000, checked=9_999, via_list=5, failed=1)},
            ["over 99.9 %", "under 0.1 %", "5 via list"],
        ),
    ],
)
def test_other_runs(changes: dict[str, Any], said: list[str]) -> None:
    words = Page(document(facts(**changes))).words
    assert [text for text in said if text not in words] == []


def test_pauses_are_named_with_their_reason_and_their_time() -> None:
    paused = dict.fromkeys(range(10, 15), "outage") | dict.fromkeys(range(20, 22), "asked") | {30: "idle"}
    page = Page(document(facts(timeline=timeline(paused=paused))))
    found = [row for row in page.rows if len(row) == 3 and row[0].startswith("2026")]
    assert [(row[0][11:], row[1], row[2].split(":")[0]) for row in found] == [
        ("09:30:10", "5 s", "Outage"),
        ("09:30:20", "2 s", "Asked to pause"),
        ("09:30:30", "1 s", "Idle"),
    ]
    assert page.tags.count("figure") == 4


def test_a_time_without_a_run_is_left_out_and_said() -> None:
    course = timeline(60)
    course.absorb(timeline(60, begin=WALL + 86_400))
    page = Page(document(facts(timeline=course)))
    assert "times without a run that are left out: 23 h 59 min." in page.words
    assert ("class", "break") in page.attributes


def test_times_of_failures_are_a_column_if_there_are_any() -> None:
    for times, width in (((None, None), 4), ((None, BEGUN), 5)):
        log = FailureLog()
        for number, at in enumerate(times):
            log.add(number=number + 1, who="a", outcome="failed", error="ServerError", text="x", at=at)
        rows = Page(document(facts(failures=log))).rows[-3:]
        assert [len(row) for row in rows] == [width] * 3


def test_every_error_has_advice() -> None:
    general = advice_for("failed", "ConnectionsError")
    without: list[str] = []
    for name in errors.__all__:
        kind = getattr(errors, name)
        if isinstance(kind, type) and kind is not errors.ConnectionsError and issubclass(kind, errors.ConnectionsError):
            without += [name] if advice_for("failed", name) == general else []
    assert without == []
    assert advice_for("failed", "Unknown") == advice_for("failed", None) == general
    assert "--retry" in advice_for("unprocessed", None)


def test_the_commonest_message_is_counted_without_the_number_of_its_row() -> None:
    log = failures("line 2: no source", "line 3: source and target are the same person", "line 40: no source")
    page = Page(document(facts(failures=log)))
    (kind,) = [row for row in page.rows if row[:2] == ["3", "rejected"]]
    assert kind[3] == "no source"
    assert sum(row[3:4] == ["line 40: no source"] for row in page.rows) == 1


def test_failures_are_grouped_and_memory_is_bounded() -> None:
    log = FailureLog()
    for number in range(5_000):
        log.add(number=number, who="a", outcome="failed", error=f"E{number % 200}", text=str(number) * 500)
    assert (log.count, len(log.items), len(log.groups)) == (5_000, 1_000, 51)
    assert max(len(group.texts) for group in log.groups) <= 100
    assert max(len(item.text) for item in log.items) == 1_000
