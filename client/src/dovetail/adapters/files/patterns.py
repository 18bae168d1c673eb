"""Matches untrusted regular expressions in bounded time; Python's own `re` may take exponential time.

Python parses the expression; the matching here follows all possible positions at once, with a budget of steps. A set of
positions is one integer: bit n is the place before character n.
"""

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

# Python's own parser has no public name, so type checkers do not know these modules.
op, parser = import_module("re._constants"), import_module("re._parser")

MAX_LENGTH = 512
MAX_REPEAT = 1000
STEPS = 1_000_000


class PatternError(ValueError):
    """The expression cannot be read, uses an unsupported feature, or costs more than the budget."""


class Pattern:
    """One expression; its budget is shared by all texts it is matched against."""

    def __init__(self, expression: str, steps: int = STEPS) -> None:
        if len(expression) > MAX_LENGTH:
            raise PatternError(f"it has {len(expression)} characters; the limit is {MAX_LENGTH}")
        try:
            self._tree: Any = parser.parse(expression)
        except (ValueError, RecursionError, OverflowError, re.error) as error:
            raise PatternError(f"it cannot be read ({error})") from error
        if self._tree.state.flags & ~parser.SRE_FLAG_UNICODE:
            raise PatternError("it sets flags, which are not supported")
        if _explodes(self._tree, inside=False):
            raise PatternError("it repeats a repetition or a choice, which Python's re may never finish matching")
        self._steps = steps

    def fullmatch(self, text: str) -> bool:
        return bool(self._match(text) >> len(text))

    def match(self, text: str) -> bool:
        return bool(self._match(text))

    def _match(self, text: str) -> int:
        self._text = text
        try:
            return self._sequence(self._tree, 1)
        except RecursionError as error:
            raise PatternError("it is nested too deeply") from error

    def _sequence(self, items: Any, starts: int) -> int:
        for code, argument in items:
            if not starts:
                break
            rule = RULES.get(code)
            if rule is None:
                raise PatternError(f"it uses {str(code).lower()}, which is not supported")
            self._spend(starts.bit_count())
            starts = rule(self, argument, starts)
        return starts

    def _spend(self, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise PatternError("it takes too many steps to match")

    def _one(self, fits: Callable[[str], bool], starts: int) -> int:
        text = self._text
        return sum(2 << at for at in _places(starts) if at < len(text) and fits(text[at]))

    def _repeat(self, argument: Any, starts: int) -> int:
        least, most, body = argument
        if least > MAX_REPEAT:
            raise PatternError(f"it repeats something {least:,} times")
        at = starts
        for _ in range(least):
            at = self._sequence(body, at)
        reached, fresh, rounds = at, at, most - least if most is not op.MAXREPEAT else len(self._text) + 1
        while fresh and rounds > 0:
            fresh = self._sequence(body, fresh) & ~reached
            reached |= fresh
            rounds -= 1
        self._spend(starts.bit_count() * reached.bit_count() // 8)  # as a matcher pays from each start
        return reached

    def _look(self, argument: Any, starts: int, expected: bool) -> int:
        direction, body = argument
        if direction < 0:
            raise PatternError("it uses a lookbehind, which is not supported")
        return sum(1 << at for at in _places(starts) if bool(self._sequence(body, 1 << at)) is expected)

    def _at(self, where: Any, starts: int) -> int:
        return sum(1 << at for at in _places(starts) if self._holds(where, at))

    def _holds(self, where: Any, start: int) -> bool:
        before = start > 0 and _is_word(self._text[start - 1])
        after = start < len(self._text) and _is_word(self._text[start])
        return {
            op.AT_BEGINNING: start == 0,
            op.AT_BEGINNING_STRING: start == 0,
            op.AT_END: self._text[start:] in ("", "\n"),
            op.AT_END_STRING: start == len(self._text),
            op.AT_BOUNDARY: before != after,
            op.AT_NON_BOUNDARY: before == after,
        }[where]

    def _branch(self, argument: Any, starts: int) -> int:
        ends = 0
        for branch in argument[1]:
            ends |= self._sequence(branch, starts)
        return ends


def _places(starts: int) -> Iterator[int]:
    """Yield the positions of a set, from the first."""
    while starts:
        yield (starts & -starts).bit_length() - 1
        starts &= starts - 1


def _explodes(items: Any, inside: bool) -> bool:
    """Return whether an unbounded repetition contains another one or a choice, which may hang a loader using `re`."""
    for code, argument in items:
        loops = code in (op.MAX_REPEAT, op.MIN_REPEAT) and argument[1] is op.MAXREPEAT
        if inside and (loops or code is op.BRANCH):
            return True
        if any(_explodes(body, inside or loops) for body in _bodies(code, argument)):
            return True
    return False


def _bodies(code: Any, argument: Any) -> list[Any]:
    if code in (op.MAX_REPEAT, op.MIN_REPEAT):
        return [argument[2]]
    if code is op.BRANCH:
        return list(argument[1])
    if code is op.SUBPATTERN:
        return [argument[3]]
    return [argument[1]] if code in (op.ASSERT, op.ASSERT_NOT) else []


def _is_word(char: str) -> bool:
    return char == "_" or char.isalnum()


CATEGORIES: dict[Any, Callable[[str], bool]] = {
    op.CATEGORY_DIGIT: str.isdecimal,
    op.CATEGORY_NOT_DIGIT: lambda char: not char.isdecimal(),
    op.CATEGORY_SPACE: str.isspace,
    op.CATEGORY_NOT_SPACE: lambda char: not char.isspace(),
    op.CATEGORY_WORD: _is_word,
    op.CATEGORY_NOT_WORD: lambda char: not _is_word(char),
}


def _in_class(items: Any, char: str) -> bool:
    expected, is_member = True, False
    for code, argument in items:
        if code is op.NEGATE:
            expected = False
        elif code is op.LITERAL:
            is_member |= ord(char) == argument
        elif code is op.RANGE:
            is_member |= argument[0] <= ord(char) <= argument[1]
        elif code is op.CATEGORY:
            is_member |= CATEGORIES[argument](char)
    return is_member is expected


RULES: dict[Any, Callable[[Pattern, Any, int], int]] = {
    op.LITERAL: lambda p, code, starts: p._one(lambda char: ord(char) == code, starts),
    op.NOT_LITERAL: lambda p, code, starts: p._one(lambda char: ord(char) != code, starts),
    op.ANY: lambda p, _, starts: p._one(lambda char: char != "\n", starts),
    op.IN: lambda p, items, starts: p._one(lambda char: _in_class(items, char), starts),
    op.AT: Pattern._at,
    op.BRANCH: Pattern._branch,
    op.SUBPATTERN: lambda p, argument, starts: p._sequence(argument[3], starts),
    op.MAX_REPEAT: Pattern._repeat,
    op.MIN_REPEAT: Pattern._repeat,
    op.ASSERT: lambda p, argument, starts: p._look(argument, starts, expected=True),
    op.ASSERT_NOT: lambda p, argument, starts: p._look(argument, starts, expected=False),
}
