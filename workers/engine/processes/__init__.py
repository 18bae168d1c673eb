"""The processes of an engine: parent, sessions, residents and jailed children."""
