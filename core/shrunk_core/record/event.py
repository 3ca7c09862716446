"""The base of everything that is ever logged."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events; `kind` names the class on disk."""

    kind: ClassVar[str] = ""
    logged_at: float = dataclasses.field(default_factory=time.time)
