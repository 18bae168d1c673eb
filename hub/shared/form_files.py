"""Files that come with a form: on the disk of the hub, up to a limit, and of nobody who is not signed in."""

from typing import Any

from django.core.files.uploadhandler import FileUploadHandler, StopUpload

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
