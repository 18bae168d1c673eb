"""Pickles of tensors: what torch saved is read to the bit, whatever else is there is refused with its reason."""

import io
import json
import subprocess
from pathlib import Path

import pytest

from dovetail.adapters.files import header, pickles, torchfile
from dovetail.adapters.formats import twins
from tests.pickles.hostile import IMPORTS, LIES, OLD, SOUND, archive, storage, table, tensor, text
from tests.sweep import sweep

HERE = Path(__file__).parent
NAMES = ("plain", "module", "ordered", "parameters", "turned", "sliced", "spread", "shared", "dtypes", "halves")


def twin_of(data: bytes) -> twins.Twin:
    return twins.Twin(lambda: io.BytesIO(data))


def values(data: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    tensors = header.read(io.BytesIO(data)).tensors
    return {name: (one.dtype, one.shape, data[one.offset : one.end]) for name, one in tensors.items()}


@pytest.mark.parametrize("kind", ["zip", "old"])
@sweep("name", NAMES)
def test_every_value_is_read_as_torch_means_it(name, kind, saved):
    with twin_of((saved / f"{name}-{kind}.bin").read_bytes())() as file:
        read = file.read()
    assert values(read) == values((saved / f"{name}-{kind}.safetensors").read_bytes())


def test_a_twin_is_the_same_bytes_every_time_and_may_be_read_in_any_order(saved):
    data = (saved / "turned-zip.bin").read_bytes()
    with twin_of(data)() as file:
        whole = file.read()
    with twin_of(data)() as file:
        assert file.seek(0, 2) == len(whole)
        for at in range(0, len(whole), 7):
            file.seek(at)
            assert file.read(11) == whole[at : at + 11]
    assert whole[8:].startswith(b'{"__metadata__":{"format":"pt"}')
    first = min(one.offset for one in header.read(io.BytesIO(whole)).tensors.values())
    assert first % 8 == 0


@pytest.mark.parametrize("data", [SOUND, OLD], ids=["zip", "old"])
def test_files_made_by_hand_are_read_when_they_tell_the_truth(data):
    assert twins.why_not(twin_of(data)) == ""
    assert twin_of(data).tensors["w"].shape == (2, 3)


@pytest.mark.parametrize("name", IMPORTS)
def test_a_pickle_that_imports_more_is_named_and_has_no_twin(name):
    data, word = IMPORTS[name]
    found = pickles.read("adapter_model.bin", io.BytesIO(data))
    assert found is not None
    assert not found.only_tensors
    assert word in f"{sorted(found.imports)} {found.reason}"
    assert twins.why_not(twin_of(data))


@sweep("name", LIES)
def test_a_pickle_that_lies_is_refused_with_the_reason(name):
    data, word = LIES[name]
    reason = twins.why_not(twin_of(data))
    assert reason
    assert word in reason


def test_further_names_of_a_shared_prefix_are_left_out_and_of_nothing_else():
    own, pool = "bert.prefix_tuning.prefix_tunings.a.self_prefix.wte.weight", "bert.encoder.layer.0.prefix_tuning.pool"
    copy = f"{pool}.prefix_tunings.a.self_prefix.wte.weight"
    data = archive(table(text(copy), tensor(), text(own), tensor(), text("q.loras.a.A"), tensor(), text("k.loras.a.A"),
                         tensor()))  # fmt: skip
    assert sorted(twin_of(data).tensors) == [own, "k.loras.a.A", "q.loras.a.A"]
    assert twins.twin_copies(twin_of(data)) == {copy}


def test_a_copy_with_other_values_stays():
    own, copy = "x.prefix_tunings.a.w", "x.pool.prefix_tunings.a.w"
    data = archive(table(text(own), tensor(), text(copy), tensor(storage("1"))), {"0": bytes(24), "1": b"\1" * 24})
    assert sorted(twin_of(data).tensors) == sorted([own, copy])


def test_what_is_written_is_read_by_torch_and_by_us_as_the_same(saved, torch_python, tmp_path):
    script = (
        "import sys, torch; from pathlib import Path; from safetensors.torch import load_file\n"
        "for path in sorted(Path(sys.argv[1]).glob('*.bin')):\n"
        "    read, meant = torch.load(path, weights_only=True), load_file(f'{sys.argv[2]}/{path.stem}.safetensors')\n"
        "    assert type(read).__name__ == 'OrderedDict' and read.keys() == meant.keys()\n"
        "    assert all(torch.equal(read[k], meant[k]) and read[k].dtype == meant[k].dtype for k in meant)\n"
        "    torch.load(path, weights_only=True, mmap=True)\n"
    )
    for name in NAMES:
        source, target = saved / f"{name}-zip.safetensors", tmp_path / f"{name}-zip.bin"
        written = [written_as_torch(source) for _ in range(2)]
        assert written[0] == written[1]
        target.write_bytes(written[0])
        with twin_of(written[0])() as file:
            assert values(file.read()) == values(source.read_bytes())
    subprocess.run([torch_python, "-c", script, tmp_path, saved], check=True)


def written_as_torch(source: Path) -> bytes:
    made = io.BytesIO()
    with source.open("rb") as file:
        torchfile.write(header.read(file), file, made)
    return made.getvalue()


def test_a_dtype_that_torch_save_has_no_storage_for_is_not_written():
    one = header.Header({"w": header.TensorInfo("F8_E4M3", (2,), 0, 2)}, {})
    with pytest.raises(torchfile.Unwritable, match="F8_E4M3"):
        torchfile.write(one, io.BytesIO(b"ab"), io.BytesIO())


def test_a_storage_that_the_archive_marks_as_a_folder_is_refused(saved):
    """Torch copies nothing of a folder, and its tensor is whatever lay in memory."""
    data = bytearray((saved / "turned-zip.bin").read_bytes())
    listed = data.rindex(b"/data/1")  # in the list at the end: 46 bytes of facts, then the name
    entry = data.rindex(b"PK\1\2", 0, listed)
    data[entry + 38] |= 0x10
    assert "marked as a folder" in twins.why_not(twin_of(bytes(data)))


@pytest.mark.merge
def test_two_thousand_spoilt_files_raise_nothing_and_are_never_taken_for_something_else(saved, torch_python):
    done = subprocess.run([torch_python, HERE / "fuzz.py", saved, "2000"], check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert (told["tried"], told["raised"], told["different"]) == (2000, [], 0)
    # Torch refuses a few whose list of files is damaged where nothing depends on it: those hold what they always held.
    assert told["accepted"] > 200
    assert told["refused by torch"] < 20


def test_two_forms_are_compared_value_by_value(saved):
    twin = twin_of((saved / "turned-zip.bin").read_bytes())
    safe = (saved / "turned-zip.safetensors").read_bytes()
    assert twins.differences(twin, lambda: io.BytesIO(safe)) == []
    other = safe[:-1] + bytes([safe[-1] ^ 1])
    assert len(twins.differences(twin, lambda: io.BytesIO(other))) == 1
    stranger = (saved / "plain-zip.safetensors").read_bytes()
    assert twins.differences(twin, lambda: io.BytesIO(stranger)) == ["a.weight", "b.weight", "m", "one", "t"]


def test_a_table_of_twenty_thousand_tensors_takes_a_second_or_two():
    names = (text(f"t{number}") + tensor() for number in range(20_000))
    assert len(twin_of(archive(table(*names))).tensors) == 20_000
