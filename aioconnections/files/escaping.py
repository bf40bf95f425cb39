"""Text for messages: control characters are escaped.

Names in a response and in a file are text of other people. A terminal would obey the control characters in it, and
bidirectional controls would change what the rest of a line seems to say.
"""

from __future__ import annotations

import re

__all__ = ["escaped"]

# C0 with DEL and C1, line and paragraph separators, the characters with the property Bidi_Control, and surrogates.
# Joiners and other invisible characters stay: names in many scripts need them.
_UNSAFE = "[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"


def escaped(text: str) -> str:
    """Escape each character that a terminal must not get, in the way of Python: U+009B is a backslash and ``x9b``."""
    if text.isprintable():
        return text
    return re.sub(_UNSAFE, lambda found: found[0].encode("unicode_escape").decode(), text)
