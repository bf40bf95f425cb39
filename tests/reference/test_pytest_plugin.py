"""The fixture for tests of applications."""

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
    response = httpx.get(connections_server.url + SERVICE, auth=login, trust_env=False)
    assert response.status_code == 200
    assert connections_server.app.requests.total == 1
    assert len(connections_server.directory.people) == 200
    admin = (connections_server.administrator, connections_server.password)
    assert httpx.get(connections_server.url + "/reference/commits", auth=admin, trust_env=False).text == ""


@pytest.mark.connections_server(people=50, version="5.0", emails="hidden")
class TestOlder:
    def test_marker_sets_options(self, connections_server):
        assert len(connections_server.directory.people) == 50

    @pytest.mark.connections_server(people=60)
    def test_closest_marker_takes_precedence(self, connections_server):
        assert len(connections_server.directory.people) == 60
        alice = connections_server.directory.people[0]
        url = f"{connections_server.url}{SERVICE}?email={alice.email}"
        response = httpx.get(url, auth=("admin", "secret"), trust_env=False)
        assert response.status_code == 400
"""


@pytest.mark.slow
def test_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    pytester.makeini("[pytest]")  # otherwise pytest would use the settings of a parent directory
    run = pytester.runpytest_subprocess("--strict-markers", "-p", "no:asyncio", "-W", "error")
    run.assert_outcomes(passed=3)


@pytest.mark.slow
def test_plugin_is_not_loaded_automatically(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    pytester.makeini("[pytest]")
    run = pytester.runpytest_subprocess("-p", "no:asyncio")
    run.assert_outcomes(errors=3)
    run.stdout.fnmatch_lines("*fixture 'connections_server' not found*")
