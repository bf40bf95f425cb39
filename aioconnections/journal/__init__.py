"""A crash-safe record of a bulk run: what was begun, and what came of it.

Before a change is sent, its *intent* is on the disk; after the answer, its *outcome* is written. Whatever ends the run,
the next one reads from the file which items are finished, which were never tried, and which are in doubt.

`journal` holds `Journal` itself, the half that waits; `writer` the one thread that touches the database; `file` how the
database is made, recognised and read; `said` and `items` what its rows say; `summary` the report.

SQLite is imported when a journal is opened, not before.
"""

from __future__ import annotations

from aioconnections.journal.items import NOTHING, columns, item_text
from aioconnections.journal.journal import Journal
from aioconnections.journal.said import Past, Said, replay, said_of
from aioconnections.journal.summary import Report, Row, report

__all__ = ["NOTHING", "Journal", "Past", "Report", "Row", "Said", "columns", "item_text", "replay", "report", "said_of"]
