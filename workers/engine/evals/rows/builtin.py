"""Built-in rows for adapters that bring none: plain English, written for this project and in the public domain (CC0).

They have no labels, so they measure only a language model's loss on ordinary sentences; for other tasks they only run
the adapter.
"""

from __future__ import annotations

NAME = "neutral"
SENTENCES = (
    "The train leaves the station at seven in the morning.",
    "Water boils at a lower temperature on a mountain.",
    "She put the keys next to the lamp and closed the door.",
    "A list of names was printed on the second page.",
    "How long does it take to walk from the harbour to the market?",
    "The function returns the sum of both numbers.",
    "They painted the fence green before the rain came.",
    "In autumn the days grow shorter and the nights longer.",
)
QUESTIONS = (
    ("When does the train leave?", "The train to the coast leaves the station at seven in the morning."),
    ("What colour is the fence?", "Before the rain came they painted the fence green and the gate white."),
    ("Where are the keys?", "She came home late, put the keys next to the lamp and closed the door."),
    ("Who repaired the bridge?", "The bridge was closed for a year until workers from the valley repaired it."),
)
TEXT = tuple({"text": sentence} for sentence in SENTENCES)
TOKENS = tuple({"tokens": [*sentence[:-1].split(), sentence[-1]]} for sentence in SENTENCES)
QUESTION_ROWS = tuple({"question": question, "context": context} for question, context in QUESTIONS)
