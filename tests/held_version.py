"""A version that scored worse than the verified one, with all that a verdict's page has; made in a hub's shell."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from dovetail.adapters.results.report import Report
from registry.kernel.policy import Caller
from registry.models import Base, Repository, User
from registry.proof.verdicts import jobs, requests, sweeps
from registry.publish import push, repositories
from registry.repos.refs import MAIN
from tests.api.conftest import accuracy, adapter_files, lora
from workers import pushed_files

BASE = "lab/small-bert"
PIN = {"id": BASE, "revision": "r1", "sha256": "5" * 64}
LOUD = "base_model.model.layers.3.q_proj"
STATE = {"global_step": 400, "log_history": [{"step": 40 * at, "loss": 2.4 / at} for at in range(1, 11)]}
STRENGTH = {
    "metric": "accuracy", "better": "higher", "rows": 48, "recommended": 0.75, "left_out": "",
    "points": [
        {"scale": scale, "effect": scale * 0.8, "score": score, "drift": scale**2 * 0.1}
        for scale, score in ((0, 0.5), (0.25, 0.56), (0.5, 0.6), (0.75, 0.63), (1, 0.625), (1.25, 0.58))
    ],
}  # fmt: skip
REACHED = {"depth": "run", "engine": "vllm 0.32.0", "modules": 12, "of": 12, "answer": "adapter"}
MISSED = {"depth": "mapping", "engine": "llama.cpp b6000", "modules": 0, "of": 12, "missed": [LOUD]}
NOT_REACHED = "0 of 12 modules meet a module of its model"
SERVING = [
    {"engine": "vllm", "version": "0.32.0", "outcome": "serves", "flags": ["--enable-lora"], "measured": REACHED},
    {"engine": "llama.cpp", "version": "b6000", "outcome": "wrong", "reason": NOT_REACHED, "measured": MISSED},
    {"engine": "tgi", "version": "3.3", "outcome": "refuses", "reason": "TGI has no LoRA for this model."},
    {"engine": "mlx", "version": "0.32.2", "outcome": "unknown", "reason": "Its list has no such class."},
]


def make(full_name: str, versions: Sequence[tuple[float, int]] = ((1.0, 46), (0.5, 30))) -> str:
    """Push versions (loudness, right rows of 48) with their verdicts, and measure their weights; return the last id."""
    alice = Caller(user=User.objects.get(username="alice"))
    if row := Repository.objects.filter(name=full_name.partition("/")[2]).first():
        return row.refs.get(name=MAIN).revision.oid
    adapter, copy = (repositories.create(name, alice) for name in (full_name, f"{full_name}-copy"))
    _push(copy, alice, 0.5)
    for loudness, right in versions:
        oid = _push(adapter, alice, loudness)
        _judge(adapter, right)
    pushed_files.digest_files()
    Base.objects.filter(id=BASE).delete()  # pages of bases are those of other tests
    return oid


def _push(repository: Repository, by: Caller, loudness: float) -> str:
    random = np.random.default_rng(4)
    pairs = {f"base_model.model.layers.{layer}.{kind}": (random.normal(size=(4, 40)), random.normal(size=(24, 4)))
             for layer in range(6) for kind in ("q_proj", "v_proj")}  # fmt: skip
    pairs[LOUD] = (30 * loudness * pairs[LOUD][0], pairs[LOUD][1])
    tensors = {key: value for name, pair in pairs.items() for key, value in lora(name, *pair).items()}
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "base_model_name_or_path": BASE, "task_type": "SEQ_CLS"}
    content = adapter_files(tensors, **config) | {"trainer_state.json": json.dumps(STATE).encode()}
    operations = [push.Inline(path, raw) for path, raw in content.items()]
    return push.receive(push.Intent(repository, MAIN, by, f"Train at {loudness}"), operations).revision.oid


def _judge(repository: Repository, right: int) -> None:
    sweeps.base_arrived(Base.objects.get_or_create(id=BASE, defaults={"revision": "r1", "sha256": "5" * 64})[0])
    waiting = requests.latest(repository.refs.get(name=MAIN).revision)
    assert waiting is not None
    claim = jobs.claim(waiting.pk, "a test")
    assert claim is not None
    result: dict[str, Any] = {
        "base": PIN, "kind": "lora", "format": "peft", "depth": "evaluated", "evals": [accuracy(right)],
        "strength": STRENGTH,
        "serving": [{**row, "by": "measured" if "measured" in row else "rule"} for row in SERVING],
    }  # fmt: skip
    jobs.record(claim, Report.of_result(result, "passed"), 412)
