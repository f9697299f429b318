"""A server: one that is started here, or one that runs."""

from __future__ import annotations

import collections
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ._account import Account
from ._http import Control
from .errors import StartError, VersionError
from .values import Instant, text_of

BINARY_VARIABLE = "OPSWAT_MOCK_BINARY"
"""The variable with the path of the server's binary, instead of that of the wheel."""
_NAME = "opswat-mock.exe" if sys.platform == "win32" else "opswat-mock"


def binary() -> str:
    """The path of the server's binary: of the variable, of the wheel, or of the PATH."""
    chosen = os.environ.get(BINARY_VARIABLE)
    if chosen:
        if not Path(chosen).is_file():
            raise StartError(f"{BINARY_VARIABLE} names no file: {chosen}")
        return chosen
    for folder in (sysconfig.get_path("scripts"), sysconfig.get_path("scripts", f"{os.name}_user")):
        beside = Path(folder) / _NAME
        if beside.is_file():
            return str(beside)
    found = shutil.which(_NAME)
    if found is None:
        raise StartError(
            f"there is no {_NAME}: the wheel for this platform has it, `cargo install` makes it, "
            f"and {BINARY_VARIABLE} names another one"
        )
    return found


def version() -> str | None:
    """The version of this package, if it is installed."""
    try:
        return metadata.version("opswat-mock")
    except metadata.PackageNotFoundError:
        return None


class Mock:
    """A server with accounts. Started here, it ends with the block, and with the process whatever ends that.

    ::

        with Mock(seed=7, now="2026-01-15T12:00:00Z") as mock:
            connector = MyConnector(mock.base_url, mock.client_id, mock.client_secret)
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        now: Instant | None = None,
        devices: int | None = None,
        lag: int | str | None = None,
        rate_limit: str | None = None,
        retention_days: int | None = None,
        control_token: str | None = None,
        tls: bool = False,
        port: int = 0,
        flags: Sequence[str] = (),
        start_timeout: float = 20.0,
        timeout: float = 70.0,
    ) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.ca_file: str | None = None
        """The certificate of the authority that a client must trust, with ``tls``."""
        given = {
            "seed": seed,
            "now": None if now is None else text_of(now, "now"),
            "devices": devices,
            "lag": lag,
            "rate-limit": rate_limit,
            "retention-days": retention_days,
            "control-token": control_token,
        }
        arguments = ["--port", str(port), "--stop-with-stdin", "--log-format", "json", "--log-level", "info"]
        arguments += [f"--{name}={value}" for name, value in given.items() if value is not None]
        if tls:
            self._folder = tempfile.TemporaryDirectory(prefix="opswat-mock-", ignore_cleanup_errors=True)
            self.ca_file = str(Path(self._folder.name) / "ca.pem")
            arguments += ["--tls", "--tls-ca-file", self.ca_file]
        self._process: _Process | None = _Process([binary(), *arguments, *flags], start_timeout)
        scheme = "https" if tls else "http"
        self._connect(f"{scheme}://127.0.0.1:{self._process.port}", control_token, timeout)

    @classmethod
    def connect(
        cls,
        base_url: str,
        *,
        control_token: str | None = None,
        ca_file: str | None = None,
        timeout: float = 70.0,
        check_version: bool = True,
    ) -> Mock:
        """Uses a server that runs, such as a container. It goes on after the block."""
        mock = cls.__new__(cls)
        mock._folder, mock._process, mock.ca_file = None, None, ca_file
        mock._connect(base_url.rstrip("/"), control_token, timeout)
        own, other = version(), mock.health()["version"]
        if check_version and own is not None and own != other:
            mock.close()
            raise VersionError(
                f"the server at {base_url} has version {other}, this package {own}: "
                "install the same, or pass check_version=False"
            )
        return mock

    def _connect(self, base_url: str, control_token: str | None, timeout: float) -> None:
        self.base_url = base_url
        self._control = Control(base_url, control_token, self.ca_file, timeout)
        self._default: Account | None = None

    @property
    def account(self) -> Account:
        """The account that is there from the start."""
        if self._default is None:
            self._default = self.get_account("default")
        return self._default

    @property
    def token(self) -> str:
        """An access token of the account that is there from the start."""
        return self.account.token

    @property
    def client_id(self) -> str:
        """The client id of that account."""
        return self.account.client_id

    @property
    def client_secret(self) -> str:
        """Its secret."""
        return self.account.client_secret

    def make_account(self, name: str | None = None, *, now: Instant | None = None, **settings: Any) -> Account:
        """Makes an account, with the settings of ``POST /_mock/accounts``: seed, devices, quota, scenario and so on."""
        body = {key: value for key, value in settings.items() if value is not None}
        if name is not None:
            body["name"] = name
        if now is not None:
            body["now"] = text_of(now, "now")
        return Account(self._control, self._control.call("makeAccount", body=body), self.base_url)

    def get_account(self, name: str) -> Account:
        """An account that is there."""
        return Account(self._control, self._control.call("showAccount", account=name), self.base_url)

    def accounts(self) -> Sequence[Account]:
        """All accounts, by name."""
        found: list[Account] = []
        after: str | None = None
        while True:
            page = self._control.call("listAccounts", query={"after": after})
            found += [Account(self._control, one, self.base_url) for one in page["accounts"]]
            after = page["next_after"]
            if after is None:
                return found

    def health(self) -> Mapping[str, Any]:
        """The state and the version of the server."""
        health: Mapping[str, Any] = self._control.call("health")
        return health

    def metrics(self) -> str:
        """The metrics of the server, for Prometheus."""
        metrics: str = self._control.call("metrics")
        return metrics

    def openapi(self) -> Mapping[str, Any]:
        """The OpenAPI document of both surfaces."""
        document: Mapping[str, Any] = self._control.call("openapi")
        return document

    def scenarios(self) -> Sequence[Mapping[str, Any]]:
        """The scenarios that an account can be made with: name, title, why, tags and apis."""
        scenarios: Sequence[Mapping[str, Any]] = self._control.call("listScenarios")["scenarios"]
        return scenarios

    def log(self) -> str:
        """The last lines that a server that was started here has logged."""
        return "" if self._process is None else self._process.log()

    def close(self) -> None:
        """Ends a server that was started here. Further calls do nothing."""
        self._control.close()
        if self._process is not None:
            self._process.end()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Mock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<opswat-mock at {self.base_url}>"


class _Process:
    """The process of a server. It ends when its standard input ends, so that it does not outlive this one."""

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        # What the environment says of another server must not reach it.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPSWAT_MOCK_")}
        try:
            self._child = subprocess.Popen(
                command, env=kept, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise StartError(f"cannot run {command[0]}: {error}") from error
        self.port = 0
        self._lines: collections.deque[str] = collections.deque(maxlen=1000)
        self._listens = threading.Event()
        assert self._child.stderr is not None, "it is a pipe"
        self._reader = threading.Thread(target=self._read, args=(self._child.stderr,), daemon=True)
        self._reader.start()
        if not self._listens.wait(timeout) or not self.port:
            self.end()
            said = self.log().strip() or f"nothing within {timeout} s"
            raise StartError(f"the server did not start, and said: {said}")

    def _read(self, errors: IO[bytes]) -> None:
        for line in errors:
            text = line.decode(errors="replace")
            self._lines.append(text)
            if not self.port and '"listening"' in text:
                self.port = int(json.loads(text)["address"].rpartition(":")[2])
                self._listens.set()
        self._listens.set()

    def log(self) -> str:
        return "".join(self._lines)

    def end(self) -> None:
        if self._child.stdin is not None:
            self._child.stdin.close()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._reader.join(5)
        if self._child.stderr is not None:
            self._child.stderr.close()
