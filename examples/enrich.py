#!/usr/bin/env python3
"""A connector that enriches what it reads: for each device that became non-compliant, it looks up details and vulnerabilities.

It polls the device log hour by hour, while the account's clock is turned, and stores what it found beside each event. At the end the
mock says whether a log was lost. What a look-up says must agree with the log: that is what the assertions are about.

usage: enrich.py [BASE_URL], http://127.0.0.1:8080 by default. Needs the package requests.
"""

import sys

import requests

BASE = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
START, HOURS = 1768464000000, 12  # 2026-01-15T08:00:00Z, and a working day from there.


class Connector:
    def __init__(self, token):
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, path, body):
        answer = self.session.post(f"{BASE}/o/api/{path}", json=body)
        if answer.status_code in (404, 413):
            return None if answer.status_code == 404 else []
        answer.raise_for_status()
        return answer.json()

    def read(self, start, end):
        """All device events of a window, oldest first."""
        query = {"event_category": "device", "start_time": start, "end_time": end, "limit": 100}
        events = []
        while (page := self.ask("v3.3/logs", query))["data"]:
            events += page["data"]
            query["token"] = page["token"]
        return events[::-1]

    def enrich(self, event):
        """What the look-ups say about the device of an event; `gone` if it left the account since."""
        ids = [event["device_id"]]
        details = self.ask("v3.4/devices/detail", {"ids": ids, "verbose": {"categories": 1}})
        # 413 says that there is nothing to return, 404 that the device is gone.
        cves = self.ask("v3/get_cves", {"id": event["device_id"], "verbose": 1})
        if not details:
            assert cves is None, "a device without details has vulnerabilities"
            return {"gone": True}
        return {"details": details[0], "cves": cves}


def main():
    account = {"seed": 7, "now": "2026-01-15T08:00:00Z", "quota": "off"}
    account = requests.post(f"{BASE}/_mock/accounts", json=account).json()
    control = f"{BASE}/_mock/accounts/{account['name']}"
    connector = Connector(account["access_token"])
    stored, enriched, still = [], 0, 0
    for hour in range(HOURS):
        requests.post(f"{control}/clock/advance", json={"seconds": 3600}).raise_for_status()
        begin = START + hour * 3600_000
        events = connector.read(begin, begin + 3600_000 - 1)
        for event in events:
            record = dict(event)
            if event["event"] == "noncompliant":
                found = connector.enrich(event)
                enriched += 1
                record["enrichment"] = found
                # The newest event of the device in this hour says what the device is now.
                last = [later["event"] for later in events if later["device_id"] == event["device_id"]]
                last = [code for code in last if code in ("noncompliant", "compliant", "exempt_all", "unexempt")][-1]
                if "details" in found:
                    expected = {"compliant": "compliant", "exempt_all": "exempted"}.get(last, "non_compliant")
                    details = found["details"]
                    assert details["status"] == expected, (event, details)
                    assert details["device_name"] == event["device_name"]
                    if expected == "non_compliant":
                        still += 1
                        issue = details["categories"][0]["issue"]
                        assert event["details"].endswith(issue), (event, details)
                        assert found["cves"], event
            stored.append(record)
    used = connector.session.get(f"{BASE}/o/api/v3.1/account").json()
    by_status = {row["status"]: row["number_of_devices"] for row in used["devices_by_status"]}
    window = {"category": "device", "from": START, "to": START + HOURS * 3600_000 - 1, "format": "text"}
    report = requests.post(f"{control}/audit", params=window, json=stored)
    requests.delete(control).raise_for_status()
    print(f"{len(stored)} events, {enriched} enriched, {still} of them still non-compliant; the account now: {by_status}")
    print(report.text)
    assert enriched > 5 and still > 0
    assert report.headers["X-Mock-Result"] == "pass", report.text


if __name__ == "__main__":
    main()
