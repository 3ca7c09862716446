"""The lab's store as the screens open it: for working in the lab, or for looking at somebody else's."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from shrunk_core.store.store import RefreshReport, Store, open_store


class LookingStore(Store):
    """Reads what is published and never writes into the lab."""

    def _refresh(self, *, force: bool, anew: bool) -> RefreshReport:
        return RefreshReport(busy=True, lines=0, published=False, pending=0.0, problems=(), seconds=0.0)


def lab_store(lab: Path, looking: bool) -> Store:
    """looking: nothing may be written into the lab."""
    return LookingStore(lab) if looking else open_store(lab)


@cache
def kept_store(lab: Path, looking: bool) -> Store:
    """The same one for every call: for the process beside the screens, which ends with all that it holds."""
    return lab_store(lab, looking)
