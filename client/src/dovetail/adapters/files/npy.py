"""Reads the header of an array of numpy as far as it says whether a pickle follows (numpy/lib/format.py)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import IO

MAGIC = b"\x93NUMPY"
OBJECTS = re.compile(rb"""['"][|<>=]?O\d*['"]""")  # the dtype of an array that numpy saves as a pickle
OBJECT = re.compile(r"(?<![A-Za-z])(?:O|object)")  # in the names of dtypes
OF_PYTHON_2 = re.compile(r"(\d)L\b")  # a number as it wrote it
MAX_HEADER = 2**16


def holds_objects(file: IO[bytes]) -> bool:
    """Read the header of an array; return whether numpy takes its dtype for one of objects, however it is written."""
    start = file.read(8)
    if start[:6] != MAGIC:
        return False
    size = int.from_bytes(file.read(2 if start[6:7] == b"\x01" else 4), "little")
    header = file.read(min(size, MAX_HEADER))
    if size > MAX_HEADER:
        return True  # of this length nobody writes one
    try:
        content = ast.literal_eval(OF_PYTHON_2.sub(r"\1", header.decode("latin-1").strip()))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return bool(OBJECTS.search(header))
    descr = content.get("descr") if isinstance(content, dict) else None
    return any(map(OBJECT.search, _dtypes(descr)))


def _dtypes(descr: object) -> Iterator[str]:
    """Yield the types of values in a dtype: a name, some (field, dtype), or (dtype, shape)."""
    if isinstance(descr, str):
        yield descr
    elif isinstance(descr, tuple) and descr:
        yield from _dtypes(descr[0])
    for field in descr if isinstance(descr, list) else ():
        yield from _dtypes(field[1] if isinstance(field, tuple) and len(field) > 1 else None)
