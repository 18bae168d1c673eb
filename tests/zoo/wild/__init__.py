"""Repositories as the tools of trainers leave them: every file, name and note as the tool's own source writes it.

`tools` has what each tool puts around an adapter; `images` and `others` make formats that no engine here runs. The
rows are in `good`, `formats` and `broken`; the verdict of each was written by hand before it was tried.
"""

from tests.zoo.wild import broken, formats, good
from tests.zoo.wild.row import Row


def every() -> list[Row]:
    return good.every() + formats.every() + broken.every()
