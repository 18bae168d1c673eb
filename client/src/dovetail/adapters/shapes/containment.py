"""Finds files that hold a part of the modules of another, or a mixture of them with others, by the sketches of modules.

The fingerprint of a file is the sum over all its modules, so half of them, or the average of two adapters, leaves a
cosine of 0.7, which an index of fingerprints does not find. Here each module counts alone, at its own place.
"""

from collections.abc import Sequence
from zlib import crc32

from dovetail.adapters.shapes.passport import ENDING, WORD, Module, flips_of, signs_of

PART = 0.4  # cosine of a module that is mixed with another; unrelated ones have a deviation of 1/8
ALIKE = 0.9  # share of the modules of the smaller file that must reach it
LEAST = 4  # modules: fewer may be alike by chance
PLACES = 32  # modules of a file that an index has a key of
SIGNS = 12  # of numbers of a module's sketch, in its key
FIRST_KEY = 1 << 30  # above the keys of fingerprints


def contained(one: Sequence[Module], two: Sequence[Module]) -> float:
    """Return the mean cosine, without signs, of the modules of the smaller file with those in the same places.

    It is 0 where fewer than ALIKE of them reach PART, and where the smaller file has fewer than LEAST.
    """
    from dovetail.adapters.shapes import sketches  # noqa: PLC0415 - it needs numpy, and to read a passport does not

    left, right = ({_place(module.name): module.sketch for module in side if module.sketch} for side in (one, two))
    shared = sorted(left.keys() & right.keys())
    needed = ALIKE * min(len(left), len(right))
    if len(shared) < max(LEAST, needed):
        return 0.0
    found = sketches.pairwise([left[name] for name in shared], [right[name] for name in shared], sketches.SMALL)
    cosines = [abs(value) for value in found]
    return sum(cosines) / len(cosines) if sum(value >= PART for value in cosines) >= needed else 0.0


def keys_of(modules: Sequence[Module]) -> set[int]:
    """Return a key for each module, the hash of its place above the signs of SIGNS numbers of its sketch.

    Of more than PLACES modules, all files have those of the smallest hashes.
    """
    return {place | signs_of(numbers) for place, numbers in _hashed(modules)}


def probes_of(modules: Sequence[Module]) -> set[int]:
    """Return the keys to look for: of mixed and negated modules too, as `passport.probes_of` does of fingerprints."""
    hashed, every = _hashed(modules), (1 << SIGNS) - 1
    return {place | signs_of(one) ^ flips for place, one in hashed for flips in (*flips_of(one), every)}


def _hashed(modules: Sequence[Module]) -> list[tuple[int, list[int]]]:
    """Return the upper bits of a key and the numbers of each module that has one."""
    hashed = sorted((crc32(" ".join(_place(one.name)).encode()), one.sketch) for one in modules if one.sketch)
    return [
        (FIRST_KEY | place >> 14 << SIGNS, memoryview(sketch).cast("b")[:: len(sketch) // SIGNS].tolist()[:SIGNS])
        for place, sketch in hashed[:PLACES]
    ]


def _place(name: str) -> tuple[str, ...]:
    """Return the words of a module's name from its first number on, which other forms of a file have too."""
    words = WORD.findall(ENDING.sub("", name))
    return tuple(words[next((at for at, word in enumerate(words) if word.isdecimal()), 0) :])
