"""Whether this machine has compiled the loops of this version yet (compiled.py), asked without loading numba."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_HERE = Path(__file__).parent
_OF = [*sorted(_HERE.glob("*_kernel*.py")), _HERE / "byte_classes.py", _HERE / "compiled.py"]
SOURCES = "-" + hashlib.sha256(b"".join(file.read_bytes() for file in _OF)).hexdigest()[:12]
"""Of all that loops are made of. Numba itself sees changes in the file of a loop only, not in what that calls."""

COMPILING = "compiling the loops for this machine, once: some 15 seconds"


def is_compiled() -> bool:
    """True if what was compiled is beside the files of the loops, or in one of the places that numba takes instead."""
    elsewhere = os.environ.get("NUMBA_CACHE_DIR")
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numba"
    places = [Path(elsewhere)] if elsewhere else [_HERE / "__pycache__", user]
    return any(next(place.rglob(f"*{SOURCES}*.nbi"), None) for place in places)
