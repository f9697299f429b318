"""What can go wrong."""

from __future__ import annotations


class MockError(Exception):
    """The base of all errors of this package."""


class StartError(MockError):
    """A server could not be started. The text has what the server said."""


class VersionError(MockError):
    """A running server has another version than this package."""


class UnreachableError(MockError):
    """A server does not answer."""


class ControlError(MockError):
    """The control surface refused a call. The text is the server's."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail or title)
        self.status = status
        self.title = title
        self.detail = detail


class BadRequestError(ControlError):
    """A value is wrong (400)."""


class DeniedError(ControlError):
    """The control token is missing or wrong, or the host is not allowed (401, 403)."""


class NotFoundError(ControlError):
    """There is no such account, fault rule or token (404)."""


class ConflictError(ControlError):
    """The name is taken, or the account cannot be dropped (409)."""


def control_error(status: int, title: str, detail: str) -> ControlError:
    """The error for a status."""
    kinds: dict[int, type[ControlError]] = {
        400: BadRequestError,
        401: DeniedError,
        403: DeniedError,
        404: NotFoundError,
        409: ConflictError,
    }
    return kinds.get(status, ControlError)(status, title, detail)
