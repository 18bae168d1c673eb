"""Who may import whom: the table of docs/architecture.md, enforced on every import of every file."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import features
from features import FEATURES
from hub.site.panels import Pages
from tests.sweep import sweep

ROOT = Path(__file__).resolve().parent.parent
TORCH = {"torch", "transformers", "peft"}
FACES = ("hf", "api", "site")
# The rooms of the domain in their order: a room imports the rooms before it. The tables import none of them.
ROOMS = ("sql", "kernel", "people", "bytes", "repos", "proof", "publish", "moderation", "talk")
AT_THE_END = {"registry.management"}  # which may import all
# What the engine may name: the standard library is everything else it imports, checked against what it must not.
ENGINE_NEVER = {"django", "celery", "kombu", "boto3", "botocore", "registry", "hub", "requests", "http", "urllib"}
# The folders of features that an engine's interpreter runs.
ENGINES = [f"features/{name}/engine" for name in FEATURES if (ROOT / f"features/{name}/engine").exists()]

BOXES: dict[str, set[str]] = {
    "registry": {"features", "hub", "workers", "rest_framework", "celery", "boto3", "botocore", *TORCH},
    "hub": {"features", "workers", "boto3", "botocore", *TORCH},
    "workers": {"features", "hub", "boto3", "botocore", *TORCH},
    "workers/engine": {"features", *ENGINE_NEVER},
    **dict.fromkeys(ENGINES, ENGINE_NEVER),
    "client/src/dovetail": {"features", "hub", "registry", "workers", "django", "celery", "boto3", *TORCH},
    "features": {"boto3", "botocore", *TORCH},
    "ops": {"features", "hub", "registry", "workers", "boto3", "botocore", *TORCH},
    **{
        f"registry/{room}": {f"registry.{later}" for later in ROOMS[number + 1 :]} | AT_THE_END
        for number, room in enumerate(ROOMS)
    },
    "registry/models": {f"registry.{room}" for room in ROOMS} | AT_THE_END,
    **{f"hub/{face}": {f"hub.{other}" for other in FACES if other != face} for face in FACES},
}
# The places of the core that read the list of features; what they find there they hand on.
COMPOSITION_ROOTS = (
    "hub/settings.py",
    "hub/urls.py",
    "hub/api/urls.py",
    "hub/site/urls.py",
    "hub/site/documentation.py",
    "registry/apps.py",
    "workers/tasks.py",
)
# Places where a rule of the table has its stated exception. ops reads the constants of hub/about.py.
ALLOWED = {
    **{root: {"features"} for root in COMPOSITION_ROOTS},
    "features/buckets/s3.py": {"boto3", "botocore"},
    "features/buckets/s3_requests.py": {"boto3", "botocore"},
    "ops/__main__.py": {"hub"},
    "ops/environments.py": {"hub"},
    "client/src/dovetail/integrations/transformers.py": {"transformers"},  # a callback of its Trainer
    "client/src/dovetail/integrations/peft_changes.py": {"torch", "transformers", "peft"},  # in functions alone
}


def imports(file: Path) -> Iterator[str]:
    """Yield the full name of everything a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide who is imported"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def files(box: str) -> list[Path]:
    """Return the files of a box; what runs in an engine is a box of its own inside workers and features."""
    engines = [ROOT / name for name in ("workers/engine", *ENGINES) if name != box]
    found = sorted(file for file in (ROOT / box).rglob("*.py") if "tests" not in file.relative_to(ROOT).parts)
    return [file for file in found if not any(map(file.is_relative_to, engines))]


def trespasses(file: Path, forbidden: set[str]) -> list[str]:
    """Return the imports of a file that its box forbids."""
    name = file.relative_to(ROOT).as_posix()
    never = forbidden - ALLOWED.get(name, set())
    return [f"{name} imports {one}" for one in imports(file) if any(f"{one}.".startswith(f"{bad}.") for bad in never)]


@sweep("box", BOXES)
def test_a_box_imports_only_what_it_may(box: str) -> None:
    found = files(box)
    assert found, f"{box} has no files: was it renamed?"
    assert [one for file in found for one in trespasses(file, BOXES[box])] == []


# What a file of a feature may know of the rest, by its name. Any other file of it is of the domain.
OF_WEB = {"rest", "pages", "wire", "addresses", "settings", "provider", "error_reports"}
OF_WORKERS = {"jobs"}


def test_the_domain_of_a_feature_knows_no_http_and_its_faces_know_no_workers() -> None:
    found = []
    for file in files("features"):
        face = file.relative_to(ROOT).parts[2:3]
        kind = face[0].removesuffix(".py") if face else ""
        if kind in OF_WORKERS:
            never = BOXES["workers"] - {"features"}
        elif kind in OF_WEB:
            never = {"workers", *({"hub.site"} if kind in ("rest", "wire") else {"hub.api"} if kind == "pages" else ())}
        else:
            never = {"hub", "workers", "rest_framework", "celery", "django.http", "django.shortcuts"}
        found += trespasses(file, never) if kind else []
    assert found == []


# Feature → the features that it needs: who removes one removes those that need it.
NEEDS: dict[str, set[str]] = {}


def test_a_feature_imports_another_only_where_it_says_that_it_needs_it() -> None:
    used: dict[str, set[str]] = {}
    for file in (file for box in ("features", *ENGINES) for file in files(box)):
        own = file.relative_to(ROOT).parts[1]
        others = {one.split(".")[1] for one in imports(file) if one.startswith("features.")} & set(FEATURES) - {own}
        if others:
            used.setdefault(own, set()).update(others)
    assert used == NEEDS


# Spots on pages of a feature, without which their panels are shown nowhere.
SPOTS_OF = {
    "other-forms": "use",
    "relative": "weights",
    "proposal": "discussions",
    "proposal-target": "discussions",
    "own-needs": "dashboard",
    "own-news": "dashboard",
}


def test_every_panel_of_a_feature_has_its_spot_on_a_page() -> None:
    pages = [*ROOT.glob("templates/**/*.html"), *ROOT.glob("features/*/templates/**/*.html")]
    spots = {spot for page in pages for spot in re.findall(r'{% panels "([\w-]+)"(?: as \w+)? %}', page.read_text())}
    shown = {panel.spot for pages in features.parts("PAGES", Pages, "pages") for panel in pages.panels}
    gone = {spot for spot, feature in SPOTS_OF.items() if feature not in FEATURES}
    assert shown - spots - gone == set(), "nothing shows these"


# The files of a feature that a place of the core reads, and what it looks for there.
READ = {
    "feature": {"FEATURE"},
    "jobs": {"JOBS"},
    "pages": {"PAGES"},
    "rest": {"REST"},
    "settings": {"SETTINGS"},
    "wire": {"WIRE", "GRANTS", "ELSEWHERE"},
}


def test_each_file_of_a_feature_that_the_core_reads_gives_it_something() -> None:
    """A name that is spelled wrong would be left out without a word."""
    import_module("hub.urls")  # first: it knows the converters that routes of features name
    given = {
        f"{feature}.{module}": names & vars(import_module(f"features.{feature}.{module}")).keys()
        for feature in FEATURES
        for module, names in READ.items()
        if find_spec(f"features.{feature}.{module}")
    }
    assert given
    assert [file for file, names in given.items() if not names] == []


def test_every_folder_of_features_is_in_the_list_and_says_what_it_is() -> None:
    folders = {path.parent.name for path in (ROOT / "features").glob("*/__init__.py")}
    assert folders == set(FEATURES)
    assert all(ast.get_docstring(ast.parse((ROOT / f"features/{name}/__init__.py").read_text())) for name in FEATURES)


def test_workers_know_four_files_of_the_engine_all_without_torch() -> None:
    known = {one for file in files("workers") for one in imports(file) if one.startswith("workers.engine.")}
    shared = ("job", "jail", "pace", "work_folders")
    assert {".".join(one.split(".")[:3]) for one in known} <= {f"workers.engine.{name}" for name in shared}
    for name in shared:
        assert trespasses(ROOT / f"workers/engine/{name}.py", {"numpy", "safetensors", *TORCH}) == []


CALLS_OUT = {"http.client", "urllib.request", "urllib3", "requests", "httpx", "aiohttp"}
# The guarded client, the reader of other hubs that connects by it, and the errors of the client that signs people in,
# which asks the identity provider that the operator names.
GUARDED = {"registry/kernel/outbound_http.py", "features/upstream/asking.py", "features/sso/pages.py"}


def test_requests_to_addresses_of_others_go_through_one_guarded_client() -> None:
    calling = {
        file.relative_to(ROOT).as_posix()
        for box in ("features", "hub", "registry", "workers")
        for file in files(box)
        if any(f"{one}.".startswith(tuple(f"{name}." for name in CALLS_OUT)) for one in imports(file))
    }
    assert calling == {name for name in GUARDED if (ROOT / name).exists()}  # a feature may be gone


def test_at_most_three_places_catch_everything() -> None:
    broad = [
        f"{file.relative_to(ROOT)}:{number}"
        for box in ("features", *ENGINES, "hub", "registry", "workers", "workers/engine", "client/src/dovetail", "ops")
        for file in files(box)
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if re.match(r"\s*except( Exception| BaseException)?( as \w+)?:", line)
    ]
    assert len(broad) <= 3, broad


# The format library stands below hub, workers, engine and client: it reads files, and brings one package for values.
FORMATS = ROOT / "client/src/dovetail/adapters"
NUMPY_IN = {
    "values.py",
    "arithmetic.py",
    "sketches.py",
    "paired.py",
    "merge_preview.py",
}  # the last two by the first merge or passport


def test_the_format_library_imports_itself_the_standard_library_and_numpy() -> None:
    allowed = {*sys.stdlib_module_names, "dovetail.adapters", "numpy"}
    for file in sorted(FORMATS.rglob("*.py")):
        outside = [name for name in imports(file) if not any(f"{name}.".startswith(f"{good}.") for good in allowed)]
        assert outside == [], f"{file} imports {outside}"


def layers_of_formats() -> dict[str, int]:
    """Return the layer of each module of the format library, by the table of its page."""
    table = (ROOT / "docs/format-library.md").read_text().partition("## Its layers")[2].partition("## ")[0]
    rows = re.findall(r"^\| [a-z]+ \| (`.+`) \|", table, re.MULTILINE)
    return {name.strip("/"): at for at, row in enumerate(rows) for name in re.findall(r"`([\w/]+)`", row)}


def test_the_format_library_imports_only_its_own_layer_and_those_before_it() -> None:
    layers, source = layers_of_formats(), FORMATS.parent.parent
    graph = {name: graph for name, graph in import_graph("client/src/dovetail", source).items() if ".adapters." in name}

    def layer(module: str) -> int:
        path = module.partition(".adapters.")[2].replace(".", "/")
        return max((len(name), at) for name, at in layers.items() if f"{path}/".startswith(f"{name}/"))[1]

    upward = [
        f"{name} imports {target}"
        for name, targets in graph.items()
        for target in targets
        if ".adapters." in target and layer(target) > layer(name)
    ]
    assert upward == []


def test_numpy_is_imported_in_few_files_and_only_when_a_value_is_looked_at() -> None:
    """A command that looks at no value must not wait for it."""
    users = {file.name for file in FORMATS.rglob("*.py") if "numpy" in set(imports(file))}
    assert users == NUMPY_IN
    code = (
        "import sys, dovetail.cli, dovetail.adapters.convert, dovetail.adapters.merge; sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# --- circles ---------------------------------------------------------------------------------------------------------
# Where the names of imports begin, by box. Each box is sorted alone; a circle between boxes is a trespass above.
SOURCES = {
    "registry": ".",
    "workers": ".",
    "workers/engine": ".",
    "hub": ".",
    "features": ".",
    **dict.fromkeys(ENGINES, "."),
    "client/src/dovetail": "client/src",
}


def executed_imports(file: Path) -> Iterator[str]:
    """Yield what a file imports when it runs, inside functions too; blocks under TYPE_CHECKING never run."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def import_graph(box: str, source: Path) -> dict[str, set[str]]:
    """Return which modules of a box each of its modules imports; `from package import module` imports the module."""
    modules = {
        ".".join(file.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): file for file in files(box)
    }
    graph: dict[str, set[str]] = {name: set() for name in modules}
    for name, file in modules.items():
        for imported in executed_imports(file):
            target = imported if imported in modules else imported.rpartition(".")[0]
            if target in modules and target != name:
                graph[name].add(target)
    return graph


def circle_in(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the modules of one import circle, or nothing where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("box", SOURCES)
def test_no_box_imports_in_a_circle_not_even_inside_a_function(box: str) -> None:
    graph = import_graph(box, ROOT / SOURCES[box])
    assert len(graph) == 1 or sum(map(len, graph.values())) > len(graph) / 2, "the imports of this box were not found"
    assert circle_in(graph) == []


def test_a_circle_is_found_through_an_import_inside_a_function(tmp_path: Path) -> None:
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text("import second\n")
    second.write_text("def late():\n    import first\n")
    graph = {file.stem: set(executed_imports(file)) for file in (first, second)}
    assert sorted(set(circle_in(graph))) == ["first", "second"]
    second.write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import first\n")
    assert circle_in({file.stem: set(executed_imports(file)) for file in (first, second)}) == []


def test_every_folder_of_the_domain_is_a_room_with_a_place_in_the_order() -> None:
    folders = {file.relative_to(ROOT / "registry").parts[0] for file in files("registry")}
    folders = {name for name in folders if not name.endswith(".py")}
    assert folders == {*ROOMS, "models", "migrations", "management"}


def test_the_test_sees_a_trespass(tmp_path: Path) -> None:
    assert "hub/monitoring/health.py imports registry.bytes.blobs.store" in trespasses(
        ROOT / "hub/monitoring/health.py", {"registry.bytes.blobs"}
    )
    assert trespasses(ROOT / "hub/monitoring/health.py", {"registry.blob"}) == []
    relative = tmp_path / "x.py"
    relative.write_text("from . import y\n")
    with pytest.raises(AssertionError, match="relative"):
        list(imports(relative))


WHOLE_LOCKS = {  # of rows that are about to be deleted, or that no other row names
    "people/organizations/invitations.py",
    "people/organizations/join_links.py",
    "people/name_rules.py",
    "people/organizations/organizations.py",
    "publish/open_pushes.py",
    "publish/retirement.py",
    "repos/lists/tallies.py",
    "repos/download_counts.py",
    "talk/dispatch.py",
}


def test_rows_that_others_name_are_locked_without_their_key() -> None:
    """Else a transaction that only refers to such a row waits for it at its commit, with all that it holds itself."""
    whole = {
        str(file.relative_to(ROOT / "registry"))
        for file in (ROOT / "registry").rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        if call.func.attr == "select_for_update" and "no_key" not in {word.arg for word in call.keywords}
    }
    assert whole == WHOLE_LOCKS
