"""Uploads of clients and browsers: the answer for one LFS object, and files that come with a form."""

from typing import Any
from urllib.parse import quote

from django.core.files.uploadhandler import FileUploadHandler, StopUpload

from hub.errors import http_form
from registry.publish.uploads import Offer


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


MAX_FORM_BYTES = 1 << 30  # of a form with files; scripts send larger files in parts


class FormFiles(FileUploadHandler):
    """Comes before Django's own handlers, and drops the files of a form that is too large or anonymous.

    The fields before the files are read all the same. `too_large` tells a view why there are no files.
    """

    is_refused = False

    def handle_raw_input(
        self, input_data: Any, META: dict[str, Any], content_length: int, boundary: Any, encoding: Any = None
    ) -> None:
        request: Any = self.request
        caller = getattr(request, "caller", None)
        request.form_too_large = content_length > MAX_FORM_BYTES
        self.is_refused = request.form_too_large or caller is None or caller.user is None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if self.is_refused:
            raise StopUpload(connection_reset=False)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None


def is_too_large(request: Any) -> bool:
    """Return whether the files of a form were dropped because there were too many bytes; call it after reading POST."""
    return bool(getattr(request, "form_too_large", False))
