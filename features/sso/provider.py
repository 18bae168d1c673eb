"""OpenID Connect as this hub uses it, on top of allauth: PKCE, a nonce, and identity tokens that are always checked.

allauth skips the signature of an identity token that came by TLS, and sends no nonce. Here each token must be signed
by a key of the configured issuer, be meant for this hub, and hold the nonce of the sign-in that this browser began.
The nonce is derived from the PKCE verifier, which only the session knows, so each belongs to exactly one sign-in.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.utils import generate_code_challenge
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from registry.kernel.errors import ExchangeRefused
from registry.kernel.texts import names
from registry.kernel.texts.phrases import absolute
from registry.people.tokens import id_tokens

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
REQUIRED = ["iss", "sub", "aud", "exp", "iat"]
KEPT = ("iss", "sub", "preferred_username", "name", "email", "email_verified", "groups")


class OpenIdAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # allauth has no types
    """Talks with one identity provider during one request."""

    nonce = ""

    @property
    def issuer(self) -> str:
        return str(self.get_provider().app.settings["issuer"])

    @property
    def openid_config(self) -> dict[str, Any]:
        """Return the provider's description of itself. Raises OAuth2Error if it is another's, or not whole."""
        config: dict[str, Any] = super().openid_config
        if not isinstance(config, dict) or str(config.get("issuer", "")).rstrip("/") != self.issuer:
            raise OAuth2Error("the provider's configuration names another issuer")
        if any(not isinstance(config.get(name), str) for name in ENDPOINTS):
            raise OAuth2Error("the provider's configuration lacks an endpoint")
        return config

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return absolute(reverse("sign-on-callback", args=[self.provider_id]))

    def get_access_token_data(
        self, request: HttpRequest, app: SocialApp, client: object, pkce_code_verifier: str | None = None
    ) -> Any:
        """Exchange the code, after the answer is known to be of the provider that was asked (RFC 9207)."""
        issuer, config = request.GET.get("iss"), self.openid_config
        if issuer is None and config.get("authorization_response_iss_parameter_supported"):
            raise OAuth2Error("the answer does not name its issuer")
        if issuer is not None and issuer != config["issuer"]:
            raise OAuth2Error("the answer is of another issuer")
        self.nonce = nonce_of(pkce_code_verifier or "")
        return super().get_access_token_data(request, app, client, pkce_code_verifier)

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **answer: Any) -> SocialLogin:
        """Return the identity that the checked token names, completed by what the provider tells of it."""
        claims = self._claims(app, answer["response"].get("id_token"))
        profile = self._fetch_user_info(token.token) if "userinfo_endpoint" in self.openid_config else {}
        if profile and profile.get("sub") != claims["sub"]:
            raise OAuth2Error("the profile is of somebody else")
        if profile.get("email"):  # an address and whether it is proven belong together
            claims = {name: value for name, value in claims.items() if name not in {"email", "email_verified"}}
        merged = {**claims, **profile, "iss": claims["iss"], "sub": claims["sub"]}
        if not names.is_storable(merged):
            raise OAuth2Error("what the provider tells of the person holds a NUL or half a surrogate pair")
        login = self.get_provider().sociallogin_from_response(request, merged)
        login.authenticated_at = claims.get("auth_time")  # when the person last proved to the provider who they are
        login.session_id = str(claims.get("sid", ""))[:255]  # of the session there
        return login

    def _claims(self, app: SocialApp, id_token: object) -> id_tokens.Claims:
        if not isinstance(id_token, str):
            raise OAuth2Error("the provider sent no identity token")
        claims = verified_claims(id_token, self.openid_config["issuer"], app.client_id, self._keys)
        nonce = claims.get("nonce")
        if not self.nonce or not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), self.nonce.encode()):
            raise OAuth2Error("the identity token is of another sign-in (nonce)")
        return claims

    def _keys(self, issuer: str) -> id_tokens.Keys:
        with get_adapter().get_requests_session() as session:
            answer = session.get(self.openid_config["jwks_uri"])
            answer.raise_for_status()
            document = answer.json()
        return id_tokens.usable_keys(document if isinstance(document, dict) else {})


class OpenId(OpenIDConnectProvider):  # type: ignore[misc]  # allauth has no types
    """An identity provider from the settings."""

    oauth2_adapter_class = OpenIdAdapter

    def get_pkce_params(self) -> dict[str, str]:
        parameters: dict[str, str] = generate_code_challenge()
        return {**parameters, "nonce": nonce_of(parameters["code_verifier"])}

    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: object = None, **options: Any
    ) -> HttpResponse:
        """Send the browser to the provider; groups are asked for where it has a scope for them."""
        supported = self.get_oauth2_adapter(request).openid_config.get("scopes_supported")
        if isinstance(supported, list) and "groups" in supported:
            options["scope"] = [*self.get_scope(), "groups"]
        answer: HttpResponse = super().redirect(request, process, next_url, data, **options)
        return answer

    def extract_uid(self, data: id_tokens.Claims) -> str:
        return identity_id(data)

    def extract_extra_data(self, data: id_tokens.Claims) -> dict[str, object]:
        return {name: data[name] for name in KEPT if name in data}

    def extract_common_fields(self, data: id_tokens.Claims) -> dict[str, object]:
        return {}  # the account is made by features/sso/identities.py

    def extract_email_addresses(self, data: id_tokens.Claims) -> list[object]:
        return []


provider_classes = [OpenId]  # as allauth looks for them in each app


LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_SECONDS = 300  # after which a logout token is too old


def logout_claims(token: str, adapter: OpenIdAdapter) -> id_tokens.Claims:
    """Return the claims of a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.6), which counts once.

    Raises ExchangeRefused, and OAuth2Error for a provider that does not answer as it must.
    """
    client, required = adapter.get_provider().app.client_id, {"require": ["iss", "aud", "iat", "jti"]}
    claims = id_tokens.signed_claims(token, adapter.openid_config["issuer"], client, adapter._keys, required)
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict) or "nonce" in claims:
        raise id_tokens.invalid("it ends no session")
    named = [claims[name] for name in ("sub", "sid") if name in claims]
    if not named or not all(isinstance(name, str) and name for name in named):
        raise id_tokens.invalid("it names neither a person nor a session")
    used = hashlib.sha256(f"{claims['iss']}\n{claims['jti']}".encode()).hexdigest()
    is_fresh = time.time() - float(claims["iat"]) < LOGOUT_SECONDS
    if not is_fresh or not cache.add(f"logout-token:{used}", True, 2 * LOGOUT_SECONDS):
        raise id_tokens.invalid("it is too old, or was used before")
    return claims


def identity_id(claims: id_tokens.Claims) -> str:
    """Return the id of an identity: a subject counts for its issuer only, also when an operator changes that."""
    return hashlib.sha256(f"{claims['iss']}\n{claims['sub']}".encode()).hexdigest()


def nonce_of(verifier: str) -> str:
    """Return the nonce that belongs to a PKCE verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"nonce {verifier}".encode()).digest()).decode().rstrip("=")


def verified_claims(
    id_token: str, issuer: str, client_id: str, read_keys: Callable[[str], id_tokens.Keys]
) -> id_tokens.Claims:
    """Return the claims of an identity token. Raises OAuth2Error unless everything in it is as it must be."""
    try:
        claims = id_tokens.signed_claims(id_token, issuer, client_id, read_keys, {"require": REQUIRED})
    except ExchangeRefused as refusal:
        raise OAuth2Error(refusal.detail) from None
    if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != client_id:
        raise OAuth2Error("the identity token is meant for another program (azp)")
    if not isinstance(claims["sub"], str) or not claims["sub"]:
        raise OAuth2Error("the identity token names nobody")
    return claims
