"""Callers of our REST, and adapters that really were pushed: the bytes are in a store, the rows in a database."""

import json
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone

from dovetail.adapters.results.report import Report
from registry.models import Base, ExpiredFile, Repository, Revision, User, Verdict
from registry.proof.verdicts import jobs, requests, sweeps
from registry.publish import push
from registry.repos.refs import MAIN
from tests.cast import Cast, signed_in
from workers import pushed_files

BASE = "sentence-transformers/all-MiniLM-L6-v2"
CONFIG = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "base_model_name_or_path": BASE, "task_type": "SEQ_CLS"}
SERVING = [{"engine": "vllm", "outcome": "serves", "version": "1", "reason": "", "flags": ["--max-lora-rank 16"]}]


def weights(values: bytes = b"", **metadata: str) -> bytes:
    """A valid safetensors file with one F32 tensor of 2 × 3, which begins with these bytes and then is zero."""
    about = {"__metadata__": metadata} if metadata else {}
    header = json.dumps(about | {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    return struct.pack("<Q", len(header)) + header + values[:24].ljust(24, b"\0")


FILES = {
    "README.md": b"---\nlicense: apache-2.0\n---\n# Reviews\n\nTells good reviews from bad ones.\n",
    "adapter_config.json": json.dumps(CONFIG).encode(),
    "adapter_model.safetensors": weights(),
}


def safetensors(tensors: dict[str, np.ndarray], dtype: str = "F32") -> bytes:
    """A safetensors file of these tensors, as F32 or BF16."""
    header, data = {}, b""
    for name, values in tensors.items():
        raw = values.astype("<f4").tobytes()
        if dtype == "BF16":
            raw = (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def lora(module: str, down: np.ndarray, up: np.ndarray) -> dict[str, np.ndarray]:
    """The two tensors of a pair of factors."""
    return {f"{module}.lora_A.weight": down, f"{module}.lora_B.weight": up}


def adapter_files(tensors: dict[str, np.ndarray], dtype: str = "F32", **config: Any) -> dict[str, bytes]:
    """A config and a file with these tensors."""
    raw = json.dumps({**CONFIG, "target_modules": ["q_proj"], **config}).encode()
    return {"adapter_config.json": raw, "adapter_model.safetensors": safetensors(tensors, dtype)}


@pytest.fixture
def cast(everybody: Callable[[], Cast], db: None, settings: Any, tmp_path: Any) -> Cast:
    """Everybody, with a blob store of their own and no broker."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    settings.FIRST_THROTTLE = "off"
    return everybody()


def notify_nobody(*_: int) -> bool:
    """Notify no worker, since these tests run none."""
    return False


def pushed(
    cast: Cast, repository: Repository, *, by: str = "alice", title: str = "push", files: dict[str, bytes] = FILES
) -> Revision:
    """Push files, as the wire does, and return the revision."""
    operations = [push.Inline(path, content) for path, content in files.items()]
    ref = push.receive(push.Intent(repository, MAIN, cast.session(by), title), operations)
    return ref.revision


def measured(
    cast: Cast, repository: Repository, tensors: dict[str, np.ndarray], dtype: str = "F32", **config: Any
) -> Revision:
    """Push an adapter of these tensors by its owner, and let a worker read them."""
    owner = repository.namespace.name
    revision = pushed(cast, repository, by=owner, title="weights", files=adapter_files(tensors, dtype, **config))
    pushed_files.digest_files()
    return revision


def judged(revision: Revision, state: str = "passed", **report: Any) -> Verdict:
    """Hand in a verdict, as a worker does."""
    sweeps.base_arrived(Base.objects.get_or_create(id=BASE, defaults={"revision": "r", "sha256": "0" * 64})[0])
    waiting = requests.latest(revision)
    assert waiting is not None
    claim = jobs.claim(waiting.pk, "a test")
    assert claim is not None
    jobs.record(claim, Report.of_result({"depth": "run", **report}, state), 412)
    waiting.refresh_from_db()
    return waiting


def accuracy(right: int, of: int = 48, rows: str = "a" * 64, **more: Any) -> dict[str, Any]:
    """Return the evaluation of an adapter that is right in so many rows."""
    scores = [1.0] * right + [0.0] * (of - right)
    return {"name": "smoke", "rows": of, "metric": "accuracy", "base": 0.5, "adapter": round(right / of, 4),
            "scores": scores, "rows_sha256": rows, "task": "SEQ_CLS"} | more  # fmt: skip


def regressed(cast: Cast, repository: Repository) -> Revision:
    """Push a version that becomes verified and one that scores worse; return the second."""
    base = {"id": BASE, "revision": "r", "sha256": "0" * 64}
    for words, right in (("good", 46), ("worse", 30)):
        revision = pushed(cast, repository, files={**FILES, "README.md": f"# {words}\n".encode()})
        judged(revision, evals=[accuracy(right)], base=base, depth="evaluated")
    return revision


def expired(cast: Cast, repository: Repository) -> None:
    """Push two versions, and have the files of the older one in the bin."""
    for text in (b"one", b"two"):
        pushed(cast, repository, files={"notes.txt": text})
    old = repository.revisions.order_by("-pk")[1]
    columns = ("revision_id", "path", "blob_id", "size", "is_lfs", "git_oid")
    ExpiredFile.objects.bulk_create(ExpiredFile(**row) for row in old.files.values(*columns))
    old.files.all().delete()
    repository.revisions.filter(pk=old.pk).update(expired_at=timezone.now())


@pytest.fixture
def ask(cast: Cast) -> Callable[..., Client]:
    """Return a client of somebody: by session, by a token of some role, or of nobody."""

    def client(
        who: str = "anonymous", token: str = "", value: str = "", csrf: bool = False, kind: type[Client] = Client
    ) -> Client:
        if token or value:
            grants = {"alice__reviews": "read"} if token == "fine-grained" else {}
            return kind(headers={"Authorization": f"Bearer {value or cast.token(who, token, **grants)}"})
        made = kind(enforce_csrf_checks=csrf)
        return made if who == "anonymous" else signed_in(made, User.objects.get(username=who))

    return client


class JsonClient(Client):
    """A client that sends bodies as JSON; without a body it sends none."""

    def generic(  # type: ignore[override]  # tests give it less
        self, method: str, path: str, data: Any = "", content_type: str = "", *more: Any, **options: Any
    ) -> Any:
        return super().generic(method, path, data, "application/json", *more, **options)

    def _encode_json(self, data: Any, content_type: str) -> Any:
        return json.dumps(data).encode() if data else b""

    def _encode_data(self, data: Any, content_type: str) -> Any:
        return data


@pytest.fixture
def ask_json(ask: Callable[..., Client]) -> Callable[..., Client]:
    """Return a client as `ask` does that sends JSON."""
    return partial(ask, kind=JsonClient)


@pytest.fixture
def repository(cast: Cast) -> Repository:
    """alice/reviews, public, with one pushed revision that waits for its verdict."""
    made = cast.repository("alice/reviews")
    pushed(cast, made)
    made.refresh_from_db()
    return made


@pytest.fixture
def secret(cast: Cast) -> Repository:
    """acme/secret, private, with one pushed revision."""
    made = cast.repository("acme/secret", private=True)
    pushed(cast, made)
    made.refresh_from_db()
    return made
