"""Makes the document."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from html import escape

from aioconnections.report import charts
from aioconnections.report.advice import advice_for
from aioconnections.report.assets import SCRIPT, STYLE
from aioconnections.report.contents import FailedItem, FailureLog, RunFacts
from aioconnections.report.course import Course
from aioconnections.report.markup import count, duration, latency, moment, rate, shown

__all__ = ["LARGEST", "document"]

LARGEST = 500_000
"""Upper bound of the bytes of a document."""

_FAILURE_BYTES = 300_000
_LIMITS = ((320, 400), (80, 80))  # bytes of the names and of the text of a failure; the latter if there are too many
_FIGURES = 24  # rows of the table of figures
_LONGEST_PAUSES = 20
_FEWEST = 3  # columns of a chart
_STATUSES = "status_"
_SPLITS = ("via_", "doubtful")  # counts within `checked` that are not outcomes


def document(facts: RunFacts) -> str:
    """The report as an HTML document of less than 500 KB, in ASCII or UTF-8 characters without surrogates."""
    verb = shown(facts.verb, 60)
    title = f"{verb} at {shown(facts.origin, 200)}"
    policy = (
        f"default-src 'none'; style-src '{_digest(STYLE)}'; script-src '{_digest(SCRIPT)}'; base-uri 'none'; "
        f"form-action 'none'"
    )
    body = "\n".join((_facts(facts), _outcomes(facts), *_course(facts), *_failures(facts.failures)))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer"><meta name="robots" content="noindex">\n'
        f"<title>Report: {title}</title>\n<style>{STYLE}</style></head>\n<body>\n"
        f"<header><h1><bdi>{title}</bdi></h1>{_about(facts)}</header>\n<main>\n{body}\n</main>\n"
        f"<script>{SCRIPT}</script>\n</body></html>\n"
    )


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _about(facts: RunFacts) -> str:
    user = "" if facts.user is None else f" as <bdi>{shown(facts.user, 200)}</bdi>"
    begun = "" if facts.begun is None else f", begun {moment(facts.begun)}"
    if facts.stopped is not None:
        state = f"<strong>Stopped early:</strong> <bdi>{shown(facts.stopped, 400)}</bdi>."
    elif facts.finished is not None:
        state = f"Finished {moment(facts.finished)}."
    else:
        state = "<strong>Not finished:</strong> some items are not done, or rows of the input were not read."
    replayed = ""
    if facts.replayed:
        are = "outcome is from an earlier run, and describes" if facts.replayed == 1 else ""
        are = are or "outcomes are from an earlier run, and describe"
        replayed = f" {count(facts.replayed)} {are} that time."
    return (
        f'<p class="soft">Run{user}{begun}. All times are in UTC. This file names people: keep it to those who may see '
        f"them.</p><p>{state}{replayed}</p>"
    )


def _facts(facts: RunFacts) -> str:
    tally, failed = facts.tally, facts.failures.count
    figures = {"Items": count(tally.read), "Not done": count(failed)}
    if facts.timeline is not None and len(facts.timeline):
        total = facts.timeline.total
        figures["Running time with login"] = duration(total.seconds)
        figures["Mean rate"] = rate(total.rate)
        figures["Median latency"] = latency(total.percentile(0.5))
        figures["99th percentile"] = latency(total.percentile(0.99))
        figures["Requests"] = count(total.requests)
        figures["Refused (429, 503)"] = count(total.refused)
        figures["Without response"] = count(total.lost)
        figures["Paused"] = duration(sum(total.paused.values())) if total.paused else "never"
    shown_figures = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures.items())
    return f'<dl class="facts">{shown_figures}</dl>'


def _outcomes(facts: RunFacts) -> str:
    counts = {name: number for name, number in facts.tally.as_dict().items() if number}
    read = counts.pop("read", 0)
    if not read:
        return "<h2>Outcomes</h2><p>No items were read.</p>"
    statuses = {name: counts.pop(name) for name in [*counts] if name.startswith(_STATUSES)}
    rows: list[str] = []
    for name, number in counts.items():
        if name.startswith(_SPLITS):
            continue
        rows.append(_outcome(name, number, read))
        if name == "checked":
            rows += [_outcome(status.removeprefix(_STATUSES), part, read, "sub") for status, part in statuses.items()]
    notes = [f"{count(number)} {_words(name)}" for name, number in counts.items() if name.startswith(_SPLITS)]
    more = f"<p>Of the checked items: {', '.join(notes)}.</p>" if notes else ""
    return (
        f"<h2>Outcomes</h2>{_scroll('Outcomes')}<table><caption>{_items_in_words(read)} by outcome</caption><thead><tr>"
        '<th scope="col">Outcome</th><th scope="col" class="num">Items</th><th scope="col" class="num">Share</th>'
        f'<th class="share"><span class="unseen">Bar</span></th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
        f"</div>{more}"
    )


def _outcome(name: str, number: int, read: int, kind: str = "") -> str:
    label = "no connection" if kind and name == "none" else _words(name)
    return (
        f'<tr class="{kind}"><th scope="row">{label}</th><td class="num">{count(number)}</td>'
        f'<td class="num">{_percent(number / read)}</td><td class="share">{charts.share_bar(number / read)}</td></tr>'
    )


def _items_in_words(number: int) -> str:
    return f"{count(number)} item{'s' * (number != 1)}"


def _percent(share: float) -> str:
    if 0 < share < 0.001:
        return "under 0.1 %"
    if 0.999 < share < 1:
        return "over 99.9 %"
    return f"{100 * share:.1f} %"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _scroll(name: str) -> str:
    """The begin of a part that scrolls by itself on a narrow screen; the keyboard can reach it."""
    return f'<div class="scroll" role="region" aria-label="{escape(name)}" tabindex="0">'


def _course(facts: RunFacts) -> Iterable[str]:
    yield "<h2>Course over time</h2>"
    timeline = facts.timeline
    if timeline is None or not len(timeline):
        why = "This journal is of a format without it." if timeline is None else "No request was sent."
        yield f"<p>The course over time was not recorded. {why}</p>"
        return
    course = Course(timeline)
    if len(course.columns) < _FEWEST:
        yield f"<p>The run took {duration(course.total.seconds)}, too short for charts.</p>"
    else:
        yield charts.throughput(course)
        if course.bands:
            yield charts.pauses(course)
        yield charts.latencies(course) or ""
        yield charts.concurrency(course)
        yield f'<p class="soft">{_reading(course)}</p>'
    if course.bands:
        yield _pauses(course)
    yield _figures(course)


def _reading(course: Course) -> str:
    notes = [f"Each step covers {duration(course.width)}."]
    if course.bands:
        notes.append("Shaded times are those of pauses and outages, sampled twice a second.")
    if course.breaks:
        left_out = ", ".join(duration(seconds) for _, _, seconds in course.breaks[:5])
        more = " and more" if len(course.breaks) > 5 else ""
        notes.append(f"Solid grey bars stand for times without a run that are left out: {left_out}{more}.")
    return " ".join(notes)


def _pauses(course: Course) -> str:
    explained = {
        "outage": "the server did not respond; only probes were sent",
        "asked": "the server asked for a pause (Retry-After)",
        "idle": "no item was at hand, or outcomes were not taken",
    }
    longest = sorted(course.bands, key=lambda band: -band.seconds)[:_LONGEST_PAUSES]
    rows = "".join(
        f'<tr><td class="time">{moment(datetime.fromtimestamp(band.begin, UTC))}</td>'
        f'<td class="num">{duration(band.seconds)}</td><td>{charts.PAUSE_NAMES[band.reason]}: '
        f"{explained[band.reason]}</td></tr>"
        for band in sorted(longest, key=lambda band: band.begin)
    )
    which = "" if len(longest) == len(course.bands) else f", the {len(longest)} longest of {count(len(course.bands))}"
    return (
        f"{_scroll('Pauses and outages')}<table><caption>Pauses and outages{which}</caption><thead><tr>"
        '<th scope="col">Begin (UTC)</th><th scope="col" class="num">Duration</th><th scope="col">Reason</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _figures(course: Course) -> str:
    heads = ("Items/s", "Not done", "Limit/s", "Under way", "Bound", "p50", "p95", "p99", "429, 503", "Paused")
    rows: list[str] = []
    for begin, end, part in course.figures(_FIGURES):
        values = (
            rate(part.rate).removesuffix("/s"),
            count(part.failed),
            "none" if part.mean_limit is None else rate(part.mean_limit).removesuffix("/s"),
            f"{part.mean_under_way:.1f}",
            f"{part.mean_bound:.1f}",
            *(latency(part.percentile(share)) for share in (0.5, 0.95, 0.99)),
            count(part.refused),
            duration(sum(part.paused.values())) if part.paused else "0 s",
        )
        times = f"{moment(datetime.fromtimestamp(begin, UTC))} to {datetime.fromtimestamp(end, UTC):%H:%M:%S}"
        cells = "".join(f'<td class="num">{value}</td>' for value in values)
        rows.append(f'<tr><th scope="row" class="time">{times}</th>{cells}</tr>')
    columns = "".join(f'<th scope="col" class="num">{head}</th>' for head in heads)
    return (
        f"<details><summary>Figures over time</summary>{_scroll('Figures over time')}<table><caption>Means and sums; "
        "latencies are within 5 %</caption><thead><tr>"
        f'<th scope="col">Time (UTC)</th>{columns}</tr></thead><tbody>{"".join(rows)}</tbody></table></div></details>'
    )


def _failures(log: FailureLog) -> Iterable[str]:
    yield "<h2>Not done</h2>"
    if not log.count:
        yield "<p>Every item that was read is done.</p>"
        return
    rows = "".join(
        f'<tr><td class="num">{count(group.count)}</td><td>{_words(shown(group.outcome, 60))}</td>'
        f"<td>{'' if group.error is None else shown(group.error, 60)}</td>"
        f'<td class="text"><bdi>{shown(group.commonest, 250)}</bdi></td>'
        f'<td class="text">{escape(advice_for(group.outcome, group.error))}</td></tr>'
        for group in sorted(log.groups, key=lambda group: -group.count)
    )
    yield (
        f"{_scroll('By kind')}<table><caption>{_items_in_words(log.count)} by kind</caption><thead><tr>"
        '<th scope="col" class="num">Items</th><th scope="col">Outcome</th><th scope="col">Error</th>'
        f'<th scope="col">Commonest message</th><th scope="col">What to do</th></tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
    )
    yield "<h2>Items not done</h2>"
    yield _filter(log)
    yield _items(log)


def _filter(log: FailureLog) -> str:
    """The form of the filter, which the script shows."""
    options = "".join(
        f'<option value="{number}">{_words(shown(group.outcome, 60))}'
        f"{'' if group.error is None else f': {shown(group.error, 60)}'}</option>"
        for number, group in enumerate(log.groups)
    )
    return (
        '<form id="filter" hidden><label>Words in the row<input id="words" type="search" autocomplete="off"></label>'
        f'<label>Kind<select id="kind"><option value="">all</option>{options}</select></label>'
        '<output id="shown" for="words kind"></output></form>'
    )


def _items(log: FailureLog) -> str:
    rows: list[str] = []
    dated = any(item.at for item in log.items)
    for limits in _LIMITS:
        rows = [_item(item, log, *limits, dated=dated) for item in log.items]
        if sum(len(row.encode()) for row in rows) <= _FAILURE_BYTES:
            break
    recorded = '<th scope="col">Recorded (UTC)</th>' if dated else ""
    few = "" if len(rows) == log.count else f", the first {count(len(rows))} of {count(log.count)}"
    return (
        f'{_scroll("Items not done")}<table id="failures"><caption>Items that were not done{few}</caption><thead><tr>'
        '<th scope="col" class="num">Item</th><th scope="col">Who</th><th scope="col">Outcome</th>'
        f'<th scope="col">Message</th>{recorded}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _item(item: FailedItem, log: FailureLog, most_who: int, most_text: int, *, dated: bool) -> str:
    outcome = _words(shown(log.groups[item.group].outcome, 60))
    at = f'<td class="time">{moment(item.at) if item.at else ""}</td>' if dated else ""
    return (
        f'<tr data-kind="{item.group}"><td class="num">{count(item.number)}</td>'
        f'<td class="who"><bdi>{shown(item.who, most_who)}</bdi></td><td>{outcome}</td>'
        f'<td class="text"><bdi>{shown(item.text, most_text)}</bdi></td>{at}</tr>\n'
    )
