"""`make without FEATURE=NAME`: proves that a feature can be deleted, in a copy of the tree that lacks it.

The copy has everything but the feature's folder and its line in `features/__init__.py`, and so for each feature that
needs it. There `manage.py check`, mypy and the core's own tests must be green. `FEATURE=xet,s3` deletes several,
`FEATURE=all` leaves the core alone, `FEATURE=each` tries one after the other, `FEATURE=touched` those that the last
commit changed.
"""

import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ops import environments
from ops.sentences import ROOT, Stop, say

LIST = "features/__init__.py"
NAMES = re.compile(r"^(FEATURES: .*) = \(([^)]*)\)$", re.MULTILINE)
CORE = ("tests/registry", "tests/api", "tests/site", "tests/test_docs.py", "tests/test_layers.py")
# The texts of what is gone stay in the catalogues of translations, where they do no harm.
PYTEST = ("-q", "-m", "not merge and not night", "-p", "no:cacheprovider", "-n", "2")


def features(tree: Path) -> list[str]:
    """Return the names in the list of features below `tree`, in order."""
    found = NAMES.search((tree / LIST).read_text())
    return re.findall(r'"(\w+)"', found[2]) if found else []


def run(arguments: Sequence[str]) -> None:
    """Delete what FEATURE names in a copy and check the copy; `arguments` are tests in place of the core's.

    A Stop where something is red, or there is no such feature.
    """
    asked, known = os.environ.get("FEATURE", ""), features(ROOT)
    if asked == "each":
        for name in known:
            prove({name}, arguments)
        return
    chosen = {"all": set(known), "touched": touched() & set(known)}.get(asked, set(asked.split(",")))
    if not chosen:
        say("No feature was touched.")
    elif chosen <= set(known):
        prove(chosen, arguments)
    else:
        wrong = ", ".join(sorted(chosen - set(known)))
        raise Stop(f"There is no feature {wrong!r}. Fix: FEATURE=all, each, touched, or some of {','.join(known)}.")


def touched() -> set[str]:
    """Return the names of the folders of features that the last commit changed."""
    command = ["git", "show", "--first-parent", "--format=", "--name-only", "HEAD"]
    changed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {line.split("/")[1] for line in changed.stdout.splitlines() if line.startswith("features/")}


def prove(names: set[str], arguments: Sequence[str] = ()) -> None:
    """Check a copy of the tree without these features and those that need them; a Stop where it is red."""
    python = environments.ensure_dev()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        gone = copy(tree, names)
        say(f"Without {', '.join(gone)}:")
        environment = os.environ | {
            "PYTHONPATH": f"{tree}:{tree / 'client/src'}",
            "DOVETAIL_SECRET_KEY": secrets.token_urlsafe(50),
        }
        for command in (
            ("manage.py", "check"),
            ("-m", "mypy"),
            ("-m", "pytest", *PYTEST, *(arguments or CORE)),
        ):
            if subprocess.run([python, *command], cwd=tree, env=environment, check=False).returncode:
                red = " ".join(command)
                raise Stop(f"Without {', '.join(gone)} this fails: {red}. Fix: remove what the core knows of it.")


def copy(tree: Path, names: set[str]) -> list[str]:
    """Make a copy of the files that git knows without these features; return the names of all that are gone."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for file in filter(None, listed.splitlines()):
        if (ROOT / file).exists():
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, tree / file)
    for shared in (".venv", ".engines"):
        (tree / shared).symlink_to(ROOT / shared)
    if (ROOT / ".mypy_cache").exists():
        shutil.copytree(ROOT / ".mypy_cache", tree / ".mypy_cache")
    gone = with_those_that_need(tree, names)
    for name in gone:
        shutil.rmtree(tree / "features" / name)
    left = "".join(f'"{name}", ' for name in features(ROOT) if name not in gone)
    text = re.sub(NAMES, rf"\1 = ({left})", (tree / LIST).read_text())
    (tree / LIST).write_text(text)
    return gone


def with_those_that_need(tree: Path, names: set[str]) -> list[str]:
    """Return these features and those that import one of them, however far."""
    gone = set(names)
    while more := {name for name in set(features(tree)) - gone if _imported(tree, name) & gone}:
        gone |= more
    return sorted(gone)


def _imported(tree: Path, name: str) -> set[str]:
    sources = "".join(file.read_text() for file in (tree / "features" / name).rglob("*.py"))
    return set(re.findall(r"^\s*(?:from|import) features\.(\w+)", sources, re.MULTILINE)) - {name}
