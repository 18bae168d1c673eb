"""A plugin of vLLM: adapters of a hub by `NS/NAME`, `NS/NAME@ALIAS` and `NS/NAME@COMMIT`; docs/serving.md says how.

vLLM calls `register` in each of its processes, also in those that never resolve a name, so nothing is imported before.
"""

import os


def register() -> None:
    """Register the resolver, where DOVETAIL_ENDPOINT names a hub."""
    if not os.environ.get("DOVETAIL_ENDPOINT"):
        return
    from dovetail.serve.vllm_plugin import resolver  # noqa: PLC0415  # vLLM is imported by vLLM alone

    resolver.register()
