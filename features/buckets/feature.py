"""Opens the store that an address of the form s3://bucket?endpoint=URL[&public=URL] names."""

from importlib import import_module
from urllib.parse import SplitResult, parse_qs

from registry.bytes import blobs
from registry.bytes.blobs import BlobStore
from registry.kernel.seams import Feature, StoreKind

JOB_SECONDS, JOB_ATTEMPTS = 60.0, 5


def _open(address: SplitResult) -> BlobStore:
    query = parse_qs(address.query)
    endpoint = query.get("endpoint", [None])[-1]
    driver = import_module("features.buckets.s3")  # only here: boto3 takes 27 MB that a folder store saves
    options: dict[str, float] = {"seconds": JOB_SECONDS, "attempts": JOB_ATTEMPTS} if blobs.job.is_set() else {}
    if "seconds" in query:
        options["seconds"] = float(query["seconds"][-1])
    public = query.get("public", [endpoint])[-1]
    store: BlobStore = driver.S3Store(address.netloc, endpoint, public=public, **options)
    return store


def _load() -> None:
    import_module("features.buckets.s3")
    import_module("features.buckets.s3_requests").make_client(None)


FEATURE = Feature(stores={"s3": StoreKind(_open, _load)})
