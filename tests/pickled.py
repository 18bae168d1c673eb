"""Pickles of objects whose classes need not be here, and of calls, as torch.save leaves them."""

import io
import pickle
import zipfile


def new_object(module: str, name: str, **values: object) -> bytes:
    """An object with values, by NEWOBJ."""
    return b"\x80\x02c%b\n%b\n)\x81%bb." % (module.encode(), name.encode(), _pushed(values))


def call(module: str, name: str, *arguments: object) -> bytes:
    """A call of a function with some arguments."""
    values = b"".join(map(_pushed, arguments))
    return b"\x80\x02c%b\n%b\n(%btR." % (module.encode(), name.encode(), values)


def torch_file(data: bytes) -> bytes:
    """A file of torch.save that holds no tensor: an archive with the pickle in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, content in (("data.pkl", data), ("byteorder", b"little"), ("version", b"3\n")):
            target.writestr(f"archive/{name}", content)
    return buffer.getvalue()


def _pushed(value: object) -> bytes:
    """The instructions that push a value."""
    return pickle.dumps(value, protocol=2)[2:-1]
