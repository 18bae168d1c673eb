"""Documentation that is tested: whatever is public has its heading, and no heading speaks of what is gone."""

import re
from pathlib import Path

import typer

import hub.urls  # noqa: F401  # whoever knows all routes knows all refusals
from dovetail import cli
from hub import settings
from hub.about import VERSION
from hub.api import problems
from hub.errors import TABLE
from hub.site import documentation
from registry.kernel import errors
from tests.sweep import sweep

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def headings(file: str) -> set[str]:
    """Return what the headings of a page name between backticks; a heading may name several."""
    text = (ROOT / file).read_text() if "/" in file else documentation.text(file.removesuffix(".md"))
    lines = text.splitlines()
    return {name for line in lines if line.startswith("#") for name in re.findall(r"`([^`]+)`", line)}


def refusals(cls: type[errors.RegistryError] = errors.RegistryError) -> set[type[errors.RegistryError]]:
    """Return every refusal, of the core and of features, that has a code of its own."""
    own = {cls} if "code" in vars(cls) else set()
    return own.union(*(refusals(one) for one in cls.__subclasses__()))


def test_every_setting_has_its_heading_and_no_heading_outlives_its_setting() -> None:
    assert headings("settings.md") == settings.env.names


def test_every_error_code_has_its_heading_and_no_heading_outlives_its_code() -> None:
    codes = {cls.code for cls in refusals()}
    codes |= {code for code, _ in problems.HTTP.values()} | {"internal-error"}
    assert headings("errors.md") == codes


def test_every_refusal_has_its_status() -> None:
    of_workers_and_operators = {errors.ClaimStale, errors.ShelfProblem}  # raised where no request is answered
    answered = {cls for cls in refusals() if any(base in TABLE for base in cls.__mro__)}
    assert refusals() - answered == of_workers_and_operators


def test_every_command_of_the_client_has_its_heading() -> None:
    group = typer.main.get_group(cli.app)
    documented = {name.split()[1] for name in headings("client/README.md") if name.startswith("dovetail ")}
    assert documented == set(group.commands)


def test_every_management_command_is_in_a_page_for_operators() -> None:
    commands = {
        file.stem
        for app in ("registry", "workers", "features/*")
        for file in ROOT.glob(f"{app}/management/commands/[a-z]*.py")
    }
    pages = "".join(documentation.text(page) for page in documentation.groups()["Operate"])
    assert {name for name in commands if name not in pages} == set()


def test_pages_are_read_in_one_sitting_and_their_lines_on_one_screen() -> None:
    """Rows of tables and blocks of code are one line each by their nature."""
    found, pages = (
        [],
        [
            *DOCS.rglob("*.md"),
            *ROOT.glob("features/*/docs/*.md"),
            ROOT / "README.md",
            ROOT / "CONTRIBUTING.md",
            ROOT / "client/README.md",
        ],
    )
    for page in pages:
        text, name = page.read_text(), str(page.relative_to(ROOT))
        most = 1_500 if name in ("README.md", "docs/architecture.md") else 4_000
        found += [f"{name}: {words} words"] if (words := len(text.split())) > most else []
        prose = re.sub(r"^```.*?^```|^\|.*?$|^<a id=.*?$", "", text, flags=re.MULTILINE | re.DOTALL)
        found += [f"{name}: {line[:60]}…" for line in prose.splitlines() if len(line) > 160]
    assert found == []


def test_a_release_has_a_dozen_headlines() -> None:
    releases = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]
    assert releases[0].startswith("[Unreleased]")
    assert len(re.findall(r"^- ", releases[0], re.MULTILINE)) < 60, "release it, or a merge brought an old section back"
    numbers = {text.split("]")[0].strip("["): len(re.findall(r"^- ", text, re.MULTILINE)) for text in releases[1:]}
    assert {release: number for release, number in numbers.items() if number > 20} == {}
    assert VERSION in numbers


def test_every_make_target_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert targets == set(re.findall(r"^([a-z]+):.*## [A-Z].+\.$", makefile, re.MULTILINE))


@sweep(
    "page",
    [
        str(file.relative_to(ROOT))
        for file in (*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("features/*/docs/*.md"))
    ],
)
def test_every_path_and_link_in_a_page_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    linked = {target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target}
    boxes = "features|hub|registry|workers|client|tests|ops|deploy|docs|demo|templates"
    named = set(re.findall(rf"`((?:{boxes})/[\w./-]*\.\w+)`", text))
    missing = {one for one in linked - {""} if not ((ROOT / page).parent / one).exists()}
    missing |= {one for one in named if not (ROOT / one).exists()}
    assert missing == set()
