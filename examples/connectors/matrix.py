#!/usr/bin/env python3
"""Runs the correct connector through all scenarios, and each mutant through the scenario that must find it.

usage: matrix.py BINARY, such as target/release/opswat-mock
"""

import concurrent.futures
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from mutants import MUTANTS  # noqa: E402  (beside this file)


def check(flags, command):
    line = [sys.argv[1], "check", *flags, "--", sys.executable, *command]
    return subprocess.run(line, capture_output=True, text=True)


def main():
    failures = []
    correct = check([], [os.path.join(HERE, "connector.py")])
    print(correct.stdout.splitlines()[-1], "(connector.py)")
    if correct.returncode != 0:
        failures.append(f"connector.py is correct, and did not pass:\n{correct.stdout}{correct.stderr}")

    def run(name):
        kind, scenario, defect = MUTANTS[name]
        return name, check(["--only", scenario, "--jobs", "1"], [os.path.join(HERE, "mutants.py"), name])

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, found in pool.map(run, MUTANTS):
            first = next((line for line in found.stdout.splitlines() if line.startswith(("FAIL", "pass"))), found.stderr)
            print(f"{name:<26} {first.strip()[:150]}")
            if found.returncode != 1:
                failures.append(f"{name} was not found by {MUTANTS[name][1]}")
    listed = check(["--list"], []).stdout.splitlines()
    idle = {line.split()[0] for line in listed} - {scenario for _, scenario, _ in MUTANTS.values()}
    failures += [f"no mutant is found by {scenario}" for scenario in sorted(idle)]
    print(f"{len(MUTANTS)} mutants, {len(listed)} scenarios, {len(failures)} failures")
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
