"""Forms of the pages of moderators."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Choice, Form, text_field
from registry.kernel.site_settings import CHOICES, LEVELS, MAX_TEXT, Banner
from registry.moderation.log.audit_log import Filter
from registry.people.name_rules import MAX_REASON


class Moment(forms.DateTimeInput):
    """A time to the minute, in the browser's own field."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")

    def format_value(self, value: Any) -> str | None:
        """Return the value for the browser's field; what was typed and is no time is shown as it was typed."""
        try:
            return super().format_value(datetime.fromisoformat(value) if isinstance(value, str) and value else value)
        except ValueError:
            return str(value)


class LogFilter(Form):
    """The events of the audit log that a moderator looks for."""

    actor = text_field(_("Actor"), required=False, maxlength=96)
    object = text_field(_("Object"), _("A repository, person, organisation or setting."), required=False, maxlength=255)
    action = text_field(_("Action"), _("Such as `adapter:quarantine`."), required=False, maxlength=64)
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def chosen(self) -> Filter:
        """Return the filter that was typed; days that cannot be read exclude nothing."""
        self.full_clean()
        given: dict[str, Any] = self.cleaned_data
        since, until = given.get("since"), given.get("until")
        return Filter(
            actor=given.get("actor", ""),
            object=given.get("object", ""),
            action=given.get("action", ""),
            since=_start_of(since) if since else None,
            until=_start_of(until) + timedelta(days=1) if until and until < date.max else None,
        )


def _start_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


WORDS = {
    "registration": (
        _("Registration"),
        {"open": _("Anyone may join"), "invite": _("By invitation"), "closed": _("Nobody joins")},
    ),
    "organization_invitations": (
        _("Invitations by organisations"),
        {
            "accounts": _("Only people with an account accept them"),
            "anybody": _("They let people in, too, while registration is by invitation"),
        },
    ),
    "pull_policy": (_("Downloads"), {"open": _("Every version"), "verified": _("Only versions that passed")}),
    "throttle": (_("Rate limits"), {"on": _("On"), "off": _("Off")}),
    "uploads": (_("Uploads"), {"on": _("On"), "off": _("Off: no files are taken")}),
    "new_repositories": (_("New repositories"), {"on": _("On"), "off": _("Off: nobody creates one")}),
    "read_only": (_("Whole hub"), {"off": _("Takes changes"), "on": _("Read-only: every change is refused")}),
    "case_hours": (_("Time to decide a case"), {"0": _("No target")}),
    "tombstones": (
        _("Removed repositories"),
        {"off": _("Not found, as if they had never been"), "on": _("Say that they were removed")},
    ),
    "transparency": (_("Transparency page"), {"public": _("For everyone"), "staff": _("For moderators")}),
}


class Switches(Form):
    """The site settings, each with its choices in words."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, choices in CHOICES.items():
            label, words = WORDS.get(name, (name.replace("_", " ").capitalize(), {}))
            pairs = [(choice, words.get(choice) or _word(name, choice)) for choice in choices]
            self.fields[name] = Choice(label=label, options=pairs, must_answer=True)


def _word(setting: str, choice: str) -> str:
    return gettext("{hours} hours").format(hours=choice) if setting == "case_hours" else choice


LEVEL_WORDS = {"information": _("Information"), "warning": _("Warning"), "outage": _("Outage")}


class BannerForm(Form):
    """The banner: text, level and time."""

    text = text_field(_("Text"), _("One or two sentences. Every page shows them."), maxlength=MAX_TEXT)
    level = forms.ChoiceField(label=_("Level"), choices=[(level, LEVEL_WORDS.get(level, level)) for level in LEVELS])
    starts_at = forms.DateTimeField(label=_("From (UTC)"), required=False, widget=Moment)
    ends_at = forms.DateTimeField(label=_("To (UTC)"), required=False, widget=Moment)

    def banner(self) -> Banner:
        """Return the banner that was typed."""
        given = self.cleaned_data
        return Banner(given["text"], given["level"], given["starts_at"], given["ends_at"])


class NewRule(Form):
    """A rule for names, or several from a list."""

    patterns = forms.CharField(
        label=_("Names"),
        help_text=_("One a line; `*` stands for any characters, `?` for one. Or lines `kind,scope,pattern,reason`."),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
    )
    kind = forms.ChoiceField(
        label=_("Rule"),
        choices=[
            ("reserved", "Reserved: the operator gives it away"),
            ("prohibited", "Prohibited: nobody gets it"),
        ],
    )
    scope = forms.ChoiceField(
        label=_("For"),
        choices=[
            ("namespace", "People and organisations"),
            ("repository", "Repositories, behind the slash"),
            ("any", "Both"),
        ],
    )
    reason = text_field(_("Reason"), _("For moderators."), required=False, maxlength=MAX_REASON)
