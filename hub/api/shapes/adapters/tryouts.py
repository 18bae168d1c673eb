"""Requests and answers of our REST about tries: texts that a base and an adapter answer side by side."""

from rest_framework import serializers as s

from hub.api.shapes import Data, Text, WholeNumber
from registry.proof.tryouts import MAX_NEW_TOKENS, MAX_TEXT, NEW_TOKENS


class Try(s.Serializer[Data]):
    text = Text(max_length=MAX_TEXT, trim_whitespace=False, help_text="the text; of a question, the question")
    other = Text(
        required=False, allow_blank=True, default="", max_length=MAX_TEXT, trim_whitespace=False,
        help_text="a second text: the one to compare with, the other of a pair, or the text that a question is about",
    )  # fmt: skip
    new_tokens = WholeNumber(
        required=False, default=NEW_TOKENS, min_value=1, max_value=MAX_NEW_TOKENS,
        help_text="tokens that a model for generation writes",
    )  # fmt: skip


class TryShare(s.Serializer[Data]):
    label = s.CharField()  # type: ignore[assignment]  # the member of the answer is called so
    value = s.FloatField(help_text="its probability; of a head with one output, its value")


class TryMark(s.Serializer[Data]):
    start = s.FloatField(help_text="of the first character, counted from 0")
    end = s.FloatField(help_text="after the last character")
    label = s.CharField()  # type: ignore[assignment]  # the member of the answer is called so
    value = s.FloatField(help_text="the label's probability, the least of all words of the mark")


class TrySide(s.Serializer[Data]):
    labels = TryShare(many=True, help_text="of a classifier, the likeliest first, ten at most")
    marks = TryMark(many=True, help_text="of a token classifier")
    text = s.CharField(required=False, help_text="of a model that writes, or answers questions")
    similarity = s.FloatField(required=False, help_text="cosine of both texts, of a model for embeddings")


class TryAnswer(s.Serializer[Data]):
    task = s.CharField(help_text="SEQ_CLS, TOKEN_CLS, CAUSAL_LM, SEQ_2_SEQ_LM, FEATURE_EXTRACTION …")
    base = TrySide(help_text="the frozen base; of a classifier, with the adapter's own head")
    adapter = TrySide()
    tokens_read = s.FloatField(help_text="tokens of the texts that were read")
    tokens = s.FloatField(help_text="tokens that the texts have; those beyond `tokens_read` were cut off")
    guessed = s.BooleanField(help_text="true: the card names no labels, and their names are a guess")
    moved = s.FloatField(required=False, help_text="cosine of the base's vector of the text and the adapter's")


class Tryout(s.Serializer[Data]):
    id = s.CharField(help_text="32 hex digits")
    adapter = s.CharField()
    revision = s.CharField(help_text="40 hex digits")
    state = s.ChoiceField(choices=["queued", "running", "done", "failed", "expired"])
    reason = s.CharField(allow_null=True, help_text="why it failed or expired")
    before = s.IntegerField(allow_null=True, help_text="tries that are done first; null once it is not queued")
    wait_seconds = s.IntegerField(allow_null=True, help_text="about how long it waits still")
    answer = TryAnswer(allow_null=True)
    asked_at = s.DateTimeField()
    deleted_at = s.DateTimeField(help_text="when texts and answer are deleted")
