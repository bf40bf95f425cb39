"""Files of rows: encoding and dialect, the items of rows, sections of a file, and how rows are written."""
