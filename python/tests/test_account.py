"""What a test of a connector does with an account."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from opswat_mock import Account, BadRequestError, ConflictError, Event, Fault, FaultRule, Match, Mock, NotFoundError

NOW = datetime(2026, 1, 15, 12, tzinfo=timezone.utc)


def page(account: Account, **query: object) -> tuple[int, Mapping[str, Any]]:
    """A page of v3.3, as a connector asks for it."""
    body = json.dumps({"event_category": "device", "age": 86400, "limit": 100, **query}).encode()
    headers = {"Authorization": f"Bearer {account.token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{account.base_url}/o/api/v3.3/logs", body, headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, {}


def read(account: Account) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    token = ""
    while True:
        status, found = page(account, token=token)
        assert status == 200
        rows += found["data"]
        token = found["token"]
        if not token:
            return rows


def test_an_audit_says_what_a_connector_lost(opswat: Account, tmp_path: Path) -> None:
    opswat.quota.off()
    rows = read(opswat)
    whole = opswat.audit("device", rows)
    assert whole.is_complete and str(whole).endswith(f"{len(rows)} of {len(rows)} device events, complete")
    stored = tmp_path / "stored.ndjson"
    stored.write_text("".join(json.dumps(row) + "\n" for row in [rows[0], *rows[2:], rows[0]]))
    report = opswat.audit("device", stored, examples=5)
    assert not report.is_complete
    assert (report.missing.count, report.missing.causes, report.duplicated.count) == (1, {"served": 1}, 1)
    assert "1 missing, 1 duplicated, first " in repr(report) and len(repr(report)) < 240
    assert "missing: 1 (1 served)\n  " in str(report)
    mapped = [{"when": row["timestamp"], "host": row["device_name"]} for row in rows]
    assert opswat.audit("device", mapped, map={"timestamp": "/when", "device_name": "/host"}).is_complete
    assert opswat.audit("device", stored.read_bytes()).missing.count == 1
    assert opswat.audit_served("device").is_complete
    opswat.incomplete_audits.clear()


def test_the_clock_turns_quota_tokens_and_events(opswat: Account) -> None:
    opswat.quota.set(1, 60)
    assert [page(opswat)[0] for _ in range(2)] == [200, 429]
    assert opswat.clock.advance(timedelta(seconds=30), seconds=30) == NOW + timedelta(minutes=1)
    assert page(opswat)[0] == 200
    bucket = opswat.quota.read().buckets[0]
    assert bucket.remaining == 0 and bucket.reset_at > NOW
    token = opswat.tokens.mint(expires_in=60)
    assert token.expires_at == NOW + timedelta(minutes=2)
    late = opswat.events.add(Event(event="added", timestamp=NOW, visible_at=NOW + timedelta(hours=1)))[0]
    assert (late.at, late.visible_at, late.row["event"]) == (NOW, NOW + timedelta(hours=1), "added")
    assert opswat.clock.freeze(NOW + timedelta(hours=1)).now == late.visible_at


def test_faults_apply_and_are_counted(opswat: Account) -> None:
    opswat.quota.off()
    rule = opswat.faults.add(Fault(status=503, headers={"x-a": "b"}), nth=2, name="second", to=NOW + timedelta(days=1))
    assert [page(opswat)[0] for _ in range(3)] == [200, 503, 200]
    found = opswat.faults.list()[0]
    assert (found.applied, found.seen, found.fault.status, found.name) == (1, 3, 503, rule.name)
    request = opswat.requests()[1]
    assert (request.fault, request.status) == ("second", 503) and "503, fault second" in str(request)
    with pytest.raises(ValueError, match="has its name"):
        opswat.faults.add(FaultRule(fault=Fault(status=500)), nth=3)
    with pytest.raises(BadRequestError, match="nth"):
        opswat.faults.add(Fault(status=500), match=Match(nth=0))
    with pytest.raises(TypeError):
        opswat.faults.add(Fault(status=500), nht=3)


def test_the_journal_can_be_waited_for_and_followed(opswat: Account) -> None:
    asking = threading.Timer(0.05, lambda: page(opswat))
    asking.start()
    assert len(opswat.requests(wait=timedelta(seconds=20), count=1)) == 1
    asking.join()
    stream = opswat.follow()
    assert next(stream).entries
    stream.close()
    verdict = opswat.verdict()
    assert [rule.rule for rule in verdict.failed] == ["pages_to_end"] and "pages_to_end" in repr(verdict)


def test_what_is_wrong_is_an_error_with_the_text_of_the_server(opswat_mock: Mock, opswat: Account) -> None:
    with pytest.raises(ConflictError, match=opswat.name):
        opswat_mock.make_account(opswat.name)
    with pytest.raises(NotFoundError) as caught:
        opswat_mock.get_account("nobody")
    assert (caught.value.status, caught.value.title) == (404, "Not Found")
    with pytest.raises(BadRequestError, match="unknown field `colour`"):
        opswat_mock.make_account(colour="red")
    with pytest.raises(TypeError, match="a record must have JSON values, got object"):
        opswat.audit("device", [{"x": object()}])
    with opswat_mock.make_account(scenario="late-by-three-hours", lag=None) as account:
        assert account.clock.now == NOW
    account.drop()


def test_threads_share_an_account(opswat: Account) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                opswat.events.add(Event(event="added"))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and opswat.events.clear() == 160
