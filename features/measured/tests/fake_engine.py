"""An engine that finds that others serve an adapter, and a serving engine that is tried with it, honest or not."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.workers.fake_engine import CHECK, answer, main, say, verdict  # after the path: -I puts no folder there

MAPPED = {"engine": "vllm 0.32.0", "modules": 0, "of": 62, "missed": ["model.layers.0.self_attn.q_proj"]}
ALL = {"engine": "vllm 0.32.0", "modules": 62, "of": 62}
RAN = {"engine": "vllm 0.32.0", "modules": 62, "of": 62, "depth": "run", "answer": "neither"}
STOPPED = {"engine": "vllm 0.32.0", "stopped": "after 20 seconds of processor time, the limit of a trial"}
CANNOT = "head_dim 16 is not supported"


def played(mode: str, job: dict) -> None:
    """Play one part of the cast."""
    match mode:
        case "is served by vLLM":
            row = {"engine": "vllm", "version": "0.33.0", "outcome": "serves", "reason": "It loads.", "rules": []}
            flags = ["--enable-lora"]
            other = row | {"engine": "tgi", "flags": []}
            verdict(job, "passed", CHECK, depth="run", format="peft", serving=[row | {"flags": flags}, other])
        case "is served by diffusers":
            row = {"engine": "diffusers", "version": "0.40.0", "outcome": "serves", "reason": "It loads.", "rules": []}
            verdict(job, "passed", CHECK, depth="static", format="kohya", serving=[row])
        case "measures":
            tried(job, RAN if job["more"]["runs"] else MAPPED)
        case "measures all":
            tried(job, ALL)
        case "is stopped in its trial":
            tried(job, STOPPED)
        case "measures one part" if job["place"] != "german":
            tried(job, MAPPED | {"modules": 62, "missed": []})
        case "measures one part and not the other" if job["place"] != "german":
            tried(job, None, CANNOT)
        case "measures one part" | "measures one part and not the other":
            tried(job, MAPPED)
        case "cannot measure":
            tried(job, None, CANNOT)
        case "tells its base":
            refusal = f"it is tried as {job['more']['config']['_class_name']}"
            tried(job, {"engine": "diffusers 0.42.1", "of": 1, "refusal": refusal})
        case "ends its trial":
            say(event="measured", job=job["id"], measured=None, reason="The trial ended.", ended=True)
        case "measures nonsense":
            tried(job, {"depth": "seen", "engine": "vllm 0.32.0"})
        case "measures another job":
            say(event="measured", job="7", measured=None, reason="")
        case _:
            answer(mode, job)


def tried(job: dict, measured: dict | None, reason: str = "") -> None:
    say(event="measured", job=job["id"], measured=measured, reason=reason)


main(played)
