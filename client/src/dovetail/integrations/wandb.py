"""Records a push and its verdict in a run of Weights & Biases, and the version as a reference artifact."""

import wandb

from dovetail import integrations
from dovetail.api.client import Pushed


def log_push(pushed: Pushed, run: "wandb.Run | None" = None) -> "wandb.Artifact":
    """Write a summary whose names begin with `dovetail/` and log an artifact of type model; return the artifact.

    The artifact holds no bytes: it refers to the pinned version on the hub.
    """
    active = run or wandb.run
    if active is None:
        raise ValueError("There is no run: call wandb.init() first, or give one.")
    labels = integrations.push_labels(pushed)
    active.summary.update(
        {f"dovetail/{name}": value for name, value in (labels | integrations.push_numbers(pushed)).items()}
    )
    artifact = wandb.Artifact(pushed.adapter.replace("/", "-"), type="model", metadata=dict(labels))
    artifact.add_reference(pushed.url, name=pushed.revision, checksum=False)
    active.log_artifact(artifact, aliases=[pushed.revision[:12]])
    return artifact
