"""Verdicts as OCI artifacts that refer to the image of their revision."""

from registry.models import Image, ImageDocument, Revision
from registry.repos.delivery import images
from registry.repos.delivery.images import Descriptor
from registry.repos.pull import LAST_SAID

VERDICT = "application/vnd.dovetail.verdict.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # sha256 of {}


def referrers(image: Image, revision: Revision) -> list[Descriptor]:
    """Return the descriptors of the artifacts that refer to an image: the verdict in force, if there is one.

    Artifacts of earlier verdicts stay where they are, for who has their digests. Samples are left out: a gate may hide
    the rows they come from.
    """
    verdict = revision.verdicts.filter(finished_at__isnull=False).order_by(*LAST_SAID).first()
    if verdict is None:
        return []
    report = {name: value for name, value in verdict.report.as_json().items() if name != "samples"}
    facts = {"state": verdict.state, "number": verdict.number, "duration_ms": verdict.duration_ms}
    finished = verdict.finished_at.strftime("%Y-%m-%dT%H:%M:%SZ") if verdict.finished_at else ""
    content = images.as_document(
        revision, VERDICT, {**report, **facts, "revision": revision.oid, "finished_at": finished}
    )
    notes = {"org.opencontainers.image.created": finished, "dev.dovetail.verdict.state": verdict.state}
    subject = ImageDocument.objects.get(revision=revision, digest=image.digest)
    manifest = images.as_document(revision, images.MANIFEST, _manifest(content, subject, notes))
    ImageDocument.objects.bulk_create([content, manifest], ignore_conflicts=True)
    return [{**images.describe(manifest), "artifactType": VERDICT, "annotations": notes}]


def _manifest(content: ImageDocument, subject: ImageDocument, notes: dict[str, str]) -> object:
    title = {"org.opencontainers.image.title": "verdict.json"}
    return {
        "schemaVersion": 2,
        "mediaType": images.MANIFEST,
        "artifactType": VERDICT,
        "config": {"mediaType": EMPTY_TYPE, "digest": f"sha256:{EMPTY}", "size": 2},
        "layers": [{**images.describe(content), "annotations": title}],
        "subject": images.describe(subject),
        "annotations": notes,
    }
