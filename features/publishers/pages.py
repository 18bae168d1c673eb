"""Trusted publishers: those of one repository, and those of repositories that do not exist yet."""

import json
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_safe

from features.publishers import exchange, verbs
from hub.site import routing
from hub.site.forms import Choice, Form, Option, Posts, Refusals, choice_field, name_field, status_of, text_field
from hub.site.panels import TOKENS, Link, Pages
from hub.site.repository.repository_header import RepositoryHeader, header_of
from hub.site.routing import RepositoryAddress
from hub.site.sign_in.sessions import needs_recent_authentication as recent
from hub.site.visitor import caller, person
from registry.kernel.errors import NameInvalid, NotAllowed, ValueInvalid
from registry.kernel.policy import Permission
from registry.models import TrustedPublisher
from registry.people.tokens import id_tokens

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
            names = _("In {names}.").format(names=", ".join([*owners[:5], *(["…"] if owners[5:] else [])]))
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
        _("Owner ID (numeric)"),
        _("`id` at `api.github.com/users/OWNER`: an account that takes over the name later has another one."),
        inputmode="numeric",
        pattern="[0-9]+",
        maxlength=20,
        placeholder="4711",
    )
    workflow = text_field(_("Workflow"), _("A file in `.github/workflows`."), maxlength=100, placeholder="publish.yml")
    git_ref = text_field(
        _("Branch or tag"),
        _("`refs/tags/v*` for every tag that begins with v."),
        maxlength=150,
        placeholder="refs/heads/main",
    )
    environment = text_field(_("Environment"), _("Optional."), required=False, maxlength=200)

    def issuer(self) -> str:
        return id_tokens.GITHUB

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
    instance = text_field(_("Instance"), _("Issuer URL, as listed for this hub."), maxlength=255)
    project_path = name_field(_("Project"), placeholder="acme/train", maxlength=200)
    project_id = text_field(_("Project ID (numeric)"), _("Optional."), required=False, maxlength=20)
    ref = text_field(
        _("Branch or tag"), _("Optional; `v*` matches all that begin with v."), required=False, maxlength=150
    )
    environment = text_field(_("Environment"), _("Optional."), required=False, maxlength=200)
    protected = choice_field(
        _("Jobs"),
        [
            ("true", Option(_("Protected branches and tags only"), _("The right choice in most cases."))),
            ("any", Option(_("All jobs of the project"), _("Anyone who can push a branch there can publish here."))),
        ],
        "true",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["instance"].initial = id_tokens.GITLAB

    def issuer(self) -> str:
        return str(self.cleaned_data["instance"] or id_tokens.GITLAB)

    def claims(self) -> Claims:
        pinned = self._pinned("project_path", "project_id", "ref", "environment")
        return pinned if self.cleaned_data["protected"] == "any" else pinned | {"ref_protected": ["true"]}


class OtherIssuer(PublisherForm):
    slug, title = "other", gettext_noop("Another issuer")
    issued_by = forms.ChoiceField(label=_("Issuer"), required=False)
    pinned = text_field(
        _("Claims"),
        _("One per line: `sub = job:train`. Repeat a claim to accept either value."),
        widget=forms.Textarea,
        rows=4,
        spellcheck="false",
        maxlength=8000,
    )
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
            ("everybody", Option(_("Everyone who can write here"), _("By token, or on the website."))),
            (
                "publishers",
                Option(
                    _("Trusted publishers only"),
                    _("Tokens of people and robots cannot push. Merging on the website still works."),
                ),
            ),
        ],
        must_answer=True,
    )


GITHUB_FILE = """on:
  push:
    {on}
permissions:
  id-token: write
  contents: read
env:
  HF_ENDPOINT: {hub}
  HF_OIDC_RESOURCE: {resource}
jobs:
  publish:
    runs-on: ubuntu-latest
{environment}    steps:
      - uses: actions/checkout@v4
      - run: pip install 'huggingface_hub>=1.19'
      - run: {upload}
"""
GITLAB_FILE = """publish:
  id_tokens:
    HF_OIDC_ID_TOKEN:
      aud: {hub}
  variables:
    HF_ENDPOINT: {hub}
    HF_OIDC_RESOURCE: {resource}
{environment}  script:
    - pip install 'huggingface_hub>=1.19'
    - {upload}
"""


@dataclass(frozen=True)
class Row:
    """A publisher as its page shows it."""

    publisher: TrustedPublisher

    @property
    def refusal(self) -> exchange.Refusal | None:
        return exchange.last_refusal(self.publisher)

    @property
    def is_github(self) -> bool:
        return self.publisher.issuer == id_tokens.GITHUB

    @property
    def path(self) -> str:
        """The file of the CI system that starts the job."""
        return ".github/workflows/" + self._workflow[0] if self.is_github else ".gitlab-ci.yml"

    @property
    def file(self) -> str:
        """The text of that file for this repository; "" for issuers whose files are not known."""
        publisher, claims = self.publisher, self.publisher.claims
        if not self.is_github and "project_path" not in claims:
            return ""
        kind = "" if publisher.type == "model" else f" --repo-type {publisher.type}"
        environment = claims.get("environment", [""])[0]
        return (GITHUB_FILE if self.is_github else GITLAB_FILE).format(
            hub=settings.PUBLIC_URL,
            on=_trigger(self._workflow[1]),
            resource=publisher.full_name if publisher.type == "model" else f"{publisher.type}s/{publisher.full_name}",
            environment=f"{'    ' if self.is_github else '  '}environment: {environment}\n" if environment else "",
            upload=f"hf upload {publisher.full_name} ./adapter{kind}",
        )

    @property
    def _workflow(self) -> tuple[str, str]:
        """The name of the file of GitHub, and the branch or tag that is trusted."""
        file, _, ref = self.publisher.claims.get("workflow_ref", [""])[0].partition("@")
        name = file.rpartition("/")[2]
        return name if name.endswith((".yml", ".yaml")) else "publish.yml", ref


def _trigger(ref: str) -> str:
    kind, _, name = ref.removeprefix("refs/").partition("/")
    name = name.strip("*") + "**" if name.endswith("*") else name
    return f"{'tags' if kind == 'tags' else 'branches'}: [{json.dumps(name or 'main')}]"


@require_safe
def listed(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    return _page(request, header_of(request, address, Permission.ARCHIVE))


def trust(request: HttpRequest, address: RepositoryAddress, system: str) -> HttpResponse:
    header = header_of(request, address, Permission.CONFIGURE)
    form = FORMS[system](request.POST)
    if form.is_valid():
        with form:
            verbs.trust(header.repository, form.issuer(), form.claims(), caller(request))
            return redirect("publishers", header.repository)
    return _page(request, header, **{system: form})


def remove(request: HttpRequest, address: RepositoryAddress, number: int) -> HttpResponse:
    header = header_of(request, address, Permission.CONFIGURE)
    verbs.remove(header.repository, number, caller(request))
    return redirect("publishers", header.repository)


def _page(request: HttpRequest, header: RepositoryHeader, **tried: Form) -> HttpResponse:
    """Show the publishers with the forms; `tried` is the one that was refused."""
    repository = header.repository
    pushes = "publishers" if repository.publishers_only else "everybody"
    context = {
        "header": header,
        "tab": "settings",
        "rows": [Row(one) for one in verbs.list_publishers(repository, caller(request))],
        "systems": [tried.get(slug) or form() for slug, form in FORMS.items()],
        "tried": next(iter(tried), ""),
        "only": tried.get("only") or PublishersOnly(initial={"pushes": pushes}),
    }
    return render(request, "publishers/listed.html", context, status=status_of(tried))


CONFIGURE = Posts(
    partial(header_of, permission=Permission.CONFIGURE), _page, lambda header: redirect("publishers", header.repository)
)
set_only = CONFIGURE.form(
    "only",
    PublishersOnly,
    lambda header, given, by: verbs.set_publishers_only(header.repository, given["pushes"] == "publishers", by),
)


# --- of repositories that do not exist yet ---------------------------------------------------------------------------
@require_safe
def pending(request: HttpRequest) -> HttpResponse:
    return _pending_page(request)


def trust_pending(request: HttpRequest, system: str) -> HttpResponse:
    person(request)
    by = caller(request)
    form = FORMS[system](request.POST, owners=verbs.administered_namespaces(by))
    if form.is_valid():
        with form:
            given = form.cleaned_data
            verbs.trust_pending(given["full_name"], form.issuer(), form.claims(), by, type=given["type"])
            return redirect("pending-publishers")
    return _pending_page(request, **{system: form})


def remove_pending(request: HttpRequest, number: int) -> HttpResponse:
    person(request)
    verbs.remove_pending(number, caller(request))
    return redirect("pending-publishers")


def _pending_page(request: HttpRequest, **tried: Form) -> HttpResponse:
    person(request)
    by = caller(request)
    owners = verbs.administered_namespaces(by)
    context = {
        "rows": [Row(one) for one in verbs.list_pending(by)],
        "systems": [tried.get(slug) or form(owners=owners) for slug, form in FORMS.items()],
        "tried": next(iter(tried), ""),
    }
    return render(request, "publishers/pending.html", context, status=status_of(tried))


OF_REPOSITORY, PENDING = "<repository:address>/settings/publishers", "settings/publishers"
PAGES = Pages(
    routes=[
        routing.at(PENDING, pending, "pending-publishers"),
        *routing.forms(
            "pending-publishers",
            PENDING,
            *((slug, recent(partial(trust_pending, system=slug)), f"trust-pending-{slug}") for slug in FORMS),
            ("<int:number>/remove", remove_pending, "remove-pending-publisher"),
        ),
        routing.at(OF_REPOSITORY, listed, "publishers"),
        *routing.forms(
            "publishers",
            OF_REPOSITORY,
            ("only", recent(set_only), "set-publishers-only"),
            *((slug, recent(partial(trust, system=slug)), f"trust-{slug}") for slug in FORMS),
            ("<int:number>/remove", remove, "remove-publisher"),
        ),
    ],
    links=(
        Link("settings", "pending-publishers", _("Trusted publishers"), place=33, group=TOKENS),
        Link("repository", "publishers", _("Trusted publishers"), place=40),
    ),
)
