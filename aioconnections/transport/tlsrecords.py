"""Where the records of TLS end. OpenSSL keeps the part of one that has arrived, and does not tell of it."""

from __future__ import annotations

__all__ = ["RecordEnds"]

_HEADER = 5  # bytes: type, version, and in the last two the length of what follows (RFC 8446, section 5.1)


class RecordEnds:
    """Follows what arrives from record to record.

    Attributes:
        whole: whether it ends where a record does.
    """

    __slots__ = ("_header", "_missing", "whole")

    def __init__(self) -> None:
        self.whole: bool = True
        self._missing = 0  # bytes of the record under way that have not come
        self._header = b""  # of the next one, as much as has come

    def feed(self, data: bytes | memoryview) -> None:
        """What has arrived, in whatever pieces."""
        size = len(data)
        if self.whole and size > _HEADER and size == _HEADER + (data[3] << 8 | data[4]):
            return  # one record: nearly always
        at = self._missing
        if self._header:
            data = self._header + bytes(data)
            self._header = b""
            size = len(data)
        while at < size:
            if size - at < _HEADER:
                self._header = bytes(data[at:])
                break
            at += _HEADER + (data[at + 3] << 8 | data[at + 4])
        self._missing = max(0, at - size)
        self.whole = not (self._missing or self._header)
