"""Sign-on by an identity provider (OpenID Connect), and a directory that adds people and ends their access (SCIM)."""
