"""Revisions as OCI images: manifest, config, and layers that hold the pushed files.

Each file above LARGE is a layer of its own, and all others are one: a version that changes a card then shares the
layer of the weights with the one before, on the disks of those who pull both, and no image has more layers than
overlay mounts take. A layer needs no place in the store, only its digest. Small ones are hashed when somebody first
asks; the digests of large ones are jobs of workers, which also prepare new versions of what was pulled before.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from features.oci import tars
from features.oci.models import Image, ImageDocument, ImageLayer
from features.oci.tars import TarFile
from registry.kernel.errors import NotReady, ValueInvalid
from registry.models import Ref, Repository, Revision, RevisionFile
from registry.repos import pull, refs
from registry.repos.manifest import Entry
from registry.sql import lock_first

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
ARTIFACT = "application/vnd.dovetail.adapter.v1"
VERDICT = "application/vnd.dovetail.verdict.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # sha256 of {}
LARGE = 1 << 20
MOST_OWN = 64  # layers of single files; overlay mounts take about 128, and images are mounted over others
AT_ONCE = 64 << 20  # bytes that are hashed while somebody waits
LEASE = timedelta(minutes=10)
PREPARED_AT_ONCE = 20
_WHITEOUT = ".wh."  # a file of this name in a layer deletes another one
Descriptor = dict[str, object]


class ImageNotReady(NotReady):
    """An image whose layers a worker has yet to hash."""

    code = "image-not-ready"
    default_fix = "Pull again in half a minute."


def find_or_make(revision: Revision) -> Image:
    """Return the image of a revision.

    Raises ImageNotReady while a worker has yet to hash its layers, ValueInvalid for files that no image can hold, and
    StoreUnavailable.
    """
    image = Image.objects.filter(revision=revision).first()
    if image is not None:
        return image
    layers = _layers(split(pull.entries(revision)))
    waiting = [layer for layer in layers if layer.digest is None]
    if sum(layer.size for layer in waiting) > AT_ONCE:
        raise ImageNotReady(
            f"The layers of {revision.oid} are being hashed: somebody asks for them for the first time."
        )
    for layer in waiting:
        compute(layer)
    return _record(revision, layers)


def split(entries: Mapping[str, Entry]) -> list[list[TarFile]]:
    """Return the files of each layer: first those that share one, then single ones. Raises ValueInvalid."""
    files = [TarFile(entry.path, entry.sha256, entry.size) for _, entry in sorted(entries.items())]
    for file in files:
        if any(segment.startswith(_WHITEOUT) for segment in file.path.split("/")):
            raise ValueInvalid(
                f"{file.path[:200]!r} cannot be part of an image: its name would delete another file there.",
                fix="Rename it, or pull the repository in another way.",
            )
    largest = sorted((file for file in files if file.size > LARGE), key=lambda file: (-file.size, file.path))
    own = set(largest[:MOST_OWN])
    shared = [file for file in files if file not in own]
    return [*([shared] if shared or not own else []), *([file] for file in files if file in own)]


def find_document(repository: Repository, digest: str) -> ImageDocument | None:
    """Return the manifest, config or verdict of that digest in the repository, with its revision, or None."""
    rows = ImageDocument.objects.filter(revision__repository=repository, digest=digest).select_related("revision")
    return rows.order_by("-revision").first()


def revisions_with_layer(repository: Repository, digest: str) -> QuerySet[Revision]:
    """Return the revisions that are not held back and have this layer, the newest first.

    Each `has_unsearched_files` or not (unsearched_files.py).
    """
    unsearched = RevisionFile.objects.filter(revision=OuterRef("pk"), is_unsearched=True)
    rows = Revision.objects.filter(repository=repository, image__layers__digest=digest, quarantined_at__isnull=True)
    return rows.annotate(has_unsearched_files=Exists(unsearched)).distinct().order_by("-pk")


def layer(digest: str) -> ImageLayer | None:
    """Return a layer by its digest."""
    return ImageLayer.objects.filter(digest=digest).first()


def files_of(layer: ImageLayer) -> list[TarFile]:
    """Return the files of a layer in the order of its tar."""
    return [TarFile(*file) for file in layer.files]


def tag_names(repository: Repository, listed: Iterable[Ref]) -> list[str]:
    """Return the names of these refs that can be tags, in order: branches, tags, aliases and `verified`."""
    names = {
        refs.short_name(ref.name) for ref in listed if ref.name.startswith((refs.BRANCHES, refs.TAGS, refs.ALIASES))
    }
    names |= {"verified" for ref in listed if ref.name == refs.VERIFIED}
    return sorted(name for name in names if is_tag(name))


def is_tag(name: str) -> bool:
    """Return whether a name can be a tag of an image: no slashes, at most 128 characters."""
    text = name.replace("_", "a").replace(".", "-")
    return 0 < len(name) <= 128 and name[0] not in ".-" and name.isascii() and text.replace("-", "a").isalnum()


def as_document(revision: Revision, media_type: str, content: object) -> ImageDocument:
    """Return a document that is not stored yet, in the one spelling that this JSON has here."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return ImageDocument(revision=revision, digest=digest, media_type=media_type, text=text)


def describe(document: ImageDocument) -> Descriptor:
    """Return the descriptor of a document."""
    size = len(document.text.encode())
    return {"mediaType": document.media_type, "digest": f"sha256:{document.digest}", "size": size}


# --- jobs ------------------------------------------------------------------------------------------------------------
def claim() -> ImageLayer | None:
    """Claim the layer that waited longest for its digest; a worker that dies gives it back when the lease ends."""
    now = timezone.now()
    waiting = ImageLayer.objects.filter(digest__isnull=True)
    with transaction.atomic():
        if (row := lock_first(waiting.filter(free_at__lte=now).order_by("free_at"))) is not None:
            waiting.filter(pk=row.pk).update(free_at=now + LEASE)
    return row


def compute(layer: ImageLayer) -> None:
    """Hash the tar of a layer and record the digest. Raises StoreUnavailable."""
    layer.digest = tars.digest_of(files_of(layer))
    ImageLayer.objects.filter(pk=layer.pk).update(digest=layer.digest)


def without_image() -> Iterable[Revision]:
    """Return revisions that have names and no image yet, of repositories that are pulled as images; a few."""
    pulled = Image.objects.filter(revision__repository=OuterRef("repository"))
    named = Q(name__startswith=refs.BRANCHES) | Q(name__startswith=refs.TAGS) | Q(name__startswith=refs.ALIASES)
    rows = Ref.objects.filter(
        named | Q(name=refs.VERIFIED),
        Exists(pulled),
        revision__image__isnull=True,
        revision__quarantined_at__isnull=True,
        revision__is_part=False,
    )
    return [row.revision for row in rows.select_related("revision__repository__namespace")[:PREPARED_AT_ONCE]]


# --- making one ------------------------------------------------------------------------------------------------------
def _layers(contents: Iterable[list[TarFile]]) -> list[ImageLayer]:
    """Return the rows of layers with these files, in their order; those without a digest are jobs from now on."""
    wanted = []
    for files in contents:
        listed = [[file.path, file.sha256, file.size] for file in files]
        recipe = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
        wanted.append(ImageLayer(recipe=recipe, files=listed, size=tars.size_of(files)))
    ImageLayer.objects.bulk_create(wanted, ignore_conflicts=True)
    rows = ImageLayer.objects.in_bulk([layer.recipe for layer in wanted])
    return [rows[layer.recipe] for layer in wanted]


def _record(revision: Revision, layers: list[ImageLayer]) -> Image:
    config = as_document(revision, CONFIG, _config(revision, layers))
    manifest = as_document(revision, MANIFEST, _manifest(revision, config, layers))
    with transaction.atomic():
        image, is_new = Image.objects.get_or_create(revision=revision, defaults={"digest": manifest.digest})
        if is_new:
            image.layers.set(layers)
            ImageDocument.objects.bulk_create([config, manifest], ignore_conflicts=True)
    return image


def _config(revision: Revision, layers: list[ImageLayer]) -> object:
    """Return the config that container runtimes need to mount an image; the architecture says nothing here."""
    made = revision.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": made,
        "config": {"Labels": {"org.opencontainers.image.revision": revision.oid}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]},
        "history": [{"created": made, "comment": _title(layer)} for layer in layers],
    }


def _manifest(revision: Revision, config: ImageDocument, layers: list[ImageLayer]) -> object:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": ARTIFACT,
        "config": describe(config),
        "layers": [
            {
                "mediaType": LAYER,
                "digest": f"sha256:{layer.digest}",
                "size": layer.size,
                "annotations": {"org.opencontainers.image.title": _title(layer)},
            }
            for layer in layers
        ],
        "annotations": {
            "org.opencontainers.image.created": revision.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "org.opencontainers.image.revision": revision.oid,
        },
    }


def _title(layer: ImageLayer) -> str:
    """Return the name under which clients that keep layers as files save one."""
    is_own = len(layer.files) == 1 and layer.files[0][2] > LARGE
    return f"{layer.files[0][0]}.tar" if is_own else "files.tar"


def forget_unused() -> None:
    """Delete the layers of which no image was made within a day."""
    ImageLayer.objects.filter(images__isnull=True, created_at__lt=timezone.now() - timedelta(days=1)).delete()


# --- verdicts that refer to images -----------------------------------------------------------------------------------
def referrers(image: Image, revision: Revision) -> list[Descriptor]:
    """Return the descriptors of the artifacts that refer to an image: the verdict in force, if there is one.

    Artifacts of earlier verdicts stay where they are, for who has their digests. Samples are left out: a gate may hide
    the rows they come from.
    """
    verdict = revision.verdicts.filter(finished_at__isnull=False).order_by(*pull.LAST_SAID).first()
    if verdict is None:
        return []
    report = {name: value for name, value in verdict.report.as_json().items() if name != "samples"}
    facts = {"state": verdict.state, "number": verdict.number, "duration_ms": verdict.duration_ms}
    finished = verdict.finished_at.strftime("%Y-%m-%dT%H:%M:%SZ") if verdict.finished_at else ""
    content = as_document(revision, VERDICT, {**report, **facts, "revision": revision.oid, "finished_at": finished})
    notes = {"org.opencontainers.image.created": finished, "dev.dovetail.verdict.state": verdict.state}
    subject = ImageDocument.objects.get(revision=revision, digest=image.digest)
    manifest = as_document(revision, MANIFEST, _artifact(content, subject, notes))
    ImageDocument.objects.bulk_create([content, manifest], ignore_conflicts=True)
    return [{**describe(manifest), "artifactType": VERDICT, "annotations": notes}]


def _artifact(content: ImageDocument, subject: ImageDocument, notes: dict[str, str]) -> object:
    title = {"org.opencontainers.image.title": "verdict.json"}
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": VERDICT,
        "config": {"mediaType": EMPTY_TYPE, "digest": f"sha256:{EMPTY}", "size": 2},
        "layers": [{**describe(content), "annotations": title}],
        "subject": describe(subject),
        "annotations": notes,
    }
