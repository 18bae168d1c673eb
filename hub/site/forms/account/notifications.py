"""Forms for notifications: which are read, the channel of each topic, and the level of a watched repository."""

from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Form
from registry.kernel.texts import ids
from registry.models import Channel, RepositoryWatch, Topic
from registry.talk.alerts.topics import HOURS, OPTIONAL, RULES

CHANNELS = [
    (Channel.MAIL, _("E-mail at once")),
    (Channel.DIGEST, _("Daily e-mail")),
    (Channel.SITE, _("Here only")),
    (Channel.OFF, _("Off")),
]


class MarkRead(Form):
    up_to = forms.CharField(required=False)
    topic = forms.ChoiceField(required=False, choices=[("", ""), *((topic, topic) for topic in Topic.values)])

    def clean_up_to(self) -> int:
        return ids.parse_row_number(self.cleaned_data["up_to"])


class Mail(Form):
    mail = forms.BooleanField(required=False)


class Filter(Form):
    topic = forms.ChoiceField(required=False, choices=[(topic, topic) for topic in Topic.values])
    unread = forms.BooleanField(required=False)


class Channels(Form):
    """A channel for each topic that is offered to a person, and the hour of the digest."""

    hour = forms.TypedChoiceField(
        label=_("Hour of the daily e-mail (UTC)"), coerce=int, choices=[(hour, f"{hour:02}:00") for hour in HOURS]
    )

    def __init__(self, *args: Any, topics: list[Topic], **options: Any) -> None:
        super().__init__(*args, **options)
        for topic in topics:
            self.fields[topic.value] = forms.ChoiceField(
                label=gettext(RULES[topic].label), help_text=gettext(RULES[topic].help), choices=CHANNELS
            )
        self.topics = topics
        self.order_fields([*(topic.value for topic in topics), "hour"])

    def chosen(self) -> dict[Topic, str]:
        """Return the channels of a valid form."""
        return {topic: self.cleaned_data[topic.value] for topic in OPTIONAL if topic in self.topics}


class WatchLevel(Form):
    level = forms.ChoiceField(choices=[("none", "none"), *RepositoryWatch.Level.choices])
