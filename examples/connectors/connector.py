#!/usr/bin/env python3
"""A connector that loses nothing: it reads the device log by v2, v3 or v3.3, and is made to be run again and again.

    opswat-mock check -- python3 examples/connectors/connector.py
    opswat-mock check --service -- python3 examples/connectors/connector.py --every 60

It needs nothing but Python. What it does, and why:

- It reads a window that overlaps the last one by OVERLAP_MS, because the log is written late, and drops what it has already.
- It stores a window only when it has all pages of it, and then moves its checkpoint, both on disk, in one order: records first.
  The checkpoint has the length of the file of records, so that what a crash left behind it is cut off at the next start.
- A long window is read in slices, the oldest first, so that each slice is progress.
- A 401 gets a new token, a 429 waits as long as the service asks, but not longer than MAX_WAIT. Another failure is repeated a few
  times with growing waits. Then it gives up without moving anything, and the next poll reads the same window again.
- Two instances never run at the same time.
"""

import collections
import email.utils
import fcntl
import hashlib
import http.client
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timezone

OVERLAP_MS = 4 * 3600 * 1000
SLICE_MS = 7 * 24 * 3600 * 1000
ATTEMPTS = 6
MAX_WAIT = 900
MAX_WAITS = 60
TIMEOUT = 30
DEVICE_CODES = (
    "access_granted access_revoked added added_duplicate_mac compliance_check compliant deleted deleted_user exempt_all "
    "fetch_log noncompliant scan_threat unexempt unseen"
).split()


def millis(text):
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


class Refused(Exception):
    """The service refused a request, or its answer cannot be used: the status or the reason, and the headers."""

    def __init__(self, why, headers=None):
        super().__init__(why)
        self.why, self.headers = why, headers or {}


class Busy(Exception):
    """Another instance is at work."""


Event = collections.namedtuple("Event", "key at record")


class Connector:
    def __init__(self, env):
        self.url, self.env = env["OPSWAT_URL"], env
        self.api = env.get("OPSWAT_API", "v3.3")
        self.folder = env["OPSWAT_STATE_DIR"]
        self.out = env["OPSWAT_OUT"]
        self.token = None
        self.checkpoint = {"until": millis(env["OPSWAT_SINCE"]), "length": 0, "seen": {}}

    # The service.

    def now(self):
        if "OPSWAT_NOW" in self.env:
            return millis(self.env["OPSWAT_NOW"])
        if "OPSWAT_CLOCK_URL" in self.env:
            with urllib.request.urlopen(self.env["OPSWAT_CLOCK_URL"]) as answer:
                return millis(json.load(answer)["now"])
        return int(datetime.now(timezone.utc).timestamp() * 1000)

    def sleep(self, seconds):
        if "OPSWAT_SLEEP_URL" not in self.env:
            time.sleep(seconds)
            return
        body = json.dumps({"seconds": seconds}).encode()
        request = urllib.request.Request(self.env["OPSWAT_SLEEP_URL"], body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request).read()

    def send(self, path, body, headers):
        """The status, the body and the headers of an answer; Refused where there is none."""
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, body, headers), timeout=TIMEOUT) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers
        except (OSError, http.client.HTTPException) as error:
            raise Refused(f"no answer: {error}") from error

    def fetch_token(self):
        form = {
            "grant_type": "client_credentials",
            "client_id": self.env["OPSWAT_CLIENT_ID"],
            "client_secret": self.env["OPSWAT_CLIENT_SECRET"],
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, body, _ = self.send("/o/oauth/token", urllib.parse.urlencode(form).encode(), headers)
        if status != 200:
            # Who has lost his right does not get it back by asking again.
            raise Refused("the client is refused" if status == 401 else f"no token: {status}")
        self.token = json.loads(body)["access_token"]
        self.replace(self.path("token"), self.token)

    def ask_once(self, query):
        """The JSON of a page. v2 has its query in the URL."""
        if self.token is None:
            self.fetch_token()
        headers = {"Authorization": f"Bearer {self.token}"}
        if self.api == "v2":
            status, body, answered = self.send("/o/api/v2/logs?" + urllib.parse.urlencode(query), None, headers)
        else:
            headers["Content-Type"] = "application/json"
            status, body, answered = self.send(f"/o/api/{self.api}/logs", json.dumps(query).encode(), headers)
        if status == 401:
            self.token = None
        if status != 200:
            raise Refused(status, answered)
        try:
            answer = json.loads(body)
        except ValueError as error:
            raise Refused(f"not JSON: {error}") from error
        if not isinstance(answer, dict) or not isinstance(answer.get("data" if self.api == "v3.3" else "logs"), list):
            raise Refused("no page")
        return answer

    @staticmethod
    def wait_after(headers):
        """The seconds that a 429 asks to wait."""
        told, now = headers.get("Retry-After"), headers.get("Date")
        now = email.utils.parsedate_to_datetime(now).timestamp() if now else time.time()
        try:
            wait = float(told)
        except (TypeError, ValueError):
            try:
                wait = email.utils.parsedate_to_datetime(told).timestamp() - now
            except (TypeError, ValueError):
                try:
                    wait = float(headers["X-RateLimit-Reset-Time"]) - now
                except (TypeError, ValueError, KeyError):
                    wait = 60
        return min(max(wait, 1), MAX_WAIT)

    def ask(self, query):
        """A page, after some attempts."""
        wait, failures, waits = 1, 0, 0
        while True:
            try:
                return self.ask_once(query)
            except Refused as error:
                if error.why == 429:
                    waits += 1
                    if waits > MAX_WAITS:
                        raise
                    # Also where it asks for less, the waits grow.
                    self.sleep(max(self.wait_after(error.headers), min(2 ** (waits - 1), MAX_WAIT)))
                    continue
                failures += 1
                # A wrong request stays wrong, and 413 is behind the last page.
                if failures == ATTEMPTS or error.why in (400, 406, 413, "the client is refused"):
                    raise
                if error.why != 401:
                    self.sleep(wait)
                    wait *= 2

    # The log.

    def read(self, start, end):
        """The events of a window, oldest first."""
        read = {"v2": self.read_v2, "v3": self.read_v3, "v3.3": self.read_v3_3}[self.api]
        return sorted(read(start, end), key=lambda event: event.at)

    def read_v3_3(self, start, end):
        for _ in range(3):
            try:
                return self.read_by_token(start, end)
            except Refused as error:
                # The page token is too old: the window is read from its first page.
                if error.why != 400:
                    raise
        raise Refused("the pages end before they are read")

    def read_by_token(self, start, end):
        query = {"event_category": "device", "start_time": start, "end_time": end, "limit": 100, "token": ""}
        events, pages = {}, set()
        while True:
            page = self.ask(query)
            for row in page["data"]:
                event = self.event_of(row)
                events[event.key] = event
            # A token that leads to the same pages for ever is an error of the service.
            asked = (query["token"], page["token"])
            if asked in pages:
                raise Refused("the pages have no end")
            pages.add(asked)
            if not page["token"]:
                return list(events.values())
            query["token"] = page["token"]

    def read_v3(self, start, end):
        day = lambda at: datetime.fromtimestamp(at / 1000, timezone.utc).strftime("%Y/%m/%d")  # noqa: E731
        query = {"start_date": day(start), "end_date": day(end), "filter": DEVICE_CODES, "limit": 50}
        # Its windows are days: all of their pages are read. An entry that moved is dropped by its key.
        rows = self.read_by_number(query, lambda page: page["logs"], lambda row: False)
        events = {event.key: event for event in map(self.event_of, rows) if start <= event.at <= end}
        return list(events.values())

    def read_v2(self, start, end):
        """Lines of whole minutes. Equal ones are told apart by their number."""
        flat = lambda page: [(day["date"], line) for day in page["logs"] for line in day["eventlog"]]  # noqa: E731
        lines = self.read_twice(lambda: self.read_by_number({"limit": 50}, flat, lambda line: self.minute(*line) < start))
        events, counts = [], collections.Counter()
        for date, line in lines:
            at = self.minute(date, line)
            if at >= start - start % 60_000:
                counts[date, line] += 1
                events.append(Event(self.hash([date, line, counts[date, line]]), at, {"date": date, "eventlog": line}))
        return events

    def read_twice(self, read):
        """What two reads in a row agree on: nothing tells an entry that moved from an equal one."""
        before = None
        for _ in range(6):
            entries = sorted(read())
            if entries == before:
                return entries
            before = entries
        raise Refused("the pages do not stand still")

    def read_by_number(self, query, entries_of, is_before):
        """The entries of numbered pages, newest first. Those that arrive meanwhile move others to the next page."""
        entries, page = [], 1
        while True:
            try:
                found = entries_of(self.ask({**query, "page": page}))
            except Refused as error:
                # 413: the last page was the one before.
                if error.why != 413:
                    raise
                return entries
            entries += found
            if all(is_before(entry) for entry in found):
                return entries
            page += 1

    @staticmethod
    def minute(date, line):
        hour, half = line.split("|")[:2]
        at = datetime.strptime(f"{date.strip()} {hour} {half} +0000", "%b %d, %Y %I:%M %p %z")
        return round(at.timestamp() * 1000)

    def event_of(self, row):
        return Event(self.hash(row), millis(row["timestamp"]), row)

    @staticmethod
    def hash(value):
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()

    # What it stores.

    def path(self, name):
        return os.path.join(self.folder, name)

    def load(self):
        try:
            with open(self.path("checkpoint.json"), encoding="utf-8") as file:
                self.checkpoint = json.load(file)
        except FileNotFoundError:
            pass
        self.load_token()
        with open(self.out, "ab") as file:
            file.truncate(self.checkpoint["length"])

    def load_token(self):
        """A token is valid for longer than a poll takes."""
        if os.path.exists(self.path("token")):
            with open(self.path("token"), encoding="utf-8") as file:
                self.token = file.read()

    def store(self, events, until):
        with open(self.out, "ab") as file:
            for event in events:
                file.write(json.dumps(event.record, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            length = file.tell()
        seen = {key: at for key, at in self.checkpoint["seen"].items() if at >= until - OVERLAP_MS - 60_000}
        seen.update((event.key, event.at) for event in events)
        # A clock that was set back does not move it back.
        self.checkpoint = {"until": max(until, self.checkpoint["until"]), "length": length, "seen": seen}
        self.replace(self.path("checkpoint.json"), json.dumps(self.checkpoint))

    @staticmethod
    def replace(path, text):
        """Writes a file that is whole, or not there, whatever happens."""
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)

    # One poll.

    def lock(self):
        self.locked = open(self.path("lock"), "w", encoding="utf-8")
        try:
            fcntl.flock(self.locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy from error

    def window(self):
        since = max(millis(self.env["OPSWAT_SINCE"]), self.checkpoint["until"] - OVERLAP_MS)
        return since, max(since, self.now())

    def poll(self):
        self.lock()
        self.load()
        start, end = self.window()
        while True:
            until = min(end, start + SLICE_MS)
            known = self.checkpoint["seen"]
            self.store([event for event in self.read(start, until) if event.key not in known], until)
            if until == end:
                return
            start = until - 60_000


def run(connector):
    try:
        connector(os.environ).poll()
    except Busy:
        return 0
    except Refused as error:
        print(f"gave up: {error.why}", file=sys.stderr)
        return 1
    return 0


def main(connector):
    if "--every" not in sys.argv:
        return run(connector)
    seconds = float(sys.argv[sys.argv.index("--every") + 1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        run(connector)
        connector(os.environ).sleep(seconds)


if __name__ == "__main__":
    sys.exit(main(Connector))
