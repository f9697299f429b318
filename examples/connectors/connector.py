#!/usr/bin/env python3
"""A connector that loses nothing: it polls the device log once, and is made to be run again and again.

    opswat-mock check -- python3 examples/connectors/connector.py

It needs nothing but Python. What it does, and why:

- It reads a window that overlaps the last one by OVERLAP, because the log is written late, and drops what it has already.
- It stores a window only when it has all pages of it, and then moves its checkpoint, both on disk, in one order: records first.
  The checkpoint has the length of the file of records, so that what a crash left behind it is cut off at the next start.
- A 401 gets a new token, a 429 waits, another failure is repeated a few times with growing waits. Then it gives up without
  moving anything, and the next poll reads the same window again.
"""

import hashlib
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timezone

OVERLAP_MS = 4 * 3600 * 1000
PAGE = 100
ATTEMPTS = 6


def millis(text):
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


class Refused(Exception):
    """The service refused a request, or its answer cannot be used."""


class Connector:
    def __init__(self, env):
        self.url, self.env = env["OPSWAT_URL"], env
        self.state = os.path.join(env["OPSWAT_STATE_DIR"], "checkpoint.json")
        self.out = env["OPSWAT_OUT"]
        self.token_file = os.path.join(env["OPSWAT_STATE_DIR"], "token")
        self.token = None
        self.checkpoint = {"until": millis(env["OPSWAT_SINCE"]), "length": 0, "seen": {}}

    # The service.

    def now(self):
        if "OPSWAT_NOW" in self.env:
            return millis(self.env["OPSWAT_NOW"])
        return int(datetime.now(timezone.utc).timestamp() * 1000)

    def sleep(self, seconds):
        if "OPSWAT_SLEEP_URL" not in self.env:
            time.sleep(seconds)
            return
        body = json.dumps({"seconds": seconds}).encode()
        request = urllib.request.Request(self.env["OPSWAT_SLEEP_URL"], body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request).read()

    def send(self, path, body, headers):
        """The status and the body of an answer; Refused where there is none."""
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, body, headers), timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except (OSError, http.client.HTTPException) as error:
            raise Refused(f"no answer: {error}") from error

    def fetch_token(self):
        form = {
            "grant_type": "client_credentials",
            "client_id": self.env["OPSWAT_CLIENT_ID"],
            "client_secret": self.env["OPSWAT_CLIENT_SECRET"],
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, body = self.send("/o/oauth/token", urllib.parse.urlencode(form).encode(), headers)
        if status != 200:
            raise Refused(f"no token: {status}")
        self.token = json.loads(body)["access_token"]
        self.replace(self.token_file, self.token)

    def ask_once(self, query):
        if self.token is None:
            self.fetch_token()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        status, body = self.send("/o/api/v3.3/logs", json.dumps(query).encode(), headers)
        if status == 401:
            self.token = None
        if status != 200:
            raise Refused(status)
        try:
            page = json.loads(body)
        except ValueError as error:
            raise Refused(f"not JSON: {error}") from error
        if not isinstance(page.get("data"), list):
            raise Refused("no page")
        return page

    def ask(self, query):
        """A page, after some attempts."""
        wait = 1
        for attempt in range(ATTEMPTS):
            try:
                return self.ask_once(query)
            except Refused as error:
                if attempt + 1 == ATTEMPTS:
                    raise
                if error.args[0] == 401:
                    continue
                if error.args[0] == 429:
                    self.sleep(30)
                    continue
                self.sleep(wait)
                wait *= 2

    # What it stores.

    def load(self):
        try:
            with open(self.state, encoding="utf-8") as file:
                self.checkpoint = json.load(file)
        except FileNotFoundError:
            pass
        # A token is valid for longer than a poll takes.
        if os.path.exists(self.token_file):
            with open(self.token_file, encoding="utf-8") as file:
                self.token = file.read()
        with open(self.out, "ab") as file:
            file.truncate(self.checkpoint["length"])

    def store(self, events, until):
        with open(self.out, "ab") as file:
            for event in events:
                file.write(json.dumps(event, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            length = file.tell()
        seen = {key: at for key, at in self.checkpoint["seen"].items() if at >= until - OVERLAP_MS}
        seen.update((self.key(event), millis(event["timestamp"])) for event in events)
        self.checkpoint = {"until": until, "length": length, "seen": seen}
        self.replace(self.state, json.dumps(self.checkpoint))

    @staticmethod
    def replace(path, text):
        """Writes a file that is whole, or not there, whatever happens."""
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)

    @staticmethod
    def key(event):
        return hashlib.sha256(json.dumps(event, sort_keys=True).encode()).hexdigest()

    # One poll.

    def window(self):
        since = max(millis(self.env["OPSWAT_SINCE"]), self.checkpoint["until"] - OVERLAP_MS)
        return since, self.now()

    def read(self, start, end):
        """All events of a window."""
        query = {"event_category": "device", "start_time": start, "end_time": end, "limit": PAGE, "token": ""}
        events = []
        while True:
            page = self.ask(query)
            events += page["data"]
            if not page["token"]:
                return events
            query["token"] = page["token"]

    def poll(self):
        self.load()
        start, end = self.window()
        known, new = set(self.checkpoint["seen"]), []
        for event in self.read(start, end):
            if self.key(event) not in known:
                known.add(self.key(event))
                new.append(event)
        self.store(sorted(new, key=lambda event: event["timestamp"]), end)


def main(connector):
    try:
        connector(os.environ).poll()
    except Refused as error:
        print(f"gave up: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Connector))
