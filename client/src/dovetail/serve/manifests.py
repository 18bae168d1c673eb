"""Manifests for Kubernetes: one proven commit of an adapter for the platforms that serve with vLLM.

Most platforms can name neither a hub nor a commit. For these a Job downloads the commit from this hub onto a shared
volume, and the platform is given the path. Where it can name a commit, that is enough to be safe: another hub that has
a repository of this name does not have this commit. tests/client/crds holds the schemas these are checked against.
"""

import re
from collections.abc import Callable, Sequence

import yaml

from dovetail.adapters.results.records import JsonObject
from dovetail.adapters.results.report import Serving
from dovetail.adapters.serving.vllm import VERSION
from dovetail.serve.server_start import Target

Document = JsonObject
VOLUME, MOUNT = "dovetail-adapters", "/adapters"
SIZE = "10Gi"
DOWNLOADER = "python:3.13-slim"
MAX_NAME = 63  # of a label
RANK = re.compile(r"--max-lora-rank (\d+)")


def manifest(kind: str, target: Target, answers: Sequence[Serving]) -> str:
    """Return the YAML of a kind in KINDS. Raises ValueError where vLLM or the platform does not serve it."""
    answer = next((row for row in answers if row.engine == "vllm"), None)
    if answer is None or answer.outcome != "serves":
        reason = answer.reason if answer else "Its verdict does not say whether vLLM serves it."
        raise ValueError(f"{target.adapter} is not for platforms that serve with vLLM: {reason}")
    flags = [str(flag) for flag in answer.flags if not str(flag).startswith("--lora-modules")]
    note, documents = KINDS[kind](target, flags)
    text = yaml.safe_dump_all(documents, sort_keys=False, width=120)
    lines = [f"{target.adapter} at {target.revision}, of {target.endpoint}; served as {target.name}.", *note]
    return "".join(f"# {line}\n" for line in lines) + text


def object_name(target: Target) -> str:
    """Return the name of objects in Kubernetes: that of the folder, in the letters of a DNS label."""
    name = re.sub(r"[^a-z0-9-]+", "-", target.short.lower()).strip("-") or "adapter"
    commit = target.revision[:7]
    return f"{name[: MAX_NAME - len(commit) - 1].rstrip('-')}-{commit}"


def _metadata(target: Target, name: str = "") -> Document:
    known = {"adapter": target.adapter, "commit": target.revision, "endpoint": target.endpoint}
    annotations = {f"dovetail/{key}": value for key, value in known.items()}
    return {"name": name or object_name(target), "annotations": annotations}


def _place(target: Target) -> str:
    return f"{object_name(target)}/{target.place}" if target.place else object_name(target)


def _download(target: Target) -> Document:
    """Return the container that downloads the commit; the token is optional, for what is not public."""
    steps = 'pip install -q huggingface_hub && hf download "$ADAPTER" --revision "$COMMIT" --local-dir "$FOLDER"'
    values = {
        "HF_ENDPOINT": target.endpoint,
        "ADAPTER": target.adapter,
        "COMMIT": target.revision,
        "FOLDER": f"{MOUNT}/{object_name(target)}",
    }
    secret = {"secretKeyRef": {"name": "dovetail-token", "key": "HF_TOKEN", "optional": True}}
    return {
        "name": "download",
        "image": DOWNLOADER,
        "command": ["sh", "-ec", steps],
        "env": [
            *({"name": key, "value": value} for key, value in values.items()),
            {"name": "HF_TOKEN", "valueFrom": secret},
        ],
        "volumeMounts": [{"name": "adapters", "mountPath": MOUNT}],
    }


def _volume(target: Target) -> list[Document]:
    """Return the volume that adapters share, and the job that puts this one there."""
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": SIZE}}}
    volume = {"name": "adapters", "persistentVolumeClaim": {"claimName": VOLUME}}
    pod = {"restartPolicy": "OnFailure", "containers": [_download(target)], "volumes": [volume]}
    return [
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": VOLUME}, "spec": claim},
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": _metadata(target, f"dovetail-{object_name(target)}"[:MAX_NAME]),
            "spec": {"backoffLimit": 4, "template": {"spec": pod}},
        },
    ]


Made = tuple[list[str], list[Document]]
MOUNTED = f"The pods of the base need the volume {VOLUME} at {MOUNT}."


def _kserve(target: Target, flags: Sequence[str]) -> Made:
    rank = RANK.search(" ".join(flags))
    lora: Document = {"adapters": [{"name": target.name, "uri": f"pvc://{VOLUME}/{_place(target)}"}]}
    model: Document = {"name": target.base, "uri": f"hf://{target.base}", "lora": lora}
    if rank:
        lora["maxRank"] = int(rank[1])
    if target.base_commit and not target.base_endpoint:
        model["uri"] += f":{target.base_commit}"
    service = {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": _metadata(target),
        "spec": {"model": model, "replicas": 1},
    }
    return [], [*_volume(target), service]


def _dynamo(target: Target, flags: Sequence[str]) -> Made:
    if target.place:
        raise ValueError(f"A DynamoModel names a whole repository, and this adapter is in its folder {target.place}.")
    spec = {
        "modelName": target.name,
        "baseModelName": target.base,
        "modelType": "lora",
        "source": {"uri": f"hf://{target.adapter}@{target.revision}"},
    }
    note = [f"The workers of {target.base} need HF_ENDPOINT={target.endpoint} and {' '.join(flags)}."]
    kind = {"apiVersion": "nvidia.com/v1alpha1", "kind": "DynamoModel", "metadata": _metadata(target), "spec": spec}
    return note, [kind]


def _aibrix(target: Target, flags: Sequence[str]) -> Made:
    base = re.sub(r"[^a-z0-9-]+", "-", target.base.rpartition("/")[2].lower()).strip("-")
    spec = {
        "baseModel": base,
        "podSelector": {"matchLabels": {"model.aibrix.ai/name": base, "adapter.model.aibrix.ai/enabled": "true"}},
        "artifactURL": f"{MOUNT}/{_place(target)}",
    }
    adapter = {
        "apiVersion": "model.aibrix.ai/v1alpha1",
        "kind": "ModelAdapter",
        "metadata": {**_metadata(target), "labels": {"model.aibrix.ai/name": object_name(target)}},
        "spec": spec,
    }
    return [MOUNTED, f"AIBrix serves it by the object's name, {object_name(target)}."], [*_volume(target), adapter]


def _production_stack(target: Target, flags: Sequence[str]) -> Made:
    source = {"type": "local", "adapterName": target.name, "adapterPath": f"{MOUNT}/{_place(target)}"}
    adapter = {
        "apiVersion": "production-stack.vllm.ai/v1alpha1",
        "kind": "LoraAdapter",
        "metadata": _metadata(target),
        "spec": {
            "baseModel": target.base,
            "adapterSource": source,
            "loraAdapterDeploymentConfig": {"algorithm": "default"},
        },
    }
    return [MOUNTED], [*_volume(target), adapter]


def _llm_d(target: Target, flags: Sequence[str]) -> Made:
    labels = {"app": object_name(target)}
    revision = [f"--revision={target.base_commit}"] if target.base_commit else []
    words = [word for flag in flags for word in flag.split(" ")]
    module = f"{target.name}={MOUNT}/{_place(target)}"
    server = {
        "name": "vllm",
        "image": f"vllm/vllm-openai:v{VERSION}",
        "args": ["--model", target.base, *revision, *words, "--lora-modules", module],
        "env": [{"name": "HF_ENDPOINT", "value": target.base_endpoint}] if target.base_endpoint else [],
        "ports": [{"containerPort": 8000}],
        "volumeMounts": [{"name": "adapters", "mountPath": MOUNT, "readOnly": True}],
    }
    pod = {
        "initContainers": [_download(target)],
        "containers": [server],
        "volumes": [{"name": "adapters", "emptyDir": {}}],
    }
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    documents = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(target), "spec": spec},
        {
            "apiVersion": "inference.networking.x-k8s.io/v1alpha2",
            "kind": "InferenceObjective",
            "metadata": _metadata(target),
            "spec": {"priority": 0, "poolRef": {"name": object_name(target)}},
        },
    ]
    return [f"The InferencePool {object_name(target)} selects app: {object_name(target)}."], documents


def _inference_model(target: Target, flags: Sequence[str]) -> Made:
    spec = {
        "modelName": target.adapter,
        "criticality": "Standard",
        "poolRef": {"name": "POOL"},
        "targetModels": [{"name": target.name, "weight": 100}],
    }
    kind = {
        "apiVersion": "inference.networking.x-k8s.io/v1alpha2",
        "kind": "InferenceModel",
        "metadata": _metadata(target, object_name(target)),
        "spec": spec,
    }
    note = ["For gateways before InferenceObjective. POOL is your InferencePool; its servers serve", target.name + "."]
    return [" ".join(note)], [kind]


KINDS: dict[str, Callable[[Target, Sequence[str]], Made]] = {
    "kserve": _kserve,
    "dynamo": _dynamo,
    "aibrix": _aibrix,
    "production-stack": _production_stack,
    "llm-d": _llm_d,
    "inference-model": _inference_model,
}
