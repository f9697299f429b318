"""One account: its clock, quota, faults, events, tokens, journal, webhook, audit and verdict."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ._http import Control
from .errors import NotFoundError
from .values import (
    AuditReport,
    ClockReading,
    Event,
    Fault,
    FaultRule,
    Instant,
    Match,
    QuotaReading,
    Request,
    ServedReport,
    Token,
    TrueEvent,
    Verdict,
    WebhookReading,
    instant,
    text_of,
)

Stored = str | os.PathLike[str] | bytes | Iterable[Mapping[str, Any]]
"""What a connector stored: the path of a file of NDJSON, JSON or CSV, its bytes, or the records themselves."""


class _Part:
    """A part of an account."""

    def __init__(self, control: Control, account: str) -> None:
        self._control = control
        self._account = account

    def _call(self, operation: str, **arguments: Any) -> Any:
        return self._control.call(operation, account=self._account, **arguments)


class Clock(_Part):
    """The clock of an account. Its quota, its tokens and its events go by it."""

    def read(self) -> ClockReading:
        """The mode and the time."""
        return ClockReading.of_json(self._call("showClock"))

    @property
    def now(self) -> datetime:
        """The time that it shows."""
        return self.read().now

    def advance(
        self, by: timedelta | None = None, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
    ) -> datetime:
        """Moves the clock forward, and returns the time that it shows then."""
        span = (by or timedelta()) + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        return ClockReading.of_json(self._call("advanceClock", body={"seconds": span.total_seconds()})).now

    def freeze(self, at: Instant | None = None) -> ClockReading:
        """Stops the clock, now or at a later time."""
        now = {} if at is None else {"now": text_of(at, "at")}
        return ClockReading.of_json(self._call("turnClock", body={"mode": "frozen", **now}))

    def run(self) -> ClockReading:
        """Lets the clock run with the machine's."""
        return ClockReading.of_json(self._call("turnClock", body={"mode": "system"}))

    def scale(self, rate: float) -> ClockReading:
        """Lets the clock run so many times as fast as the machine's."""
        return ClockReading.of_json(self._call("turnClock", body={"mode": "scaled", "rate": rate}))

    def sleep(self, seconds: float) -> datetime:
        """Waits until the clock has gone so far: another thread turns it, or it runs."""
        return ClockReading.of_json(self._call("sleepOnClock", body={"seconds": seconds})).now


class Quota(_Part):
    """The quota of an account."""

    def read(self) -> QuotaReading:
        """The quota, and the buckets that are not full."""
        return QuotaReading.of_json(self._call("showQuota"))

    def set(
        self,
        requests: int | None = None,
        per_seconds: int | None = None,
        *,
        enabled: bool | None = None,
        algorithm: str | None = None,
        scope: str | None = None,
        retry_after: str | None = None,
    ) -> QuotaReading:
        """Changes the quota. What is left out stays."""
        given = {
            "requests": requests,
            "per_seconds": per_seconds,
            "enabled": enabled,
            "algorithm": algorithm,
            "scope": scope,
            "retry_after": retry_after,
        }
        body = {name: value for name, value in given.items() if value is not None}
        return QuotaReading.of_json(self._call("changeQuota", body=body))

    def off(self) -> QuotaReading:
        """Ends the quota."""
        return self.set(enabled=False)


class Faults(_Part):
    """The fault rules of an account, in their order."""

    def list(self) -> Sequence[FaultRule]:
        """The rules, with how often each was applied."""
        return [FaultRule.of_json(rule) for rule in self._call("listFaults")["faults"]]

    def add(
        self,
        fault: Fault | FaultRule,
        *,
        name: str | None = None,
        times: int | None = None,
        hidden: bool | None = None,
        match: Match | None = None,
        **matching: Any,
    ) -> FaultRule:
        """Adds a rule. What it matches is a ``Match``, or its fields: ``add(Fault(status=503), nth=3)``."""
        if isinstance(fault, Fault):
            rule = FaultRule(fault=fault, match=match or Match(**matching), name=name, times=times, hidden=hidden)
        elif match or matching or name or times or hidden:
            raise ValueError("a FaultRule has its name and what it matches already")
        else:
            rule = fault
        return FaultRule.of_json(self._call("addFaults", body=rule.to_json())["faults"][-1])

    def replace(self, rules: Iterable[FaultRule]) -> Sequence[FaultRule]:
        """Replaces all rules."""
        answer = self._call("replaceFaults", body=[rule.to_json() for rule in rules])
        return [FaultRule.of_json(rule) for rule in answer["faults"]]

    def remove(self, name: str) -> None:
        """Removes one rule."""
        self._call("forgetFault", fault=name)

    def clear(self) -> None:
        """Removes all rules."""
        self._call("forgetFaults")


class Events(_Part):
    """The events that a test injects, and the truth."""

    def add(self, *events: Event) -> Sequence[TrueEvent]:
        """Injects events, all or none."""
        answer = self._call("addEvents", body=[event.to_json() for event in events])
        return [TrueEvent.of_json(event) for event in answer["events"]]

    def clear(self) -> int:
        """Removes the injected events, and returns their number."""
        forgotten: int = self._call("forgetEvents")["forgotten"]
        return forgotten

    def truth(
        self, category: str = "device", start: Instant | None = None, end: Instant | None = None
    ) -> Sequence[TrueEvent]:
        """What happened in a window, both ends included, visible or not; by default in the last 24 hours."""
        query = {"category": category, **_window(start, end)}
        return [TrueEvent.of_json(event) for event in self._call("truth", query=query)["events"]]


class Tokens(_Part):
    """The access tokens of an account."""

    def mint(self, *, token: str | None = None, expires_in: int | timedelta | None = None) -> Token:
        """Makes a token, or gives one another life, in seconds."""
        life = int(expires_in.total_seconds()) if isinstance(expires_in, timedelta) else expires_in
        body = {name: value for name, value in {"token": token, "expires_in": life}.items() if value is not None}
        made = self._call("mintToken", body=body)
        expires_at = made.get("expires_at")
        return Token(made["access_token"], instant(expires_at) if expires_at else None)

    def expire(self) -> int:
        """Expires all tokens but the one that the account was made with, and returns their number."""
        expired: int = self._call("expireTokens")["expired"]
        return expired

    def revoke(self, token: str) -> None:
        """Revokes a token."""
        self._call("revokeToken", token=token)


class Webhook(_Part):
    """The receiver of the notifications of an account."""

    def read(self, *, wait: timedelta | None = None) -> WebhookReading:
        """The receiver; with ``wait``, when all notifications are delivered, or that time is over."""
        return WebhookReading.of_json(self._call("showWebhook", query={"wait": _wait(wait)}))

    def set(self, url: str, api_key: str, *, events: Sequence[str] | None = None) -> WebhookReading:
        """Sets the receiver. ``events`` are its subscriptions, by default all."""
        chosen = {} if events is None else {"events": list(events)}
        return WebhookReading.of_json(self._call("setWebhook", body={"url": url, "api_key": api_key, **chosen}))

    def remove(self) -> None:
        """Removes the receiver."""
        self._call("removeWebhook")


class Account(_Part):
    """An account of its own for a test: what happens to it, no other one sees."""

    def __init__(self, control: Control, described: Mapping[str, Any], base_url: str) -> None:
        name: str = described["name"]
        super().__init__(control, name)
        self.name = name
        self.base_url = base_url
        self.token: str = described["access_token"]
        self.client_id: str = described["client_id"]
        self.client_secret: str = described["client_secret"]
        self.seed: int = described["seed"]
        self.clock = Clock(control, name)
        self.quota = Quota(control, name)
        self.faults = Faults(control, name)
        self.events = Events(control, name)
        self.tokens = Tokens(control, name)
        self.webhook = Webhook(control, name)
        self.incomplete_audits: list[AuditReport] = []
        """The audits of this account that found something."""

    def describe(self) -> Mapping[str, Any]:
        """The account as the control surface shows it."""
        described: Mapping[str, Any] = self._call("showAccount")
        return described

    def change(self, **settings: Any) -> Mapping[str, Any]:
        """Changes devices, lag, profile, quota, redirect_uris, retention_days or seed."""
        changed: Mapping[str, Any] = self._call("changeAccount", body=settings)
        return changed

    def reset(self) -> None:
        """Restores the account as it was made."""
        self._call("resetAccount")

    def drop(self) -> None:
        """Deletes the account, if it is there."""
        try:
            self._call("dropAccount")
        except NotFoundError:
            pass

    def __enter__(self) -> Account:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def __repr__(self) -> str:
        return f"<account {self.name} at {self.base_url}>"

    def truth(
        self, category: str = "device", start: Instant | None = None, end: Instant | None = None
    ) -> Sequence[TrueEvent]:
        """What happened in a window, both ends included; the same as ``events.truth``."""
        return self.events.truth(category, start, end)

    def requests(
        self,
        *,
        after: int = 0,
        limit: int | None = None,
        with_events: bool = False,
        wait: timedelta | None = None,
        count: int | None = None,
        fault: str | None = None,
    ) -> Sequence[Request]:
        """The requests of the journal after the request of a number, oldest first.

        ``wait`` waits until ``count`` requests came, or a fault was applied, but not longer than that.
        """
        query = {"after": after, "limit": limit, "wait": _wait(wait), "count": count, "fault": fault}
        if with_events:
            query["with"] = "events"
        return [Request.of_json(request) for request in self._call("listRequests", query=query)["requests"]]

    def follow(self, *, after: int = 0) -> Generator[Request, None, None]:
        """The requests of the journal as they come. Close the iterator to end it."""
        for line in self._control.lines("followRequests", account=self.name, query={"after": after}):
            if line.startswith("data:"):
                found = json.loads(line[5:])
                if "number" in found:
                    yield Request.of_json(found)

    def audit(
        self,
        category: str,
        stored: Stored,
        *,
        start: Instant | None = None,
        end: Instant | None = None,
        map: Mapping[str, str] | str | None = None,
        events: Sequence[str] | None = None,
        agent_types: Sequence[int] | None = None,
        search: str | None = None,
        examples: int | None = None,
    ) -> AuditReport:
        """Compares what a connector stored with the events of a window, its end excluded.

        Without a window it is all that requests asked for. ``map`` says where records have the fields, such as
        ``{"timestamp": "/@timestamp"}``; by default they are rows of the API.
        """
        query = _audit_query(category, start, end, events, agent_types, search, examples)
        if map is not None:
            query["map"] = map if isinstance(map, str) else ",".join(f"{name}:{place}" for name, place in map.items())
        report = AuditReport.of_json(self._call("audit", query=query, data=_records(stored)))
        if not report.is_complete:
            self.incomplete_audits.append(report)
        return report

    def audit_served(
        self,
        category: str,
        *,
        start: Instant | None = None,
        end: Instant | None = None,
        events: Sequence[str] | None = None,
        agent_types: Sequence[int] | None = None,
        search: str | None = None,
        examples: int | None = None,
    ) -> ServedReport:
        """Compares what was served in whole responses with the events of a window."""
        query = _audit_query(category, start, end, events, agent_types, search, examples)
        return ServedReport.of_json(self._call("auditServed", query=query))

    def verdict(
        self,
        *,
        disable: Sequence[str] = (),
        future_seconds: int | None = None,
        max_attempts: int | None = None,
        min_poll_seconds: int | None = None,
    ) -> Verdict:
        """Judges the requests of the journal by the rules of a good client."""
        query = {
            "disable": ",".join(disable) or None,
            "future_seconds": future_seconds,
            "max_attempts": max_attempts,
            "min_poll_seconds": min_poll_seconds,
        }
        return Verdict.of_json(self._call("verdict", query=query))


def _window(start: Instant | None, end: Instant | None) -> dict[str, str]:
    named = {"from": start, "to": end}
    return {name: text_of(at, name) for name, at in named.items() if at is not None}


def _wait(wait: timedelta | None) -> str | None:
    return None if wait is None else f"{int(wait.total_seconds() * 1000)}ms"


def _audit_query(
    category: str,
    start: Instant | None,
    end: Instant | None,
    events: Sequence[str] | None,
    agent_types: Sequence[int] | None,
    search: str | None,
    examples: int | None,
) -> dict[str, object]:
    return {
        "category": category,
        **_window(start, end),
        "events": None if events is None else ",".join(events),
        "agent_types": None if agent_types is None else ",".join(map(str, agent_types)),
        "search": search,
        "examples": examples,
    }


def _records(stored: Stored) -> bytes:
    if isinstance(stored, bytes):
        return stored
    if isinstance(stored, (str, os.PathLike)):
        return Path(stored).read_bytes()
    return "".join(json.dumps(record, ensure_ascii=False, default=_plain) + "\n" for record in stored).encode()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return text_of(value, "a time of a record")
    raise TypeError(f"a record must have JSON values, got {type(value).__name__}")
