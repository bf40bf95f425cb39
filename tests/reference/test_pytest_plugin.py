"""The fixture for other people's tests."""

from __future__ import annotations

import pytest

CONFTEST = 'pytest_plugins = ["aioconnections.reference.pytest_plugin"]'
TESTS = """
import httpx
import pytest

SERVICE = "/profiles/atom/profileService.do"


def test_it_listens(connections_server):
    alice = connections_server.directory.people[0]
    login = (str(alice.email), connections_server.password)
    answer = httpx.get(connections_server.url + SERVICE, auth=login, trust_env=False)
    assert answer.status_code == 200
    assert connections_server.app.requests.total == 1
    assert len(connections_server.directory.people) == 200
    admin = (connections_server.administrator, connections_server.password)
    assert httpx.get(connections_server.url + "/reference/commits", auth=admin, trust_env=False).text == ""


@pytest.mark.connections_server(people=50, version="5.0", emails="hidden")
class TestOlder:
    def test_it_is_made_as_marked(self, connections_server):
        assert len(connections_server.directory.people) == 50

    @pytest.mark.connections_server(people=60)
    def test_the_nearest_marker_wins(self, connections_server):
        assert len(connections_server.directory.people) == 60
        alice = connections_server.directory.people[0]
        url = f"{connections_server.url}{SERVICE}?email={alice.email}"
        answer = httpx.get(url, auth=("admin", "secret"), trust_env=False)
        assert answer.status_code == 400
"""


def test_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    pytester.makeini("[pytest]")  # else the settings of a project around the temporary folder would be found
    run = pytester.runpytest_subprocess("--strict-markers", "-p", "no:asyncio", "-W", "error")
    run.assert_outcomes(passed=3)


def test_it_is_never_there_by_itself(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    pytester.makeini("[pytest]")
    run = pytester.runpytest_subprocess("-p", "no:asyncio")
    run.assert_outcomes(errors=3)
    run.stdout.fnmatch_lines("*fixture 'connections_server' not found*")
