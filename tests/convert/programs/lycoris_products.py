"""Makes adapters with LyCORIS itself, converts them, and has diffusers load what came out.

The modules are those of narrow UNets. Run by an engine's interpreter with lycoris and diffusers on its path; prints one
line for each proof.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from image_libraries import PIPELINES, converted, loaded, saved, sgm, weights
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule

from dovetail.adapters.convert import Settings, convert
from dovetail.adapters.readers.folder import files_in

Tensors = dict[str, torch.Tensor]
WHOLE = Settings(rank=1024)  # that no module here needs
METHODS: dict[str, tuple[Any, dict[str, Any]]] = {
    "LoHa": (LohaModule, {"lora_dim": 2}),
    "LoHa of a larger rank than its modules": (LohaModule, {"lora_dim": 9}),
    "LoHa with use_tucker and rs_lora": (LohaModule, {"lora_dim": 3, "use_tucker": True, "rs_lora": True}),
    "LoKr": (LokrModule, {"lora_dim": 2}),
    "LoKr of two pairs": (LokrModule, {"lora_dim": 1, "decompose_both": True, "factor": 8}),
    "LoKr with full_matrix": (LokrModule, {"lora_dim": 2, "full_matrix": True, "factor": 4}),
    "LoKr with use_tucker": (LokrModule, {"lora_dim": 1, "use_tucker": True, "unbalanced_factorization": True}),
    "LoCon with use_tucker": (LoConModule, {"lora_dim": 3, "use_tucker": True}),
}


def made(pipeline: str, unet: torch.nn.Module, method: Any, options: dict[str, Any]) -> tuple[Tensors, Tensors]:
    """Return what LyCORIS saves of modules with random values, and what each adds to its weight in a forward pass."""
    torch.manual_seed(5)
    tensors, deltas = {}, {}
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    modules = {path: module for path, module in unet.named_modules() if isinstance(module, kinds)}
    for number, (path, module) in enumerate(sorted(modules.items())):
        name = sgm(path) if "XL" in pipeline else f"lora_unet_{path.replace('.', '_')}"
        one = method(name, module, 1.0, alpha=1.0 + number % 3, **options).eval()
        for parameter in one.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
        with torch.no_grad():
            module.weight.zero_()
            if module.bias is not None:
                module.bias.zero_()
            if isinstance(module, torch.nn.Linear):
                deltas[path] = one(torch.eye(module.in_features)).T
            elif method is LoConModule:
                deltas[path] = (one.make_weight() * one.scale).reshape(module.weight.shape).flatten(1)
            else:
                deltas[path] = one.get_weight(one.shape).flatten(1)
        tensors |= {f"{name}.{part}": tensor.detach().clone() for part, tensor in one.custom_state_dict().items()}
    return tensors, deltas


def prove(folder: Path) -> None:
    for pipeline, base in (("StableDiffusionPipeline", "org/sd-v1-5"), ("StableDiffusionXLPipeline", "org/sdxl-base")):
        models = {place: model.made(narrow=True) for place, model in PIPELINES[pipeline].models.items()}
        unet = models["unet"]
        for what, (method, options) in METHODS.items():
            tensors, expected = made(pipeline, unet, method, options)
            home = saved(tensors, folder / f"{pipeline} {what}")
            told = convert(files_in(home), "diffusers", settings=WHOLE, base=base).facts()
            assert told["lost"] < 1e-6, (what, told)
            ours = converted(home, "diffusers", settings=WHOLE, base=base)
            found = loaded(pipeline, models, str(weights(ours)))["unet"]
            assert found.keys() == expected.keys(), (what, sorted(found.keys() ^ expected.keys())[:6])
            for path, delta in expected.items():
                error = float((found[path] - delta).norm() / delta.norm())
                assert error < 1e-4, (pipeline, what, path, error)
        print(pipeline)


if __name__ == "__main__":
    prove(Path(sys.argv[1]))
