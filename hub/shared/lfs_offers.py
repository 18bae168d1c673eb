"""The answer for one LFS object: nothing to do, or where to send it; for git-lfs, the Hub's clients and browsers."""

from urllib.parse import quote

from hub.errors import http_form
from registry.publish.uploads.uploads import Offer


def offer_shape(offer: Offer, here: str) -> dict[str, object]:
    """Return an offer as an object of a batch; `here` is the absolute address of our own route for deliveries."""
    fields: dict[str, object] = {"oid": offer.sha256, "size": offer.size}
    if offer.refusal:
        fields["error"] = {
            "code": http_form(offer.refusal).status,
            "message": f"{offer.refusal.detail} {offer.refusal.fix}",
        }
    elif offer.ticket:
        ticket = f"ticket={quote(offer.ticket, safe='')}"
        whole = {"href": offer.url or f"{here}?{ticket}", "header": {}}
        in_parts = {"href": f"{here}/complete?{ticket}", "header": _parts(offer, here)}
        fields["authenticated"] = True
        verify = {"href": f"{here}/verify?{ticket}", "header": {}}
        actions: dict[str, object] = {"upload": in_parts if offer.cut else whole}
        # The answer to a whole file that is sent to us confirms its digest; `verify` is optional in the LFS batch API.
        fields["actions"] = actions | ({"verify": verify} if offer.cut or offer.url else {})
    return fields


def _parts(offer: Offer, here: str) -> dict[str, str]:
    """The size of a part and the address of each, where the Hub's clients look for them: among the headers."""
    if offer.cut is None:
        return {}
    ticket = quote(offer.part_ticket, safe="")
    ours = [f"{here}/parts/{number}?ticket={ticket}" for number in range(1, offer.cut.count + 1)]
    numbered = {f"{number:05}": url for number, url in enumerate(offer.part_urls or ours, 1)}
    return {"chunk_size": str(offer.cut.part), **numbered}
