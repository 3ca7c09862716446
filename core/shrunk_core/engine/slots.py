"""Which device the next run takes, if any: memory, other people's processes, and whether one more run there pays.

Cards are known by what CUDA_VISIBLE_DEVICES may say to give a worker one of them. NVML and CUDA number cards in
different orders, so a card is matched to its readings by UUID only; a card that the user named by a number is matched
when a worker on it has said which UUID it sees, and until then it gets one run at a time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from ..config.lab import LabSettings
from ..record.lab_events import HardwareSampled
from ..record.rundir import write_atomically

RESERVE_SHARE = 0.05
"""Of a card's memory that stays free: CUDA contexts grow, and estimates are estimates."""

CONTEXT_BYTES = 600 << 20
"""What a CUDA context takes beside the tensors of a run."""

WORTH = 1.10
"""One more run on a device pays if together they are this much faster than one fewer."""

MOST_ON_A_CARD = 16


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A run on a card: what it was thought to need, and what its worker reports, both in bytes; 0 is not known yet."""

    needs: int
    reported: int = 0

    @property
    def holds(self) -> int:
        return max(self.needs, self.reported) + CONTEXT_BYTES


@dataclass(frozen=True, kw_only=True)
class Card:
    """A GPU or MIG slice: its name for CUDA_VISIBLE_DEVICES, its last reading if it could be matched, our runs on it."""

    device: str
    reading: HardwareSampled | None = None
    guests: tuple[Guest, ...] = ()

    @property
    def others(self) -> int:
        """Bytes that other people's processes hold: what is used and none of our workers reports."""
        if self.reading is None or self.reading.memory_used is None:
            return 0
        ours = sum((g.reported or g.needs) + CONTEXT_BYTES for g in self.guests)
        return max(0, self.reading.memory_used - ours)


def reading_of(device: str, readings: list[HardwareSampled], told: str = "") -> HardwareSampled | None:
    """The reading of a device of CUDA_VISIBLE_DEVICES: by its UUID or a beginning of it, or by the UUID `told` by a
    worker on it. None for a number that no worker has explained: NVML may count in another order."""
    wanted = device if device.upper().startswith(("GPU-", "MIG-")) else told
    if not wanted:
        return None
    hits = [r for r in readings if r.device.lower().startswith(wanted.lower())]
    return hits[0] if len(hits) == 1 else None


def choose(cards: list[Card], needs: int, at_once: int, settings: LabSettings) -> str | None:
    """The device for a run that needs so many bytes, or None while it has to wait.

    The emptiest card that is not other people's, has room, and has fewer than `at_once` of our runs. A card without a
    reading takes one run.
    """
    fitting = [c for c in cards if _takes(c, needs, at_once, settings)]
    return min(fitting, key=lambda c: (len(c.guests), c.others)).device if fitting else None


def _takes(card: Card, needs: int, at_once: int, settings: LabSettings) -> bool:
    reading = card.reading
    if reading is None or not reading.memory_total or reading.memory_used is None:
        return not card.guests
    total = reading.memory_total
    if card.others > settings.others_memory * total:
        return False
    if not card.guests and (reading.utilisation or 0.0) > settings.others_utilisation:
        return False
    free = total * (1 - RESERVE_SHARE) - card.others - sum(g.holds for g in card.guests)
    return len(card.guests) < min(at_once, MOST_ON_A_CARD) and needs + CONTEXT_BYTES <= free


def runs_at_once(speeds: dict[int, float]) -> int:
    """How many runs of a shape a device takes best, from the tokens per second that each had beside so many others.

    speeds: number of runs on the device -> tokens per second of one of them. One more is tried as long as the last one
    paid (`WORTH`); the first that did not pay ends it.
    """
    k = 1
    while k in speeds:
        if k > 1 and k * speeds[k] < WORTH * (k - 1) * speeds[k - 1]:
            return k - 1
        k += 1
    return k


@dataclass
class Experience:
    """What this lab has measured of shapes on devices, remembered in `.shrunk/packing.json`."""

    path: Path
    speeds: dict[str, dict[int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            body = json.loads(self.path.read_text())
            self.speeds = {shape: {int(k): float(v) for k, v in table.items()} for shape, table in body.items()}
        except (OSError, ValueError, AttributeError):
            self.speeds = {}

    def at_once(self, shape: str) -> int:
        return runs_at_once(self.speeds.get(shape, {}))

    def learn(self, shape: str, runs: int, tokens_per_second: float) -> None:
        """Keep the first measurement of a shape beside so many others: later ones are no news."""
        table = self.speeds.setdefault(shape, {})
        if runs not in table and tokens_per_second > 0:
            table[runs] = tokens_per_second
            body = {name: {str(k): v for k, v in sorted(t.items())} for name, t in sorted(self.speeds.items())}
            write_atomically(self.path, json.dumps(body, indent=1) + "\n")
