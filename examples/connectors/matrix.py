#!/usr/bin/env python3
"""Runs correct connectors through all scenarios, and each mutant through the scenario that must find it.

usage: matrix.py BINARY [CONNECTOR…], such as matrix.py target/release/opswat-mock target/release/examples/polling
Needs libfaketime for the runs with a fake clock, and runs connector_requests.py where the package requests is there.
"""

import concurrent.futures
import importlib.util
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from mutants import MUTANTS  # noqa: E402  (beside this file)

ALL = "v3.3,v3,v2"


def check(flags, command=()):
    line = [sys.argv[1], "check", *flags, *(["--", *command] if command else [])]
    return subprocess.run(line, capture_output=True, text=True)


def summary(found):
    return next((line for line in found.stdout.splitlines() if " scenarios: " in line), found.stderr)


def main():
    failures = []
    listed = [line.split()[0] for line in check(["--list"]).stdout.splitlines()]
    correct = [([sys.executable, os.path.join(HERE, "connector.py")], ALL)]
    correct += [([path], "v3.3") for path in sys.argv[2:]]
    if importlib.util.find_spec("requests"):
        correct.append(([sys.executable, os.path.join(HERE, "connector_requests.py")], "v3.3"))
    else:
        print("connector_requests.py is NOT run: there is no package requests")
    for command, apis in correct:
        for api in [apis, *apis.split(",")[1:]]:
            found = check(["--api", api, "--time", "env"], command)
            print(summary(found), f"({os.path.basename(command[-1])}, {api})")
            if found.returncode != 0:
                failures.append(f"{command[-1]} is correct, and did not pass with {api}:\n{found.stdout}{found.stderr}")

    # In the other ways, a part of the pack is enough: they differ in how the connector is run.
    part = "busy,late-by-a-minute,retry-after-seconds,error-502-with-html,killed-after-a-page,summer-time-begins"
    ways = [["--time", "fake"], ["--time", "env", "--service"], ["--time", "fake", "--service"]]
    for flags in ways:
        every = ["--every", "60"] if "--service" in flags else []
        found = check(["--only", part, *flags], [*correct[0][0], *every])
        print(summary(found), f"(connector.py, {' '.join(flags)})")
        if found.returncode != 0:
            failures.append(f"connector.py is correct, and did not pass with {flags}:\n{found.stdout}{found.stderr}")

    def run(name):
        _, scenario, _, api = MUTANTS[name]
        flags = ["--only", scenario, "--api", api, "--jobs", "1", "--time", "env"]
        return name, check(flags, [sys.executable, os.path.join(HERE, "mutants.py"), name])

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, found in pool.map(run, MUTANTS):
            first = next((line for line in found.stdout.splitlines() if line.startswith(("FAIL", "pass"))), found.stderr)
            print(f"{name:<26} {first.strip()[:150]}")
            if found.returncode != 1:
                failures.append(f"{name} was not found by {MUTANTS[name][1]}")
    idle = set(listed) - {scenario for _, scenario, _, _ in MUTANTS.values()}
    failures += [f"no mutant is found by {scenario}" for scenario in sorted(idle)]
    print(f"{len(MUTANTS)} mutants, {len(listed)} scenarios, {len(failures)} failures")
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
