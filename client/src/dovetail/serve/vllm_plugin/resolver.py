"""The resolver that vLLM asks for adapters it does not know, and the watch over those it has loaded."""

import asyncio
import inspect
import os

from vllm.lora.request import LoRARequest  # it lives in the environment of vLLM
from vllm.lora.resolver import LoRAResolver, LoRAResolverRegistry

from dovetail.problems import Problem
from dovetail.serve.vllm_plugin.versions import (
    LOG,
    HubAway,
    Name,
    Refused,
    Settings,
    Versions,
    Watch,
    base_id,
    read_settings,
    table_of,
)


class DovetailResolver(LoRAResolver):  # type: ignore[misc]  # vLLM is not installed here
    """Resolves names of adapters at one hub."""

    def __init__(self, chosen: Settings) -> None:
        self._chosen = chosen
        self._versions = Versions(chosen)
        self._watch: Watch | None = None

    async def resolve_lora(self, base_model_name: str, lora_name: str) -> LoRARequest | None:
        """Return the adapter that a name means now; None for what is no name of an adapter. Raises Refused."""
        name, models = Name.parse(lora_name), table_of(inspect.currentframe())
        if name is None:
            return None
        base = base_id(base_model_name, self._chosen.base)
        if not base:
            raise Refused(
                f"vLLM was started with the folder {base_model_name}, which does not tell the base: "
                "set DOVETAIL_VLLM_BASE=NAMESPACE/NAME for it."
            )
        try:
            version = await asyncio.to_thread(self._versions.resolve, name, base)
        except HubAway as silence:
            raise Refused(str(silence)) from None
        except Problem as problem:
            raise Refused(f"{lora_name}: {problem.detail} {problem.fix}") from None
        if models is None:
            LOG.warning("This vLLM keeps its adapters elsewhere than it did: %s is not followed.", lora_name)
        else:
            self._watch = self._watch or Watch(self._versions, base, models, _request)
            self._watch.follow(name, version)
        LOG.info("%s is %s of %s", lora_name, version.commit, self._chosen.endpoint)
        return _request(version.served_name, version.folder)


def _request(name: str, folder: str, number: int = 1) -> LoRARequest:
    return LoRARequest(lora_name=name, lora_int_id=number, lora_path=folder)  # vLLM gives it its own number


def register() -> None:
    """Register the resolver with vLLM. Raises Problem for a wrong setting."""
    chosen = read_settings()
    if os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "").lower() not in ("1", "true"):
        LOG.warning("vLLM asks no resolver: set VLLM_ALLOW_RUNTIME_LORA_UPDATING=True to load adapters of a hub.")
    LoRAResolverRegistry.register_resolver("Dovetail", DovetailResolver(chosen))
