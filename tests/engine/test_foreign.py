"""Adapters that no engine runs: good ones of every family pass as far as they were looked at, spoilt ones fail."""

import json
import struct

import pytest

from dovetail.adapters import check
from tests.adapters import CONFIG, hostile_pickle, openers, pack
from tests.engine.test_formats import gguf_lora
from tests.engine.test_saboteurs import failures
from tests.sweep import sweep

UNET, TEXT = "lora_unet_down_blocks_0_attentions_0_proj_in", "lora_te_text_model_encoder_layers_0_mlp_fc1"


def ones(*shape, value=0.5):
    count = 1
    for size in shape:
        count *= size
    return "F32", shape, struct.pack("<f", value) * count


def kohya(rank=4, alpha=4.0, **metadata):
    tensors = {}
    for module, width in ((UNET, 16), (TEXT, 8)):
        tensors |= {f"{module}.lora_down.weight": ones(rank, width), f"{module}.lora_up.weight": ones(width, rank)}
        tensors |= {f"{module}.alpha": ones(value=alpha)}
    return tensors, {"ss_network_module": "networks.lora", "ss_network_dim": str(rank), **metadata}


def lycoris(kind):
    layouts: dict[str, dict[str, tuple[int, ...]]] = {
        "loha": {"hada_w1_a": (16, 4), "hada_w1_b": (4, 16), "hada_w2_a": (16, 4), "hada_w2_b": (4, 16)},
        "lokr": {"lokr_w1": (4, 4), "lokr_w2_a": (4, 2), "lokr_w2_b": (2, 4)},
        "locon": {"lora_down.weight": (4, 16, 1, 1), "lora_mid.weight": (4, 4, 3, 3), "lora_up.weight": (16, 4, 1, 1)},
        "ia3": {"weight": (16,), "on_input": ()},
        "oft": {"oft_blocks": (4, 4, 4)},
        "full": {"diff": (16, 16), "diff_b": (16,)},
    }
    return {f"{UNET}.{part}": ones(*shape) for part, shape in layouts[kind].items()}, {
        "ss_network_module": "lycoris.kohya"
    }


def diffusers():
    name = "unet.down_blocks.0.attentions.0.to_q"
    return {f"{name}.lora_A.weight": ones(4, 16), f"{name}.lora_B.weight": ones(16, 4)}, {}


def mlx(width=32, module="self_attn.q_proj"):
    found = {}
    for layer in range(2):
        name = f"model.layers.{layer}.{module}"
        found |= {f"{name}.lora_a": ones(width, 4), f"{name}.lora_b": ones(4, width)}
    return found, {}


def mlx_config(**changes):
    said = {
        "fine_tune_type": "lora",
        "model": "tiny/llama",
        "num_layers": 2,
        "lora_parameters": {"rank": 4, "scale": 20.0},
    }
    return json.dumps(said | changes).encode()


def loralib():
    name = "model.layers.0.self_attn.q_proj"
    return {f"{name}.lora_A": ones(4, 32), f"{name}.lora_B": ones(32, 4)}, {}


def repository(family, tensors=None, metadata=None, **config):
    made = (
        {"kohya": kohya, "diffusers": diffusers, "mlx": mlx, "loralib": loralib}[family]() if tensors is None else None
    )
    data = pack(*made) if made else pack(tensors, metadata or {})
    path = {"mlx": "adapters.safetensors", "diffusers": "pytorch_lora_weights.safetensors"}.get(family, "x.safetensors")
    return {path: data} | ({CONFIG: mlx_config(**config)} if family == "mlx" else {})


GGUF = {"blk.0.attn_q.weight": (32, 32), "blk.1.ffn_up.weight": (32, 64), "blk.0.ffn_down.weight": (64, 32)}


def gguf(modules=GGUF, rank=4, **facts):
    tensors = {}
    for name, (inputs, outputs) in modules.items():
        tensors |= {f"{name}.lora_a": (inputs, rank), f"{name}.lora_b": (rank, outputs)}
    return {"x.gguf": gguf_lora(tensors, **facts)}


def refused(files):
    return [result.id for result in check(openers(files)) if result.outcome == "failed"]


GOOD = {
    "kohya": repository("kohya"),
    "kohya with a caption of every picture": repository("kohya", *kohya(ss_tag_frequency="x" * 300_000)),
    "diffusers": repository("diffusers"),
    "loralib": repository("loralib"),
    "mlx": repository("mlx"),
    "gguf": gguf(),
    **{
        f"lycoris {kind}": repository("lycoris", *lycoris(kind))
        for kind in ("loha", "lokr", "locon", "ia3", "oft", "full")
    },
}


@sweep("name", GOOD)
def test_a_good_adapter_of_every_family_passes(name):
    assert refused(GOOD[name]) == []


def changed(family, change):
    made = {"kohya": kohya, "diffusers": diffusers, "mlx": mlx, "loralib": loralib}.get(family, lambda: lycoris(family))
    tensors, metadata = made()
    return repository(
        family if family in ("kohya", "diffusers", "mlx", "loralib") else "lycoris", change(tensors), metadata
    )


def without(end):
    return lambda tensors: {name: entry for name, entry in tensors.items() if not name.endswith(end)}


def with_value(end, raw):
    return lambda tensors: {
        name: (d, s, raw * (len(r) // 4) if name.endswith(end) else r) for name, (d, s, r) in tensors.items()
    }


def with_shape(end, *shape):
    return lambda tensors: {name: ones(*shape) if name.endswith(end) else entry for name, entry in tensors.items()}


NAN, ZERO = b"\x00\x00\xc0\x7f", bytes(4)
BAD = {
    "kohya without one half": ("tensors.pair", changed("kohya", without(f"{UNET}.lora_up.weight"))),
    "kohya whose halves differ in rank": ("tensors.pair", changed("kohya", with_shape("lora_up.weight", 16, 3))),
    "kohya of rank 5000": ("config.rank", repository("kohya", *kohya(rank=5000))),
    "kohya with NaN": ("tensors.not-finite", changed("kohya", with_value("lora_up.weight", NAN))),
    "kohya with an alpha of NaN": ("tensors.not-finite", changed("kohya", with_value("alpha", NAN))),
    "kohya that was never trained": ("tensors.all-zero", changed("kohya", with_value("lora_up.weight", ZERO))),
    "kohya cut off": ("file.header", {"x.safetensors": repository("kohya")["x.safetensors"][:-4]}),
    "kohya beside a hostile pickle": ("file.pickle", {**repository("kohya"), "x.pt": hostile_pickle()}),
    "LoHa without one of its four": ("tensors.pair", changed("loha", without("hada_w2_a"))),
    "LoHa that was never trained": ("tensors.all-zero", changed("loha", with_value("hada_w2_b", ZERO))),
    "LoKr without half of its second": ("tensors.pair", changed("lokr", without("lokr_w2_a"))),
    "diffusers without one half": ("tensors.pair", changed("diffusers", without("lora_B.weight"))),
    "diffusers with NaN": ("tensors.not-finite", changed("diffusers", with_value("lora_A.weight", NAN))),
    "diffusers that was never trained": ("tensors.all-zero", changed("diffusers", with_value("lora_B.weight", ZERO))),
    "mlx without one half": ("tensors.pair", changed("mlx", without("0.self_attn.q_proj.lora_b"))),
    "mlx of another rank than its config": ("config.rank", repository("mlx", lora_parameters={"rank": 8})),
    "mlx without a rank": ("config.invalid", repository("mlx", lora_parameters={})),
    "mlx of a whole model": ("config.invalid", repository("mlx", fine_tune_type="full")),
    "mlx without weights": ("file.missing", {CONFIG: mlx_config()}),
    "loralib without one half": ("tensors.pair", changed("loralib", without("lora_B"))),
    "gguf cut off": ("file.header", {"x.gguf": gguf()["x.gguf"][:-64]}),
    "gguf with a tensor of no dimension": (
        "file.header",
        {
            "x.gguf": gguf_lora({"blk.0.attn_q.weight.lora_a": (8, 2)}).replace(
                struct.pack("<I", 2) + struct.pack("<QQ", 8, 2), struct.pack("<I", 0) + struct.pack("<QQ", 8, 2)
            )
        },
    ),
    "gguf without one half": ("tensors.pair", {"x.gguf": gguf_lora({"blk.0.attn_q.weight.lora_a": (8, 2)})}),
}


@sweep("name", BAD)
def test_a_saboteur_of_a_family_that_no_engine_runs_fails_with_exactly_its_own_check(name):
    expected, files = BAD[name]
    found = [result for result in check(openers(files)) if result.outcome == "failed"]
    assert [result.id for result in found] == [expected]
    assert all(result.message.endswith(".") and result.fix.endswith(".") for result in found)


def test_a_strange_scale_and_captions_are_told_and_refuse_nothing():
    files = repository("kohya", *kohya(alpha=4000.0, ss_tag_frequency='{"me at home": {"me": 3}}'))
    warned = {result.id: result.message for result in check(openers(files)) if result.outcome == "warned"}
    assert "is scaled by 1000" in warned["tensors.scale"]
    assert "ss_tag_frequency" in warned["privacy.training-data"]
    assert refused(files) == []


# --- on a base -------------------------------------------------------------------------------------------------------
def laid(folder, files):
    for path, data in files.items():
        (folder / path).write_bytes(data)
    return folder


FITTING = {"mlx": repository("mlx"), "gguf": gguf(), "loralib": repository("loralib")}
MISFIT = {
    "mlx of another width": ("fit.shape", repository("mlx", *mlx(width=48))),
    "mlx of a module that is not there": ("fit.unexpected", repository("mlx", *mlx(module="mlp.router"))),
    "gguf of another width": ("fit.shape", gguf({"blk.0.attn_q.weight": (48, 48)})),
    "gguf of a layer that is not there": ("fit.unexpected", gguf({"blk.7.attn_q.weight": (32, 32)})),
}


@pytest.mark.parametrize("name", FITTING)
def test_what_names_modules_of_a_base_is_fitted_to_it_and_not_run(name, llama, tmp_path):
    verdict = llama.validate(laid(tmp_path, FITTING[name]))
    assert failures(verdict) == [], verdict["checks"]
    assert (verdict["state"], verdict["depth"], verdict["evals"]) == ("passed", "fit", [])
    told = next(check for check in verdict["checks"] if check["id"] == "run.not-here")
    assert (told["outcome"], told["where"]["proven"]) == ("skipped", "fit")
    assert "tiny/llama" in told["message"]
    assert not [check for check in verdict["checks"] if check["id"].startswith(("load", "eval"))]


@pytest.mark.parametrize("name", MISFIT)
def test_what_does_not_fit_its_base_fails(name, llama, tmp_path):
    expected, files = MISFIT[name]
    assert failures(llama.validate(laid(tmp_path, files))) == [expected]


def test_a_lora_for_images_is_looked_at_and_passes_without_any_base(without_base, tmp_path):
    verdict = without_base.validate(laid(tmp_path, repository("kohya")))
    assert (verdict["state"], verdict["depth"], verdict["format"]) == ("passed", "static", "kohya")


def test_a_gguf_file_that_is_cut_off_is_refused_for_that_alone():
    files = gguf()
    assert refused({**files, "x.gguf": files["x.gguf"][:-64]}) == ["file.header"]
