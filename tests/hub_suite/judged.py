"""Which tests of the suite judge this hub, and why those that ask a hub and are not among them do not."""

import re
from pathlib import Path

IDS = Path(__file__).with_name("ids.txt")

# Families of tests that ask a hub: a regular expression over their ids, and the reason to leave them out. What asks
# no hub judges the client alone, and is in neither list.
OUT_OF_SCOPE = {
    r"/test_bucket|_to_bucket|TestBucket|test_cp_upload_(file_with|file_quiet|from_stdin)|test_cp_remote_bucket": (
        "Buckets are stores without revisions; this hub keeps repositories."
    ),
    r"test_cp_download_(to|nested|quiet|creates)|test_cp_error_remote": "These copy from a bucket, too.",
    r"/test_(jobs_api|sandbox)|[iI]nference|TestSpaceAPI|TestSpacesHardware|test_search_spaces": (
        "Nothing is run here but checks of adapters: no jobs, no sandboxes, no spaces, no inference."
    ),
    r"/test_kernels": "Kernels are a kind of repository that this hub does not keep.",
    r"TestPaperApi": "This hub keeps no papers.",
    r"test_get_dataset_leaderboard|TestDatasetsSql|parquet": "Services around datasets (rankings, SQL, conversion).",
    r"TestSkillsMarketplace": "A shop of skills for agents, which lies in a bucket of the public site.",
    r"test_list_spaces_with_(models|datasets)": "Spaces are kept as files, and what they link to is in no index.",
    r"test_list_models_apps": "`apps` are serving engines here, and a verdict says which of them serve an adapter.",
    r"TestHfHubDownloadRelativePaths": (
        "These tests push a path with a backslash first, an attack on old clients on Windows, which is refused here."
    ),
    r"::test_(async_)?client_get_request|TestNormalizeEtag::test_resolve|test_paginate_hf_api|test_oauth_workflow": (
        "The address of the public site stands in the test itself."
    ),
    r"_expand_cannot|test_hf_hub_url_with|test_dry_run_cache_dir|test_fix_hf_endpoint|TestRepoUrl": (
        "The names or the address of the public site stand in what the test expects."
    ),
    r"test_get_paths_info$|RepoTree::test_list_(tree_with|files_without)|test_scan_(and|cache_on)|_refs_bigcode": (
        "Commits and digests of public repositories stand in the test itself."
    ),
    r"TestModelsLs|test_list_refs_gpt2|test_get_hf_file_metadata_from_a_lfs|Production::test_model_info$": (
        "Wants a repository without an owner (t5-small, gpt2), or one that was made in 2022."
    ),
    r"test_get_safetensors_metadata_s|test_parse_safetensors_metadata|TestExtraLargeFile": (
        "Wants certain weights of several gigabytes."
    ),
    r"TestUserApi::test_(user|organization_overview)|test_list_repo_likers|test_list_likes_on|items_with_collections": (
        "Wants a thousand followers, five thousand likes, or pictures behind https."
    ),
    r"test_hf_hub_download_with_user_agent": "Counts a redirect by which the public site serves small files.",
    r"test_json_on_command_without_format": "Wants a download to fail, and it does not.",
}


def ids() -> list[str]:
    """Return the ids of the tests in scope, sorted."""
    return [line for line in IDS.read_text().splitlines() if line and not line.startswith("#")]


def reason(id: str) -> str:
    """Return why a test is out of scope, "" where no family says so."""
    return next((why for pattern, why in OUT_OF_SCOPE.items() if re.search(pattern, id)), "")
