"""Looking at the machine: what is told and what is not, meters, the supervisor's line, alerts."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
from cell_lab import cell
from shrunk_core.engine.machine_now import GpuNow, Looker, MachineNow, read_gpus
from shrunk_core.record.celldir import write_cell
from store_lab import born

from shrunk_tui.lab_words import JournalBook, supervisor_line, tail
from shrunk_tui.meters import bar, meter_lines, shares, spark

GB = 2**30
GPU = GpuNow(
    index=0, name="NVIDIA H200", utilisation=0.5, memory_used=35 * GB, memory_total=140 * GB, power_watts=350.0,
    power_limit_watts=700.0, temperature_c=61.0, clock_mhz=1980.0,
)  # fmt: skip
NOW = MachineNow(
    at=0.0, cores=2, cpu=0.25, load=0.7, memory_used=GB, memory_total=4 * GB, disk_free=30 * GB, disk_total=40 * GB,
    gpus=(GPU,), processes=(),
)  # fmt: skip


def test_this_machine_is_told_with_this_process_in_it(tmp_path: Path) -> None:
    looker = Looker(tmp_path)
    looker.look()
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    now = looker.look()
    assert 0 <= now.cpu <= 1 and 0 < now.memory_used < now.memory_total and 0 < now.disk_free <= now.disk_total
    me = next(p for p in now.processes if p.pid == os.getpid())
    assert me.cpu_percent > 10 and me.rss_bytes > 10 * 2**20


def test_without_a_driver_there_are_no_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    assert read_gpus() == ((), {})


def test_a_card_that_does_not_tell_its_power_is_not_at_zero_watts(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    told: dict[str, Any] = {
        "nvmlInit": None, "nvmlShutdown": None, "nvmlDeviceGetCount": 1, "nvmlDeviceGetHandleByIndex": "card",
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=50), "nvmlDeviceGetName": b"NVIDIA H200",
        "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=35 * GB, total=140 * GB), "nvmlDeviceGetTemperature": 61,
        "nvmlDeviceGetClockInfo": 1980, "nvmlDeviceGetEnforcedPowerLimit": 700_000,
        "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=7, usedGpuMemory=None)],
    }  # fmt: skip
    for name, value in told.items():
        monkeypatch.setattr(pynvml, name, lambda *_, value=value: value)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetPowerUsage", refuse)
    [card], users = read_gpus()
    assert card.power_watts is None and card.utilisation == 0.5 and card.name == "NVIDIA H200"
    assert users == {7: (0, None)}


def test_meters_say_number_unit_and_history() -> None:
    history = [{"CPU": 0.0}, {"CPU": None}, {"CPU": 1.0}]
    lines = meter_lines(NOW, history, 100, 20, ascii_only=True)
    assert lines[0].startswith("CPU   #####...............") and lines[0].endswith("_ #")
    assert [line.split()[0] for line in lines] == ["CPU", "RAM", "disk", "GPU0", "mem0", "pow0", "temp0"]
    assert "350 W of 700 W" in lines[5] and "61 C, 1980 MHz" in lines[6]
    assert all(len(line) <= 60 for line in meter_lines(NOW, history, 60, 20, ascii_only=False))
    assert shares(NOW)["mem0"] == 0.25
    without = meter_lines(replace(NOW, gpus=()), history, 60, 20, ascii_only=True)
    assert [line.split()[0] for line in without] == ["CPU", "RAM", "disk", "GPU"] and "none" in without[-1]


def test_bars_and_sparks_stay_in_their_width() -> None:
    assert bar(2.0, 4, True) == "####" and bar(-1.0, 4, False) == "░░░░"
    assert spark([0.0, 1.0], 4, False) == "  ▁█" and spark([0.5] * 9, 4, True) == "====" and spark([1.0], 0, True) == ""


def test_the_supervisor_is_told_or_its_absence_explained(lab: Path) -> None:
    assert "starts by itself" in supervisor_line(lab)
    owner = {"host": "box", "pid": 12, "started_at": time.time() - 100, "heartbeat": time.time()}
    (lab / ".shrunk" / "supervisor.json").write_text(json.dumps(owner))
    assert "serving on box, pid 12, for 1m 40s" in supervisor_line(lab)


def test_the_end_of_a_log_begins_with_a_whole_line(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("first line\nsecond line\nthird line\n")
    assert tail(file, 16) == "third line" and tail(file, 1000).startswith("first") and tail(tmp_path / "no", 9) == ""


def test_alerts_are_newest_first_and_say_when_they_are_over(lab: Path) -> None:
    book = JournalBook(lab)
    journal = lab / "journal" / "box-1-1.jsonl"
    alert = {
        "v": 1,
        "kind": "alert",
        "alert": "disk",
        "severity": "error",
        "message": "the disk is full",
        "logged_at": 1e9,
    }
    stalled = {**alert, "alert": "stalled", "run_id": "abc", "message": "no step for 10 min", "logged_at": 1e9 + 60}
    journal.write_text("".join(json.dumps(e, separators=(",", ":")) + "\n" for e in (alert, stalled)))
    book.look()
    first, second = book.alerts()
    assert first.endswith("error abc: no step for 10 min") and second.endswith("error: the disk is full")
    ended = {"v": 1, "kind": "alert-ended", "alert": "disk", "logged_at": 1e9 + 90}
    with open(journal, "a") as file:
        file.write(json.dumps(ended, separators=(",", ":")) + "\n")
    book.look()
    assert book.alerts()[1].endswith("the disk is full (over)")


def test_cells_are_scored_from_their_launch_until_their_worker_is_reaped(lab: Path) -> None:
    run = born(lab)
    where = write_cell(lab, cell(run.run_id))
    journal = lab / "journal" / "box-1-1.jsonl"

    def log(kind: str, job_id: str, pid: int, at: float, **more: str) -> None:
        with open(journal, "a") as file:
            event = {"v": 1, "kind": kind, "run_id": job_id, "pid": pid, "logged_at": at, **more}
            file.write(json.dumps(event, separators=(",", ":")) + "\n")

    book = JournalBook(lab)
    log("run-launched", run.run_id, 11, 1.0, slot="cpu:1")
    log("run-launched", where.run_id, 12, 2.0, slot="cpu:0")
    book.look()
    (job,) = book.scoring()
    assert (job.run_id, job.pid, job.slot) == (run.run_id, 12, "cpu:0") and "seed 0" in job.name
    log("run-reaped", where.run_id, 12, 3.0)
    book.look()
    assert book.scoring() == []


def test_eight_cards_take_a_line_each_where_four_lines_each_have_no_room() -> None:
    eight = replace(NOW, gpus=tuple(replace(GPU, index=i, utilisation=i / 8) for i in range(8)))
    lines = meter_lines(eight, [shares(eight)], 120, 12, ascii_only=True)
    assert len(lines) == 3 + 8
    assert lines[-1].split()[:3] == ["GPU7", "##################..", "88%"]
    assert "35.0 GiB of 140.0 GiB" in lines[-1] and "350 W" in lines[-1] and "61 C" in lines[-1]
    assert all(len(line) <= 78 for line in meter_lines(eight, [shares(eight)] * 50, 78, 12, ascii_only=False))
