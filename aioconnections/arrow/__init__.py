"""Arrow tables and Parquet files: the only package that imports pyarrow, when a table is read or written.

It converts, and never waits: the caller decides in which thread a source is read.
"""
