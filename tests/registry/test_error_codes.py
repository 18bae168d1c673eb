"""Refusals that no story of another file ends in, by their public codes, and the proof that each code is tested."""

import re
from pathlib import Path

import pytest
from django.utils import timezone

from registry.kernel import errors, policy
from registry.kernel.policy import Caller, Permission
from registry.models import Token
from registry.people import gates
from registry.people.tokens import id_tokens
from registry.publish import branches, moves
from registry.repos import lookup, pull, refs
from tests.cast import Cast
from tests.live import ROOT
from tests.test_docs import refusals


def test_access_that_somebody_has_is_access_granted(cast: Cast) -> None:
    repository = cast.repository("alice/reviews")
    gates.set_gate(repository, "manual", cast.session("alice"))
    gates.grant_access(repository, "carol", cast.session("alice"))
    with pytest.raises(errors.AccessGranted, match="carol already has access") as refusal:
        gates.grant_access(repository, "carol", cast.session("alice"))
    assert refusal.value.code == "access-granted"


def test_a_branch_that_is_there_is_ref_exists(cast: Cast) -> None:
    repository = cast.repository("alice/reviews")
    first = refs.resolve_ref(repository, "refs/heads/main")
    branches.create_ref(repository, "refs/heads/trial", first, cast.session("alice"))
    with pytest.raises(errors.RefExists, match="refs/heads/trial already exists") as refusal:
        branches.create_ref(repository, "refs/heads/trial", first, cast.session("alice"))
    assert refusal.value.code == "ref-exists"


def test_files_behind_a_gate_are_gate_sign_in_required_for_a_stranger(cast: Cast) -> None:
    repository = cast.repository("alice/reviews")
    gates.set_gate(repository, "manual", cast.session("alice"))
    with pytest.raises(errors.GateSignInRequired, match="restricted") as refusal:
        lookup.find("alice/reviews", cast.session("anonymous"), Permission.DOWNLOAD)
    assert refusal.value.code == "gate-sign-in-required"


def test_an_old_name_is_adapter_moved(cast: Cast) -> None:
    moves.move(cast.repository("alice/reviews"), "alice/opinions", cast.session("alice"))
    with pytest.raises(errors.RepositoryMoved, match="is now alice/opinions") as refusal:
        lookup.find_at_address("alice/reviews", cast.session("alice"))
    assert refusal.value.code == "adapter-moved"


def test_a_version_whose_files_a_rule_removed_is_files_expired(cast: Cast) -> None:
    repository = cast.repository("alice/reviews")
    revision = refs.resolve_ref(repository, "refs/heads/main")
    revision.expired_at = timezone.now()
    for read in (pull.entries, lambda row: pull.find_file(row, "README.md")):
        with pytest.raises(errors.FilesExpired, match="A retention rule removed the files") as refusal:
            read(revision)
        assert refusal.value.code == "files-expired"


def test_a_repository_that_is_read_from_another_hub_is_upstream_read_only(cast: Cast) -> None:
    repository = cast.repository("alice/reviews")
    repository.source = "https://hub.example"
    with pytest.raises(errors.UpstreamReadOnly, match=r"is mirrored from https://hub\.example") as refusal:
        policy.require(cast.session("alice"), Permission.PUSH, repository)
    assert refusal.value.code == "upstream-read-only"


def test_a_push_by_a_token_where_publishers_alone_push_is_publishers_only(cast: Cast) -> None:
    repository = cast.repository("alice/reviews")
    repository.publishers_only = True
    cast.token("alice")
    by = Caller(user=cast["alice"], token=Token.objects.get())
    with pytest.raises(errors.PublishersOnly, match="only accepts pushes from its trusted publishers") as refusal:
        policy.require(by, Permission.PUSH, repository)
    assert refusal.value.code == "publishers-only"


def test_an_identity_token_that_is_none_is_exchange_refused() -> None:
    with pytest.raises(errors.ExchangeRefused, match=r"not a JSON Web Token") as refusal:
        id_tokens.verify("x")
    assert (refusal.value.code, refusal.value.facts["error"]) == ("exchange-refused", "invalid_grant")


def test_every_error_code_has_a_test_that_names_it() -> None:
    folders = [ROOT / "tests", *(ROOT / "features").glob("*/tests")]
    files = [
        file for folder in folders for file in folder.rglob("*.py") if file.name not in ("test_docs.py", "conftest.py")
    ]
    tested = "\n".join(file.read_text() for file in files)
    sources = "\n".join(
        file.read_text()
        for box in ("hub", "registry", "workers", "features")
        for file in (ROOT / box).rglob("*.py")
        if file != Path(errors.__file__) and "tests" not in file.parts
    )
    catalogue = {
        cls
        for cls in refusals(errors.RegistryError)
        if "code" in vars(cls) and re.search(rf"\b{cls.__name__}\b", sources)  # not those of a feature that is gone
    }
    unnamed = {
        cls.code
        for cls in catalogue
        if not re.search(rf"""["']{cls.code}["']""", tested)
        and not re.search(rf"raises\(\(?(?:[\w.]+, )*(?:errors\.)?{cls.__name__}\b", tested)
    }
    assert unnamed == set()
