"""The recipes of CONTRIBUTING.md are true: places exist, and each member of a list has all parts of its recipe."""

import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from dovetail.adapters.checks import CHECKS
from dovetail.adapters.methods import KINDS
from dovetail.adapters.serving import ENGINES as SERVERS
from dovetail.commands.arguments import VALUES
from hub import settings
from hub.site import urls as site_urls
from registry.kernel.errors import RegistryError
from registry.models import Case
from tests.sweep import sweep
from tests.test_docs import DOCS, ROOT, headings, refusals
from workers.engine.job import ENGINES

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = dict(re.findall(r"^\| ([a-z].+?) \| (.+) \|$", PAGE, re.MULTILINE)[1:])
TESTS = "\n".join(
    file.read_text()
    for file in [*ROOT.glob("tests/**/*.py"), *ROOT.glob("features/*/tests/**/*.py")]
    if not file.is_relative_to(ROOT / "tests/engine/test_checks_page.py")
)


def page(name: str) -> str:
    return (DOCS / name).read_text()


def places(recipe: str) -> list[Path]:
    """Return the files and folders that a recipe names."""
    named = re.findall(r"`([\w./-]*/[\w./-]*|[\w-]+\.\w+)`", RECIPES[recipe])
    return [ROOT / name.replace("-N.", "-5.").replace("-eN.", "-e5.") for name in named]


@sweep("recipe", RECIPES)
def test_every_place_of_a_recipe_exists(recipe: str) -> None:
    assert [str(path) for path in places(recipe) if not path.exists()] == []


@sweep("recipe", RECIPES)
def test_every_list_of_a_recipe_is_in_a_place_that_it_names(recipe: str) -> None:
    files = [file for path in places(recipe) for file in ([path] if path.is_file() else path.rglob("*.py"))]
    code = "\n".join(file.read_text() for file in files)
    lists = re.findall(r"`([A-Z_]{3,})`", RECIPES[recipe])
    assert [name for name in lists if not re.search(rf"^{name}\b.* = ", code, re.MULTILINE)] == []


def test_there_is_a_recipe_for_each_thing_that_is_added_often() -> None:
    wanted = {"check", "method of PEFT", "refusal", "setting", "Hub route", "page", "REST route", "permission"}
    assert wanted <= {name.partition(" ")[2] for name in RECIPES}


# --- what is walked --------------------------------------------------------------------------------------------------


@sweep("check", [entry.id for entry in CHECKS])
def test_a_check_has_its_heading_and_a_test_that_names_it(check: str) -> None:
    assert check in headings("checks.md") | headings("checks-engine.md")
    assert re.search(rf"""["']{re.escape(check)}["']""", TESTS)


@sweep("method", [kind.peft_type for kind in KINDS])
def test_a_method_of_peft_has_its_specimen_and_its_line_in_the_docs(method: str) -> None:
    assert f'"{method}"' in TESTS
    assert f"`{method.lower().replace('_', '-')}`" in page("formats.md")


@sweep("refusal", sorted(refusals(), key=lambda refusal: refusal.code))
def test_a_refusal_has_its_heading_and_a_test_that_names_it(refusal: type[RegistryError]) -> None:
    assert refusal.code in headings("errors.md")
    assert refusal.code in TESTS or refusal.__name__ in TESTS


def test_the_client_completes_and_explains_each_reason_to_report() -> None:
    assert VALUES["REASON"].split() == Case.Reason.values
    command = re.search(r"^### `dovetail report .*?(?=^###)", (ROOT / "client/README.md").read_text(), re.M | re.S)
    assert command
    assert [reason for reason in Case.Reason.values if f"`{reason}`" not in command[0]] == []


@cache
def of_hub() -> dict[str, str]:
    """Return the text of each file that may read a setting."""
    files = [*ROOT.glob("hub/**/*.py"), *ROOT.glob("features/**/*.py")]
    return {str(file): file.read_text() for file in files}


@sweep("name", sorted(settings.env.names))
def test_a_setting_has_its_heading_and_is_read_in_one_file(name: str) -> None:
    assert name in headings("settings.md")
    short = name.removeprefix("DOVETAIL_")
    if "{NAME}" not in name:  # a family of names, which a feature builds from its parts
        read = re.compile(rf'\benv(\.\w+)?(\(|, )"{short}"')
        readers = [file for file, text in of_hub().items() if read.search(text)]
        assert len(readers) == 1, readers


def test_a_setting_that_compose_sets_is_one_of_them() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    given = {name for service in services.values() for name in service.get("environment", {})}
    assert {name for name in given if name.startswith("DOVETAIL_")} <= settings.env.names


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_a_serving_engine_is_on_its_page(server) -> None:
    assert server.name in page("serving-rules.md")


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_has_its_requirements_and_its_lock_file(engine: str) -> None:
    number = engine.removeprefix("e")
    assert f"-c constraints-{engine}.txt" in (ROOT / f"requirements/engine-{number}.txt").read_text()
    assert (ROOT / f"requirements/constraints-{engine}.txt").read_text()


@sweep("evaluation", sorted((ROOT / "workers/engine/evals").glob("[a-z]*.py")))
def test_a_task_that_is_measured_is_one_file_and_its_line(evaluation: Path) -> None:
    if re.search(r"^EVAL\b", evaluation.read_text(), re.MULTILINE):
        assert f"    {evaluation.stem}.EVAL," in (evaluation.parent / "choice.py").read_text()


def test_every_page_has_a_name() -> None:
    routes = [pattern for pattern in site_urls.urlpatterns if getattr(pattern, "app_name", "") != "admin"]
    assert [route for route in routes if not getattr(route, "name", None)] == []
