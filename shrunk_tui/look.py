"""News of a lab: what one look at its logs found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shrunk_core.record.events import Event


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look found. changed: runs that are new or whose row changed; removed: runs that are gone.

    events: new events as (run_id or "", event), without those that were there at the first look; every new step of
    a run is in it, so that a reader who wants curves can wait for this alone.
    """

    changed: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    events: tuple[tuple[str, Event], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed or self.events)

    def merged(self, later: Look) -> Look:
        """Both as one, in order."""
        return Look(
            changed=(self.changed - later.removed) | later.changed,
            removed=(self.removed - later.changed) | later.removed,
            events=self.events + later.events,
        )


EMPTY_LOOK = Look()
