"""A crash-safe record of a bulk run: what was sent, and the outcome of each item.

Before a change is sent, its *intent* is on the disk; after the response, its *outcome* is written. However the run
ends, the next run reads from the file which items are finished, which were never sent, and which are in doubt.

`journal` holds `Journal`, the asynchronous half; `writer` holds the only thread that uses the database. `opening` opens
the journal for a run: `lock` excludes other runs, `file` creates and recognises the file, `reading` verifies it, and
`holding` keeps it open. `items` and `stored` define what its rows hold; `summary` makes the report.

SQLite is imported when a journal is opened, not before.
"""

from __future__ import annotations

from aioconnections.journal.items import reference_columns
from aioconnections.journal.journal import Journal
from aioconnections.journal.stored import StoredOutcome
from aioconnections.journal.summary import RecordedItem, Report, report

__all__ = ["Journal", "RecordedItem", "Report", "StoredOutcome", "reference_columns", "report"]
