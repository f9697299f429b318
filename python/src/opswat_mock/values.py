"""What goes to the control surface and what comes back. Times are aware datetimes in UTC, durations timedeltas."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

Instant = datetime | str
"""An aware datetime, or a text in RFC 3339 such as ``2026-01-15T12:00:00Z``."""


def instant(text: str) -> datetime:
    """The time of a text of the control surface."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def text_of(at: Instant, name: str) -> str:
    """The text of a time."""
    if isinstance(at, str):
        return at
    if at.tzinfo is None:
        raise ValueError(f"{name} must have a time zone, such as datetime.timezone.utc; got {at!r}")
    return at.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _given(value: Any) -> dict[str, Any]:
    """The fields that are not None, as JSON."""
    found: dict[str, Any] = {}
    for one in dataclasses.fields(value):
        given = getattr(value, one.name)
        if given is None:
            continue
        found[one.name] = text_of(given, one.name) if isinstance(given, datetime) else given
    return found


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to a request. What is None is left as it is."""

    status: int | None = None
    body: str | None = None
    content_type: str | None = None
    headers: Mapping[str, str] | None = None
    template: bool | None = None
    delay_ms: int | None = None
    drip_bytes_per_second: int | None = None
    waits_on: str | None = None
    close: str | None = None
    truncate_at: int | None = None
    invalid_utf8: bool | None = None
    entries: str | None = None
    repeat_page_token: bool | None = None
    rate_limit: str | None = None
    retry_after_seconds: int | None = None
    expire_token: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Match:
    """The requests to which a fault applies. What is None does not matter."""

    api: str | None = None
    path: str | None = None
    method: str | None = None
    nth: int | None = None
    every: int | None = None
    probability: float | None = None
    needs_token: bool | None = None
    # From when and until when, by the account's clock: `from` is a word of Python.
    from_: Instant | None = None
    to: Instant | None = None


@dataclass(frozen=True, kw_only=True)
class FaultRule:
    """A fault with the requests to which it applies, and how often it was applied."""

    fault: Fault
    match: Match = field(default_factory=Match)
    name: str | None = None
    times: int | None = None
    hidden: bool | None = None
    seen: int = 0
    applied: int = 0

    def to_json(self) -> dict[str, Any]:
        """The rule as the control surface takes it."""
        rule = {"name": self.name, "times": self.times, "hidden": self.hidden}
        match = _given(self.match)
        if "from_" in match:
            match["from"] = match.pop("from_")
        return {"fault": _given(self.fault), "match": match, **{key: of for key, of in rule.items() if of is not None}}

    @classmethod
    def of_json(cls, rule: Mapping[str, Any]) -> FaultRule:
        """The rule of an answer."""
        match = {("from_" if name == "from" else name): value for name, value in rule.get("match", {}).items()}
        others = {name: rule[name] for name in ("name", "times", "hidden", "seen", "applied") if name in rule}
        return cls(fault=Fault(**rule.get("fault", {})), match=Match(**match), **others)


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event to be injected. What is None is chosen by the server."""

    category: str = "device"
    event: str | None = None
    timestamp: Instant | None = None
    visible_at: Instant | None = None
    details: str | None = None
    device_id: str | None = None
    device_name: str | None = None
    device_username: str | None = None
    device_group: str | None = None
    status: str | None = None
    severity: str | None = None
    policy_name: str | None = None
    last_seen: Instant | None = None
    public_ip: str | None = None
    admin_name: str | None = None
    admin_email: str | None = None
    response_code: int | None = None
    response_body: str | None = None
    app_name: str | None = None
    access_rule: str | None = None
    app_user: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The event as the control surface takes it."""
        return _given(self)


@dataclass(frozen=True)
class TrueEvent:
    """An event of the truth: what happened, whether a connector has it or not."""

    id: str
    at: datetime
    visible_at: datetime
    is_injected: bool
    row: Mapping[str, Any]
    """The row that the API returns."""

    @classmethod
    def of_json(cls, event: Mapping[str, Any]) -> TrueEvent:
        """The event of an answer."""
        own = ("id", "at", "visible_at", "injected")
        row = {name: value for name, value in event.items() if name not in own}
        return cls(event["id"], instant(event["at"]), instant(event["visible_at"]), event["injected"], row)


@dataclass(frozen=True)
class ClockReading:
    """What a clock shows."""

    mode: str
    """``system``, ``frozen`` or ``scaled``."""
    now: datetime
    rate: float | None = None

    @classmethod
    def of_json(cls, clock: Mapping[str, Any]) -> ClockReading:
        """The reading of an answer."""
        return cls(clock["mode"], instant(clock["now"]), clock.get("rate"))


@dataclass(frozen=True)
class Bucket:
    """What is left of a quota, for a token at an API."""

    remaining: int
    reset_at: datetime
    token: str | None
    api: str | None


@dataclass(frozen=True)
class QuotaReading:
    """A quota, and the buckets that are not full."""

    enabled: bool
    requests: int
    per_seconds: int
    algorithm: str
    scope: str
    retry_after: str
    buckets: Sequence[Bucket]

    @classmethod
    def of_json(cls, quota: Mapping[str, Any]) -> QuotaReading:
        """The quota of an answer."""
        buckets = [
            Bucket(one["remaining"], instant(one["reset_at"]), one.get("token"), one.get("api"))
            for one in quota["buckets"]
        ]
        names = ("enabled", "requests", "per_seconds", "algorithm", "scope", "retry_after")
        return cls(**{name: quota[name] for name in names}, buckets=buckets)


@dataclass(frozen=True)
class Token:
    """An access token that a test has made."""

    access_token: str
    expires_at: datetime | None


@dataclass(frozen=True)
class Request:
    """A request of the journal."""

    number: int
    at: datetime
    method: str
    path: str
    parameters: Mapping[str, Any]
    status: int | None
    """None if the connection ended without an answer."""
    outcome: str
    bytes_sent: int
    duration: timedelta
    api: str | None = None
    entries: int | None = None
    events: Sequence[str] | None = None
    fault: str | None = None
    ignored: Sequence[str] = ()
    token: str | None = None
    quota: Mapping[str, Any] | None = None

    @classmethod
    def of_json(cls, request: Mapping[str, Any]) -> Request:
        """The request of an answer."""
        known = {one.name for one in dataclasses.fields(cls)}
        values = {name: value for name, value in request.items() if name in known}
        values["at"] = instant(request["at"])
        return cls(**values, duration=timedelta(microseconds=request["duration_us"]))

    def __str__(self) -> str:
        status = "no answer" if self.status is None else str(self.status)
        entries = "" if self.entries is None else f", {self.entries} entries"
        fault = "" if self.fault is None else f", fault {self.fault}"
        at = self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return f"{self.number}  {at}  {self.method} {self.path}  {status}{entries}{fault}"


@dataclass(frozen=True)
class Finding:
    """Events or records of one kind: how many, why, and the first ones."""

    count: int
    causes: Mapping[str, int]
    examples: Sequence[Mapping[str, Any]]

    @classmethod
    def of_json(cls, finding: Mapping[str, Any]) -> Finding:
        """The finding of an answer."""
        return cls(finding["count"], finding.get("causes", {}), finding["examples"])

    def text(self, name: str) -> list[str]:
        """The finding in lines."""
        if not self.count:
            return []
        causes = ", ".join(f"{count} {cause}" for cause, count in self.causes.items())
        lines = [f"{name}: {self.count}" + (f" ({causes})" if causes else "")]
        for example in self.examples[:3]:
            event = example.get("event", {})
            what = " ".join(str(event[key]) for key in ("id", "at", "event", "device_name") if key in event)
            cause = example.get("cause", "")
            request = example.get("request")
            where = f" at request {request}" if request is not None else ""
            rest = {
                key: value for key, value in example.items() if key in ("differences", "reason", "fields", "record")
            }
            lines.append("  " + " ".join(part for part in (what, cause + where, str(rest) if rest else "") if part))
        return lines


@dataclass(frozen=True, repr=False)
class AuditReport:
    """What a connector lost, doubled or changed, compared with the truth."""

    account: str
    category: str
    start: datetime
    end: datetime
    is_complete: bool
    """Whether everything is there once, unchanged."""
    expected: int
    received: int
    matched: int
    missing: Finding
    duplicated: Finding
    altered: Finding
    unknown: Finding
    unreadable: Finding
    hints: Sequence[str]

    @classmethod
    def of_json(cls, report: Mapping[str, Any]) -> AuditReport:
        """The report of an answer."""
        plain = ("account", "category", "is_complete", "expected", "received", "matched", "hints")
        return cls(
            **{name: report[name] for name in plain},
            missing=Finding.of_json(report["missing"]),
            duplicated=Finding.of_json(report["duplicated"]),
            altered=Finding.of_json(report["altered"]),
            unknown=Finding.of_json(report["unknown"]),
            unreadable=Finding.of_json(report["unreadable"]),
            start=instant(report["from"]),
            end=instant(report["to"]),
        )

    def __repr__(self) -> str:
        kinds = ("missing", "duplicated", "altered", "unknown", "unreadable")
        counts = [f"{getattr(self, kind).count} {kind}" for kind in kinds if getattr(self, kind).count]
        first = self.missing.examples or self.duplicated.examples or self.altered.examples
        cause = f", first {first[0]['event']['at']} {first[0].get('cause', 'altered')}" if first else ""
        found = ", ".join(counts) or "complete"
        return f"<audit of {self.account}: {self.matched} of {self.expected} {self.category} events, {found}{cause}>"

    def __str__(self) -> str:
        lines = [repr(self)[1:-1]]
        for kind in ("missing", "duplicated", "altered", "unknown", "unreadable"):
            lines += getattr(self, kind).text(kind)
        return "\n".join(lines + [f"hint: {hint}" for hint in self.hints])


@dataclass(frozen=True, repr=False)
class ServedReport:
    """What was served to a connector, compared with the truth."""

    account: str
    category: str
    start: datetime
    end: datetime
    is_complete: bool
    expected: int
    served: int
    missed: Finding
    repeated: Finding
    hints: Sequence[str]

    @classmethod
    def of_json(cls, report: Mapping[str, Any]) -> ServedReport:
        """The report of an answer."""
        plain = ("account", "category", "is_complete", "expected", "served", "hints")
        return cls(
            **{name: report[name] for name in plain},
            missed=Finding.of_json(report["missed"]),
            repeated=Finding.of_json(report["repeated"]),
            start=instant(report["from"]),
            end=instant(report["to"]),
        )

    def __repr__(self) -> str:
        missed = f", {self.missed.count} missed" if self.missed.count else ", complete"
        return f"<served by {self.account}: {self.served} of {self.expected} {self.category} events{missed}>"

    def __str__(self) -> str:
        return "\n".join([repr(self)[1:-1], *self.missed.text("missed"), *self.repeated.text("repeated")])


@dataclass(frozen=True)
class Rule:
    """What the verdict says by one rule."""

    rule: str
    result: str
    """``pass``, ``fail``, ``warn`` or ``not_seen``."""
    sentence: str
    violations: int
    requests: Sequence[int]
    measure: str | None
    measured: float | None


@dataclass(frozen=True, repr=False)
class Verdict:
    """How a connector behaved, by the rules of a good client."""

    account: str
    is_passed: bool
    is_whole: bool
    """Whether the journal has all requests."""
    requests: int
    rules: Sequence[Rule]

    @classmethod
    def of_json(cls, verdict: Mapping[str, Any]) -> Verdict:
        """The verdict of an answer."""
        rules = [Rule(**rule) for rule in verdict["rules"]]
        return cls(verdict["account"], verdict["is_passed"], verdict["is_whole"], verdict["requests"], rules)

    @property
    def failed(self) -> Sequence[Rule]:
        """The rules that failed."""
        return [rule for rule in self.rules if rule.result == "fail"]

    def __repr__(self) -> str:
        found = "; ".join(f"{rule.rule}: {rule.sentence}" for rule in self.failed) or "passed"
        return f"<verdict on {self.requests} requests of {self.account}: {found}>"


@dataclass(frozen=True)
class WebhookReading:
    """The receiver of the notifications of an account, and the last attempts."""

    state: str
    """``absent``, ``on``, ``off`` or ``removed``."""
    is_idle: bool
    failures_in_a_row: int
    url: str | None
    events: Sequence[str] | None
    deliveries: Sequence[Mapping[str, Any]]

    @classmethod
    def of_json(cls, webhook: Mapping[str, Any]) -> WebhookReading:
        """The receiver of an answer."""
        state, failures = webhook["state"], webhook["failures_in_a_row"]
        given = (webhook.get("url"), webhook.get("events"), webhook["deliveries"])
        return cls(state, webhook["idle"], failures, *given)
