"""The pages of the checks say what the list of checks says: each id, its order, and which family answers it."""

import ast
import re
from pathlib import Path

from dovetail.adapters.checks import ASKED, CHECKS, FAMILIES, NOT_RUN, ids
from dovetail.adapters.methods import KINDS
from dovetail.adapters.results.report import CRASHED
from workers.engine.processes.validation import ALWAYS, RUN_IDS

ROOT = Path(__file__).resolve().parents[2]
FORMATS, *CHECK_PAGES = ((ROOT / f"docs/{name}.md").read_text() for name in ("formats", "checks", "checks-engine"))
PAGE = "\n".join(CHECK_PAGES)
AREAS = {"load": "run", "run": "run", "eval": "evaluation"}  # files of workers/engine/checks, which needs torch


def headings():
    return re.findall(r"^### `([a-z.-]+)`$", PAGE, re.MULTILINE)


def table():
    """The lines of the table of families, as the code would write it."""
    declined = {reason for family in FAMILIES for reason in family.declines.values()}
    shown = [entry for entry in CHECKS if entry.stage in ("files", "engine")]
    reasons = [why for entry in shown for family in FAMILIES if (why := family.why_not(entry))]
    numbers = {why: number for number, why in enumerate(dict.fromkeys(reasons), 1)}
    assert declined == numbers.keys(), "a reason that no check is declined for"
    lines = ["| check | " + " | ".join(family.title for family in FAMILIES) + " |", "|---|" + "---|" * len(FAMILIES)]
    for entry in shown:
        why = [family.why_not(entry) for family in FAMILIES]
        lines.append(f"| `{entry.id}` | " + " | ".join(f"no ({numbers[one]})" if one else "yes" for one in why) + " |")
    return lines, [f"{number}. {why}" for why, number in numbers.items()]


def test_every_check_has_its_heading_and_no_heading_outlives_its_check():
    listed = [entry.id for entry in CHECKS]
    assert len(set(listed)) == len(listed), "no id is in the list twice"
    assert sorted(headings()) == sorted(listed)
    assert {CRASHED, *ALWAYS} <= set(ids("told"))


def test_the_table_of_families_is_what_the_families_say():
    lines, reasons = table()
    section = FORMATS.partition("## Which format answers which check")[2].partition("\n## ")[0]
    assert re.findall(r"^\|.*\|$", section, re.MULTILINE) == lines
    assert re.findall(r"^\d+\. .*$", section, re.MULTILINE) == reasons


def test_every_family_answers_or_declines_every_check_of_the_files():
    for entry in (entry for entry in CHECKS if entry.stage == "files"):
        for family in FAMILIES:
            has_function = callable(entry.ask) or family.name in entry.ask
            assert family.why_not(entry) or has_function, f"{family.name} neither answers {entry.id} nor says why not"
            only_here = not callable(entry.ask) and family.name in entry.ask
            assert not (family.why_not(entry) and only_here), f"{family.name} declines {entry.id} and has a function"


def test_no_check_is_asked_before_one_that_it_needs():
    for family in FAMILIES:
        asked = [check.id for check in ASKED[family.name]]
        for check in ASKED[family.name]:
            later = asked[asked.index(check.id) :]
            assert not set(check.needs) & set(later), f"{family.name}: {check.id}"


def test_every_check_of_an_engine_has_its_function_by_its_name():
    functions = {}
    for area, name in AREAS.items():
        tree = ast.parse((ROOT / "workers" / "engine" / "checks" / f"{name}.py").read_text())
        functions[area] = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for id in ids("engine"):
        area, _, problem = id.partition(".")
        assert problem.replace("-", "_") in functions[area], id
    assert [id for id in RUN_IDS if id not in ids("told")] == list(ids("engine"))


def test_checks_are_described_in_the_order_in_which_they_are_asked():
    asked = [id for id in ids("files") if id != "run.not-here"]
    assert [name for name in headings() if name in asked] == asked


def test_what_no_engine_runs_is_told_at_the_end_of_its_fit():
    asked = [check.id for check in ASKED[NOT_RUN]]
    assert asked[asked.index("run.not-here") - 1] == "fit.shape"


def test_the_page_shows_every_method_with_what_its_row_says():
    section = FORMATS.partition("## The methods of PEFT")[2].partition("\n## ")[0]
    rows = [f"| `{kind.name}` | {kind.since or '0.5 or before'} | {kind.note} |".replace("  |", " |") for kind in KINDS]
    assert re.findall(r"^\| `.*\|$", section, re.MULTILINE) == sorted(rows)


def test_every_heading_says_how_to_fix_it():
    parts = re.split(r"^### `", PAGE, flags=re.MULTILINE)[1:]
    assert [part.split("`")[0] for part in parts if "**Fix:**" not in part] == [CRASHED]


if __name__ == "__main__":  # prints the table for the page
    print("\n".join([*table()[0], "", *table()[1]]))
