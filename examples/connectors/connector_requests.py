#!/usr/bin/env python3
"""The connector of connector.py, with the package requests.

    opswat-mock check -- python3 examples/connectors/connector_requests.py
"""

import sys

import connector
import requests
from connector import Connector, Refused, main


class RequestsConnector(Connector):
    def __init__(self, env):
        super().__init__(env)
        self.session = requests.Session()

    def send(self, path, body, headers):
        method = "GET" if body is None else "POST"
        try:
            answer = self.session.request(method, self.url + path, data=body, headers=headers, timeout=connector.TIMEOUT)
        except requests.RequestException as error:
            raise Refused(f"no answer: {error}") from error
        return answer.status_code, answer.content, answer.headers


if __name__ == "__main__":
    sys.exit(main(RequestsConnector))
