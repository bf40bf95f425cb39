from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aioconnections.errors import InvalidInputError
from aioconnections.files.source import Ahead, count_rows, opened, ready


def test_a_byte_order_mark_is_no_text_and_other_bytes_come_back(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"\xef\xbb\xbfa\xe9\r\nb")
    with opened(path) as file:
        assert list(file) == ["a\udce9\r\n", "b"]


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_cannot_be_opened_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"No such file|Is a directory"), opened(tmp_path / name):
        pass


@pytest.mark.parametrize(("text", "rows"), [("", 0), ("header\n", 0), ("header\na\nb\n", 2)])
def test_rows_are_counted_by_lines(tmp_path: Path, text: str, rows: int) -> None:
    path = tmp_path / "input"
    path.write_text(text)
    assert count_rows(path) == rows


@pytest.mark.parametrize("path", [None, Path("-"), Path(os.devnull)])
def test_only_a_file_can_be_counted(path: Path | None) -> None:
    assert count_rows(path) is None


def test_a_file_is_read_without_a_thread(tmp_path: Path) -> None:
    (tmp_path / "input").write_text("a")
    items = iter([1])
    with (tmp_path / "input").open() as file, ready(items, file) as given:
        assert given is items


@pytest.mark.asyncio
async def test_a_pipe_is_read_ahead_by_a_thread() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader) as file, os.fdopen(writer, "w") as pipe, ready(iter(file), file) as lines:
        assert isinstance(lines, Ahead)
        pipe.write("one\n")
        pipe.flush()
        assert await anext(lines) == "one\n"
        pipe.write("two\n")
        pipe.close()
        assert [line async for line in lines] == ["two\n"]


@pytest.mark.asyncio
async def test_all_items_come_in_order() -> None:
    ahead = Ahead(iter(range(2_000)))
    assert [item async for item in ahead] == list(range(2_000))
    with pytest.raises(StopAsyncIteration):
        await anext(ahead)


@pytest.mark.asyncio
async def test_an_exception_comes_after_what_was_read_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    ahead = Ahead(items())
    assert await anext(ahead) == 1
    with pytest.raises(OSError, match="gone"):
        await anext(ahead)
    with pytest.raises(StopAsyncIteration):
        await anext(ahead)


@pytest.mark.asyncio
async def test_no_more_than_so_many_items_are_read_ahead_and_none_after_the_end() -> None:
    taken: list[int] = []
    ended = threading.Event()

    def items() -> Iterator[int]:
        try:
            for number in range(10_000):
                taken.append(number)
                yield number
        finally:
            ended.set()

    source = items()
    ahead = Ahead(source)
    assert await anext(ahead) == 0
    ahead.close()
    for thread in threading.enumerate():
        if thread.name == "input":
            thread.join(10)
    assert len(taken) <= 258
    source.close()  # type: ignore[attr-defined] # a generator
    assert ended.is_set()


def test_a_thread_that_comes_too_late_finds_nobody_and_ends_quietly() -> None:
    import asyncio

    go = threading.Event()

    def items() -> Iterator[int]:
        go.wait(10)
        yield 1

    ahead = Ahead(items())

    async def impatient() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(ahead)

    asyncio.run(impatient())
    go.set()
    for thread in threading.enumerate():
        if thread.name == "input":
            thread.join(10)


@pytest.mark.asyncio
async def test_what_was_read_ahead_can_be_had_without_waiting() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader) as file, os.fdopen(writer, "w") as pipe, ready(iter(file), file) as lines:
        assert isinstance(lines, Ahead)
        assert list(lines.at_hand()) == []
        pipe.write("one\ntwo\nthree\n")
        pipe.flush()
        assert await anext(lines) == "one\n"
        rest: list[str] = []
        while len(rest) < 2:
            rest += lines.at_hand()
        assert rest == ["two\n", "three\n"]
        pipe.close()
