"""Prints a manifest for Kubernetes; the platforms are named here, since reading YAML would slow every command down."""

from dovetail.base import ids
from dovetail.base.problems import usage
from dovetail.terminal.options import Options

PLATFORMS = ("kserve", "dynamo", "aibrix", "production-stack", "llm-d", "inference-model")


def print_manifest(options: Options, adapter: str, kind: str) -> None:
    """Print the manifest of a kind for one commit, the verified one where none is named. Raises Problem."""
    if kind not in PLATFORMS:
        raise usage(f"There is no manifest {kind!r}.", f"Use one of {', '.join(PLATFORMS)}.")
    from dovetail.serve import manifests  # noqa: PLC0415  # only a manifest pays for PyYAML
    from dovetail.serve.target import Target  # noqa: PLC0415  # no other command needs it

    name, revision = ids.split(adapter, default="verified")
    caller = options.client()
    verdict = caller.verdict(name, revision)
    target = Target.of_verdict(verdict.document, caller.endpoint)
    try:
        text = manifests.manifest(kind, target, verdict.serving)
    except ValueError as reason:
        raise usage(str(reason), f"`dovetail verdict {name}@{revision}` says what serves it.") from None
    if options.printer.as_json:
        document = {"adapter": name, "revision": target.revision, "kind": kind, "manifest": text}
        options.printer.document(document)
    else:
        for line in text.splitlines():
            options.printer.line(line)
