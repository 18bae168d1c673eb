"""A hub whose repositories are in a read plane: filled, followed by its workers, and looked at in the store."""

from http.server import SimpleHTTPRequestHandler
from pathlib import Path

from django.conf import settings

from features.plane import jobs
from registry.bytes import intake
from registry.models import Repository
from registry.publish import push
from registry.repos import pull, refs
from registry.talk import dispatch
from tests.cast import Cast

NAME, OTHER = "acme/reviews", "acme/twin"
WEIGHTS = b"weights" * 100


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


def fill(cast: Cast, full_name: str) -> Repository:
    repository = cast.repository(full_name)
    [weights] = intake.receive_inline(repository, WEIGHTS)
    intent = push.Intent(repository, refs.MAIN, cast.session("alice"), title="Files")
    push.receive(intent, [push.Inline("README.md", b"# Reviews"), push.Stored("a/w.onnx", weights.sha256)])
    return repository


def follow() -> None:
    """Do what workers do after a commit."""
    dispatch.run()
    jobs.work()


def repository(full_name: str = NAME) -> Repository:
    namespace, _, name = full_name.partition("/")
    return Repository.objects.get(namespace__name=namespace, name=name)


def head(full_name: str = NAME) -> str:
    return pull.resolve(repository(full_name), "main").oid


def files(below: str = "") -> set[str]:
    """Return the paths of everything that readers could fetch, or of what is below a folder."""
    folder = Path(settings.BLOBS.removeprefix("file://")) / "plane"
    paths = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return {path for path in paths if path.startswith(below)}
