#!/usr/bin/env python3
"""Drives the control surface with requests: one account a test, and what can be done to it.

usage: control.py [BASE_URL], http://127.0.0.1:8080 by default. Needs the package requests.
"""

import sys

import requests

BASE = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"


class Account:
    """An account of its own for a test; dropped at the end of it."""

    def __init__(self, **settings):
        made = requests.post(f"{BASE}/_mock/accounts", json=settings)
        made.raise_for_status()
        self.settings = made.json()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        requests.delete(self.url()).raise_for_status()

    def url(self, noun=""):
        return f"{BASE}/_mock/accounts/{self.settings['name']}{noun}"

    def control(self, method, noun, body=None):
        answer = requests.request(method, self.url(noun), json=body)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def page(self, token=None, page_token=""):
        """A page of the last day's device events, as a connector asks for it."""
        headers = {"Authorization": f"Bearer {token or self.settings['access_token']}"}
        query = {"event_category": "device", "age": 86400, "limit": 50, "token": page_token}
        return requests.post(f"{BASE}/o/api/v3.3/logs", json=query, headers=headers)


def a_token_expires_between_two_pages():
    with Account(now="2026-01-15T12:00:00Z") as mock:
        token = mock.control("POST", "/tokens", {"expires_in": 10})["access_token"]
        first = mock.page(token)
        mock.control("POST", "/clock/advance", {"seconds": 10})
        second = mock.page(token, first.json()["token"])
        assert (first.status_code, second.status_code) == (200, 401), second.text
        renewed = mock.page(mock.control("POST", "/tokens")["access_token"], first.json()["token"])
        assert renewed.json()["data"], "the page token lives on"


def a_429_without_waiting():
    with Account(now="2026-01-15T12:00:00Z", quota={"requests": 1, "retry_after": "seconds"}) as mock:
        assert mock.page().status_code == 200
        refused = mock.page()
        assert refused.status_code == 429
        mock.control("POST", "/clock/advance", {"seconds": int(refused.headers["Retry-After"])})
        assert mock.page().status_code == 200


def a_late_event():
    with Account(now="2026-01-15T12:00:00Z") as mock:
        late = {"category": "device", "event": "unseen", "timestamp": "2026-01-15T11:00:00Z",
                "visible_at": "2026-01-15T12:05:00Z", "device_name": "LATE"}
        mock.control("POST", "/events", late)
        assert "LATE" not in mock.page().text
        mock.control("POST", "/clock/advance", {"seconds": 300})
        found = requests.post(f"{BASE}/o/api/v3.3/logs", json={"event_category": "device", "filter": {"search": "LATE"}, "age": 86400},
                              headers={"Authorization": f"Bearer {mock.settings['access_token']}"})
        assert [row["event"] for row in found.json()["data"]] == ["unseen"]


def a_body_cut_in_half():
    with Account(now="2026-01-15T12:00:00Z") as mock:
        mock.control("POST", "/faults", {"match": {"api": "logs-v3.3", "nth": 2}, "fault": {"close": "mid-body"}})
        assert mock.page().ok
        try:
            mock.page()
        except requests.exceptions.RequestException as error:
            print(f"  the second page: {error}")
        else:
            raise AssertionError("the second page arrived whole")
        assert mock.page().ok


def what_did_it_ask_for():
    with Account(now="2026-01-15T12:00:00Z") as mock:
        mock.page()
        (request,) = mock.control("GET", "/requests")["requests"]
        assert request["parameters"]["event_category"] == "device" and request["status"] == 200
        print(f"  {request['method']} {request['path']} {request['parameters']} {request['status']}")


for scene in [a_token_expires_between_two_pages, a_429_without_waiting, a_late_event, a_body_cut_in_half, what_did_it_ask_for]:
    print(scene.__name__.replace("_", " "))
    scene()
print("all is as it should be")
