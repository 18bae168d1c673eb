"""Code that a file runs when it is loaded is found in whatever carries it, and data is left alone."""

import base64
import io
import zlib

import pytest

from dovetail.adapters import check
from dovetail.adapters.checks.files import scan
from dovetail.adapters.files import hdf5, pickles
from dovetail.adapters.files.pickle_imports import Pickle
from tests.adapters import lora, openers
from tests.pickles.carriers import CARRIERS, HARMLESS
from tests.sweep import sweep


@sweep("name", CARRIERS)
def test_code_is_found_in_whatever_carries_it(name):
    path, data = CARRIERS[name]
    found = scan(path, lambda: io.BytesIO(data))
    assert found is not None
    assert not found.is_data
    assert found.imports & {"os system", "posix system"} or found.reason, found


@sweep("name", HARMLESS)
def test_data_is_left_alone(name):
    path, data = HARMLESS[name]
    found = scan(path, lambda: io.BytesIO(data))
    assert found is None or found.is_data, found


def test_the_refusal_names_the_file_and_what_it_carries():
    path, data = CARRIERS["in a zip in a zip"]
    result = next(one for one in check(openers({**lora(), path: data})) if one.id == "file.pickle")
    assert (result.outcome, result.where["quarantine"]) == ("failed", True)
    assert "outer.zip contains x.pkl, which is a pickle that would import os system" in result.message
    keras = next(one for one in check(openers({**lora(), "m.h5": CARRIERS["a Lambda layer of Keras 2"][1]})))
    assert "Lambda layer of Keras" in keras.message


# Files of h5py 3 with the config of a Lambda layer: a text in the oldest format, bytes in the newest.
OF_H5PY = {
    "earliest": (
        "c-"
        "rlh!AiqG5QaCkhfu6k@SvW`o;`Z<WN1?(wzO3bf|R&TQVDK0+9b54<gRbx(Z}%UbMz&2ce5=?E+Tjl=Y#C*&hGp(gkfH+cBfuDtR"
        "aD}qbh2kJf8}*Upg!9l+~1dR`#{B_E+Vd3g_yXese23zbXIqrD^8%%XxtRjb$1GVQ<t~SN6S9e7Eky!7t_ARsCA->uq$Z^66-"
        "ge`Df2c+5oynkFL}n_BcjUA0{Cn$)q>zAklw(DkV8glyv93;%a|tDIg1+5`ZAA8^*{cQvF2OnFXmVvj}PbV9>famK8aU1EolD6$y"
        "|Jbco`SKd?NvDhaRA2o3{$GCrqDOq^ah;MJpAzc!TT~d0!zMKpHBw<eMhfGA{<C$p`k>{3JhBLlcy>qd5jaJ*}^o)yPr_V)LLTR>"
        "+a*B4mc$9hQrU*WP6DobS9T1<{Hcrz~nil`t#}4!k00000000000PuJC0%K%^KL"
    ),
    "latest": (
        "c-rmO%}T>S5CGswDi}g5r6{PUvS$w-yy!s)t+irHsUD>)+hi-"
        "j%|@GqT1ve4O}zRhzJ|Vp?k0`>(H9WrgDktVJChIslX<(@s@R8i$+DpEwE+A1`gjp{=JV}dyLn^6n^{{uSg=hn0QPFI^?R>;3Qz("
        "IcJ=0vxer`=a9|ivRfY6rWcRSZRHL0wGdf;A*U6PUIS4&2s2j?Wf3GUQpA|k=D(LmghxG~wA%qahTsC^0tZ!DA-"
        "4==tti)VK;dms%$+DM1(O;DraRrMaDp|nES)JVSr-aMcXM!BnN#3MYd`1MD@^Pf5cbh3477RVMalF`k*6~py-PjMM&L$_53uj%nZ"
        "s?&uQA4|XrRSd0XgaN~bKP(CR1uj7k&lCwiZq@+X7>?4521c95|PCy4VW(}C22ZH)AjfEzJuQmLI@#*5JCu{|Kl6z-HIO"
    ),
}


class Counting(io.BytesIO):
    """A file that counts the bytes that are read of it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


@pytest.mark.parametrize("form", OF_H5PY)
def test_of_hdf5_the_attributes_of_the_root_alone_are_read(form):
    raw = zlib.decompress(base64.b85decode(OF_H5PY[form]))
    file = Counting(raw + bytes(1 << 25))
    found = pickles.read("model.h5", file)
    assert found is not None
    assert found.reason == pickles.LAMBDA
    assert file.count < 1 << 16
    assert any(b"keras" in piece or b"tensorflow" in piece for piece in hdf5.attributes(io.BytesIO(raw)))
    harmless = raw.replace(b'"function_type": "lambda"', b'"function_type": "none!!"')
    assert pickles.read("model.h5", io.BytesIO(harmless + b'"function_type": "lambda"')) is None, "no attribute"


def test_a_text_whose_type_lies_elsewhere_in_the_file_is_looked_for_in_all_of_it():
    raw = bytearray(zlib.decompress(base64.b85decode(OF_H5PY["latest"])))
    attribute = raw.index(b"\x03\x00\x0d\x00\x14\x00")  # version, flags, sizes of the name `model_config` and the type
    raw[attribute + 1] = 1  # the type is shared: what stands here is its address
    raw[raw.index(b"model_config\0", attribute) + 13] = 3
    with pytest.raises(hdf5.ElsewhereError):
        list(hdf5.attributes(io.BytesIO(raw)))
    assert pickles.read("model.h5", io.BytesIO(raw)) == Pickle(frozenset(), pickles.LAMBDA)


def test_a_broken_file_of_hdf5_is_looked_through_from_its_start_and_not_for_ever(monkeypatch):
    raw = zlib.decompress(base64.b85decode(OF_H5PY["earliest"]))
    for place in range(8, 200):
        broken = raw[:place] + b"\xff" * 8 + raw[place + 8 :]
        assert pickles.read("model.h5", io.BytesIO(broken)) in (None, Pickle(frozenset(), pickles.LAMBDA))
    cut = Counting(raw[:8] + bytes(1 << 20) + raw[8:])
    monkeypatch.setattr(pickles, "MAX_HDF5", 1 << 19)
    monkeypatch.setattr(pickles, "PIECE", 1 << 18)
    assert pickles.read("model.h5", cut) == Pickle(frozenset(), pickles.UNSEEN)
    assert cut.count < 1 << 20
    narrow = raw[:13] + b"\4\4" + raw[15:32] + bytes(1 << 20) + raw
    assert pickles.read("model.h5", io.BytesIO(narrow)) == Pickle(frozenset(), pickles.UNSEEN), "a library may open it"


def test_an_attribute_of_hdf5_whose_type_lies_elsewhere_is_not_passed_by():
    attribute = bytes([3, 1]) + bytes(40)
    message = bytes([hdf5.ATTRIBUTE, 0]) + len(attribute).to_bytes(2, "little") + bytes(4) + attribute
    header = bytes([1, 0, 1, 0, 1, 0, 0, 0]) + len(message).to_bytes(4, "little") + bytes(4) + message
    block = b"\x89HDF\r\n\x1a\n" + bytes(5) + b"\x08\x08" + bytes(49) + (96).to_bytes(8, "little") + bytes(24)
    text = b'"class_name": "Lambda", "function_type": "lambda"'
    found = pickles.read("model.h5", io.BytesIO(block + header + bytes(100) + text))
    assert found == Pickle(frozenset(), pickles.LAMBDA)


def test_a_header_of_hdf5_with_endless_messages_is_left():
    blocks = (
        bytes([hdf5.CONTINUATION, 0, 16, 0])
        + bytes(4)
        + (96 + 16).to_bytes(8, "little")
        + (1 << 18).to_bytes(8, "little")
    )
    header = bytes([1, 0, 1, 0, 1, 0, 0, 0]) + (1 << 18).to_bytes(4, "little") + bytes(4) + blocks
    block = b"\x89HDF\r\n\x1a\n" + bytes(5) + b"\x08\x08" + bytes(49) + (96).to_bytes(8, "little") + bytes(24)
    with pytest.raises(hdf5.ElsewhereError, match="many messages"):
        list(hdf5.attributes(io.BytesIO(block + header + bytes(1 << 19))))
