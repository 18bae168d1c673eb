"""Manifests for Kubernetes: the YAML that serves one version of an adapter with vLLM on a platform."""
