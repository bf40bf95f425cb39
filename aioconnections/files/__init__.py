"""Input files: their encoding and dialect, the rows in them, and the items of the rows."""
