"""The shape of the code: what `make shape` counts, and that no number rose."""

import json
import subprocess
from pathlib import Path

from ops import shape
from ops.sentences import ROOT

FILES = {
    "hub/__init__.py": "",
    "hub/receiving.py": "from features.likes import (\n    verbs,\n)\nfrom registry import names\nshelf = verbs\n",
    "registry/names.py": "from typing import Any\n\nNAMES: dict[str, Any] = {}  # fmt: skip\n",
    "registry/migrations/0001_initial.py": "import registry.names\n",
    "features/__init__.py": "from features.likes import verbs\n",
    "features/likes/verbs.py": "import registry.names\nfrom features.views import rows\n\nnumber = registry, rows\n",
    "features/views/rows.py": "ROW = Prepared(1)\n",
    "client/src/dovetail/api.py": "import json\n",
}


def test_each_number_counts_what_it_says(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    assert shape.measure(tmp_path) == {
        "lines": 13,
        "core lines": 8,
        "modules": 7,
        "modules with one caller": 1,
        "modules under 30 lines": 5,
        "longest import chain": 3,
        "import lines, per mille": 692,
        "most files in one folder": 2,
        "core imports of features": 1,
        "feature imports of another feature": 1,
        "modules named by a participle": 1,
        "fmt: skip": 1,
        "dict[str, Any]": 1,
        "Prepared outside its room": 1,
        "unwanted words": 1,
    }


def test_a_number_that_rose_is_named_with_its_limit() -> None:
    assert shape.risen({"modules": 8, "lines": 90}, {"modules": 7, "lines": 90}) == ["modules: 8, at most 7"]
    assert shape.risen({"a new number": 1}, {}) == ["a new number: 1, at most 0"]


def test_no_number_rose() -> None:
    limits = json.loads(shape.LIMITS.read_text())
    rose = shape.risen(shape.measure(ROOT), limits)
    assert rose == [], (
        "merge, move or delete until it is not more than before; `make shape ARGS=--write` keeps what fell"
    )
