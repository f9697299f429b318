"""The pytest plugin: a server for each session, and an account for each test.

The fixture ``opswat`` is the account, ``opswat_mock`` the server.
``@pytest.mark.opswat(seed=3, lag=60)`` says what the account has.
"""

from __future__ import annotations

import re
import shlex
import uuid
from collections.abc import Generator
from typing import Any

import pytest

from ._account import Account
from ._server import Mock
from .errors import MockError

_SETTINGS = (
    "seed",
    "now",
    "devices",
    "lag",
    "quota",
    "profile",
    "retention_days",
    "journal",
    "dense",
    "tokens",
    "faults",
    "events",
    "redirect_uris",
    "scenario",
)
_NOW = "2026-01-15T12:00:00Z"
_SHOWN_REQUESTS = 30
_ACCOUNT = pytest.StashKey[Account]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options and the keys of the configuration file."""
    group = parser.getgroup("opswat-mock")
    group.addoption("--opswat-mock-url", metavar="URL", help="use the opswat-mock that runs there, such as a container")
    group.addoption("--opswat-mock-flags", metavar="FLAGS", help="further flags of the opswat-mock that is started")
    parser.addini("opswat_mock_url", "use the opswat-mock that runs there, such as a container")
    parser.addini("opswat_mock_flags", "further flags of the opswat-mock that is started", type="args")
    parser.addini("opswat_mock_now", f"the time at which accounts start; {_NOW} by default", default=_NOW)


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker."""
    config.addinivalue_line(
        "markers", f"opswat({', '.join(f'{name}=…' for name in _SETTINGS)}): what the account of a test has"
    )


@pytest.fixture(scope="session")
def opswat_mock(request: pytest.FixtureRequest) -> Generator[Mock, None, None]:
    """The server of the session; each worker of pytest-xdist has its own."""
    config = request.config
    url: str = config.getoption("--opswat-mock-url") or config.getini("opswat_mock_url")
    flags: list[str] = [
        *config.getini("opswat_mock_flags"),
        *shlex.split(config.getoption("--opswat-mock-flags") or ""),
    ]
    if url and flags:
        raise pytest.UsageError("opswat-mock: flags are for a server that is started, and a URL is given")
    with Mock.connect(url) if url else Mock(flags=flags) as mock:
        yield mock


@pytest.fixture
def opswat(request: pytest.FixtureRequest, opswat_mock: Mock) -> Generator[Account, None, None]:
    """An account of its own for the test, named after it. Its clock stands still."""
    settings = _settings(request.node)
    settings.setdefault("now", request.config.getini("opswat_mock_now"))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", request.node.name)[:50].strip("-")
    settings.setdefault("seed", 1)
    account = opswat_mock.make_account(f"{name}-{uuid.uuid4().hex[:8]}", **settings)
    request.node.stash[_ACCOUNT] = account
    with account:
        yield account


def _settings(node: pytest.Item) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for mark in reversed(list(node.iter_markers("opswat"))):
        if mark.args:
            raise pytest.UsageError(f"{node.nodeid}: the marker opswat has no positional arguments, got {mark.args!r}")
        settings.update(mark.kwargs)
    for name in settings:
        if name not in _SETTINGS:
            raise pytest.UsageError(f"{node.nodeid}: the marker opswat has no {name}, but {', '.join(_SETTINGS)}")
    return settings


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds what the account has seen to the report of a test that failed."""
    report = yield
    account = item.stash.get(_ACCOUNT, None)
    if call.when == "call" and report.failed and account is not None:
        for audit in account.incomplete_audits:
            report.sections.append((f"opswat-mock: audit of {account.name}", str(audit)))
        try:
            requests = account.requests()
        except MockError as error:
            report.sections.append(("opswat-mock", f"no journal: {error}"))
        else:
            left_out = len(requests) - _SHOWN_REQUESTS
            lines = [f"… {left_out} earlier requests"] if left_out > 0 else []
            lines += [str(one) for one in requests[-_SHOWN_REQUESTS:]] or ["no request"]
            report.sections.append((f"opswat-mock: requests of {account.name}", "\n".join(lines)))
    return report
