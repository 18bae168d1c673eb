"""Tokens of the directory in the domain: the search for leaks revokes them."""

from features.sso import tokens
from features.sso.models import DirectoryToken
from registry.kernel.seams import Feature, TokenKind

PATTERN = rb"\b%s[A-Za-z0-9_-]{43}" % tokens.PREFIX.encode()
TOKENS = TokenKind(PATTERN, DirectoryToken.objects.all, tokens.revoke_values, "directory-tokens")
FEATURE = Feature(tokens=(TOKENS,))
