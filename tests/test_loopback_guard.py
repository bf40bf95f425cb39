"""The guard is tried on tests of its own: each that leaves the machine must fail, each that stays must not."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent

# 192.0.2.0/24 and 2001:db8::/32 are kept for documentation, `.invalid` for names that are none. Each of these swallows
# what the guard raises.
LEAVING = """
import asyncio, contextlib, socket, subprocess, sys, threading
import anyio, pytest, trio

def swallowing(call, *args):
    with contextlib.suppress(Exception):
        call(*args)

def udp():
    return contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

def test_connect():
    with contextlib.closing(socket.socket()) as sock:
        sock.setblocking(False)
        swallowing(sock.connect, ("192.0.2.1", 80))

def test_connect_by_ipv6():
    with contextlib.closing(socket.socket(socket.AF_INET6)) as sock:
        sock.setblocking(False)
        swallowing(sock.connect_ex, ("2001:db8::1", 80))

def test_sendto():
    with udp() as sock:
        swallowing(sock.sendto, b"x", ("192.0.2.1", 9))

def test_sendmsg():
    with udp() as sock:
        swallowing(sock.sendmsg, [b"x"], [], 0, ("192.0.2.1", 9))

@pytest.mark.parametrize("name", ["example.invalid", b"example.invalid", "localhost.example.invalid", "192.0.2.1", ""])
def test_getaddrinfo(name):
    swallowing(socket.getaddrinfo, name, 80)

@pytest.mark.parametrize("look_up", ["gethostbyname", "gethostbyname_ex", "gethostbyaddr"])
def test_old_look_ups(look_up):
    swallowing(getattr(socket, look_up), "example.invalid")

def test_getnameinfo():
    swallowing(socket.getnameinfo, ("192.0.2.1", 80), 0)

def test_thread():
    thread = threading.Thread(target=swallowing, args=(socket.create_connection, ("example.invalid", 80)))
    thread.start()
    thread.join()

@pytest.mark.parametrize("host", ["example.invalid", "192.0.2.1"])
def test_asyncio(host):
    swallowing(asyncio.run, asyncio.wait_for(asyncio.open_connection(host, 80), 1))

@pytest.mark.parametrize("host", ["example.invalid", "192.0.2.1"])
def test_trio(host):
    swallowing(trio.run, trio.open_tcp_stream, host, 80)

@pytest.mark.anyio
async def test_anyio():
    with contextlib.suppress(Exception):
        await anyio.connect_tcp("192.0.2.1", 80)

def test_child_process():
    code = "import socket; socket.getaddrinfo('example.invalid', 80)"
    assert subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode == 1

@pytest.fixture
def fixture_that_leaves():
    swallowing(socket.getaddrinfo, "example.invalid", 80)

def test_with_fixture(fixture_that_leaves):
    pass
"""

STAYING = """
import asyncio, contextlib, socket, subprocess, sys
import anyio, pytest

@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "localhost", "LOCALHOST", "::1", b"localhost", None])
def test_getaddrinfo(host):
    assert socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM)

def test_look_ups():
    assert socket.gethostbyname("localhost")
    assert socket.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST)

def test_udp():
    kind = socket.AF_INET, socket.SOCK_DGRAM
    with contextlib.closing(socket.socket(*kind)) as there, contextlib.closing(socket.socket(*kind)) as here:
        there.bind(("127.0.0.1", 0))
        here.sendto(b"one", there.getsockname())
        here.connect(there.getsockname())
        here.sendmsg([b"two"])
        assert [there.recv(9), there.recv(9)] == [b"one", b"two"]

@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets here")
def test_unix_socket(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kind = socket.AF_UNIX, socket.SOCK_STREAM
    with contextlib.closing(socket.socket(*kind)) as there, contextlib.closing(socket.socket(*kind)) as here:
        there.bind("s")
        there.listen()
        here.connect("s")

@pytest.mark.anyio
async def test_stream():
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        await (await anyio.connect_tcp("localhost", port)).aclose()

def test_child_process():
    code = "import socket; socket.getaddrinfo('localhost', 80)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
"""


@pytest.fixture
def guarded(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with our conftest, for tests that run in a process of their own."""
    pytester.makeconftest((HERE / "conftest.py").read_text(encoding="utf-8"))
    pytester.makeini(f"[pytest]\npythonpath = {HERE / 'support'}\nasyncio_mode = strict\n")
    return pytester


def outcomes_of(guarded: pytest.Pytester, tests: str, *options: str) -> dict[str, int]:
    guarded.makepyfile(tests)
    return guarded.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:cov", *options).parseoutcomes()


@pytest.mark.slow
def test_whatever_leaves_the_machine_fails_though_it_swallows_the_exception(guarded: pytest.Pytester) -> None:
    assert outcomes_of(guarded, LEAVING) == {"failed": 21, "errors": 1}


@pytest.mark.slow
def test_whatever_stays_on_the_machine_passes(guarded: pytest.Pytester) -> None:
    assert outcomes_of(guarded, STAYING) == {"passed": 13}


@pytest.mark.slow
def test_workers_of_a_parallel_run_are_guarded_and_only_the_guilty_test_fails(guarded: pytest.Pytester) -> None:
    tests = """
        import contextlib, pytest, socket

        @pytest.mark.parametrize("host", ["localhost", "example.invalid", "127.0.0.1", "::1"])
        def test_look_up(host):
            with contextlib.suppress(Exception):
                socket.getaddrinfo(host, 80)
    """
    assert outcomes_of(guarded, tests, "-n", "2") == {"passed": 3, "failed": 1}


@pytest.mark.slow
def test_the_failure_names_what_was_tried(guarded: pytest.Pytester) -> None:
    guarded.makepyfile("def test_it():\n    import socket\n    socket.getaddrinfo('example.invalid', 80)\n")
    result = guarded.runpytest_subprocess("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["tried to leave the loopback interface: socket.getaddrinfo 'example.invalid'"])
