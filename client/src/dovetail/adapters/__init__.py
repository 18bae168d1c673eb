"""What Dovetail knows about adapter files, with nothing but the standard library: client, hub and engine share it."""

from dovetail.adapters.description import Description, describe
from dovetail.adapters.header import Header, HeaderError, TensorInfo

__all__ = ["Description", "Header", "HeaderError", "TensorInfo", "describe"]
