"""Which GPUs workers get and what `auto` precision means, with cards made up where there are none."""

from __future__ import annotations

import pytest
from shrunk_core.engine import hardware
from shrunk_core.engine.hardware import Gpu, resolve_precision, worker_devices


def cards(*capabilities: tuple[int, int]) -> tuple[Gpu, ...]:
    return tuple(
        Gpu(index=i, name=f"card {i}", uuid=f"GPU-{i}", memory_total=1 << 34, capability=c)
        for i, c in enumerate(capabilities)
    )


def test_workers_get_uuids_or_what_the_user_made_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "gpus", lambda: cards((8, 0), (8, 0)))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert worker_devices() == ("GPU-0", "GPU-1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1, MIG-abc")
    assert worker_devices() == ("1", "MIG-abc")
    monkeypatch.setattr(hardware, "gpus", tuple)
    assert worker_devices() == ()


def test_hidden_cards_are_no_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert hardware.gpus() == ()


def test_auto_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_precision("auto", "cpu") == "fp32"
    assert resolve_precision("bf16", "cpu") == "bf16"
    for found, expected in (((8, 0),), "bf16"), (((9, 0), (7, 5)), "fp32"), ((), "fp32"):
        monkeypatch.setattr(hardware, "gpus", lambda found=found: cards(*found))
        assert resolve_precision("auto", "auto") == expected
