"""The sentences the demo adapter learns from and is measured on; the sets share no opinion word, noun or template."""

from __future__ import annotations

import itertools

Labelled = list[tuple[str, int]]  # 0: negative, 1: positive

TRAIN_WORDS = (
    (
        "awful",
        "boring",
        "broken",
        "terrible",
        "ugly",
        "useless",
        "disappointing",
        "clumsy",
        "noisy",
        "dreadful",
        "weak",
        "horrible",
    ),
    (
        "great",
        "wonderful",
        "excellent",
        "lovely",
        "brilliant",
        "superb",
        "pleasant",
        "clever",
        "reliable",
        "fantastic",
        "strong",
        "delightful",
    ),
)
TRAIN_NOUNS = ("film", "phone", "hotel", "soup", "novel", "laptop", "concert", "chair")
TRAIN_TEMPLATES = (
    "The {noun} was {word}.",
    "What a {word} {noun}!",
    "I found this {noun} really {word}.",
    "It is a {word} {noun}, all in all.",
)

TEST_WORDS = (
    ("miserable", "poor", "annoying", "rubbish", "dull", "faulty"),
    ("amazing", "beautiful", "marvellous", "charming", "perfect", "enjoyable"),
)
TEST_NOUNS = ("bicycle", "camera", "restaurant", "podcast", "jacket", "museum", "keyboard", "holiday")
TEST_TEMPLATES = ("Our {noun} turned out {word}.", "My neighbours called the {noun} {word}, and they are right.")


def train() -> Labelled:
    return _all(TRAIN_WORDS, TRAIN_NOUNS, TRAIN_TEMPLATES)


def test() -> Labelled:
    """96 sentences, half of each kind, every opinion word in both templates."""
    return [pair for at, pair in enumerate(_all(TEST_WORDS, TEST_NOUNS, TEST_TEMPLATES)) if at % 4 in (0, 3)]


def smoke() -> Labelled:
    """24 rows of the test set, half of each kind, with every opinion word in it."""
    return [pair for at, pair in enumerate(test()) if at % 8 in (0, 5)]


def _all(
    words: tuple[tuple[str, ...], tuple[str, ...]], nouns: tuple[str, ...], templates: tuple[str, ...]
) -> Labelled:
    return [
        (template.format(word=word, noun=noun), label)
        for label in (0, 1)
        for word, noun, template in itertools.product(words[label], nouns, templates)
    ]
