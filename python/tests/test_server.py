"""How a server starts and ends."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import sysconfig
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from opswat_mock import BINARY_VARIABLE, Mock, StartError, UnreachableError, VersionError
from opswat_mock import _server as server

NOW = datetime(2026, 1, 15, 12, tzinfo=timezone.utc)


def test_it_starts_with_what_is_asked_and_ends_with_the_block() -> None:
    with Mock(seed=7, now=NOW, devices=5, control_token="secret") as mock:
        assert (mock.account.seed, mock.account.describe()["devices"], mock.account.clock.now) == (7, 5, NOW)
        query = f"{mock.base_url}/o/api/v2/logs?limit=1&access_token={mock.token}"
        with urllib.request.urlopen(query) as answer:
            assert answer.status == 200
        assert mock.account.requests()[0].path == "/o/api/v2/logs"
        assert mock.client_id and mock.client_secret and "listening" in mock.log()
    with pytest.raises(UnreachableError, match="does not answer"):
        mock.health()
    mock.close()


def test_https_has_an_authority_to_trust() -> None:
    with Mock(tls=True) as mock:
        assert mock.base_url.startswith("https://") and mock.account.name == "default"
        context = ssl.create_default_context(cafile=mock.ca_file)
        with urllib.request.urlopen(f"{mock.base_url}/_mock/health", context=context) as answer:
            assert answer.status == 200
        assert mock.ca_file is not None
    assert not Path(mock.ca_file).exists()


def test_it_does_not_outlive_a_process_that_is_killed() -> None:
    program = "from opswat_mock import Mock\nmock = Mock()\nprint(mock.base_url, flush=True)\ninput()"
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    url = parent.stdout.readline().strip()
    with urllib.request.urlopen(f"{url}/_mock/health") as answer:
        assert answer.status == 200
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    with Mock() as mock:
        # The end of a pipe takes a moment to be seen, and this clock says how long that is.
        mock.account.clock.run()
        end = mock.account.clock.now + timedelta(seconds=10)
        while mock.account.clock.now < end:
            try:
                urllib.request.urlopen(f"{url}/_mock/health").close()
            except OSError:
                break
        else:
            pytest.fail("the server outlived its process")
    parent.stdout.close()


def test_what_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Mock() as mock:
        port = int(mock.base_url.rpartition(":")[2])
        with pytest.raises(StartError, match=f"port {port} of 127.0.0.1 is in use; another one: --port"):
            Mock(port=port)
    with pytest.raises(StartError, match="soon"):
        Mock(now="soon")
    with pytest.raises(ValueError, match="now must have a time zone"):
        Mock(now=datetime(2026, 1, 15))
    with pytest.raises(StartError, match="--no-such-flag"):
        Mock(flags=["--no-such-flag"])
    monkeypatch.setenv(BINARY_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(StartError, match="OPSWAT_MOCK_BINARY names no file"):
        Mock()
    monkeypatch.delenv(BINARY_VARIABLE)

    def no_scripts(*_: object) -> str:
        return str(tmp_path)

    monkeypatch.setattr(sysconfig, "get_path", no_scripts)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartError, match="there is no opswat-mock: the wheel for this platform has it"):
        Mock()


def test_a_server_that_runs_can_be_used(opswat_mock: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    with Mock.connect(opswat_mock.base_url + "/") as other:
        assert other.account.token == opswat_mock.token and other.log() == ""
    assert opswat_mock.health()["status"] == "ok", "it goes on"
    monkeypatch.setattr(server, "version", lambda: "0.0.1")
    with pytest.raises(VersionError, match=r"has version .*, this package 0\.0\.1: install the same"):
        Mock.connect(opswat_mock.base_url)
    Mock.connect(opswat_mock.base_url, check_version=False).close()
    with pytest.raises(UnreachableError):
        Mock.connect("http://127.0.0.1:9")
    with pytest.raises(ValueError, match="must be a URL such as"):
        Mock.connect("localhost:8080")
