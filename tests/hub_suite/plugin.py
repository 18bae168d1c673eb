"""Laid beside huggingface_hub's tests as their conftest.py: points them at a hub of ours and changes none of them.

It runs in the suite's own environment and process; `tests.hub_suite.judge` sets what it reads. DOVETAIL_SUITE names a
file that says who the hub holds (`constants` of testing_constants.py, `names` inside test modules), and optionally
DOVETAIL_SUITE_ASKED a folder that keeps which test asked the hub what.
"""

import json
import os
import sys
import tempfile
import threading
from pathlib import Path

SAID = json.loads(Path(os.environ["DOVETAIL_SUITE"]).read_text())
ENDPOINT = SAID["constants"]["ENDPOINT_STAGING"]
# Read once when huggingface_hub (and its Rust half) is imported. A memory of uploads that outlived its hub makes the
# client leave out what this hub never got, so each process starts with none.
os.environ.update(
    HF_ENDPOINT=ENDPOINT,
    HF_TOKEN="",
    HF_HOME=tempfile.mkdtemp(prefix="dovetail-suite-"),
    HF_HUB_DISABLE_UPDATE_CHECK="1",
    NO_COLOR="1",
    COLUMNS="200",
)
os.environ["HF_XET_CACHE"] = str(Path(os.environ["HF_HOME"]) / "xet")

from . import testing_constants  # noqa: E402  # after what they read at import

vars(testing_constants).update(SAID["constants"])  # before any module of tests takes its copy

import httpx2  # noqa: E402  # after what they read at import
import pytest  # noqa: E402  # after what they read at import
from huggingface_hub import HfApi, constants  # noqa: E402  # after what they read at import
from huggingface_hub.cli import _output  # noqa: E402  # after what they read at import
from huggingface_hub.utils import _detect_agent  # noqa: E402  # after what they read at import

from .testing_utils import repo_name  # noqa: E402  # after what they read at import

MARKERS = {
    "production": "asks the public site, here the hub under test",
    "xet": "needs the Rust half of the client",
    "no_xet": "must run without it",
    "transfer": "moves files",
    "git_lfs": "needs git-lfs",
    "api": "asks the hub",
    "inference": "asks a model that runs",
    "vcr": "replays a recording",
}


def pytest_configure(config: pytest.Config) -> None:
    """Know the marks that the tests wear."""
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Point the names of repositories that stand in test modules themselves at the look-alikes on our hub."""
    for module, names in SAID["names"].items():
        loaded = sys.modules.get(f"{__package__}.{module}")
        if loaded:
            vars(loaded).update(names)


class RepoFactory:
    """Makes repositories for one test and takes them away after it; test modules import it by this name."""

    def __init__(self, api: HfApi) -> None:
        self._api = api
        self._made = []

    def __call__(self, repo_type: str = "model", **wanted):
        wanted = {"repo_id": repo_name(prefix=repo_type), **wanted}
        if repo_type == "space":
            wanted = {"space_sdk": "gradio", **wanted}
        made = self._api.create_repo(repo_type=repo_type, **wanted)
        self._made.append({"repo_id": made.repo_id, "repo_type": repo_type, "token": wanted.get("token")})
        return made

    def end(self) -> None:
        for one in self._made:  # a test may have moved it or handed it on
            self._api.delete_repo(**one, missing_ok=True)


@pytest.fixture(scope="session")
def api() -> HfApi:
    return HfApi(endpoint=ENDPOINT, token=testing_constants.TOKEN)


@pytest.fixture(scope="session")
def api_prod() -> HfApi:
    return HfApi(endpoint=testing_constants.ENDPOINT_PRODUCTION)


@pytest.fixture
def repo_factory(api: HfApi):
    factory = RepoFactory(api)
    yield factory
    factory.end()


@pytest.fixture
def new_repo_id(api: HfApi):
    name = f"{testing_constants.USER}/{repo_name()}"
    yield name
    api.delete_repo(name, missing_ok=True)


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees what another downloaded, or its tokens."""
    home = tmp_path_factory.mktemp("home")
    places = {"HF_HOME": "", "HF_HUB_CACHE": "hub", "HF_XET_CACHE": "xet", "HF_ASSETS_CACHE": "assets"}
    places |= {"HF_TOKEN_PATH": "token", "HF_STORED_TOKENS_PATH": "stored_tokens"}
    for name, place in places.items():
        monkeypatch.setattr(constants, name, str(home / place))


@pytest.fixture(autouse=True)
def _plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line prints as for a person, whatever program started these tests."""
    monkeypatch.setattr(_detect_agent, "_registry", _detect_agent._EMPTY_REGISTRY)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_EXPERIMENTAL_WARNING", True)
    _output.out.set_mode()
    _output.out.set_no_truncate(False)


@pytest.fixture(autouse=True)
def _production_is_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses that the client made of its constants before they were ours."""
    if request.node.get_closest_marker("production"):
        monkeypatch.setattr(constants, "ENDPOINT", ENDPOINT)
        template = f"{ENDPOINT}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def _note_what_is_asked(folder: Path) -> None:
    send, notes = httpx2.Client.send, folder / f"{os.getpid()}.jsonl"

    def noting(self: httpx2.Client, request: httpx2.Request, **how):
        answer = send(self, request, **how)
        if threading.current_thread() is not threading.main_thread():
            return answer  # a scheduler that an earlier test began, perhaps
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        with notes.open("a") as lines:
            lines.write(json.dumps([test, request.method, str(request.url), answer.status_code]) + "\n")
        return answer

    httpx2.Client.send = noting


if os.environ.get("DOVETAIL_SUITE_ASKED"):
    _note_what_is_asked(Path(os.environ["DOVETAIL_SUITE_ASKED"]))
