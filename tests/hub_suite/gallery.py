"""The people that a hub must hold to be judged, and look-alikes of the public repositories that the suite's tests name.

It runs in two places: imported here for PEOPLE, and as a program in the suite's environment, which fills a hub.
"""

import json
import struct
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MAIN, OTHER, ENTERPRISE = "suite-main", "suite-other", "suite-admin"
TOKENS = {name: f"hf_{name.replace('-', '_')}_token" for name in (MAIN, OTHER, ENTERPRISE)}
MANY = 102  # tests want "more than 100" of a kind


def safetensors(names: Iterable[str], size: int = 8, metadata: dict | None = None) -> bytes:
    """Return a file of float16 vectors, all of them zero."""
    header: dict = {"__metadata__": metadata or {"format": "pt"}}
    for number, name in enumerate(names):
        header[name] = {"dtype": "F16", "shape": [size], "data_offsets": [number * size * 2, (number + 1) * size * 2]}
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + bytes(size * 2 * (len(header) - 1))


def card(text: str = "# A look-alike", **said: object) -> bytes:
    """Return a README.md that begins with what it says of its repository."""
    plain = {key: value if isinstance(value, str) else json.dumps(value) for key, value in said.items()}
    lines = "".join(f"{key}: {value}\n" for key, value in plain.items())
    return f"---\n{lines}---\n\n{text}\n".encode()


def shards(count: int) -> dict[str, bytes]:
    """Return weights in several files, and the index that says what lies where."""
    files, where = {}, {}
    for number in range(1, count + 1):
        name, tensor = f"model-{number:05}-of-{count:05}.safetensors", f"model.layers.{number}.weight"
        files[name], where[tensor] = safetensors([tensor]), name
    index = {"metadata": {"total_size": 16 * count}, "weight_map": where}
    return files | {"model.safetensors.index.json": json.dumps(index).encode()}


BERT = {
    "README.md": card(tags=["bert", "jax", "adapter-transformers"], language=["fr", "en"], license="mit"),
    "adapter_config.json": json.dumps(
        {"config": {"architecture": "lora", "r": 8}, "model_name": "google/bert-base", "model_class": "BertModel"}
    ).encode(),
}
GGUF = {"look-alike.gguf": b"GGUF\3\0\0\0" + bytes(16), "README.md": card(tags=["gguf"])}
MODELS: dict[str, dict[str, bytes]] = {
    **{f"google/bert-{number}": {} for number in range(MANY)},
    **{f"google/bert-{number}": BERT for number in range(3)},
    "google/gguf-one": GGUF,
    "google/gguf-two": GGUF,
    "muellerzr/tagged": {},
    "facebook/bart-base": {},
    "microsoft/wavlm-base-sd": {"README.md": card(tags=["pytorch"])},
    "albert/albert-base-v2": {"README.md": card(pipeline_tag="fill-mask")},
    "HuggingFaceBR4/boarded": {"README.md": card(tags=["tensorboard"])},
    "google/weighed": {"README.md": card(co2_eq_emissions=12.5)},
    "google/weighed-too": {"README.md": card(co2_eq_emissions={"emissions": 300, "source": "a meter"})},
    "HuggingFaceH4/zephyr-7b-beta": {
        "README.md": card(widget=[{"text": "Hello"}], license="mit"),
        "pytorch_model-00001-of-00008.bin": b"PK\3\4" + bytes(range(256)) * 8,
        **shards(8),
    },
    "bigscience/bloomz-560m": {"model.safetensors": safetensors(["h.0.input_layernorm.bias"])},
    "openai-community/gpt2": {"README.md": card("# GPT-2", license="mit"), "model.safetensors": safetensors(["wte"])},
    "Qwen/Qwen3-0.6B": {"README.md": card("# Qwen3-0.6B", library_name="transformers")},
    "teknium/OpenHermes-2.5-Mistral-7B": {},
    "openchat/openchat_3.5": {},
    "huggingface-hub-ci/test_safetensors_metadata": {},
    "google/gated": {},
}
SAMPLE = {"data.parquet": b"PAR1" + bytes(range(256)) * 64 + b"PAR1"}
EVERYTHING = card(
    language=["en", "fr"],
    benchmark="official",
    language_creators=["crowdsourced"],
    multilinguality=["multilingual"],
    size_categories=["100K<n<1M"],
    task_categories=["audio-classification"],
    task_ids=["natural-language-inference"],
    tags=["fiftyone"],
)
DATASETS: dict[str, dict[str, bytes]] = {
    **{f"huggingface/wikipedia-{number}": {} for number in range(MANY)},
    "huggingface/DataMeasurementsFiles": {"README.md": EVERYTHING},
    "HuggingFaceH4/no_robots": {},
    "HuggingFaceFW/fineweb": {"README.md": card("# 🍷 FineWeb", license="odc-by")},
    "rajpurkar/squad": {"README.md": card(license="mit")},
    "allenai/math_qa": {"math_qa.py": b"class MathQa:\n    pass\n"},
    "huggingface/gated": {},
    "huggingface/sample": SAMPLE | {"README.md": card(license="mit")},
}
SPACES: dict[str, dict[str, bytes]] = {
    **{f"julien-c/wikipedia-{number}": {} for number in range(MANY)},
    "julien-c/linked": {
        "README.md": card(title="Linked", sdk="gradio", models=["bert-base-uncased"], datasets=["wikipedia"])
    },
    "black-forest-labs/FLUX.1-dev": {"README.md": card(title="Flux", sdk="gradio", models=["google/bert-1"])},
    "HuggingFaceH4/zephyr-chat": {},
    "gradio/theme_builder": {"run.py": b""},
    "mteb/leaderboard": {"README.md": card("# MTEB Leaderboard", title="Board", sdk="gradio", license="mit")},
    "multimodalart/dreambooth-training": {"README.md": card(title="Dreambooth Training", sdk="gradio")},
    "open-llm-leaderboard/open_llm_leaderboard": {},
}
OWNERS = sorted({id.partition("/")[0] for ids in (MODELS, DATASETS, SPACES) for id in ids})


def person(name: str, full_name: str) -> dict:
    """Return one person of the provision file, with a token that may write."""
    token = {"name": "suite", "role": "write", "value": TOKENS[name]}
    known = {"name": name, "full_name": full_name, "email": f"{name}@example.org"}
    return known | {"password": "correct horse battery", "role": "user", "tokens": [token]}


PEOPLE = {
    "users": [person(MAIN, "Dummy User"), person(OTHER, "Other User"), person(ENTERPRISE, "Enterprise Admin")],
    "organizations": [
        {"name": "valid_org_hub", "full_name": "Dummy Hub Org", "members": {MAIN: "admin"}},
        {"name": "EnterpriseOrgPrivate", "default_visibility": "private", "members": {ENTERPRISE: "admin"}},
        *({"name": owner, "members": {MAIN: "admin", OTHER: "write"}} for owner in OWNERS if owner != "huggingface"),
        {"name": "huggingface", "full_name": "Hugging Face", "members": {MAIN: "admin", OTHER: "write"}},
    ],
    "site": {"throttle": "off"},
}


class Gallery:
    """A hub that is being filled; what is there already stays, so that it can be filled twice."""

    def __init__(self, url: str) -> None:
        from huggingface_hub import HfApi  # only where the suite's environment is

        self.url = url
        self.api = HfApi(endpoint=url, token=TOKENS[MAIN])

    def put(self, id: str, files: dict[str, bytes], type: str = "model", **more: str) -> str:
        """Make a repository with these files and return the commit that has them."""
        from huggingface_hub import CommitOperationAdd

        sdk = {"space_sdk": "gradio"} if type == "space" else {}
        self.api.create_repo(id, repo_type=type, exist_ok=True, **sdk)
        if not files:
            return ""
        operations = [CommitOperationAdd(path, content) for path, content in files.items()]
        return self.api.create_commit(id, operations, commit_message="Add files", repo_type=type, **more).oid

    def fill(self) -> None:
        """Make everything, four at a time."""
        everything = [(id, files, "model") for id, files in MODELS.items()]
        everything += [(id, files, "dataset") for id, files in DATASETS.items()]
        everything += [(id, files, "space") for id, files in SPACES.items()]
        with ThreadPoolExecutor(4) as four:
            list(four.map(lambda one: self.put(*one), everything))
        self.social()
        self.proposals()

    def social(self) -> None:
        """Gates, likes, followers and collections, for which the client has no verbs or tests want some."""
        from huggingface_hub.utils._http import get_session

        self.api.update_repo_settings("google/gated", gated="auto")
        self.api.update_repo_settings("huggingface/gated", gated="manual", repo_type="dataset")
        headers = {"authorization": f"Bearer {TOKENS[MAIN]}"}
        for address in ("spaces/julien-c/wikipedia-1/like", "organizations/huggingface/follow"):
            get_session().post(f"{self.url}/api/{address}", headers=headers).raise_for_status()
        for number in range(3):
            made = self.api.create_collection(f"With a model {number}", exists_ok=True)
            self.api.add_collection_item(made.slug, "teknium/OpenHermes-2.5-Mistral-7B", "model", exists_ok=True)

    def proposals(self) -> None:
        """Pull requests and discussions, as many as tests want."""
        asked = "huggingface-hub-ci/test_safetensors_metadata"
        for id in ("openchat/openchat_3.5", "openchat/openchat_3.5", asked):
            if len(list(self.api.get_repo_discussions(id))) < 2:
                self.api.create_pull_request(id, "A look-alike")
        self.put(asked, {"model.safetensors": safetensors(["a"])}, revision="refs/pr/1")
        board = "open-llm-leaderboard/open_llm_leaderboard"
        for number in range(len(list(self.api.get_repo_discussions(board, repo_type="space"))), 52):
            self.api.create_discussion(board, f"Question {number}", repo_type="space")

    def own(self, name: str, *commits: dict[str, bytes], type: str = "model") -> tuple[str, str]:
        """Make a repository of the main user anew; return its id and its first commit of these."""
        id = f"{MAIN}/{name}"
        self.api.delete_repo(id, repo_type=type, missing_ok=True)
        first, *_ = [self.put(id, files, type) for files in commits]
        return id, first

    def constants(self) -> dict[str, str]:
        """Make what testing_constants.py names, and return the values that it must have here."""
        weights = bytes(range(256)) * 256
        dummy, first = self.own(
            "dummy-unknown",
            {
                "config.json": b'{"dummy": true}'.ljust(851),  # its size is in a test
                "merges.txt": b"a b\n",
                "vocab.json": b"{}",
                **{
                    name: weights + name.encode() for name in ("pytorch_model.bin", "flax_model.msgpack", "tf_model.h5")
                },
            },
            {"README.md": card("# Dummy", license="mit")},
        )
        self.api.create_pull_request(dummy, "One that tests read")
        renamed, _ = self.own("will-be-renamed", {"config.json": b"{}"})
        self.api.delete_repo(f"{MAIN}/renamed", missing_ok=True)
        self.api.move_repo(renamed, f"{MAIN}/renamed")
        xet, _ = self.own("dummy-xet", {"dummy.safetensors": safetensors(["a", "b"], size=1 << 18)})
        gaia, early = self.own("gaia", {"data.csv": b"a,b\n"}, {"README.md": card(license="mit")}, type="dataset")
        return {
            "ENDPOINT_STAGING": self.url,
            "ENDPOINT_PRODUCTION": self.url,
            "ENDPOINT_PRODUCTION_URL_SCHEME": f"{self.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
            "USER": MAIN,
            "FULL_NAME": "Dummy User",
            "TOKEN": TOKENS[MAIN],
            "OTHER_USER": OTHER,
            "OTHER_TOKEN": TOKENS[OTHER],
            "ENTERPRISE_USER": ENTERPRISE,
            "ENTERPRISE_TOKEN": TOKENS[ENTERPRISE],
            "DUMMY_MODEL_ID": dummy,
            "DUMMY_MODEL_ID_REVISION_ONE_SPECIFIC_COMMIT": first,
            "DUMMY_RENAMED_OLD_MODEL_ID": renamed,
            "DUMMY_XET_MODEL_ID": xet,
            "SAMPLE_DATASET_IDENTIFIER": "huggingface/sample",
            "DUMMY_DATASET_ID": gaia,
            "DUMMY_DATASET_ID_REVISION_ONE_SPECIFIC_COMMIT": early,
        }

    def names(self) -> dict[str, dict[str, str]]:
        """Make what test modules name themselves, and return the values that they must have here."""
        layout, _ = self.own("cache-layout", {"file_0.txt": b"File 0\n", "file_1.txt": b"File 1\n"})
        for number in (2, 3):
            self.api.create_branch(layout, branch=f"file-{number}")
            self.put(layout, {f"file_{number}.txt": b"File %d\n" % number}, revision=f"file-{number}")
        scan, _ = self.own("scan-repo-a", {"README.md": b"# a\n"}, {"README.md": b"# b\n", "LICENSE": b"mit\n"})
        return {
            "test_cache_layout": {"MODEL_IDENTIFIER": layout},
            "test_utils_cache": {"MODEL_ID": scan, "MODEL_PATH": f"models--{scan.replace('/', '--')}"},
        }


if __name__ == "__main__":  # gallery.py URL FILE
    hub = Gallery(sys.argv[1])
    hub.fill()
    Path(sys.argv[2]).write_text(json.dumps({"constants": hub.constants(), "names": hub.names()}))
