"""The lock files: a bill of materials is made of them, and an advisory is passed over for a reason only."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.live import BIN, ROOT

FOLDER = ROOT / "requirements"


@pytest.mark.merge
def test_a_bill_of_materials_names_every_pinned_release(tmp_path: Path) -> None:
    lock, bill = FOLDER / "constraints-e4.txt", tmp_path / "bill.json"
    options = ("--output-reproducible", "--of", "JSON", "-o", bill)
    subprocess.run([BIN / "cyclonedx-py", "requirements", lock, *options], check=True, timeout=120)
    document = json.loads(bill.read_text())
    assert document["bomFormat"] == "CycloneDX"
    pinned = {tuple(line.split(";")[0].strip().split("==")) for line in lock.read_text().splitlines() if "==" in line}
    assert {(item["name"], item["version"]) for item in document["components"]} == pinned


def test_each_advisory_that_is_passed_over_has_its_reason() -> None:
    lines = [line for line in (FOLDER / "advisories.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Z][A-Za-z0-9-]* \S.{19,}", line)] == []
