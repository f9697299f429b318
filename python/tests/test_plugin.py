"""The plugin, in test runs of its own."""

from __future__ import annotations

import pytest

from opswat_mock import Mock

FAILS = """
import urllib.request

def test_lost(opswat):
    urllib.request.urlopen(f"{opswat.base_url}/o/api/v2/logs?limit=5&access_token={opswat.token}").close()
    assert opswat.audit("device", [], start="2026-01-14T12:00:00Z").is_complete
"""


def test_a_failure_shows_the_audit_and_the_journal(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILS)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    output = result.stdout.str()
    assert "device events, " in output and " missing, first " in output, "the assertion explains itself"
    result.stdout.fnmatch_lines(
        ["*opswat-mock: audit of test_lost-*", "missing: *", "*opswat-mock: requests of test_lost-*"]
    )
    assert "GET /o/api/v2/logs  200, 5 entries" in output


def test_the_marker_sets_what_the_account_has(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest, unittest

        pytestmark = pytest.mark.opswat(seed=3, devices=7)

        @pytest.mark.opswat(devices=9, now="2026-03-01T00:00:00Z", lag=60)
        def test_marked(opswat, opswat_mock):
            described = opswat.describe()
            assert (described["seed"], described["devices"], described["lag"]) == (3, 9, "60")
            assert opswat.clock.now.month == 3 and opswat.name in [one.name for one in opswat_mock.accounts()]

        class Cases(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _account(self, opswat):
                self.account = opswat

            def test_in_a_class(self):
                self.assertEqual(self.account.describe()["devices"], 7)

        @pytest.mark.opswat(scenario="late-by-three-hours")
        def test_scenario(opswat):
            assert opswat.name.startswith("test_scenario-")
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("marker", "why"),
    [("colour=1", "the marker opswat has no colour, but seed, now, "), ("7", "no positional arguments, got (7,)")],
)
def test_a_wrong_marker_is_refused(pytester: pytest.Pytester, marker: str, why: str) -> None:
    pytester.makepyfile(f"import pytest\n@pytest.mark.opswat({marker})\ndef test_it(opswat): pass")
    result = pytester.runpytest_subprocess()
    assert why in result.stdout.str() and result.ret != 0


def test_a_running_server_is_used_and_left(pytester: pytest.Pytester, opswat_mock: Mock) -> None:
    pytester.makepyfile(f"def test_it(opswat_mock): assert opswat_mock.base_url == {opswat_mock.base_url!r}")
    pytester.runpytest_subprocess("--opswat-mock-url", opswat_mock.base_url).assert_outcomes(passed=1)
    assert opswat_mock.health()["status"] == "ok"
    result = pytester.runpytest_subprocess("--opswat-mock-url", opswat_mock.base_url, "--opswat-mock-flags=--devices 7")
    assert "a URL is given" in result.stdout.str()
    pytester.makepyfile("def test_it(opswat_mock): assert opswat_mock.account.describe()['devices'] == 7")
    pytester.makeini("[pytest]\nopswat_mock_flags = --devices 7\n")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_workers_have_servers_of_their_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest, urllib.request

        @pytest.mark.parametrize("nth", range(100))
        def test_it(opswat, nth):
            url = f"{opswat.base_url}/o/api/v2/logs?limit=5&access_token={opswat.token}"
            urllib.request.urlopen(url).close()
            assert len(opswat.requests()) == 1
        """
    )
    pytester.runpytest_subprocess("-n", "4").assert_outcomes(passed=100)


def test_tests_can_be_coroutines(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_mode = auto\n")
    pytester.makepyfile(
        """
        import asyncio

        async def test_it(opswat):
            found = await asyncio.gather(*(asyncio.to_thread(opswat.events.truth) for _ in range(5)))
            assert len(found) == 5
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
