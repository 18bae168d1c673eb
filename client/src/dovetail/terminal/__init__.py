"""What all commands share: options, output, advice, signing in, and the examination of a machine."""
