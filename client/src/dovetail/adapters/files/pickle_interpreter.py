"""Interprets a pickle of tensors without importing, calling or building anything.

It accepts only the instructions that `torch.load(weights_only=True)` follows for a plain table of tensors: torch reads
every accepted pickle in the same way. Instructions: https://docs.python.org/3/library/pickletools.html
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

MAX_OPCODES = 2_000_000
MAX_DIMENSIONS = 64
STORAGES = {
    "Float": "F32", "Half": "F16", "BFloat16": "BF16", "Double": "F64", "Long": "I64", "Int": "I32", "Short": "I16",
    "Char": "I8", "Byte": "U8", "Bool": "BOOL",
}  # fmt: skip
ORDERED_DICT, SIZE = "collections OrderedDict", "torch Size"
TENSOR, PARAMETER = "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"
STORAGE_TYPES = {f"torch {name}Storage": dtype for name, dtype in STORAGES.items()}
GLOBALS = frozenset({ORDERED_DICT, SIZE, TENSOR, PARAMETER, *STORAGE_TYPES})


class Refused(ValueError):
    """The file holds more than tensors, or tensors without their bytes; the message says which."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of values; `start` is the offset of its bytes in the file, -1 if not yet known."""

    key: str
    dtype: str
    values: int
    start: int = -1


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage; `offset` and `stride` count values, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Global:
    """A name that the pickle would import; it stays a name."""

    name: str


class Ordered(dict[str, object]):
    """Represents an OrderedDict; BUILD is allowed on it, but not on a plain dict."""


Find = Callable[[str, str, int], Storage]


def load(file: BinaryIO, find: Find, extras: int = 0) -> object:
    """Read one pickle and leave the file positioned after it; `find(key, dtype, values)` returns a storage.

    `extras` is the number of further items in a persistent id, which must be None. Raises `Refused`.
    """
    machine = _Machine(find, extras)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count > MAX_OPCODES:
                raise Refused(f"it has more than {MAX_OPCODES:,} instructions")
            step = STEPS.get(opcode.name)
            if step is None:
                raise Refused(f"it uses {opcode.name}, which no plain table of tensors needs")
            step(machine, argument)
    except (IndexError, KeyError):
        raise Refused("its instructions use values that do not exist") from None
    except Refused:
        raise
    except (ValueError, OverflowError, MemoryError) as problem:
        raise Refused(f"it cannot be read to its end ({str(problem)[:100]})") from problem
    if machine.below or machine.stack:
        raise Refused("its instructions leave extra values on the stack")
    return machine.result


def table(value: object, *, nested: bool = False) -> dict[str, Tensor]:
    """Return the tensors of a loaded value by name. Raises `Refused` unless it is a flat table of tensors.

    With `nested` it may be a table of such tables, whose names are joined by dots; names may be numbers, and
    numbers and texts may lie beside the tensors.
    """
    if not isinstance(value, dict):
        raise Refused("it is not a table of tensors")
    rows: dict[object, object] = _flat(value) if nested else value
    if any(type(name) is not str for name in rows):
        raise Refused("a key of a table is not a string")
    odd = next((name for name, item in rows.items() if not isinstance(item, Tensor)), None)
    if odd is not None:
        raise Refused(f"its entry {str(odd)[:80]!r} is not a tensor")
    return {str(name): item for name, item in rows.items() if isinstance(item, Tensor)}


def _flat(value: Mapping[object, object]) -> dict[object, object]:
    """Return a table without those in it, one level deep."""
    items = [
        (f"{name}.{key}", item)
        for name, inner in value.items()
        if isinstance(inner, dict)
        for key, item in inner.items()
    ]
    items += [(str(name), item) for name, item in value.items() if not isinstance(item, dict)]
    items = [(name, item) for name, item in items if not isinstance(item, str | int | float | None)]
    names = {name for name, _ in items}
    if len(names) != len(items):
        raise Refused("two of its tensors have the same name")
    return dict(items)


class _Machine:
    """The stack above the last mark, and the items below it, which no step can reach."""

    def __init__(self, find: Find, extras: int) -> None:
        self.find, self.extras = find, extras
        self.stack: list[object] = []
        self.below: list[list[object]] = []
        self.memo: dict[int, object] = {}
        self.result: object = None

    def push(self, value: object) -> None:
        self.stack.append(value)

    def mark(self, _: object) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[object]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def tuple_of(self, count: int) -> None:
        items = [self.stack.pop() for _ in range(count)]
        self.push(tuple(reversed(items)))

    def put(self, at: object) -> None:
        assert isinstance(at, int)
        self.memo[at] = self.stack[-1]

    def get(self, at: object) -> None:
        assert isinstance(at, int)
        self.push(self.memo[at])

    def append(self, items: list[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise Refused("it appends to something that is not a list")
        target.extend(items)

    def set_items(self, items: list[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise Refused("it sets items of something that is not a table")
        for name, value in zip(items[::2], items[1::2], strict=True):
            if type(name) not in (str, int):
                raise Refused("a key of a table is not a string")
            if name in target:
                raise Refused(f"it has {str(name)[:80]!r} twice")
            target[name] = value

    def name(self, argument: object) -> None:
        if argument not in GLOBALS:
            raise Refused(f"it would import {str(argument)[:120]}")
        self.push(Global(str(argument)))

    def reduce(self, _: object) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        if not isinstance(called, Global) or not isinstance(arguments, tuple):
            raise Refused("it calls something that is not a name")
        build = CALLS.get(called.name)
        if build is None:
            raise Refused(f"it calls {called.name}")
        self.push(build(arguments))

    def build(self, _: object) -> None:
        """Accept the attribute with which a state dict carries the versions of its modules; no tensor depends on it."""
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is not Ordered or not isinstance(state, dict) or not state.keys() <= {"_metadata"}:
            raise Refused("it sets attributes of an object")

    def persistent(self, _: object) -> None:
        reference = self.stack.pop()
        if (
            not isinstance(reference, tuple)
            or reference[:1] != ("storage",)
            or reference[5:] != (None,) * self.extras
            or len(reference) < 5
        ):
            raise Refused("it refers to stored data that is not an array of values")
        _, kind, key, place, values = reference[:5]
        if not isinstance(kind, Global) or kind.name not in STORAGE_TYPES:
            raise Refused("it refers to a storage of an unknown type")
        if type(key) is not str or type(place) is not str or type(values) is not int or not 0 <= values < 2**48:
            raise Refused("it describes a storage differently from torch")
        self.push(self.find(key, STORAGE_TYPES[kind.name], values))

    def stop(self, _: object) -> None:
        self.result = self.stack.pop()


# --- the few things that may be called -------------------------------------------------------------------------------
def _ordered(arguments: tuple[object, ...]) -> Ordered:
    if arguments:
        raise Refused("it fills an OrderedDict differently from torch")
    return Ordered()


def _size(arguments: tuple[object, ...]) -> tuple[int, ...]:
    if len(arguments) != 1:
        raise Refused("it passes more than one argument to torch.Size")
    return _numbers(arguments[0])


def _tensor(arguments: tuple[object, ...]) -> Tensor:
    if len(arguments) not in (6, 7) or arguments[6:] not in ((), (None,), ({},)):
        raise Refused("it rebuilds a tensor in an unknown way")
    storage, offset, shape, stride, gradient, hooks = arguments[:6]
    if not isinstance(storage, Storage) or type(offset) is not int or type(gradient) is not bool or not _none(hooks):
        raise Refused("it rebuilds a tensor from something that is not a storage")
    shape, stride = _numbers(shape), _numbers(stride)
    if len(shape) != len(stride) or offset < 0:
        raise Refused("a tensor has different numbers of strides and dimensions, or begins before its storage")
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    if 0 not in shape and last >= storage.values:
        raise Refused(f"a tensor reaches value {last:,} of a storage that has {storage.values:,}")
    return Tensor(storage, offset, shape, stride)


def _parameter(arguments: tuple[object, ...]) -> Tensor:
    if len(arguments) != 3 or type(arguments[1]) is not bool or not _none(arguments[2]):
        raise Refused("it rebuilds a parameter in an unknown way")
    if not isinstance(arguments[0], Tensor):
        raise Refused("it makes a parameter of something that is not a tensor")
    return arguments[0]


def _none(hooks: object) -> bool:
    return type(hooks) is Ordered and not hooks


def _numbers(value: object) -> tuple[int, ...]:
    if not isinstance(value, tuple) or len(value) > MAX_DIMENSIONS:
        raise Refused("a shape or a stride is not a short tuple of numbers")
    if not all(type(number) is int and 0 <= number < 2**48 for number in value):
        raise Refused("a shape or a stride contains something other than a number from 0 up")
    return value


CALLS: Mapping[str, Callable[[tuple[object, ...]], object]] = {
    ORDERED_DICT: _ordered,
    SIZE: _size,
    TENSOR: _tensor,
    PARAMETER: _parameter,
}

Step = Callable[[_Machine, object], None]
STEPS: Mapping[str, Step] = {
    "PROTO": lambda machine, argument: None,
    "MARK": _Machine.mark,
    "STOP": _Machine.stop,
    "GLOBAL": _Machine.name,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine.put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.get),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"), _Machine.push),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
}
