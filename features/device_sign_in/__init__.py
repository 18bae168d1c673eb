"""Sign-ins of programs by a code that a person approves in a browser (RFC 8628): `hf auth login`, `dovetail login`."""
