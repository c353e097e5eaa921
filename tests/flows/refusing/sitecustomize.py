"""Makes the Python that starts with this directory on PYTHONPATH refuse the modules that REFUSED_MODULES names."""

from __future__ import annotations

import os
import sys
from importlib.abc import MetaPathFinder

REFUSED = frozenset(os.environ.get("REFUSED_MODULES", "").split())


class Refuser(MetaPathFinder):
    """Asked before every other finder; what is below a refused module is not reached either."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname in REFUSED:
            raise ImportError(f"{fullname} is refused", name=fullname)


sys.meta_path.insert(0, Refuser())
