"""Measures loading an adapter and one forward pass on MiniLM; run by an engine's interpreter, which has torch.

PYTHON -I bench/forward.py BASE ADAPTER TIMES     prints one JSON object of lists of milliseconds of a processor
PYTHON -I bench/forward.py BASE ADAPTER cold      is one process for one adapter: imports, base, adapter, one forward

floor: read the file, copy the tensors, one forward. warm: a jailed child of a warm parent loads the adapter as a
validation does, and runs one batch of 8 rows of 32 tokens.
"""

import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ |= {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_DEACTIVATE_ASYNC_LOAD": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "client" / "src")]
ROWS, TOKENS, SEQ_CLS = 8, 32, "SEQ_CLS"


def batch() -> Any:
    import torch

    ids = torch.randint(1000, 20_000, (ROWS, TOKENS), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def cold(base: str, adapter: str) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(1)
    model = PeftModel.from_pretrained(AutoModelForSequenceClassification.from_pretrained(base), adapter).eval()
    with torch.inference_mode():
        model(**batch())


def main(base: Path, adapter: Path, times: int) -> None:
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    import tqdm
    from transformers.utils import logging

    tqdm.tqdm.monitor_interval = 0
    logging.disable_progress_bar()
    from workers.engine.models.frozen import Frozen
    from workers.engine.processes import sessions, warmth

    frozen = Frozen(base.resolve(), "bench/base")
    warmth.rehearse(frozen)
    model = frozen.model(SEQ_CLS, 2)
    frozen.facts(SEQ_CLS, 2)
    sessions.gather()
    times_by_step: dict[str, list[float]] = {"floor": [], "forward": [], "warm": []}
    for _ in range(times):
        times_by_step["forward"].append(timed(lambda: forward(model)))
        times_by_step["floor"].append(timed(lambda: least(adapter, model)))
        times_by_step["warm"].append(timed(lambda: child(frozen, adapter)))
    print(json.dumps(times_by_step))


def timed(step: Any) -> float:
    """Return the CPU milliseconds of this process and of its ended children."""
    began = spent()
    step()
    return 1000 * (spent() - began)


def spent() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def forward(model: Any) -> None:
    import torch

    with torch.inference_mode():
        model(**batch())


def least(adapter: Path, model: Any) -> None:
    """Do the minimum: load the weights and run one forward pass."""
    copied(adapter)
    forward(model)


def copied(adapter: Path) -> list[Any]:
    from safetensors.torch import load_file

    return [tensor.clone() for tensor in load_file(adapter / "adapter_model.safetensors").values()]


def child(frozen: Any, adapter: Path) -> None:
    from dovetail.adapters.checks import opened
    from dovetail.adapters.readers.folder import files_in
    from workers.engine.evals.choice import eval_of
    from workers.engine.evals.rows import neutral
    from workers.engine.processes import stage
    from workers.engine.processes.sessions import CODE
    from workers.engine.trials.trial import Trial

    with tempfile.TemporaryDirectory() as work:

        def body(say: Any) -> None:
            folder = opened(files_in(adapter), {})
            folder.base = frozen.facts(SEQ_CLS, 2)
            trial = Trial(folder, frozen, SEQ_CLS, 2, Path(work), neutral(frozen, eval_of(SEQ_CLS)))
            forward(trial.model)
            say({"ran": True})

        walls = stage.Walls(Path(work), [adapter, *CODE, frozen.folder], 60.0, 4 << 30, 64 << 20)
        heard = list(stage.run(walls, body, ()))
        assert {"ran": True} in heard, heard


if __name__ == "__main__":
    if sys.argv[3] == "cold":
        cold(sys.argv[1], sys.argv[2])
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
