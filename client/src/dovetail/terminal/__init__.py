"""The shared parts of all commands: options, output, advice, signing in, and the examination of a machine."""
