"""Which run is next: by priority, then the grid that was handed over first, then the order that its person chose."""

from __future__ import annotations

from dataclasses import dataclass, field

ORDERS = ("longest", "shortest", "breadth", "grid")
"""Order within a grid: longest first (the last runs end together), shortest first (results early), breadth first over
seeds (every shape once before any shape twice), or as the grid file lists them."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What decides a run's place. seconds: its estimated length; number: its place in the grid; submitted_at: of the grid,
    seconds since 1970."""

    run_id: str
    priority: int = 0
    submitted_at: float = 0.0
    order: str = "longest"
    seed: int = 0
    number: int = 0
    seconds: float = 0.0

    def key(self) -> tuple[float, ...]:
        """Smaller goes first. Runs of one length keep the grid's order."""
        within = {
            "longest": (-self.seconds, self.number),
            "shortest": (self.seconds, self.number),
            "breadth": (self.seed, self.number),
            "grid": (self.number, 0),
        }[self.order]
        return (-self.priority, self.submitted_at, *within)


@dataclass
class Queue:
    """Runs that wait for a slot. A run may be held back: until a time (backoff), or while something is missing."""

    places: dict[str, Place] = field(default_factory=dict)
    _held: dict[str, float] = field(default_factory=dict)
    _sorted: list[str] | None = None

    def __contains__(self, run_id: object) -> bool:
        return run_id in self.places

    def __len__(self) -> int:
        return len(self.places)

    def add(self, place: Place, *, until: float = 0.0) -> None:
        """Put a run in, or anew with another place. until: not before this moment of the monotonic clock."""
        self.places[place.run_id] = place
        self._held[place.run_id] = until
        self._sorted = None

    def remove(self, run_id: str) -> None:
        self.places.pop(run_id, None)
        self._held.pop(run_id, None)
        self._sorted = None

    def in_order(self) -> list[str]:
        """All runs, next one first."""
        if self._sorted is None:
            self._sorted = [p.run_id for p in sorted(self.places.values(), key=Place.key)]
        return self._sorted

    def ready(self, now: float) -> list[str]:
        """Runs that may start at this moment of the monotonic clock, next one first."""
        return [run_id for run_id in self.in_order() if self._held[run_id] <= now]
