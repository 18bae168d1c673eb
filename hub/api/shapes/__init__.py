"""The shapes of our REST's answers and bodies, a file for each file of views: what these send is what OpenAPI says."""

from typing import Any

Data = dict[str, Any]
