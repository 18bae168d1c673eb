"""Records a push and its verdict in an MLflow run, and the version in MLflow's model registry."""

import mlflow

from dovetail import integrations
from dovetail.api.client import Pushed

PREFIX = "dovetail."


def log_push(pushed: Pushed, *, registered_model: str = "", run_id: str = "") -> None:
    """Set tags and metrics of a run (the active one) whose names begin with `dovetail.`.

    With `registered_model` a version of that model is created, whose source is the address of the pinned version.
    """
    client = mlflow.MlflowClient()
    run = run_id or (mlflow.active_run() or mlflow.start_run()).info.run_id
    tags = {f"{PREFIX}{name}": value for name, value in integrations.push_labels(pushed).items()}
    for name, value in tags.items():
        client.set_tag(run, name, value)
    for name, number in integrations.push_numbers(pushed).items():
        client.log_metric(run, f"{PREFIX}{name}", number)
    if registered_model:
        if not client.search_registered_models(f"name = '{registered_model}'"):
            client.create_registered_model(registered_model)
        client.create_model_version(registered_model, pushed.url, run, tags=tags)
