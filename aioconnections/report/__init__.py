"""The report of a run as one HTML file, which needs neither a network nor a script to be read.

`contents` holds what a report says, `course` prepares the course of the run over time, `charts` draws it as SVG,
`advice` says what to do about a failure, and `page` makes the document. All of it is pure: data in, text out.

Rules: each text that comes from a server or a file goes through `markup.shown`, which escapes it and limits its bytes,
so that no document exceeds 500 KB. There are no style attributes and no inline handlers, because the policy in the
document allows one style sheet and one script, by their hashes. Colour alone never carries a meaning.
"""

from __future__ import annotations

from aioconnections.report.contents import FailureLog, RunFacts
from aioconnections.report.page import document

__all__ = ["FailureLog", "RunFacts", "document"]
