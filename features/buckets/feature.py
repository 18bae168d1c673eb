"""Opens the store that an address of the form s3://bucket?endpoint=URL[&public=URL] names."""

from importlib import import_module
from urllib.parse import SplitResult, parse_qs

from registry.bytes import blobs
from registry.bytes.blobs import BlobStore
from registry.kernel.seams import Feature, StoreKind

# A backup of a million objects meets some slow answers. Of a worker, the next sweep tries again.
JOB_SECONDS, COMMAND_ATTEMPTS = 60.0, 5


def _open(address: SplitResult) -> BlobStore:
    query = parse_qs(address.query)
    endpoint = query.get("endpoint", [None])[-1]
    driver = import_module("features.buckets.s3")  # only here: boto3 takes 27 MB that a folder store saves
    options: dict[str, float] = {}
    if blobs.job.is_set() or blobs.command.is_set():
        options = {"seconds": JOB_SECONDS, "attempts": COMMAND_ATTEMPTS if blobs.command.is_set() else 1}
    if "seconds" in query:
        options["seconds"] = float(query["seconds"][-1])
    public = query.get("public", [endpoint])[-1]
    store: BlobStore = driver.S3Store(address.netloc, endpoint, public=public, **options)
    return store


def _load() -> None:
    import_module("features.buckets.s3")
    import_module("features.buckets.s3_requests").make_client(None)


FEATURE = Feature(stores={"s3": StoreKind(_open, _load)})
