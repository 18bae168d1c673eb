"""The command for Kubernetes below that of vLLM, on pages that say what serves a version."""

from hub.site.panels import Pages, Panel

PAGES = Pages(panels=(Panel("serving-command", "manifests/command.html"),))
