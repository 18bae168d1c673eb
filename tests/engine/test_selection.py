"""Which number a pattern table gives is what PEFT's own rule gives, key for key."""

import itertools
import re

from dovetail.adapters.shapes.selection import PatternTable
from tests.sweep import sweep

KEYS = ["query", "self.query", ".*query", "a.b.self.query", r"^a\.b", "(?:x|y)", "b.*"]
MODULES = ["a.b.self.query", "self.query", "query", "a.key", "x", "b.zz", "y.query"]


def by_peft(table, module):
    """As peft.utils.other.get_pattern_key."""
    return next((table[key] for key in table if re.match(rf"(.*\.)?({key})$", module)), -1)


@sweep("keys", list(itertools.permutations(KEYS, 3)))
def test_the_first_key_in_the_order_of_the_file_decides(keys):
    table = {key: number for number, key in enumerate(keys)}
    assert [PatternTable(table).get(module, -1) for module in MODULES] == [by_peft(table, m) for m in MODULES]
