#!/usr/bin/env python3
"""Connectors with one known defect each, and the scenario that must find it.

    opswat-mock check --only late-by-three-hours -- python3 examples/connectors/mutants.py no-overlap

`matrix.py` runs them all. Each one is the connector of connector.py with one change, some of them without its overlap, which would
hide the defect.
"""

import calendar
import collections
import json
import os
import sys
import time
import urllib.request

import connector
from connector import DEVICE_CODES, OVERLAP_MS, Connector, Event, Refused, main, millis

MUTANTS = {}


Mutant = collections.namedtuple("Mutant", "kind scenario defect finding api")


def mutant(name, scenario, defect, finding, api="v3.3"):
    """Registers a connector, with the scenario that must find its defect, and what the finding must say."""

    def add(kind):
        MUTANTS[name] = Mutant(kind, scenario, defect, finding, api)
        return kind

    return add


class NewOnly(Connector):
    """Its windows begin where the last one ended."""

    def window(self):
        start = self.checkpoint["until"] + 1
        return start, max(start, self.now())


# Paging.


@mutant("first-page-only", "busy", "It reads the first page of a window only.", "missing")
class FirstPageOnly(Connector):
    def ask(self, query):
        return {**super().ask(query), "token": ""}


@mutant(
    "looks-into-the-first-entry",
    "no-events",
    "It looks into the first entry, which an empty log does not have.",
    "list index out of range",
)
class LooksIntoTheFirstEntry(Connector):
    def read(self, start, end):
        events = super().read(start, end)
        print("newest:", events[-1].at, file=sys.stderr)
        return events


@mutant("begins-after-the-end", "one-event", "Its windows begin a millisecond after the last one.", "missing")
class BeginsAfterTheEnd(NewOnly):
    pass


@mutant(
    "empty-page-is-an-error",
    "page-of-exactly-the-limit",
    "It takes an empty page after a full one for an error.",
    "gave up: an empty page",
)
class EmptyPageIsAnError(Connector):
    def ask(self, query):
        page = super().ask(query)
        if query["token"] and not page["data"]:
            raise Refused("an empty page")
        return page


@mutant("pages-from-0", "page-numbers", "It counts pages from 0.", "valid_requests", "v2")
class PagesFrom0(Connector):
    def ask(self, query):
        return super().ask({**query, "page": query["page"] - 1})


@mutant("413-is-an-error", "page-numbers", "It takes 413 for an error.", "gave up: an error", "v3")
class BeyondTheEndIsAnError(Connector):
    def ask(self, query):
        try:
            return super().ask(query)
        except Refused as error:
            raise Refused("an error") if error.why == 413 else error


@mutant(
    "skips-the-instant",
    "burst-of-one-instant",
    "Where a page is full, it goes on after the time of its oldest event.",
    "missing",
)
class SkipsTheInstant(Connector):
    def read_v3_3(self, start, end):
        events = {}
        while True:
            query = {"event_category": "device", "start_time": start, "end_time": end, "limit": 100, "token": ""}
            page = [self.event_of(row) for row in self.ask(query)["data"]]
            events.update((event.key, event) for event in page)
            if len(page) < 100 or page[-1].at - 1 < start:
                return list(events.values())
            end = page[-1].at - 1


@mutant(
    "trusts-page-numbers",
    "rows-arrive-while-paging",
    "It does not see that the pages move while it reads them.",
    "stored twice",
    "v2",
)
class TrustsPageNumbers(Connector):
    def read_twice(self, read):
        return read()


@mutant("no-overlap", "late-by-three-hours", "Its windows begin where the last one ended.", "missing")
@mutant("trusts-its-pages", "late-rows-while-paging", "It takes a window for complete when it has its pages.", "missing")
@mutant("future-is-read", "clock-ahead", "It takes the time until its own now for read.", "missing")
class NoOverlap(NewOnly):
    pass


@mutant("newest-time-is-the-cursor", "event-dated-ahead", "Its cursor is the newest time that it has read.", "missing", "v3")
class NewestTimeIsTheCursor(Connector):
    def read_v3(self, start, end):
        return super().read_v3(start, end + 86_400_000)

    def store(self, events, until):
        super().store(events, max([until, *(event.at for event in events)]))


@mutant("empty-page-is-the-end", "empty-page-in-the-middle", "It takes a page without entries for the last one.", "missing")
class EmptyPageIsTheEnd(Connector):
    def ask(self, query):
        page = super().ask(query)
        return page if page["data"] else {**page, "token": ""}


class StoresEachEntry(Connector):
    def read_by_token(self, start, end):
        query = {"event_category": "device", "start_time": start, "end_time": end, "limit": 100, "token": ""}
        events = []
        while True:
            page = self.ask(query)
            events += map(self.event_of, page["data"])
            if not page["token"]:
                return events
            query["token"] = page["token"]


@mutant("stores-a-page-twice", "repeated-page-token", "It stores a page again that comes again.", "stored twice")
@mutant("stores-what-comes-twice", "duplicated-entries", "It stores an entry twice that is on a page twice.", "stored twice")
class StoresWhatComesTwice(StoresEachEntry):
    pass


@mutant("400-is-the-end", "page-token-expires", "It takes the refusal of a page token for the end of the pages.", "missing")
class TooOldIsTheEnd(Connector):
    def ask(self, query):
        try:
            return super().ask(query)
        except Refused as error:
            if error.why == 400:
                return {"data": [], "token": ""}
            raise


@mutant("reads-64-kib", "huge-page", "It reads 64 KiB of an answer.", "Unterminated string")
class Reads64Kib(Connector):
    def send(self, path, body, headers):
        status, answer, answered = super().send(path, body, headers)
        return status, answer[:65536], answered


# Time.


@mutant(
    "last-event-is-the-cursor",
    "late-by-a-minute",
    "It reads what is newer than the newest event that it has.",
    "overlaps_lag",
)
class LastEventIsTheCursor(Connector):
    def window(self):
        newest = max(self.checkpoint["seen"].values(), default=None)
        start = millis(self.env["OPSWAT_SINCE"]) if newest is None else newest + 1
        return start, max(start, self.now())


@mutant("small-overlap", "late-by-three-hours", "Its windows overlap by ten minutes.", "missing")
class SmallOverlap(Connector):
    def window(self):
        since = max(millis(self.env["OPSWAT_SINCE"]), self.checkpoint["until"] - 600_000)
        return since, self.now()


@mutant("both-ends-excluded", "window-edges", "It excludes both ends of its windows.", "missing")
class BothEndsExcluded(Connector):
    def window(self):
        return self.checkpoint["until"] + 1, self.now()

    def read(self, start, end):
        return super().read(start, end - 1)


@mutant(
    "waits-for-an-event",
    "empty-windows",
    "It reads one hour from its newest event on, so an hour without one stops it.",
    "missing",
)
class WaitsForAnEvent(Connector):
    def window(self):
        start = max(self.checkpoint["seen"].values(), default=millis(self.env["OPSWAT_SINCE"]))
        return start, min(self.now(), start + 3_600_000)


@mutant("last-minutes-of-its-clock", "clock-behind", "Each poll reads the last ten minutes of its own clock.", "missing")
@mutant("last-minutes-only", "outage-of-20-minutes", "Each poll reads the last ten minutes.", "missing")
class LastMinutesOnly(Connector):
    def window(self):
        start = max(millis(self.env["OPSWAT_SINCE"]), self.now() - 600_000)
        return start, max(start, self.now())


@mutant("winter-time", "summer-time-begins", "It writes its cursor in local time, and reads it as if it were winter.", "missing")
class WinterTime(Connector):
    def window(self):
        until = self.checkpoint["until"]
        start = until + (time.localtime(until // 1000).tm_gmtoff - 3600) * 1000
        return start, max(start, self.now())


@mutant("wall-clock", "summer-time-ends", "It takes an event for old whose local time is before its cursor.", "missing")
class WallClock(Connector):
    def read(self, start, end):
        wall = lambda at: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at // 1000))  # noqa: E731
        cursor = max(map(wall, self.checkpoint["seen"].values()), default="")
        return [event for event in super().read(start, end) if wall(event.at) >= cursor]


@mutant("no-leap-day", "leap-day", "It counts days by hand, and each February has 28.", "missing")
class NoLeapDay(Connector):
    def now(self):
        now = time.gmtime(super().now() // 1000)
        days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        day = calendar.timegm((now.tm_year, 1, 1, 0, 0, 0)) // 86_400 + sum(days[: now.tm_mon - 1]) + now.tm_mday - 1
        return (day * 86_400 + now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec) * 1000


@mutant("no-year", "year-end", "Its cursor has no year.", "missing")
class NoYear(Connector):
    def window(self):
        until, now = time.gmtime(self.checkpoint["until"] // 1000), time.gmtime(self.now() // 1000)
        start = calendar.timegm((now.tm_year, *until[1:6])) * 1000
        return start, max(start, self.now())


@mutant("one-day-at-most", "backlog-of-30-days", "It reads one day at most.", "missing")
class OneDayAtMost(Connector):
    def window(self):
        start, end = super().window()
        return max(start, end - 86_400_000), end


# Tokens.


@mutant("401-is-the-end", "token-expires-between-pages", "It takes a 401 in the middle for the end of the data.", "missing")
class UnauthorizedIsTheEnd(Connector):
    def ask(self, query):
        try:
            return super().ask_once(query)
        except Refused as error:
            if error.why != 401:
                raise
            return {"data": [], "token": ""}


@mutant(
    "one-repetition",
    "token-expires-while-waiting",
    "It repeats a request once, and takes what fails then for the end.",
    "missing",
)
class OneRepetition(Connector):
    def ask(self, query):
        try:
            return super().ask_once(query)
        except Refused as error:
            self.sleep(60 if error.why == 429 else 1)
        try:
            return super().ask_once(query)
        except Refused:
            return {"data": [], "token": ""}


@mutant("hammers", "token-revoked", "It asks for a token again and again.", "requests in a poll in which 20")
class Hammers(Connector):
    def fetch_token(self):
        for attempt in range(50):
            try:
                return super().fetch_token()
            except Refused:
                if attempt == 49:
                    raise


@mutant("hides-its-failure", "token-revoked", "It ends with 0, whatever happens.", "ended with exit code 0")
class HidesItsFailure(Connector):
    def poll(self):
        try:
            super().poll()
        except Refused as error:
            print(f"gave up: {error.why}", file=sys.stderr)


@mutant("no-token-no-data", "token-endpoint-fails-once", "Where it gets no token, it takes the window for empty.", "missing")
class NoTokenNoData(NewOnly):
    def ask(self, query):
        while True:
            try:
                return super().ask_once(query)
            except Refused as error:
                if error.why != 401:
                    return {"data": [], "token": ""}


@mutant("token-for-each-poll", "quiet", "It fetches a token for each poll.", "keeps_token")
class TokenForEachPoll(Connector):
    def load(self):
        super().load()
        self.token = None


# Quota.


@mutant("429-is-the-end", "quota-without-retry-after", "It takes a 429 for the end of the data.", "missing")
class TooManyIsTheEnd(Connector):
    def ask_once(self, query):
        try:
            return super().ask_once(query)
        except Refused as error:
            if error.why != 429:
                raise
            return {"data": [], "token": ""}


@mutant("429-at-once", "quota-without-retry-after", "It repeats a request that was refused with 429 at once.", "waits_after_429")
class TooManyAtOnce(Connector):
    def ask(self, query):
        for _ in range(200):
            try:
                return super().ask_once(query)
            except Refused as error:
                if error.why != 429:
                    raise
        raise Refused("429 for ever")


@mutant(
    "one-second-each",
    "retry-after-seconds",
    "It waits one second after each 429, whatever it is told.",
    "requests in a poll in which 12 are enough",
)
class OneSecondEach(Connector):
    def ask(self, query):
        while True:
            try:
                return super().ask_once(query)
            except Refused as error:
                if error.why != 429:
                    raise
                self.sleep(1)


class TrustsRetryAfter(Connector):
    def ask(self, query):
        while True:
            try:
                return super().ask_once(query)
            except Refused as error:
                if error.why != 429:
                    raise
                self.sleep(self.wait_after(error.headers))


@mutant("dates-only", "retry-after-seconds", "It reads Retry-After as a date only.", "'90' does not match")
class DatesOnly(TrustsRetryAfter):
    def wait_after(self, headers):
        return time.mktime(time.strptime(headers["Retry-After"], "%a, %d %b %Y %H:%M:%S GMT")) - self.now() / 1000


@mutant("seconds-only", "retry-after-date", "It reads Retry-After as seconds only.", "GMT'")
@mutant("numbers-only", "retry-after-garbage", "It ends where Retry-After is no number.", "'soon'")
@mutant("sleeps-for-a-day", "retry-after-huge", "It waits as long as it is told to, be it a day.", "It waited 86400 s")
@mutant("does-not-wait", "retry-after-zero", "It waits for 0 seconds where it is told to.", "more than 2000 requests")
class SecondsOnly(TrustsRetryAfter):
    def wait_after(self, headers):
        return int(headers["Retry-After"])


@mutant("gives-up-at-429", "shared-quota", "It ends at the first 429, because it counts its own requests.", "gave up: 429")
class GivesUpAt429(Connector):
    def ask(self, query):
        try:
            return super().ask_once(query)
        except Refused as error:
            if error.why == 401:
                return super().ask(query)
            raise


@mutant(
    "starts-again-after-429",
    "quota-too-small",
    "After a 429 it reads the window from its first page again, a few times.",
    "pages_to_end",
)
class StartsAgainAfter429(Connector):
    def ask(self, query):
        return super().ask_once(query)

    def read_v3_3(self, start, end):
        for _ in range(5):
            try:
                return super().read_by_token(start, end)
            except Refused as error:
                self.sleep(30 if error.why == 429 else 1)
        raise Refused("too many attempts")


# Network.


class FailureIsTheEnd(Connector):
    def ask(self, query):
        try:
            return self.ask_once(query)
        except Refused as error:
            if error.why in (401, 429):
                return super().ask(query)
            return {"data": [], "token": ""}


@mutant("no-answer-is-the-end", "cut-before-the-head", "It takes a request without an answer for the end of the data.", "retries")
@mutant("failure-is-the-end", "cut-in-mid-body", "It takes a failed page for the end of the data.", "missing")
class NoAnswerIsTheEnd(FailureIsTheEnd):
    pass


@mutant("lenient-json", "truncated-json", "It takes what it can read of a page that is cut off.", "retries")
class LenientJson(Connector):
    def send(self, path, body, headers):
        status, answer, answered = super().send(path, body, headers)
        try:
            json.loads(answer)
        except ValueError:
            whole = answer.rfind(b"},{")
            if status == 200 and whole > 0:
                return status, answer[: whole + 1] + b'],"token":""}', answered
        return status, answer, answered


@mutant("html-is-an-empty-page", "html-with-200", "It takes an answer that is no JSON for an empty page.", "missing")
class HtmlIsAnEmptyPage(NewOnly):
    def send(self, path, body, headers):
        status, answer, answered = super().send(path, body, headers)
        try:
            json.loads(answer)
        except ValueError:
            answer = b'{"data":[],"token":""}' if status == 200 else answer
        return status, answer, answered


@mutant(
    "html-ends-it",
    "error-502-with-html",
    "An answer that is not JSON ends it, and its checkpoint has moved already.",
    "the rule gateway changed",
)
class HtmlEndsIt(Connector):
    def poll(self):
        self.load()
        start, end = self.checkpoint["until"] + 1, self.now()
        self.store([], end)
        known = self.checkpoint["seen"]
        self.store([event for event in self.read(start, end) if event.key not in known], end)

    def ask(self, query):
        return super().ask_once(query)


@mutant("data-or-nothing", "json-without-data", "It takes an answer without data for one with no data.", "missing")
class DataOrNothing(NewOnly):
    def send(self, path, body, headers):
        status, answer, answered = super().send(path, body, headers)
        page = json.loads(answer)
        if "/logs" in path:
            answer = json.dumps({"data": page.get("data", []), "token": page.get("token", "")}).encode()
        return status, answer, answered


@mutant("one-second-at-most", "slow-first-byte", "It waits one second for an answer.", "timed out")
class OneSecondAtMost(Connector):
    def ask(self, query):
        connector.TIMEOUT = 1
        return super().ask(query)


@mutant("one-read", "dripping-body", "It takes what one read returns for the whole body.", "Unterminated string")
class OneRead(Connector):
    def send(self, path, body, headers):
        with urllib.request.urlopen(urllib.request.Request(self.url + path, body, headers)) as answer:
            return answer.status, answer.read1(65536), answer.headers


@mutant("replaces-bytes", "invalid-utf8", "It replaces what is no UTF-8.", "changed")
class ReplacesBytes(Connector):
    def send(self, path, body, headers):
        status, answer, answered = super().send(path, body, headers)
        return status, answer.decode(errors="replace").encode(), answered


@mutant("moves-after-giving-up", "outage-of-20-minutes", "It moves its checkpoint also where it gave up.", "missing")
class MovesAfterGivingUp(NewOnly):
    def poll(self):
        try:
            super().poll()
        except Refused:
            self.store([], self.now())
            raise


# Process.


@mutant("checkpoint-first", "killed-after-a-page", "It moves its checkpoint before it reads.", "missing")
class CheckpointFirst(Connector):
    def poll(self):
        self.load()
        start, end = self.checkpoint["until"] + 1, self.now()
        self.store([], end)
        self.store(self.read(start, end), end)


@mutant(
    "stores-each-page",
    "killed-after-a-page",
    "It stores each page at once, and begins the window again after a crash.",
    "stored twice",
)
class StoresEachPage(Connector):
    def load(self):
        length = os.path.getsize(self.out) if os.path.exists(self.out) else 0
        if os.path.exists(self.path("checkpoint.json")):
            with open(self.path("checkpoint.json"), encoding="utf-8") as file:
                self.checkpoint = json.load(file)
        self.checkpoint["length"] = length
        self.load_token()

    def ask(self, query):
        page = super().ask(query)
        events = [self.event_of(row) for row in page["data"]]
        with open(self.out, "ab") as file:
            for event in events:
                if event.key not in self.checkpoint["seen"]:
                    file.write(json.dumps(event.record).encode() + b"\n")
        return page

    def store(self, events, until):
        self.checkpoint["seen"].update((event.key, event.at) for event in events)
        self.checkpoint["until"] = until
        self.replace(self.path("checkpoint.json"), json.dumps(self.checkpoint))


@mutant(
    "trusts-its-file",
    "killed-before-its-checkpoint",
    "It goes on behind the records that a crash left there.",
    "stored twice",
)
class TrustsItsFile(Connector):
    def load(self):
        length = os.path.getsize(self.out) if os.path.exists(self.out) else 0
        if os.path.exists(self.path("checkpoint.json")):
            with open(self.path("checkpoint.json"), encoding="utf-8") as file:
                self.checkpoint = {**json.load(file), "length": length}
        self.load_token()


@mutant("no-lock", "two-instances", "Two instances run at the same time.", "stored twice")
class NoLock(Connector):
    def lock(self):
        pass

    def load(self):
        super().load()
        self.checkpoint["length"] = os.path.getsize(self.out)


# Data.


@mutant("latin-1", "unicode", "It writes its records in Latin-1.", "changed")
class Latin1(Connector):
    def store(self, events, until):
        def latin(value):
            return value.encode("latin-1", "replace").decode("latin-1") if isinstance(value, str) else value

        rows = [{name: latin(value) for name, value in event.record.items()} for event in events]
        super().store([event._replace(record=row) for event, row in zip(events, rows)], until)


@mutant("cuts-fields", "long-field", "It cuts fields off after 65 535 characters.", "changed")
class CutsFields(Connector):
    def store(self, events, until):
        cut = [event._replace(record={name: value[:65535] for name, value in event.record.items()}) for event in events]
        super().store(cut, until)


@mutant("stops-at-what-it-knows", "reordered-entries", "It stops at the first entry that it has already.", "missing")
class StopsAtWhatItKnows(Connector):
    def read_by_token(self, start, end):
        query = {"event_category": "device", "start_time": start, "end_time": end, "limit": 100, "token": ""}
        events = {}
        while True:
            page = self.ask(query)
            for event in map(self.event_of, page["data"]):
                if event.key in self.checkpoint["seen"]:
                    return list(events.values())
                events[event.key] = event
            if not page["token"]:
                return list(events.values())
            query["token"] = page["token"]


@mutant("needs-each-field", "missing-fields", "It ends where an entry lacks a field.", "KeyError: 'device_name'")
class NeedsEachField(Connector):
    def event_of(self, row):
        assert row["device_name"] is not None
        return super().event_of(row)


@mutant("strict-fields", "extra-field", "It refuses entries with a field that it does not know.", "an unknown field")
class StrictFields(Connector):
    FIELDS = "timestamp event details device_id device_name device_username device_group".split()

    def event_of(self, row):
        if set(row) - set(self.FIELDS):
            raise Refused("an unknown field")
        return super().event_of(row)


@mutant("texts-only", "numbers-for-texts", "It takes ids for texts.", "'int' object")
class TextsOnly(Connector):
    def event_of(self, row):
        return super().event_of({**row, "device_id": row["device_id"].strip()})


@mutant("known-codes-only", "new-event-code", "It drops events with a code that it does not know.", "missing")
class KnownCodesOnly(Connector):
    def store(self, events, until):
        super().store([event for event in events if event.record["event"] in DEVICE_CODES], until)


@mutant("stores-the-overlap", "quiet", "It stores again what its windows have in common.", "stored twice")
class StoresTheOverlap(Connector):
    def load(self):
        super().load()
        self.checkpoint["seen"] = {}


@mutant("whole-seconds", "quiet", "It stores times without their milliseconds.", "changed")
class WholeSeconds(Connector):
    def store(self, events, until):
        def whole(event):
            return Event(event.key, event.at, {**event.record, "timestamp": event.record["timestamp"][:19] + ".000Z"})

        super().store(list(map(whole, events)), until)


# Migration.


@mutant("fewer-codes", "migration", "By v3 it asks for fewer codes than by v3.3.", "v3: missing", "v2,v3,v3.3")
class FewerCodes(Connector):
    def ask(self, query):
        return super().ask({**query, "filter": ["compliant", "noncompliant"]} if self.api == "v3" else query)


if __name__ == "__main__":
    kinds = {"new-only": NewOnly, **{name: mutant.kind for name, mutant in MUTANTS.items()}}
    if len(sys.argv) < 2 or sys.argv[1] not in kinds:
        sys.exit("usage: mutants.py " + "|".join(kinds))
    sys.exit(main(kinds[sys.argv[1]]))
