"""Which device the next run takes, if any: memory, other people's processes, and whether one more run there pays.

A device is a GPU, a MIG slice, or the processor with the host's memory. GPUs are known by UUID (`hardware`); one whose
UUID nobody could tell has no reading, and takes one run at a time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from ..config.lab import LabSettings
from ..record.lab_events import HardwareSampled
from ..record.rundir import write_atomically
from .hardware import CPU, match

RESERVE_SHARE = 0.05
"""Of a device's memory that stays free: CUDA contexts grow, and estimates are estimates."""

CONTEXT_BYTES = 600 << 20
"""What a CUDA context takes beside the tensors of a run."""

PROCESS_BYTES = 300 << 20
"""What a worker's process takes of the host's memory beside the tensors of its run."""

WORTH = 1.10
"""More runs on a device pay if together they are this much faster than fewer."""

MOST_ON_A_CARD = 16


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A run on a device: what it was thought to need, and what its worker reports, both in bytes; 0 is not known yet.

    Reported on a GPU are the tensors, on the host all that the process holds.
    """

    needs: int
    reported: int = 0


@dataclass(frozen=True, kw_only=True)
class Card:
    """A device: its name (for CUDA_VISIBLE_DEVICES, or `cpu`), its last reading if it could be matched, our runs on it, and
    how many at once of the run that is to be placed are worth it there."""

    device: str
    reading: HardwareSampled | None = None
    guests: tuple[Guest, ...] = ()
    at_once: int = MOST_ON_A_CARD

    @property
    def is_host(self) -> bool:
        return self.device == CPU

    @property
    def others(self) -> int:
        """Bytes that other people's processes hold: what is used and none of our workers reports. A worker that has not
        reported yet may hold nothing yet, so what it was thought to need is reserved beside."""
        if self.reading is None or self.reading.memory_used is None:
            return 0
        context = 0 if self.is_host else CONTEXT_BYTES
        return max(0, self.reading.memory_used - sum(g.reported + context for g in self.guests if g.reported))

    @property
    def reserved(self) -> int:
        """Bytes to count with for our runs: what each was thought to need, or more where its worker reports more."""
        if self.is_host:
            return sum(max(g.needs + PROCESS_BYTES, g.reported) for g in self.guests)
        return sum(max(g.needs, g.reported) + CONTEXT_BYTES for g in self.guests)

    def refusal(self, needs: int, settings: LabSettings) -> str:
        """Why a run that needs so many bytes cannot start here now; "" if it can."""
        if len(self.guests) >= self.at_once:
            return f"{self.device} has {len(self.guests)} of our runs, more would not be faster"
        reading = self.reading
        if reading is None or not reading.memory_total or reading.memory_used is None:
            unknown = self.guests and not self.is_host
            return f"{self.device} cannot be read and has a run of ours" if unknown else ""
        total, context = reading.memory_total, PROCESS_BYTES if self.is_host else CONTEXT_BYTES
        if not self.is_host and self.others > settings.others_memory * total:
            return f"other people hold {self.others / 2**30:.1f} of {total / 2**30:.1f} GiB of {self.device}"
        busy = reading.utilisation or 0.0
        if not self.is_host and not self.guests and busy > settings.others_utilisation:
            return f"other people keep {self.device} {busy:.0%} busy"
        usable = total * (1 - RESERVE_SHARE)
        if needs + context <= usable - self.others - self.reserved:
            return ""
        if not self.guests and (self.is_host or needs + context > usable and not self.others):
            return (
                ""  # it will never have more room: an estimate is no reason not to try, and memory that runs out halves
            )
        return f"{self.device} has no room for {(needs + context) / 2**30:.1f} GiB"


def choose(cards: list[Card], needs: int, settings: LabSettings) -> str | None:
    """The device for a run that needs so many bytes, or None while it has to wait: of those that may take it the one with
    the fewest runs of ours, then with the least of other people's."""
    fitting = [c for c in cards if not c.refusal(needs, settings)]
    return min(fitting, key=lambda c: (len(c.guests), c.others)).device if fitting else None


def reading_of(device: str, readings: list[HardwareSampled], said: str = "") -> HardwareSampled | None:
    """The reading of a device by its UUID, or by the UUID that a worker on it has `said`. None for a number that no worker
    has explained: NVML may count in another order."""
    name = match(device, [r.device for r in readings]) or match(said, [r.device for r in readings])
    return next((r for r in readings if name and r.device == name), None)


def runs_at_once(speeds: dict[int, float], first: int = 1, most: int = MOST_ON_A_CARD) -> int:
    """How many runs of a shape a device takes best, from the tokens per second that each had beside so many others.

    speeds: number of runs on the device -> tokens per second of one of them. first: where to begin when that many were
    not measured yet. Of the numbers measured the smallest counts that all together are within `WORTH` of the fastest;
    one more is tried as long as that was never measured. Between 1 and `most`.
    """
    if first not in speeds:
        return max(1, min(first, most))
    totals = {k: k * speed for k, speed in speeds.items()}
    best = min(k for k, total in totals.items() if total * WORTH >= max(totals.values()))
    return max(1, min(best if best + 1 in speeds else best + 1, most))


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

    def at_once(self, shape: str, first: int = 1, most: int = MOST_ON_A_CARD) -> int:
        return runs_at_once(self.speeds.get(shape, {}), first, most)

    def learn(self, shape: str, runs: int, tokens_per_second: float) -> None:
        """Keep the best that a shape has reached beside so many others: what is slower was disturbed by somebody."""
        table = self.speeds.setdefault(shape, {})
        if tokens_per_second > 1.02 * table.get(runs, 0.0):
            table[runs] = round(tokens_per_second, 1)
            body = {name: {str(k): v for k, v in sorted(t.items())} for name, t in sorted(self.speeds.items())}
            write_atomically(self.path, json.dumps(body, indent=1) + "\n")
