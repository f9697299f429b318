"""The operations of the control surface that this package calls, as /_mock/openapi.json names them."""

from __future__ import annotations

from typing import Final

ACCOUNT: Final = "/_mock/accounts/{account}"

OPERATIONS: Final[dict[str, tuple[str, str]]] = {
    "listAccounts": ("GET", "/_mock/accounts"),
    "makeAccount": ("POST", "/_mock/accounts"),
    "showAccount": ("GET", ACCOUNT),
    "changeAccount": ("PATCH", ACCOUNT),
    "dropAccount": ("DELETE", ACCOUNT),
    "resetAccount": ("POST", f"{ACCOUNT}/reset"),
    "auditServed": ("GET", f"{ACCOUNT}/audit"),
    "audit": ("POST", f"{ACCOUNT}/audit"),
    "verdict": ("GET", f"{ACCOUNT}/verdict"),
    "showClock": ("GET", f"{ACCOUNT}/clock"),
    "turnClock": ("PUT", f"{ACCOUNT}/clock"),
    "advanceClock": ("POST", f"{ACCOUNT}/clock/advance"),
    "sleepOnClock": ("POST", f"{ACCOUNT}/clock/sleep"),
    "truth": ("GET", f"{ACCOUNT}/events"),
    "addEvents": ("POST", f"{ACCOUNT}/events"),
    "forgetEvents": ("DELETE", f"{ACCOUNT}/events"),
    "listFaults": ("GET", f"{ACCOUNT}/faults"),
    "addFaults": ("POST", f"{ACCOUNT}/faults"),
    "replaceFaults": ("PUT", f"{ACCOUNT}/faults"),
    "forgetFaults": ("DELETE", f"{ACCOUNT}/faults"),
    "forgetFault": ("DELETE", f"{ACCOUNT}/faults/{{fault}}"),
    "showQuota": ("GET", f"{ACCOUNT}/quota"),
    "changeQuota": ("PUT", f"{ACCOUNT}/quota"),
    "listRequests": ("GET", f"{ACCOUNT}/requests"),
    "followRequests": ("GET", f"{ACCOUNT}/requests/stream"),
    "mintToken": ("POST", f"{ACCOUNT}/tokens"),
    "expireTokens": ("POST", f"{ACCOUNT}/tokens/expire"),
    "revokeToken": ("DELETE", f"{ACCOUNT}/tokens/{{token}}"),
    "showWebhook": ("GET", f"{ACCOUNT}/webhook"),
    "setWebhook": ("PUT", f"{ACCOUNT}/webhook"),
    "removeWebhook": ("DELETE", f"{ACCOUNT}/webhook"),
    "health": ("GET", "/_mock/health"),
    "metrics": ("GET", "/_mock/metrics"),
    "openapi": ("GET", "/_mock/openapi.json"),
    "listScenarios": ("GET", "/_mock/scenarios"),
}
