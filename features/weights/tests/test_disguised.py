"""The weight passport knows a file in the names, forms and dtypes of other trainers, and not one whose layers moved."""

import io
import json
import math

import numpy as np
import pytest

from dovetail.adapters.files import header, values
from dovetail.adapters.shapes import merge_preview, passport
from dovetail.adapters.shapes.factors import Scales
from features.weights.models import WeightPassport
from features.weights.tests.test_rest import tensors_of, weights_of
from registry.repos.digests import MAX_RELATIVES
from tests.api.conftest import measured, pushed, safetensors
from workers import pushed_files

KINDS = ("self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj")
LAYERS = 5


def small_float(bits, exponent_bits):
    """The value of a byte by the definition of its format, NaN and infinities included."""
    mantissa_bits = 7 - exponent_bits
    sign = -1 if bits & 0x80 else 1
    exponent, mantissa = (bits & 0x7F) >> mantissa_bits, bits & (1 << mantissa_bits) - 1
    bias = 2 ** (exponent_bits - 1) - 1
    if exponent_bits == 4 and bits & 0x7F == 0x7F:
        return math.nan
    if exponent_bits == 5 and exponent == 31:
        return math.nan if mantissa else sign * math.inf
    if exponent == 0:
        return sign * mantissa * 2.0 ** (1 - bias - mantissa_bits)
    return sign * (1 + mantissa / 2**mantissa_bits) * 2.0 ** (exponent - bias)


BYTES = {
    dtype: np.array([small_float(bits, width) for bits in range(256)])
    for dtype, width in (("F8_E4M3", 4), ("F8_E5M2", 5))
}


def in_eight_bits(tensors, dtype):
    """The file with each value as the nearest that 8 bits can say."""
    sizes = BYTES[dtype][:128][np.isfinite(BYTES[dtype][:128])]
    head, data = {}, b""
    for name, array in tensors.items():
        nearest = np.searchsorted((sizes[1:] + sizes[:-1]) / 2, np.abs(array)).astype("u1")
        raw = (nearest | np.signbit(array).astype("u1") << 7).tobytes()
        head[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + data


def passport_of(raw):
    file = io.BytesIO(raw)
    return passport.measure(file, header.read(file))


def adapter(random, layers=LAYERS, kinds=KINDS, rank=4, width=48):
    """An adapter as PEFT names it; half of its matrices are square, in which a factor may be taken for the other."""
    return {
        f"base_model.model.model.layers.{layer}.{kind}": (
            0.3 * random.normal(size=(rank, width)),
            0.2 * random.normal(size=(width * 3 // 2 if "down" in kind else width, rank)),
        )
        for layer in range(layers)
        for kind in kinds
    }


def renamed(pairs, down, up, rename=str, turn=False):
    return {
        name: array.T if turn else array
        for module, (inner, outer) in pairs.items()
        for name, array in ((rename(module) + down, inner), (rename(module) + up, outer))
    }


def mlx(module):
    return module.removeprefix("base_model.model.")


def kohya(module):
    return "lora_te_text_model_" + module.removeprefix("base_model.model.model.").replace(".", "_")


def product(pairs, ending, shape=(), rename=str):
    return {
        rename(module) + ending: (outer @ inner).reshape(len(outer), -1, *shape)
        for module, (inner, outer) in pairs.items()
    }


def moved(pairs, places):
    """The same names with the matrices of other layers of the same kind; layer → layer."""
    return {
        name: pairs[name.replace(f".{layer}.", f".{places.get(layer, layer)}.")]
        for name in pairs
        for layer in [int(name.split(".layers.")[1].split(".")[0])]
    }


REVERSED = {layer: LAYERS - 1 - layer for layer in range(LAYERS)}
ROTATED = {layer: (layer + 1) % LAYERS for layer in range(LAYERS)}


def likeness(one, two):
    return abs(passport.cosine(one.fingerprint, two.fingerprint)) * passport.in_place(one.modules, two.modules)


@pytest.fixture
def random():
    return np.random.default_rng(11)


def test_every_byte_of_an_eight_bit_float_is_read_as_its_format_defines_it():
    for dtype, expected in BYTES.items():
        raw = bytes(range(256))
        assert np.array_equal(values.widened(raw, dtype), expected.astype("<f4"), equal_nan=True), dtype
        for bits in range(256):
            one = bytes([0, 1, bits, 0x11])
            assert values.has_not_finite(dtype, one) == (not math.isfinite(expected[bits])), (dtype, bits)
            assert values.is_all_zero(dtype, bytes([0x80, bits])) == (expected[bits] == 0), (dtype, bits)


def test_a_copy_is_known_in_other_forms_names_signs_and_dtypes(random):
    wrong = []
    for form in ({}, {"layers": 1}, {"layers": 2, "rank": 1}, {"kinds": KINDS[:1], "rank": 48}):
        pairs = adapter(random, **form)
        own = passport_of(safetensors(tensors_of(pairs)))
        swapped = {name: (-inner, outer) for name, (inner, outer) in pairs.items()}
        disguises = {
            "mlx": safetensors(renamed(pairs, ".lora_a", ".lora_b", mlx, turn=True)),
            "mlx in bf16": safetensors(renamed(pairs, ".lora_a", ".lora_b", mlx, turn=True), "BF16"),
            "torchtune": safetensors(renamed(pairs, ".lora_a.weight", ".lora_b.weight", mlx)),
            "kohya": safetensors(renamed(pairs, ".lora_down.weight", ".lora_up.weight", kohya)),
            "differences": safetensors(product(pairs, ".diff", rename=mlx)),
            "differences of kohya": safetensors(product(pairs, ".diff.weight", rename=kohya)),
            "differences of convolutions": safetensors(product(pairs, ".diff", (4, 3))),
            "differences and biases": safetensors(
                {"a.diff_b": np.ones(9), "z.diff_b": np.ones(9)} | product(pairs, ".diff")
            ),
            "negated": safetensors(tensors_of({name: (inner, -outer) for name, (inner, outer) in pairs.items()})),
            "negated differences": safetensors({name: -one for name, one in product(pairs, ".diff").items()}),
            "negated, of mlx": safetensors(renamed(swapped, ".lora_a", ".lora_b", mlx, turn=True)),
        }
        wrong += [(form, name) for name, raw in disguises.items() if likeness(own, passport_of(raw)) < passport.COPY]
        for dtype in BYTES:
            for name, raw in (
                ("peft", in_eight_bits(tensors_of(pairs), dtype)),
                ("mlx", in_eight_bits(renamed(pairs, ".lora_a", ".lora_b", mlx, turn=True), dtype)),
            ):
                other = passport_of(raw)
                found = {*passport.bands_of(own.fingerprint)} & {*passport.probes_of(other.fingerprint)}
                if likeness(own, other) < 0.99 or not found:
                    wrong.append((form, name, dtype))
    assert wrong == []


def test_matrices_in_other_places_are_no_copy(random):
    pairs = adapter(random)
    own = passport_of(safetensors(tensors_of(pairs)))
    kinds = {
        name: pairs[name.replace("q_proj", "?").replace("v_proj", "q_proj").replace("?", "v_proj")] for name in pairs
    }
    strangers = {
        "reversed": tensors_of(moved(pairs, REVERSED)),
        "rotated": tensors_of(moved(pairs, ROTATED)),
        "reversed, of kohya": renamed(moved(pairs, REVERSED), ".lora_down.weight", ".lora_up.weight", kohya),
        "rotated, of mlx": renamed(moved(pairs, ROTATED), ".lora_a", ".lora_b", mlx, turn=True),
        "reversed differences": product(moved(pairs, REVERSED), ".diff"),
        "q for v": tensors_of(kinds),
    }
    for name, tensors in strangers.items():
        other = passport_of(safetensors(tensors))
        assert passport.cosine(own.fingerprint, other.fingerprint) > passport.COPY, name
        assert likeness(own, other) < passport.NEAR, name
    pairs = adapter(random, layers=20)
    one, other = (passport_of(safetensors(tensors_of(each))) for each in (pairs, moved(pairs, {3: 4, 4: 3})))
    assert likeness(one, other) == pytest.approx(0.9, abs=0.001), "2 of 20 layers"


def parts_of(pairs, random):
    """Files with half of the modules and fewer, in several forms."""
    names = sorted(pairs)
    chosen = {
        "q alone": [name for name in names if "q_proj" in name],
        "attention alone": [name for name in names if "self_attn" in name],
        "the first layers": [name for name in names if int(name.split(".")[4]) < LAYERS // 2 + 1],
        "every second layer": [name for name in names if int(name.split(".")[4]) % 2 == 0],
        "one layer in two and the last": [name for name in names if int(name.split(".")[4]) in (1, LAYERS - 1)],
        "half of them at random": random.permutation(names)[: len(names) // 2].tolist(),
    }
    for title, kept in chosen.items():
        part = {name: pairs[name] for name in kept}
        yield title, safetensors(tensors_of(part), "BF16")
        yield f"{title}, of mlx", safetensors(renamed(part, ".lora_a", ".lora_b", mlx, turn=True))
        yield f"{title}, of kohya", safetensors(renamed(part, ".lora_down.weight", ".lora_up.weight", kohya))
        yield f"{title}, as differences", safetensors(product(part, ".diff", rename=mlx))
        yield f"{title}, negated", safetensors(tensors_of({name: (-down, up) for name, (down, up) in part.items()}))
        yield f"{title}, in 8 bits", in_eight_bits(tensors_of(part), "F8_E4M3")


def mixtures_of(pairs, other):
    """Averages of two adapters, as factors side by side and as matrices; the last one leans to the first."""
    for title, share in (("half and half", 0.5), ("60 to 40", 0.6)):
        side_by_side = {
            name: (np.vstack([down, other[name][0]]), np.hstack([share * up, (1 - share) * other[name][1]]))
            for name, (down, up) in pairs.items()
        }
        yield title, safetensors(tensors_of(side_by_side))
        yield f"{title}, in bf16", safetensors(tensors_of(side_by_side), "BF16")
        yield f"{title}, as differences", safetensors(product(side_by_side, ".diff", rename=mlx))
        yield f"{title}, of kohya", safetensors(renamed(side_by_side, ".lora_down.weight", ".lora_up.weight", kohya))


def test_a_part_of_the_modules_and_a_mixture_of_two_are_known(random):
    wrong = []
    for _ in range(3):
        pairs, other = adapter(random), adapter(random)
        own = passport_of(safetensors(tensors_of(pairs)))
        for title, raw in (*parts_of(pairs, random), *mixtures_of(pairs, other)):
            made = passport_of(raw)
            found = passport.part_keys(own.modules) & passport.part_probes(made.modules)
            back = passport.part_keys(made.modules) & passport.part_probes(own.modules)
            if not (found and back and passport.contained(own.modules, made.modules) > 0.5):
                wrong.append(title)
    # The keys of a mixture have about 12 signs in common with each of both in one module of seven.
    assert [title for title in wrong if not title.startswith(("60", "half and"))] == []
    assert len(wrong) <= 3, wrong


def test_of_strangers_none_holds_a_part_of_another_s_weights(random):
    """All pairs of 60 adapters of one base, with different starts and the same; and of 2,000 as their sketches are."""
    first = adapter(random, layers=2)
    strangers = []
    for at in range(60):
        one = adapter(random, layers=2)
        start = {name: (first[name][0], outer) for name, (_, outer) in one.items()} if at % 2 else one
        strangers.append(passport_of(safetensors(tensors_of(start))).modules)
    names = [f"model.layers.{layer}.{kind}" for layer in range(2) for kind in KINDS]
    for sketches in np.rint(40 * random.normal(size=(2000, len(names), 64)).clip(-3, 3)).astype("i1"):
        strangers.append(tuple(
            passport.Module(name, 4, 1.0, sketch=one.tobytes()) for name, one in zip(names, sketches, strict=True)
        ))  # fmt: skip
    pairs = [(at, other) for at in range(60) for other in range(at)] + [(at, at + 1) for at in range(60, 2059)]
    assert [pair for pair in pairs if passport.contained(*(strangers[at] for at in pair))] == []
    few = strangers[0][:3]
    assert passport.contained(few, few) == 0, "three modules may be alike by chance"


@pytest.mark.parametrize("has_same_start", [False, True])
def test_of_strangers_none_comes_near_also_with_the_same_random_start(random, has_same_start):
    first = adapter(random, layers=2, width=256)
    known = []
    for _ in range(50):
        one = adapter(random, layers=2, width=256)
        start = {name: (first[name][0], outer) for name, (_, outer) in one.items()} if has_same_start else one
        known.append(passport_of(safetensors(tensors_of(start))))
    cosines = [
        abs(cosine)
        for place, one in enumerate(known)
        for cosine in passport.cosines(one.fingerprint, [other.fingerprint for other in known[:place]])
    ]
    assert (len(cosines), max(cosines) < 0.3) == (1225, True), max(cosines)


def test_mlx_says_its_scale_in_a_table_of_its_own():
    scales = Scales({"fine_tune_type": "lora", "lora_parameters": {"rank": 8, "scale": 20.0, "dropout": 0.0}})
    assert [scales.of("model.layers.3.q_proj", rank) for rank in (8, 64, 0)] == [20.0, 20.0, 1.0]
    assert Scales({"lora_alpha": 16, "lora_parameters": {"scale": "20"}}).of("q_proj", 8) == 2


def test_a_hub_names_the_copies_and_not_the_ones_with_moved_layers(ask, cast, repository, random):
    """Passports of before, which have no sketches of modules, are compared as before."""
    pairs = adapter(random)
    measured(cast, repository, tensors_of(pairs), r=4)
    disguises = {
        "of-mlx": safetensors(renamed(pairs, ".lora_a", ".lora_b", mlx, turn=True)),
        "differences": safetensors(product(pairs, ".diff", rename=mlx)),
        "negated": safetensors(tensors_of({name: (inner, -outer) for name, (inner, outer) in pairs.items()})),
        "eight-bits": in_eight_bits(tensors_of(pairs), "F8_E5M2"),
        "reversed": safetensors(tensors_of(moved(pairs, REVERSED))),
        "swapped": safetensors(tensors_of(moved(pairs, {0: 1, 1: 0}))),
        "half": safetensors(tensors_of({name: one for name, one in pairs.items() if ".self_attn.q" in name})),
        "mixed": dict(mixtures_of(pairs, adapter(random)))["half and half"],
    }
    assert len(disguises) < MAX_RELATIVES
    for name, raw in disguises.items():
        place = cast.repository(f"bob/{name}", by="bob")
        pushed(cast, place, by="bob", title="weights", files={"adapter_model.safetensors": raw})
    pushed_files.digest_files()

    def relatives(name="alice/reviews"):
        [file] = weights_of(ask(), name)["files"]
        return {one["adapter"]: one["relation"] for one in file["relatives"]}

    copies = {"bob/of-mlx": "copy", "bob/differences": "copy", "bob/negated": "copy", "bob/eight-bits": "near"}
    parts = {"bob/half": "part", "bob/mixed": "part"}
    assert relatives() == copies | parts
    assert relatives("bob/half")["alice/reviews"] == relatives("bob/mixed")["alice/reviews"] == "part"
    assert "a part or a mixture of these weights" in ask().get("/bob/half/verdict/main").content.decode()
    assert relatives("bob/reversed") == {}
    assert relatives("bob/negated")["alice/reviews"] == "copy"
    for row in WeightPassport.objects.all():
        row.modules = [values[:6] for values in row.modules]
        row.save()
    assert relatives() == copies | {"bob/reversed": "copy", "bob/swapped": "copy"}
    [file] = weights_of(ask(), "bob/of-mlx")["files"]
    assert {(row["rank"], row["module"].endswith("proj")) for row in file["modules"]} == {(4, True)}


def test_a_preview_of_a_merge_reads_mlx_and_peft(random):
    pairs = adapter(random, layers=1)
    files = [
        io.BytesIO(safetensors(tensors))
        for tensors in (tensors_of(pairs), renamed(pairs, ".lora_a", ".lora_b", mlx, turn=True))
    ]
    found = merge_preview.compare(*((file, header.read(file)) for file in files), seconds=60)
    assert (found.shared, found.alone) == (3, (0, 0))
    for pair in found.modules:
        assert pair.both == pytest.approx(pair.first, rel=1e-4)
