"""Calls of the control surface over connections that stay open."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ._operations import OPERATIONS
from .errors import UnreachableError, control_error


class Control:
    """Calls operations. Each thread has a connection of its own."""

    def __init__(self, base_url: str, token: str | None, ca_file: str | None, timeout: float) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"base_url must be a URL such as http://127.0.0.1:8080, got {base_url!r}")
        self._is_https = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or (443 if self._is_https else 80)
        self._token = token
        self._ca_file = ca_file
        self._timeout = timeout
        self._context: ssl.SSLContext | None = None
        self._local = threading.local()

    def call(
        self,
        operation: str,
        *,
        account: str | None = None,
        query: Mapping[str, object] | None = None,
        body: object = None,
        data: bytes | None = None,
        **places: str,
    ) -> Any:
        """The JSON that an operation answers; a text if it is no JSON, and None without a body."""
        path = self._path(operation, account, query, places)
        headers = {"Accept": "application/json"}
        if data is not None:
            headers["Content-Type"] = "application/x-ndjson"
        elif body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        answer = self._send(OPERATIONS[operation][0], path, data, headers)
        text = answer.read()
        is_json = "json" in answer.headers.get_content_type()
        if answer.status >= 400:
            problem: dict[str, str] = json.loads(text) if is_json else {}
            raise control_error(answer.status, problem.get("title", answer.reason), problem.get("detail", ""))
        if not text:
            return None
        return json.loads(text) if is_json else text.decode()

    def lines(self, operation: str, *, account: str, query: Mapping[str, object]) -> Iterator[str]:
        """The lines of an answer that does not end. Its connection is closed with the iterator."""
        connection = self._connect()
        try:
            path = self._path(operation, account, query, {})
            connection.request("GET", path, headers=self._headers({"Accept": "text/event-stream"}))
            answer = connection.getresponse()
            if answer.status >= 400:
                raise control_error(answer.status, answer.reason, json.loads(answer.read()).get("detail", ""))
            while line := answer.readline():
                yield line.decode().rstrip("\r\n")
        finally:
            connection.close()

    def close(self) -> None:
        """Closes the connection of this thread."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()

    def _path(
        self, operation: str, account: str | None, query: Mapping[str, object] | None, places: Mapping[str, str]
    ) -> str:
        names = {name: quote(place, safe="") for name, place in places.items()}
        path = OPERATIONS[operation][1].format(account=quote(account or "", safe=""), **names)
        given = {name: value for name, value in (query or {}).items() if value is not None}
        return f"{path}?{urlencode(given)}" if given else path

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def _connect(self) -> http.client.HTTPConnection:
        if not self._is_https:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        if self._context is None:
            self._context = ssl.create_default_context(cafile=self._ca_file)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._context)

    def _send(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        headers = self._headers(headers)
        kept: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        for connection in [kept, None] if kept is not None else [None]:
            is_kept = connection is not None
            if connection is None:
                connection = self._local.connection = self._connect()
            try:
                connection.request(method, path, data, headers)
                return connection.getresponse()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
                connection.close()
                # The server closes connections that were idle. It did not see this request then.
                if not is_kept:
                    raise self._unreachable(error) from error
            except OSError as error:
                connection.close()
                raise self._unreachable(error) from error
        raise AssertionError("a new connection answers or raises")

    def _unreachable(self, error: Exception) -> UnreachableError:
        return UnreachableError(f"the server at {self._host}:{self._port} does not answer: {error}")
