"""The plugin of vLLM against a whole hub, by the interface of resolvers; `make bench ARGS=vllm` runs vLLM itself."""

import asyncio
import inspect
import json
import sys
import time
from collections import defaultdict
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from huggingface_hub import HfApi

from dovetail.api.client import Client
from dovetail.problems import Problem
from dovetail.serve import vllm_plugin
from dovetail.serve.vllm_plugin import versions
from dovetail.serve.vllm_plugin.versions import HubAway, Name, Refused, Versions, Watch, are_one_base, base_id
from tests.live import BASE, ROOT, TOKENS

DEMO = ROOT / "demo" / "reviews-lora"
NAME = "alice/served"


class LoRARequest(SimpleNamespace):
    """The fields of vLLM's request that a resolver fills."""


class OpenAIServingModels:
    """The parts of vLLM's table of adapters that the watch uses, by vLLM's names; it resolves as vLLM does."""

    def __init__(self, resolver):
        self.lora_resolvers, self.lora_requests, self.loaded = [resolver], {}, []
        self.lora_resolver_lock = defaultdict(asyncio.Lock)
        numbers = count(1)
        self.lora_id_counter = SimpleNamespace(inc=lambda by: next(numbers))
        self.engine_client = SimpleNamespace(add_lora=self._add)
        self.refuses = ""

    async def _add(self, request):
        if self.refuses:
            raise ValueError(self.refuses)
        self.loaded.append((request.lora_name, request.lora_int_id, request.lora_path))

    async def ask(self, name, base=BASE):
        if name not in self.lora_requests:
            request = await self.lora_resolvers[0].resolve_lora(base, name)
            request.lora_int_id = self.lora_id_counter.inc(1)
            await self.engine_client.add_lora(request)
            self.lora_requests[name] = request
        return self.lora_requests[name]


@pytest.fixture
def resolver(monkeypatch, working_hub, tmp_path):
    """The plugin, registered with a stand-in for vLLM's registry, as carol sees the hub."""
    registered = {}
    request, registry = ModuleType("vllm.lora.request"), ModuleType("vllm.lora.resolver")
    vars(request).update(LoRARequest=LoRARequest)
    table = SimpleNamespace(register_resolver=registered.__setitem__)
    vars(registry).update(LoRAResolver=object, LoRAResolverRegistry=table)
    for name, module in {
        "vllm": ModuleType("vllm"),
        "vllm.lora": ModuleType("vllm.lora"),
        request.__name__: request,
        registry.__name__: registry,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "dovetail.serve.vllm_plugin.resolver", raising=False)
    monkeypatch.delenv("DOVETAIL_ENDPOINT", raising=False)
    vllm_plugin.register()
    assert registered == {}, "without the address of a hub nothing is registered"
    for name, value in {"ENDPOINT": working_hub.url, "TOKEN": TOKENS["carol"], "VLLM_CACHE": str(tmp_path)}.items():
        monkeypatch.setenv(f"DOVETAIL_{name}", value)
    vllm_plugin.register()
    yield registered["Dovetail"]
    sys.modules.pop("dovetail.serve.vllm_plugin.resolver")


@pytest.fixture(scope="module")
def commits(working_hub):
    """Two proven versions; `prod` names the first."""
    alice = Client(working_hub.url, TOKENS["alice"])
    pushed = [alice.push(DEMO, NAME, wait=True).revision]
    alice.alias(f"{NAME}@{pushed[0]}", "prod")
    yield pushed
    HfApi(working_hub.url, TOKENS["alice"]).delete_repo(NAME)


def second_version(working_hub, folder, commits):
    alice = Client(working_hub.url, TOKENS["alice"])
    folder.mkdir()
    for file in DEMO.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": config["lora_alpha"] + 1}))
    commits.append(alice.push(folder, NAME, wait=True).revision)
    alice.alias(f"{NAME}@{commits[1]}", "prod")


@pytest.mark.merge
@pytest.mark.engine
def test_an_alias_is_served_followed_and_taken_back(resolver, working_hub, commits, tmp_path):
    async def walk():
        models = OpenAIServingModels(resolver)
        by_alias, newest = await models.ask(f"{NAME}@prod"), await models.ask(NAME)
        pinned = await models.ask(f"{NAME}@{commits[0][:10]}")
        names = {request.lora_name for request in (by_alias, newest, pinned)}
        assert names == {f"{name}@{commits[0][:7]}" for name in (NAME, f"{NAME}@prod", f"{NAME}@{commits[0][:10]}")}
        assert by_alias.lora_path == newest.lora_path
        assert sorted(file.name for file in Path(by_alias.lora_path).iterdir()) == [
            "adapter_config.json", "adapter_model.safetensors",
        ]  # fmt: skip
        assert await resolver.resolve_lora(BASE, "plain-name") is None
        for base, words in (("tiny/other", ("tiny/other", BASE)), (str(tmp_path), ("DOVETAIL_VLLM_BASE",))):
            with pytest.raises(Refused) as refused:
                await resolver.resolve_lora(base, NAME)
            assert all(word in str(refused.value) for word in words)
        with pytest.raises(Refused, match="nobody/nothing"):
            await resolver.resolve_lora(BASE, "nobody/nothing@prod")
        await follows(models, resolver._watch, by_alias)

    async def follows(models, watching, before):
        prod = Name.parse(f"{NAME}@prod")
        await watching.check(prod)
        assert models.lora_requests[prod.text] is before, "nothing moved"
        await asyncio.to_thread(second_version, working_hub, tmp_path / "second", commits)
        models.refuses = "LoRA rank 32 is greater than max_lora_rank 16."
        await watching.check(prod)
        assert models.lora_requests[prod.text] is before, "what vLLM does not load leaves the last good version"
        models.refuses = ""
        await watching.check(prod)
        moved = models.lora_requests[prod.text]
        assert moved.lora_name == f"{NAME}@prod@{commits[1][:7]}"
        assert moved.lora_path.endswith(commits[1])
        assert moved.lora_int_id != before.lora_int_id
        HfApi(working_hub.url, TOKENS["alice"]).update_repo_settings(NAME, private=True)
        await watching.check(prod)
        assert prod.text not in models.lora_requests, "what the hub does not show any more is unloaded"
        assert NAME in models.lora_requests
        with pytest.raises(Refused, match=r"private|not found|does not exist|no repository"):
            await models.ask(prod.text)
        HfApi(working_hub.url, TOKENS["alice"]).update_repo_settings(NAME, private=False)

    asyncio.run(walk())


@pytest.mark.merge
@pytest.mark.engine
def test_the_last_good_version_is_served_while_the_hub_is_away_for_a_day(working_hub, commits, tmp_path):
    now = [time.time()]
    chosen = versions.Settings(working_hub.url, TOKENS["carol"], tmp_path)
    proven = Versions(chosen, clock=lambda: now[0])
    name = Name.parse(NAME)
    good = proven.resolve(name, BASE)

    restarted = Versions(chosen, clock=lambda: now[0])
    restarted._client = Client("http://127.0.0.1:1", TOKENS["carol"])
    assert restarted.resolve(name, BASE) == good
    with pytest.raises(HubAway, match="not kept here"):
        restarted.resolve(Name.parse("alice/never-asked"), BASE)
    now[0] += versions.DAY + 1
    with pytest.raises(HubAway, match="more than 24 h"):
        restarted.resolve(name, BASE)


def test_versions_that_no_name_means_are_removed_after_a_day(tmp_path):
    proven = Versions(versions.Settings("http://hub.example", None, tmp_path), clock=lambda: time.time() + 90_000)
    home = tmp_path / "hub.example" / "alice" / "x"
    for commit in ("a" * 40, "b" * 40):
        (home / commit).mkdir(parents=True)
    proven._kept.put(versions.Version("alice/x", "alice/x", "b" * 40, BASE, str(home / ("b" * 40) / "part")), 0)
    proven._prune("alice/x")
    assert [folder.name for folder in home.iterdir()] == ["b" * 40]


def test_the_hub_is_asked_no_more_often_than_it_allows(tmp_path):
    for token, names, seconds in ((None, 3, 10 / 3), (None, 60, 2), ("t", 20, 0.5), ("t", 600, 0.2)):
        watching = Watch(Versions(versions.Settings("http://hub.example", token, tmp_path)), BASE, None, LoRARequest)
        watching._followed = {Name.parse(f"a/b{number}"): None for number in range(names)}
        assert watching.pause == pytest.approx(seconds)


def test_a_setting_that_is_no_time_is_refused(monkeypatch):
    monkeypatch.setenv("DOVETAIL_ENDPOINT", "http://hub.example")
    monkeypatch.setenv("DOVETAIL_VLLM_KEEP_SECONDS", "a day")
    with pytest.raises(Problem, match="no number of seconds"):
        versions.read_settings()


@pytest.mark.parametrize(
    ("model", "stated", "base"),
    [
        ("meta-llama/Meta-Llama-3-8B", "", "meta-llama/Meta-Llama-3-8B"),
        (f"/root/.cache/huggingface/hub/models--a--b-c/snapshots/{'1' * 40}", "", "a/b-c"),
        ("/models/base", "", ""),
        ("/models/base", "a/b", "a/b"),
    ],
)
def test_the_base_is_read_of_what_vllm_was_started_with(model, stated, base):
    assert base_id(model, stated) == base


def test_other_names_of_a_base_mean_it():
    assert are_one_base("meta-llama/Meta-Llama-3-8B", "META-llama/meta-llama-3-8b")
    assert not are_one_base("a/b", "a/c")


@pytest.mark.parametrize("text", ["plain", "a/b/c", "../x", "a/b@", "a/b@../c", "a/b c", "https://a/b", "-a/b"])
def test_what_cannot_be_an_adapter_is_left_to_other_resolvers(text):
    assert Name.parse(text) is None


def test_the_table_is_the_one_that_asks():
    class OpenAIServingModels:
        async def ask(self):
            return await found()

    async def found():
        return versions.table_of(inspect.currentframe())

    models = OpenAIServingModels()
    assert asyncio.run(models.ask()) is models
    assert asyncio.run(found()) is None
