"""CI systems that sign identity tokens for their jobs: their issuers, what a publisher must pin, links to a job."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from registry.models import Revision

GITHUB = "https://token.actions.githubusercontent.com"
GITLAB = "https://gitlab.com"

# Claims without which everybody's jobs would match, because the issuer signs for everybody.
REQUIRED: dict[str, tuple[str, ...]] = {
    GITHUB: ("repository", "repository_owner_id", "workflow_ref"),
    GITLAB: ("project_path",),
}
# Claims that pages show of a job, if its token has them; those that the publisher pins are shown too.
SHOWN = """
    sub repository repository_owner workflow_ref job_workflow_ref ref sha run_id run_attempt event_name environment
    actor project_path pipeline_id job_id ci_config_ref_uri ref_protected user_login
""".split()  # noqa: SIM905  # a list of words reads better without eighty pairs of quotes
_PATH = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)+")
_NUMBER = re.compile(r"[0-9]{1,20}")
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


class JobLinks(NamedTuple):
    """The pages of a job at its CI system; "" where they are not known."""

    run: str
    commit: str


def links(issuer: str, claims: Mapping[str, str]) -> JobLinks:
    """Return the pages of the job and of its commit, by the claims of its token."""
    if issuer == GITHUB:
        project, job, base = claims.get("repository", ""), claims.get("run_id", ""), "https://github.com"
        run, commit = f"{base}/{project}/actions/runs/{job}", f"{base}/{project}/commit/"
    else:  # GitLab's claims, whichever host its instance has
        parts = urlsplit(issuer)
        project, job, base = (
            claims.get("project_path", ""),
            claims.get("job_id", ""),
            f"{parts.scheme}://{parts.netloc}",
        )
        run, commit = f"{base}/{project}/-/jobs/{job}", f"{base}/{project}/-/commit/"
    sha = claims.get("sha", "")
    if not _PATH.fullmatch(project):
        return JobLinks("", "")
    return JobLinks(run if _NUMBER.fullmatch(job) else "", commit + sha if _COMMIT.fullmatch(sha) else "")


class Provenance(NamedTuple):
    """The CI job that published a version, as pages and REST show it."""

    publisher: str  # "" when it was removed since
    issuer: str
    project: str
    job: str
    run_url: str
    commit: str
    commit_url: str
    claims: dict[str, str]


def provenance(revision: Revision) -> Provenance | None:
    """Return the CI job that published a version; None if a person or robot pushed it."""
    run = revision.run
    if run is None:
        return None
    claims: dict[str, str] = run.claims
    to_job, to_commit = links(run.issuer, claims)
    return Provenance(
        publisher=str(run.publisher) if run.publisher else "",
        issuer=run.issuer,
        project=claims.get("repository") or claims.get("project_path") or claims.get("sub", ""),
        job=claims.get("run_id") or claims.get("job_id", ""),
        run_url=to_job,
        commit=claims.get("sha", ""),
        commit_url=to_commit,
        claims=claims,
    )
