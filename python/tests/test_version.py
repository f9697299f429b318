"""One version number for crate, image and wheel."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from opswat_mock import Mock, binary, version

ROOT = Path(__file__).parents[2]


def test_crate_binary_and_wheel_have_one_version(opswat_mock: Mock) -> None:
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "([^"]+)"', manifest, re.MULTILINE)
    assert found is not None
    said = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True).stdout
    assert said == f"opswat-mock {found[1]}\n"
    assert opswat_mock.health()["version"] == version() == found[1]
    assert "version" not in (ROOT / "Dockerfile").read_text(encoding="utf-8"), "the image has that of its binary"


def test_the_readme_is_true(pytester: pytest.Pytester) -> None:
    text = (ROOT / "python" / "README.md").read_text(encoding="utf-8")
    test, *others = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert f"```python\n{test}```" in (ROOT / "README.md").read_text(encoding="utf-8"), "the same test is there"
    pytester.makepyfile(test)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    for other in others:
        subprocess.run([sys.executable, "-c", other], check=True)
