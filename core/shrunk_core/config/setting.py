"""How one setting is declared: its default, its meaning, its unit, its valid values, and whether it is part of a run's identity."""

from __future__ import annotations

import dataclasses
from typing import Any


def setting(
    default: Any = dataclasses.MISSING,
    doc: str = "",
    *,
    unit: str = "",
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    identity: bool = True,
) -> Any:
    """Declare one field of a spec.

    default: value when the file does not name the key; without one the key is required.
    doc: one sentence for people, shown in help, errors and the reference.
    unit: of the number ("tokens", "share", "nats").
    choices: the valid spellings of a named option.
    low, high: inclusive bounds of a number.
    identity: True if the value can change a run's numbers and therefore enters its `run_id`.
    """
    metadata = {"doc": doc, "unit": unit, "choices": choices, "low": low, "high": high, "identity": identity}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
