"""Trusting a CI job: what to type for GitHub Actions, for GitLab CI, and for any other issuer."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Choice, Form, Option, Refusals, choice_field, name_field, text_field
from registry.kernel.errors import NameInvalid, NotAllowed, ValueInvalid
from registry.people.tokens import ci_systems

Claims = dict[str, list[str]]


class PublisherForm(Form):
    """One CI system; of a pending publisher it has the id of the repository too."""

    slug: ClassVar[str]
    title: ClassVar[str]
    fields_of: ClassVar[Refusals] = {NameInvalid: "full_name", NotAllowed: "full_name"}

    def __init__(self, *args: Any, owners: list[str] | None = None, **options: Any) -> None:
        """`owners` are the namespaces of a repository that does not exist yet; None: it exists."""
        super().__init__(*args, auto_id=f"{self.slug}-%s", **options)
        if owners is not None:
            names = f"In {', '.join(owners[:5])}{' and others of yours' if owners[5:] else ''}."
            self.fields["full_name"] = name_field(
                _("Repository"), names, placeholder=f"{owners[0]}/reviews", maxlength=193
            )
            self.fields["type"] = forms.ChoiceField(
                label=_("Type"), choices=[("model", "adapter"), ("dataset", "dataset"), ("space", "space")]
            )
            self.order_fields(["full_name", "type"])

    def issuer(self) -> str:
        raise NotImplementedError

    def claims(self) -> Claims:
        raise NotImplementedError

    def _pinned(self, *names: str) -> Claims:
        return {name: [value] for name in names if (value := self.cleaned_data[name].strip())}


class GithubActions(PublisherForm):
    slug, title = "github", "GitHub Actions"
    repository = name_field(_("GitHub repository"), placeholder="acme/train", maxlength=200)
    repository_owner_id = text_field(
        _("Number of its owner"),
        _("`id` at `api.github.com/users/OWNER`: whoever takes over the name later has another one."),
        inputmode="numeric", pattern="[0-9]+", maxlength=20, placeholder="4711",
    )  # fmt: skip
    workflow = text_field(_("Workflow"), _("A file in `.github/workflows`."), maxlength=100, placeholder="publish.yml")
    git_ref = text_field(
        _("Branch or tag"),
        _("`refs/tags/v*` for every tag that begins with v."),
        maxlength=150,
        placeholder="refs/heads/main",
    )
    environment = text_field(_("Environment"), _("May stay empty."), required=False, maxlength=200)

    def issuer(self) -> str:
        return ci_systems.GITHUB

    def claims(self) -> Claims:
        given = self.cleaned_data
        ref = given["git_ref"] or "refs/heads/main"
        workflow = f"{given['repository']}/.github/workflows/{given['workflow']}@{ref}"
        pinned = self._pinned("repository", "repository_owner_id", "environment")
        return pinned | {"workflow_ref": [workflow]}

    def clean_repository(self) -> str:
        repository: str = self.cleaned_data["repository"]
        if repository.count("/") != 1 or "*" in repository:
            raise forms.ValidationError(_("Write it as `owner/name`, without `*`."))
        return repository

    def clean_repository_owner_id(self) -> str:
        number: str = self.cleaned_data["repository_owner_id"]
        if not number.isascii() or not number.isdigit():
            raise forms.ValidationError(_("This is not a number. Look for `id` at `api.github.com/users/OWNER`."))
        return number

    def clean_workflow(self) -> str:
        workflow: str = self.cleaned_data["workflow"].removeprefix(".github/workflows/")
        if not workflow or "*" in workflow or "@" in workflow:
            raise forms.ValidationError(_("Name one file, such as `publish.yml`."))
        return workflow


class GitlabCi(PublisherForm):
    slug, title = "gitlab", "GitLab CI"
    instance = text_field(_("Instance"), _("Its address, as in the list of this hub's issuers."), maxlength=255)
    project_path = name_field(_("Project"), placeholder="acme/train", maxlength=200)
    project_id = text_field(_("Number of the project"), _("May stay empty."), required=False, maxlength=20)
    ref = text_field(
        _("Branch or tag"), _("May stay empty; `v*` for all that begin with v."), required=False, maxlength=150
    )
    environment = text_field(_("Environment"), _("May stay empty."), required=False, maxlength=200)
    protected = choice_field(
        _("Jobs"),
        [
            ("true", Option(_("Protected branches and tags only"), _("What you want, unless you know better."))),
            ("any", Option(_("All jobs of the project"), _("Whoever can push a branch there can publish here."))),
        ],
        "true",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["instance"].initial = ci_systems.GITLAB

    def issuer(self) -> str:
        return str(self.cleaned_data["instance"] or ci_systems.GITLAB)

    def claims(self) -> Claims:
        pinned = self._pinned("project_path", "project_id", "ref", "environment")
        return pinned if self.cleaned_data["protected"] == "any" else pinned | {"ref_protected": ["true"]}


class OtherIssuer(PublisherForm):
    slug, title = "other", "Another issuer"
    issued_by = forms.ChoiceField(label=_("Issuer"), required=False)
    pinned = text_field(
        _("Claims"), _("One a line: `sub = job:train`. The same claim twice accepts either value."),
        widget=forms.Textarea, rows=4, spellcheck="false", maxlength=8000,
    )  # fmt: skip
    fields_of: ClassVar[Refusals] = {**PublisherForm.fields_of, ValueInvalid: "pinned"}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        choice = self.fields["issued_by"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(issuer, issuer) for issuer in settings.CI_ISSUERS]

    def issuer(self) -> str:
        return str(self.cleaned_data["issued_by"])

    def claims(self) -> Claims:
        claims: Claims = self.cleaned_data["pinned"]
        return claims

    def clean_pinned(self) -> Claims:
        claims: Claims = {}
        for line in filter(None, map(str.strip, self.cleaned_data["pinned"].splitlines())):
            claim, equals, value = map(str.strip, line.partition("="))
            if not equals or not value:
                raise forms.ValidationError(_("“{line}” is not of the form `claim = value`.").format(line=line[:80]))
            claims.setdefault(claim, []).append(value)
        return claims


FORMS: dict[str, type[PublisherForm]] = {form.slug: form for form in (GithubActions, GitlabCi, OtherIssuer)}


class PublishersOnly(Form):
    pushes = Choice(
        label=_("Pushes come from"),
        initial="everybody",
        options=[
            ("everybody", Option(_("Everybody who may write here"), _("By token, or on the website."))),
            (
                "publishers",
                Option(
                    _("Trusted publishers only"), _("No tokens of people and robots. Merging on the website stays.")
                ),
            ),
        ],
        must_answer=True,
    )
