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
from mutants import MUTANTS, NewOnly  # noqa: E402  (beside this file)

ALL = "v3.3,v3,v2"


def check(flags, command=()):
    line = [sys.argv[1], "check", *flags, *(["--", *command] if command else [])]
    return subprocess.run(line, capture_output=True, text=True)


def summary(found):
    return next((line for line in found.stdout.splitlines() if " passed, " in line), found.stderr)


def row(name, mutant):
    """A row of the table in README.md."""
    return f"| `{name}` | {mutant.defect} | `{mutant.scenario}` | {mutant.finding} |"


def has_own(mutant):
    return any(callable(value) for value in vars(mutant.kind).values())


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
    part = "busy,late-by-a-minute,retry-after-seconds,error-502-with-html,killed-after-a-page,two-instances,summer-time-begins"
    ways = [["--time", "fake"], ["--time", "env", "--service"], ["--time", "fake", "--service"]]
    for flags in ways:
        every = ["--every", "60"] if "--service" in flags else []
        found = check(["--only", part, *flags], [*correct[0][0], *every])
        print(summary(found), f"(connector.py, {' '.join(flags)})")
        if found.returncode != 0:
            failures.append(f"connector.py is correct, and did not pass with {flags}:\n{found.stdout}{found.stderr}")

    def run(case):
        name, mutant = case
        flags = ["--only", mutant.scenario, "--api", mutant.api, "--jobs", "1", "--time", "env"]
        return name, mutant, check(flags, [sys.executable, os.path.join(HERE, "mutants.py"), name])

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, mutant, found in pool.map(run, MUTANTS.items()):
            findings = [line.strip()[2:] for line in found.stdout.splitlines() if line.startswith("  - ")]
            first = next((line for line in findings if mutant.finding in line), "")
            print(f"{name:<26} {mutant.scenario:<28} {first[:110]}")
            if found.returncode != 1 or not first:
                failures.append(f"{name} was not found by {mutant.scenario}: {mutant.finding}\n{found.stdout}{found.stderr}")
        # Where a mutant is made of the connector without an overlap, that one is not what the scenario finds.
        made_of = [("new-only", mutant) for mutant in MUTANTS.values() if mutant.kind.__bases__ == (NewOnly,) and has_own(mutant)]
        for _, mutant, found in pool.map(run, made_of):
            if found.returncode != 0:
                failures.append(f"{mutant.scenario} finds the connector without an overlap:\n{found.stdout}{found.stderr}")
    idle = set(listed) - {mutant.scenario for mutant in MUTANTS.values()}
    failures += [f"no mutant is found by {scenario}" for scenario in sorted(idle)]
    with open(os.path.join(HERE, "README.md"), encoding="utf-8") as file:
        rows = [line for line in file.read().splitlines() if line.startswith("| `") and line.count(" | ") == 3]
    if rows != [row(*case) for case in MUTANTS.items()]:
        failures.append("the table of README.md is another one:\n" + "\n".join(row(*case) for case in MUTANTS.items()))
    print(f"{len(MUTANTS)} mutants, {len(listed)} scenarios, {len(failures)} failures")
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
