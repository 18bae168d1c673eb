"""Features, without which a hub still works: each is a folder here and its name in the list below, and nothing else.

`CONTRIBUTING.md` (*Features*) has the table of the files that such a folder may hold, and of the places that read them.
"""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import TypeVar

FEATURES: tuple[str, ...] = (
    "moderation",
    "overview",
    "status",
    "account_export",
    "crawlers",
    "administration",
    "audit_log",
    "community",
    "notify",
    "saved_searches",
    "upstream",
    "editing",
    "manifests",
    "buckets",
    "backups",
    "telemetry",
    "xet",
    "s3",
    "oci",
    "openapi",
    "package_index",
    "repositories",
    "releases",
    "version_downloads",
    "webhooks",
    "renewal",
    "retention",
    "collections",
    "compare",
    "use",
    "fits",
    "weights",
    "evaluation",
    "share_images",
    "tries",
    "measured",
    "discussions",
    "transparency",
    "blocklist",
    "sso",
    "device_sign_in",
    "organization_links",
    "teams",
    "robots",
    "publishers",
    "derived",
    "plane",
    "palette",
    "dashboard",
    "gate_questions",
)
APPS = [f"features.{name}" for name in FEATURES]  # each is a Django app: its tables, templates, commands, admin pages

Part = TypeVar("Part")


def parts(name: str, kind: type[Part], *modules: str) -> Iterator[Part]:
    """Yield what each feature gives to one place of the core by this name, from the first of its modules that has it.

    Raises TypeError where it is of another kind.
    """
    for feature in FEATURES:
        for path in (f"features.{feature}.{module}" for module in modules):
            if find_spec(path) and (part := getattr(import_module(path), name, None)) is not None:
                if not isinstance(part, kind):
                    raise TypeError(f"{path}.{name} is a {type(part).__name__}, not a {kind.__name__}.")
                yield part
                break
