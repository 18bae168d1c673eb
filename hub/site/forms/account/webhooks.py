"""Making a webhook, and changing it."""

from django import forms
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Checkboxes, Form, text_field
from registry.kernel.errors import RegistryError
from registry.models import Watch, Webhook
from registry.talk.webhooks import Wish

DOMAINS = [
    ("repo", _("repositories")),
    ("discussion", _("discussions")),
    ("verdict", _("verdicts of main")),
    ("release", _("releases")),
]


class WebhookForm(Form):
    url = text_field(
        _("Address"), widget=forms.URLInput, maxlength=1000, placeholder="https://ci.example.org/hooks/dovetail"
    )
    watched = text_field(
        _("Watches"),
        _("People, organisations or repositories, with spaces between them."),
        placeholder="acme alice/reviews datasets/alice/gold", spellcheck="false",
    )  # fmt: skip
    domains = forms.MultipleChoiceField(
        label=_("Events"), required=False, choices=DOMAINS, initial=["repo", "discussion"], widget=Checkboxes
    )
    secret = text_field(
        _("Secret"),
        _("Sent in `X-Webhook-Secret`, and used to sign each message in `X-Hub-Signature-256`. May stay empty."),
        required=False, widget=forms.PasswordInput, maxlength=256,
    )  # fmt: skip

    def field_of(self, refusal: RegistryError) -> str | None:
        for word, field in (("secret", "secret"), ("watche", "watched"), ("domain", "domains"), ("address", "url")):
            if word in refusal.detail:
                return field
        return None

    @property
    def wish(self) -> Wish:
        """The webhook as the form describes it; an empty secret leaves the one that is there."""
        given = self.cleaned_data
        watched = [_watch(word) for word in given["watched"].split()]
        return Wish(given["url"], watched, given["domains"], given["secret"].strip() or None)


class ChangeWebhook(WebhookForm):
    def __init__(self, *args: object, webhook: Webhook, **options: object) -> None:
        options["initial"] = {
            "url": webhook.url,
            "watched": " ".join(map(written, webhook.watches.all())),
            "domains": webhook.domains,
        }
        super().__init__(*args, **options)
        self.fields["secret"].label, self.fields["secret"].help_text = "New secret", "Empty: the current one stays."


def written(watch: Watch) -> str:
    """Return a watched name as people type it: ns/name for a model, datasets/ns/name, or a person's name."""
    return f"{watch.type}s/{watch.name}" if watch.type in {"dataset", "space"} else watch.name


def _watch(word: str) -> tuple[str, str]:
    kind, _, rest = word.partition("s/")
    if kind in {"dataset", "space"}:
        return kind, rest
    return ("model" if "/" in word else "user"), word
