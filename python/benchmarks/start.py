"""Times a start of the server until its first answer, and a fresh account: python benchmarks/start.py"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from opswat_mock import Mock


def median_ms(work: Callable[[], object], times: int) -> float:
    """The median time of some calls, in milliseconds."""
    took: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def main() -> None:
    mocks: list[Mock] = []

    def start() -> None:
        mocks.append(Mock())
        mocks[-1].health()

    print(f"start to first answer: {median_ms(start, 30):.1f} ms (median of 30)")
    account = median_ms(lambda: mocks[0].make_account(now="2026-01-15T12:00:00Z"), 300)
    print(f"fresh account: {account:.2f} ms (median of 300)")
    for mock in mocks:
        mock.close()


if __name__ == "__main__":
    main()
