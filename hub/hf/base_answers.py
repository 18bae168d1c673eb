"""A base of the base cache on the routes that read: it answers as a read-only model repository with one version."""

from django.http import HttpRequest

from hub.hf import bodies, shapes
from hub.hf.shapes import JSON
from registry.models import Base, Revision
from registry.repos import served_bases


def info(request: HttpRequest, base: Base) -> JSON:
    """Return everything about a base, as about a repository; its config says what loads it."""
    repository, revision = served_bases.as_repository(base)
    with_blobs = bodies.truth(request.GET.get("blobs"))
    item = shapes.info(repository, revision, served_bases.entries(base), {}, with_blobs)
    config = {key: base.config[key] for key in ("architectures", "model_type") if key in base.config}
    ids = {"_id": base.sha256[:24], "id": base.id, "modelId": base.id}
    return item | ids | {"config": config, "tags": repository.tags, "library_name": "transformers", "xetEnabled": False}


def refs(base: Base) -> JSON:
    """Return the branches of a base: main alone."""
    main = {"name": "main", "ref": "refs/heads/main", "targetCommit": served_bases.oid_of(base)}
    return {"branches": [main], "tags": [], "converts": []}


def revision_of(base: Base, rev: str) -> Revision:
    """Return the one version of a base, which is no row. Raises RevisionNotFound for any other name."""
    served_bases.check_revision(base, rev)
    return served_bases.as_repository(base)[1]
