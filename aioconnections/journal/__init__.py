"""A crash-safe record of a bulk run: what was begun, and what came of it.

Before a change is sent, its *intent* is on the disk; after the answer, its *outcome* is written. Whatever ends the run,
the next one reads from the file which items are finished, which were never tried, and which are in doubt.

`journal` holds `Journal` itself, the half that waits; `writer` the one thread that touches the database. `opening`
gives a run its journal: `lock` keeps out others, `file` makes and recognises the file, `reading` verifies it, and
`holding` keeps it open. `said` and `items` tell what its rows say; `summary` makes the report.

SQLite is imported when a journal is opened, not before.
"""

from __future__ import annotations

from aioconnections.journal.items import NOTHING, columns, is_journal, item_text
from aioconnections.journal.journal import Journal
from aioconnections.journal.said import Past, Said, replay, said_of, settles
from aioconnections.journal.summary import Report, Row, report

__all__ = [
    "NOTHING",
    "Journal",
    "Past",
    "Report",
    "Row",
    "Said",
    "columns",
    "is_journal",
    "item_text",
    "replay",
    "report",
    "said_of",
    "settles",
]
