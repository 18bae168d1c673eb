"""The shapes of what somebody was told in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data, WholeNumber
from registry import models


class Notification(s.Serializer[Data]):
    """One thing that somebody was told of; while it is not read, more of the same makes its `count` larger."""

    id = s.IntegerField()
    kind = s.ChoiceField(choices=models.Alert.Kind.choices)
    topic = s.ChoiceField(choices=models.Topic.choices, help_text="the class under which people switch it")
    adapter = s.CharField(allow_null=True, help_text="null for an invitation or a token")
    type = s.ChoiceField(choices=models.Repository.Type.choices, allow_null=True)
    organization = s.CharField(allow_null=True, help_text="of an invitation")
    revision = s.CharField(allow_null=True, help_text="of a verdict")
    state = s.CharField(allow_null=True, help_text="of a verdict")
    was = s.CharField(allow_null=True, help_text="of the same bytes before; null after a push")
    check = s.CharField(allow_null=True, help_text="the one that says no")
    discussion = s.IntegerField(allow_null=True, help_text="the number of the thread")
    by = s.CharField(allow_null=True, help_text="who did the newest of it; null where the hub speaks")
    count = s.IntegerField()
    message = s.CharField(help_text="of the check that failed, else what happened in a sentence")
    url = s.URLField()
    created_at = s.DateTimeField()
    read = s.BooleanField()


class NotificationPage(s.Serializer[Data]):
    items = Notification(many=True)
    next = s.URLField(allow_null=True)


class Read(s.Serializer[Data]):
    up_to = WholeNumber(min_value=0, max_value=2**63 - 1, help_text="the id of the newest one that was read")


class Marked(s.Serializer[Data]):
    read = s.IntegerField(help_text="how many were not read before")


class WatchLevel(s.Serializer[Data]):
    level = s.ChoiceField(choices=models.RepositoryWatch.Level.choices, default="releases")


class FollowedBase(s.Serializer[Data]):
    base = s.CharField()
    following = s.BooleanField()


class FollowedBasePage(s.Serializer[Data]):
    items = FollowedBase(many=True)
    next = s.URLField(allow_null=True)


class Watched(s.Serializer[Data]):
    adapter = s.CharField()
    level = s.ChoiceField(choices=models.RepositoryWatch.Level.choices, allow_null=True, help_text="null: not watched")
