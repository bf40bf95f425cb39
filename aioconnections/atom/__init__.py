"""Atom documents in, records out, and back. Pure: no I/O."""
