"""Fits that are kept: an event in the lab's journal, a row of the view `fits`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import Any

from shrunk_core import __version__
from shrunk_core.record.journal import open_journal
from shrunk_core.record.study_events import FitSaved
from shrunk_core.store.store import Store


def keep_fit(store: Store, name: str, found: Mapping[str, Any], command: str = "") -> None:
    """Write what `shrunk fit` found to a journal under a name. command: how to do it again; by default this process's."""
    span = found.get("break_interval") or (None, None)
    x = found["x"]
    event = FitSaved(
        name=name,
        command=command or "shrunk " + shlex.join(sys.argv[1:]),
        form=found["form"],
        x=x if isinstance(x, str) else ", ".join(x),
        y=found["y"],
        counting=found["counting"] or "",
        frontier=found["frontier"],
        evaluation_id=found["evaluation_id"] or "",
        loss_function=found["loss"],
        points=found["points"],
        runs=found["runs"],
        clusters=found["clusters"],
        bootstrap=found["bootstrap"],
        params=dict(found["params"]),
        intervals={symbol: list(ends) for symbol, ends in found["intervals"].items()},
        break_point=found.get("break"),
        break_low=span[0],
        break_high=span[1],
        test_one_law=found.get("test_one_law"),
        objective=found["objective"],
        r2=found["r2"],
        aic=found["aic"],
        bic=found["bic"],
        identifiable=found["identifiable"],
        reason=found["reason"],
        warnings=tuple(found["warnings"]),
        shrunk_version=__version__,
    )
    journal = open_journal(store.lab)
    journal.append(event)
    journal.sync()
    journal.close()
    store.refresh(force=True)
