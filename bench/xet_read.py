"""Reading 100 MB by Xet against plain HTTP, with the stock client on loopback.

    make bench ARGS=xet_read

The client knows nothing yet, as on a new machine. The ratio is what counts: above 1, plain HTTP is faster.
"""

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.line import Line
from tests import live
from tests.clients import Client
from tests.live import TOKENS

REPEATS, MEGABYTES = 5, 100
PUSH = f"""
import os, sys
from huggingface_hub import HfApi
api, repo, path = HfApi(), sys.argv[1], sys.argv[2]
open(path, "wb").write(os.urandom({MEGABYTES} << 20))
api.create_repo(repo)
api.upload_file(repo_id=repo, path_or_fileobj=path, path_in_repo="x.bin")
"""
PULL = """
import sys, tempfile, time
from huggingface_hub import hf_hub_download
with tempfile.TemporaryDirectory(dir=sys.argv[2]) as folder:
    began = time.perf_counter()
    hf_hub_download(sys.argv[1], "x.bin", local_dir=folder)
    print(time.perf_counter() - began)
"""


def lines() -> Iterator[Line]:
    """Run a hub, push, and pull both ways."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with live.hub(folder / "hub", XET_READ="on") as hub:
            repo, file = "alice/bench", folder / "x.bin"
            Client("2.4.0", hub.url, TOKENS["alice"], folder / "pusher").python(PUSH, repo, file)
            by_xet, plain = (pull(hub, folder, repo, is_plain) for is_plain in (False, True))
    yield Line("reading 100 MB by Xet", by_xet, "s")
    yield Line("reading 100 MB by plain HTTP", plain, "s", note=f"Xet over plain {by_xet / plain:.2f}")


def pull(hub: live.Hub, folder: Path, repo: str, plain: bool) -> float:
    """Return the median of the seconds that a client with an empty home needs."""
    taken = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory(dir=folder) as home:
            settings = {"HF_HUB_DISABLE_XET": "1"} if plain else {}
            client = Client("2.4.0", hub.url, TOKENS["alice"], Path(home), settings)
            taken.append(float(client.python(PULL, repo, folder)))
    return statistics.median(taken)
