"""A callback of transformers' Trainer that pushes the adapter, waits for its verdict, and acts on it.

A verdict leads to nothing, a warning, or an exception that ends the job.
"""

import logging
import tempfile
from pathlib import Path
from typing import Any, Literal

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from dovetail.api.client import Client, Pushed
from dovetail.ids import MAIN
from dovetail.problems import Problem
from dovetail.verdicts import UNFINISHED

OnFailure = Literal["ignore", "warn", "stop"]
ON_FAILURE = ("ignore", "warn", "stop")

logger = logging.getLogger("dovetail")


def check_choice(on_failure: str) -> None:
    """Raise ValueError for a word that is no choice, before anything was trained."""
    if on_failure not in ON_FAILURE:
        raise ValueError(f"on_failure is {on_failure!r}; use {', '.join(map(repr, ON_FAILURE))}.")


def require_pass(pushed: Pushed, on_failure: OnFailure = "stop") -> None:
    """Warn of a version that did not pass, or has no verdict yet; with "stop" raise Problem."""
    verdict = pushed.verdict
    if verdict is None or verdict.passed or on_failure == "ignore":
        return
    checks = "; ".join(f"{check.id}: {check.message} {check.fix}".strip() for check in verdict.failed_checks)
    name = f"{pushed.adapter}@{pushed.revision[:12]}"
    if verdict.state in UNFINISHED:
        problem = Problem(
            f"{name} has no verdict yet: it is {verdict.state}.",
            verdict.reason or "Wait longer, or look at its page later.",
            code="client-verdict-pending",
        )
    else:
        problem = Problem(f"{name} {verdict.state}. {checks}".strip(), pushed.url, code="client-verdict-no")
    if on_failure == "stop":
        raise problem
    logger.warning("%s %s", problem.detail, problem.fix)


class DovetailCallback(TrainerCallback):
    """Pushes at the end of training, and with `every_save` at each save; `pushed` is the result of the last push.

    It waits for the verdict, at most `timeout` seconds. `on_failure` says what follows where a version did not pass:
    "warn" logs it, "stop" raises dovetail.Problem, "ignore" does nothing. Unless they are given, the hub and the token
    are those of the command `dovetail`. Of several processes the first one pushes. A model that is sharded over
    processes cannot be saved by one of them: push its checkpoint afterwards.
    """

    def __init__(
        self, adapter: str, *, endpoint: str | None = None, token: str | None = None, every_save: bool = False,
        branch: str = MAIN, base: str = "", private: bool | None = None, wait: bool = True,
        timeout: float | None = None, on_failure: OnFailure = "warn",
    ) -> None:  # fmt: skip
        check_choice(on_failure)
        self.pushed: Pushed | None = None
        self._adapter, self._every_save, self._on_failure = adapter, every_save, on_failure
        self._options: dict[str, Any] = {"branch": branch, "base": base, "private": private}
        self._options |= {"wait": wait, "timeout": timeout}
        self._client = Client(endpoint, token)
        self._pushed_step = -1

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ask who the token belongs to: hours of training are not the time to find that there is none."""
        if state.is_world_process_zero:
            self._client.whoami()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Push what was trained so far, with `every_save`."""
        if self._every_save:
            self._push(state, **kwargs)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Push the trained adapter, unless the last save was this step."""
        if state.global_step != self._pushed_step:
            self._push(state, **kwargs)

    def _push(self, state: TrainerState, *, model: Any, processing_class: Any = None, **_: Any) -> None:
        if not state.is_world_process_zero:
            return
        self._pushed_step = state.global_step
        with tempfile.TemporaryDirectory(prefix="dovetail-") as temporary:
            folder = Path(temporary, self._adapter.rpartition("/")[2])
            model.save_pretrained(folder)
            if hasattr(processing_class, "save_pretrained"):
                processing_class.save_pretrained(folder)
            message = f"Step {state.global_step}"
            self.pushed = self._client.push(folder, self._adapter, message=message, **self._options)
        outcome = self.pushed.verdict.state if self.pushed.verdict else "pushed"
        logger.info("%s at step %d: %s, %s", self._adapter, state.global_step, outcome, self.pushed.url)
        require_pass(self.pushed, self._on_failure)
