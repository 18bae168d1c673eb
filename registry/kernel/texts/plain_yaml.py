"""YAML as plain data, for files that people write: cards, and the operator's files."""

import re
from typing import Any, ClassVar, TypeAlias

import yaml

MAX_DEPTH = 16

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"


def parse_mapping(text: str, *, most: int, what: str) -> dict[str, Value]:
    """Return the mapping of at most `most` bytes that the text holds, {} for an empty text; JSON values only.

    It is the harmless part of YAML 1.2: no tags, anchors, aliases or merge keys, no key twice, at most 16 levels, and
    `no` or a date stay the text that was written. Raises ValueError (`what` names the text in it) and yaml.YAMLError.
    """
    if len(text.encode("utf-8", "surrogatepass")) > most:
        raise ValueError(f"{what} is over {most >> 10} kB")
    depth = 0
    for event in yaml.parse(text, Loader=_PlainLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        _refuse_unless_plain(event, depth, what)
    loaded = yaml.load(text, Loader=_PlainLoader)  # noqa: S506  # a CSafeLoader: builds no objects
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ValueError(f"{what} is not a list of “key: value” lines")
    return {str(key): _value(value) for key, value in loaded.items()}


class _PlainLoader(yaml.CSafeLoader):
    """YAML 1.2's core scalars only: 1.1 reads `no` as false, `1:30` as ninety and dates as objects."""

    # The base class declares it for an instance.
    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}  # type: ignore[misc]  # the base's is an instance's

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in keys:
                raise ValueError(f"line {key.start_mark.line + 1} says {key.value!r} a second time")
            keys.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _starts in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]{0,17})", list("-+0123456789")),
    (
        "float",
        r"[-+]?([0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18}|[0-9]{1,18}(?=[eE]))([eE][-+]?[0-9]{1,3})?",
        list("-+0123456789."),
    ),
):
    _PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _starts)


def _refuse_unless_plain(event: yaml.Event, depth: int, what: str) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"{what} is nested more than {MAX_DEPTH} levels deep")
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise ValueError("anchors and aliases (& and *) are not allowed; write the value out")
    if getattr(event, "tag", None) not in (None, "!"):
        raise ValueError("tags (!) are not allowed; write a plain value")


def _value(value: Any) -> Value:
    if isinstance(value, dict):
        return {str(key): _value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_value(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise ValueError("a number is too large")
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def describe_error(error: Exception, first_line: int = 1) -> str:
    """Return the reason why `parse_mapping` failed; `first_line` is the number of the text's first line in its file."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return str(error) if isinstance(error, ValueError) else "it cannot be read"
    return f"line {mark.line + first_line} is not valid YAML: {getattr(error, 'problem', '')}".rstrip(": ")
