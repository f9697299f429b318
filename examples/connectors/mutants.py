#!/usr/bin/env python3
"""Connectors with one known defect each, and the scenario that must find it.

    opswat-mock check --only late-by-three-hours -- python3 examples/connectors/mutants.py no-overlap

`matrix.py` runs them all. Each one is the connector of connector.py with one change.
"""

import json
import os
import sys

from connector import OVERLAP_MS, PAGE, Connector, Refused, main, millis

MUTANTS = {}


def mutant(name, scenario, defect):
    def add(kind):
        MUTANTS[name] = (kind, scenario, defect)
        return kind

    return add


@mutant("first-page-only", "busy", "It reads the first page of a window only.")
class FirstPageOnly(Connector):
    def read(self, start, end):
        query = {"event_category": "device", "start_time": start, "end_time": end, "limit": PAGE, "token": ""}
        return self.ask(query)["data"]


@mutant("empty-page-is-an-error", "page-of-exactly-the-limit", "It takes an empty page after a full one for an error.")
class EmptyPageIsAnError(Connector):
    def read(self, start, end):
        query = {"event_category": "device", "start_time": start, "end_time": end, "limit": PAGE, "token": ""}
        events = []
        while True:
            page = self.ask(query)
            if events and not page["data"]:
                raise Refused("an empty page")
            events += page["data"]
            if not page["token"]:
                return events
            query["token"] = page["token"]


@mutant("last-event-is-the-cursor", "late-by-a-minute", "It reads what is newer than the newest event that it has.")
class LastEventIsTheCursor(Connector):
    def window(self):
        newest = max(self.checkpoint["seen"].values(), default=None)
        start = millis(self.env["OPSWAT_SINCE"]) if newest is None else newest + 1
        return start, max(start, self.now())


@mutant("skips-the-instant", "burst-of-one-instant", "Where a page is full, it goes on after the time of its oldest event.")
class SkipsTheInstant(Connector):
    def read(self, start, end):
        events = []
        while True:
            query = {"event_category": "device", "start_time": start, "end_time": end, "limit": PAGE, "token": ""}
            page = self.ask(query)["data"]
            events += page
            if len(page) < PAGE or millis(page[-1]["timestamp"]) - 1 < start:
                return events
            end = millis(page[-1]["timestamp"]) - 1


@mutant("no-overlap", "late-by-three-hours", "Its windows begin where the last one ended.")
class NoOverlap(Connector):
    def window(self):
        return self.checkpoint["until"] + 1, self.now()


@mutant("small-overlap", "late-by-three-hours", "Its windows overlap by ten minutes.")
class SmallOverlap(Connector):
    def window(self):
        since = max(millis(self.env["OPSWAT_SINCE"]), self.checkpoint["until"] - 600_000)
        return since, self.now()


@mutant("waits-for-an-event", "empty-windows", "It reads one hour from its newest event on, so an hour without one stops it.")
class WaitsForAnEvent(Connector):
    def window(self):
        start = max(self.checkpoint["seen"].values(), default=millis(self.env["OPSWAT_SINCE"]))
        return start, min(self.now(), start + 3_600_000)


@mutant("401-is-the-end", "token-expires-between-pages", "It takes a 401 in the middle for the end of the data.")
class UnauthorizedIsTheEnd(Connector):
    def ask(self, query):
        try:
            return super().ask_once(query)
        except Refused as error:
            if error.args[0] != 401:
                raise
            return {"data": [], "token": ""}


@mutant("429-is-the-end", "quota-without-retry-after", "It takes a 429 for the end of the data.")
class TooManyIsTheEnd(Connector):
    def ask_once(self, query):
        try:
            return super().ask_once(query)
        except Refused as error:
            if error.args[0] != 429:
                raise
            return {"data": [], "token": ""}


@mutant("429-at-once", "quota-without-retry-after", "It repeats a request that was refused with 429 at once.")
class TooManyAtOnce(Connector):
    def sleep(self, seconds):
        if seconds != 30:
            super().sleep(seconds)


@mutant("failure-is-the-end", "cut-in-mid-body", "It takes a failed page for the end of the data.")
class FailureIsTheEnd(Connector):
    def ask(self, query):
        try:
            return self.ask_once(query)
        except Refused as error:
            if error.args[0] in (401, 429):
                return super().ask(query)
            return {"data": [], "token": ""}


@mutant("lenient-json", "truncated-json", "It takes what it can read of a page that is cut off.")
class LenientJson(Connector):
    def send(self, path, body, headers):
        status, answer = super().send(path, body, headers)
        try:
            json.loads(answer)
        except ValueError:
            whole = answer.rfind(b"},{")
            if status == 200 and whole > 0:
                return status, answer[: whole + 1] + b'],"token":""}'
        return status, answer


@mutant("html-ends-it", "error-502-with-html", "An answer that is not JSON ends it, and its checkpoint has moved already.")
class HtmlEndsIt(Connector):
    def poll(self):
        self.load()
        self.checkpoint["until"] = self.now() + OVERLAP_MS
        self.store([], self.now() + OVERLAP_MS)
        start, end = max(millis(self.env["OPSWAT_SINCE"]), self.now() - 900_000), self.now()
        self.store(self.ask_once_whole(start, end), end + OVERLAP_MS)

    def ask_once_whole(self, start, end):
        query = {"event_category": "device", "start_time": start + 1, "end_time": end, "limit": PAGE, "token": ""}
        events = []
        while True:
            page = self.ask_once(query)
            events += page["data"]
            if not page["token"]:
                return events[::-1]
            query["token"] = page["token"]


@mutant("last-minutes-only", "outage-of-20-minutes", "Each poll reads the last ten minutes.")
class LastMinutesOnly(Connector):
    def window(self):
        return max(millis(self.env["OPSWAT_SINCE"]), self.now() - 600_000), self.now()


@mutant("moves-after-giving-up", "outage-of-20-minutes", "It moves its checkpoint also where it gave up.")
class MovesAfterGivingUp(Connector):
    def window(self):
        return self.checkpoint["until"] + 1, self.now()

    def poll(self):
        try:
            super().poll()
        except Refused:
            self.store([], self.now())
            raise


@mutant("checkpoint-first", "killed-after-a-page", "It moves its checkpoint before it reads.")
class CheckpointFirst(Connector):
    def poll(self):
        self.load()
        start, end = self.checkpoint["until"] + 1, self.now()
        self.store([], end)
        self.store(self.read(start, end)[::-1], end)


@mutant("stores-each-page", "killed-after-a-page", "It stores each page at once, and begins the window again after a crash.")
class StoresEachPage(Connector):
    def load(self):
        super_length = os.path.getsize(self.out) if os.path.exists(self.out) else 0
        if os.path.exists(self.state):
            with open(self.state, encoding="utf-8") as file:
                self.checkpoint = json.load(file)
        self.checkpoint["length"] = super_length

    def ask(self, query):
        page = super().ask(query)
        known = self.checkpoint["seen"]
        new = [event for event in page["data"] if self.key(event) not in known]
        with open(self.out, "ab") as file:
            for event in new:
                file.write(json.dumps(event).encode() + b"\n")
        return page

    def store(self, events, until):
        for event in events:
            self.checkpoint["seen"][self.key(event)] = millis(event["timestamp"])
        self.checkpoint["until"] = until
        self.replace(self.state, json.dumps(self.checkpoint))


@mutant("stores-what-comes-twice", "duplicated-entries", "It stores an entry twice that is on a page twice.")
class StoresWhatComesTwice(Connector):
    def poll(self):
        self.load()
        start, end = self.window()
        known = self.checkpoint["seen"]
        self.store([event for event in self.read(start, end) if self.key(event) not in known], end)


@mutant("stores-the-overlap", "quiet", "It stores again what its windows have in common.")
class StoresTheOverlap(Connector):
    def poll(self):
        self.load()
        start, end = self.window()
        self.store(self.read(start, end), end)


@mutant("token-for-each-poll", "quiet", "It fetches a token for each poll.")
class TokenForEachPoll(Connector):
    def load(self):
        super().load()
        self.token = None


@mutant("whole-seconds", "quiet", "It stores times without their milliseconds.")
class WholeSeconds(Connector):
    def store(self, events, until):
        super().store([{**event, "timestamp": event["timestamp"][:19] + ".000Z"} for event in events], until)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in MUTANTS:
        sys.exit("usage: mutants.py " + "|".join(MUTANTS))
    sys.exit(main(MUTANTS[sys.argv[1]][0]))
