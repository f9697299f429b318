#!/usr/bin/env python3
"""A test of a connector that takes an error for the end: it loses events, and the mock says which ones and why.

usage: audit.py [BASE_URL], http://127.0.0.1:8080 by default. Needs the package requests.
"""

import sys

import requests

BASE = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"


class Connector:
    """Reads one day of device events. With `is_careful`, it fetches a new token after a 401."""

    def __init__(self, client_id, client_secret, is_careful):
        self.credentials = {"client_id": client_id, "client_secret": client_secret}
        self.is_careful = is_careful

    def fetch_token(self):
        form = {"grant_type": "client_credentials", **self.credentials}
        return requests.post(f"{BASE}/o/oauth/token", data=form).json()["access_token"]

    def read_day(self):
        stored, token, page_token = [], self.fetch_token(), ""
        while True:
            query = {"event_category": "device", "age": 86400, "limit": 25, "token": page_token}
            headers = {"Authorization": f"Bearer {token}"}
            answer = requests.post(f"{BASE}/o/api/v3.3/logs", json=query, headers=headers)
            if answer.status_code == 401 and self.is_careful:
                token = self.fetch_token()
                continue
            if not answer.ok or not answer.json()["data"]:
                return stored
            stored += answer.json()["data"]
            page_token = answer.json()["token"]


def audit(is_careful):
    """Runs the connector against an account whose token expires after the second page, and audits what it stored."""
    account = requests.post(f"{BASE}/_mock/accounts", json={"seed": 7, "now": "2026-01-15T12:00:00Z"}).json()
    control = f"{BASE}/_mock/accounts/{account['name']}"
    rule = {"match": {"api": "logs-v3.3", "nth": 2}, "fault": {"expire_token": True}}
    requests.post(f"{control}/faults", json=rule).raise_for_status()
    stored = Connector(account["client_id"], account["client_secret"], is_careful).read_day()
    report = requests.post(f"{control}/audit", params={"category": "device", "format": "text"}, json=stored)
    verdict = requests.get(f"{control}/verdict", params={"format": "text"})
    requests.delete(control).raise_for_status()
    return report, verdict


if __name__ == "__main__":
    report, verdict = audit(is_careful=False)
    print(report.text)
    assert report.headers["X-Mock-Result"] == "fail" and "missing: 58 (refused 58)" in report.text
    assert verdict.headers["X-Mock-Result"] == "fail" and "fail     pages_to_end" in verdict.text
    report, verdict = audit(is_careful=True)
    print(report.text)
    assert report.headers["X-Mock-Result"] == "pass", report.text
    assert verdict.headers["X-Mock-Result"] == "pass", verdict.text
