"""The readers of settings: what the environment, the machine and the operator's variables say."""
