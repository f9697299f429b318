"""The client has each operation of the control surface, and no other one."""

from __future__ import annotations

import dataclasses
import urllib.request
from collections.abc import Generator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from opswat_mock import Account, Event, Fault, FaultRule, Match, Mock, Request
from opswat_mock._http import Control
from opswat_mock._operations import OPERATIONS

NOON = "2026-01-15T12:00:00Z"


@pytest.fixture
def document(opswat_mock: Mock) -> Mapping[str, Any]:
    return opswat_mock.openapi()


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Generator[dict[str, set[str]], None, None]:
    """The operations that were called, with the names of their parameters."""
    found: dict[str, set[str]] = {}
    call, lines = Control.call, Control.lines

    def noted_call(self: Control, operation: str, **arguments: Any) -> Any:
        found.setdefault(operation, set()).update(arguments.get("query") or {})
        return call(self, operation, **arguments)

    def noted_lines(self: Control, operation: str, **arguments: Any) -> Any:
        found.setdefault(operation, set()).update(arguments["query"])
        return lines(self, operation, **arguments)

    monkeypatch.setattr(Control, "call", noted_call)
    monkeypatch.setattr(Control, "lines", noted_lines)
    yield found


def operations(document: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {
        found["operationId"]: (method.upper(), path)
        for path, methods in document["paths"].items()
        if path.startswith("/_mock")
        for method, found in methods.items()
        if method in ("get", "post", "put", "patch", "delete")
    }


def test_the_table_is_that_of_the_document(document: Mapping[str, Any]) -> None:
    assert operations(document) == OPERATIONS


def test_each_operation_has_a_method_with_all_its_parameters(
    opswat_mock: Mock, opswat: Account, document: Mapping[str, Any], called: dict[str, set[str]]
) -> None:
    mock, account = opswat_mock, opswat
    assert mock.health()["status"] == "ok" and "opswat" in mock.metrics() and mock.openapi()["openapi"]
    assert {scenario["name"] for scenario in mock.scenarios()} >= {"quiet"}
    assert account.name in [one.name for one in mock.accounts()]
    other = mock.make_account(now="2026-01-15T12:00:00Z")
    assert mock.get_account(other.name).describe()["name"] == other.name
    assert other.change(devices=7)["devices"] == 7
    account.clock.freeze("2026-01-15T13:00:00Z")
    account.clock.advance(seconds=1)
    assert account.clock.scale(1000).mode == "scaled"
    assert account.clock.sleep(0.01) and account.clock.read().rate == 1000
    assert account.clock.run().mode == "system"
    assert account.quota.set(5, 60).requests == account.quota.read().requests == 5
    assert not account.quota.off().enabled
    rule = account.faults.add(Fault(status=503), nth=3)
    assert rule.name and account.faults.list()[0].match.nth == 3
    account.faults.remove(rule.name)
    assert account.faults.replace([FaultRule(fault=Fault(status=500), match=Match(every=2))])[0].match.every == 2
    account.faults.clear()
    assert account.faults.list() == []
    assert account.events.add(Event(event="added"))[0].is_injected and account.truth(
        "device", NOON, "2027-01-15T13:00:00Z"
    )
    assert account.events.clear() == 1
    token = account.tokens.mint(expires_in=timedelta(minutes=1))
    account.tokens.revoke(token.access_token)
    assert account.tokens.expire() == 0
    assert account.requests(limit=5, with_events=True, wait=timedelta(), count=1, fault=None) == []
    urllib.request.urlopen(f"{mock.base_url}/o/api/v2/logs?access_token={account.token}").close()
    stream = account.follow()
    assert next(stream).path == "/o/api/v2/logs"
    stream.close()
    assert account.audit("device", [], start=NOON, end="2026-01-15T13:00:00Z", map={"timestamp": "/when"}).received == 0
    assert account.audit_served("device", start=NOON, end="2026-01-15T13:00:00Z").category == "device"
    assert account.verdict(disable=["keeps_token"]).requests == 1
    assert account.webhook.read(wait=timedelta()).state == "absent"
    assert account.webhook.set("http://127.0.0.1:9/", "key").state == "on"
    account.webhook.remove()
    account.reset()
    other.drop()
    assert set(called) == set(OPERATIONS)
    for name, (method, path) in OPERATIONS.items():
        found = document["paths"][path][method.lower()].get("parameters", [])
        parameters = {one["name"] for one in found if one.get("in") == "query"}
        # The format is JSON, and accounts are listed in pages of the default length.
        parameters -= {"format"} | ({"limit"} if name == "listAccounts" else set())
        assert called[name] == parameters, name


def test_the_fields_are_those_of_the_document(document: Mapping[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    rule = schemas["FaultRule"]["properties"]

    def names(kind: Any) -> set[str]:
        return {one.name.rstrip("_") for one in dataclasses.fields(kind)}

    assert names(Fault) == set(rule["fault"]["properties"])
    assert names(Match) == set(rule["match"]["properties"])
    assert names(FaultRule) - {"seen", "applied"} == set(rule)
    assert names(Event) == set(schemas["NewEvent"]["properties"])
    request = set(schemas["Requests"]["properties"]["requests"]["items"]["properties"])
    assert names(Request) - {"duration"} == request - {"duration_us"}
