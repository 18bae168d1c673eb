"""CI systems that sign identity tokens for their jobs: their issuers, what a publisher must pin, links to a job."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

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


def project(claims: Mapping[str, str]) -> str:
    """Return the name of the project whose job it was, as people know it."""
    return claims.get("repository") or claims.get("project_path") or claims.get("sub", "")
