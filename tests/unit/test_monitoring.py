"""Samples of devices and of runs: every column, energy by its rule, NULL where nothing is known. NVML is played from a trace."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pynvml
import pytest
from nvml_trace import C1, C2, GB, A, B, C, made_trace
from shrunk_core.config.lab import init_lab
from shrunk_core.engine import hardware, monitor
from shrunk_core.engine.hardware import host_memory
from shrunk_core.engine.monitor import HostSampler, Load, Monitor, NvmlSampler, split
from shrunk_core.record.journal import SAMPLES, open_journal
from shrunk_core.record.lab_events import HardwareSampled
from shrunk_core.store.store import open_store
from store_lab import born


def test_cards_and_slices_are_read_and_what_is_refused_is_none() -> None:
    trace = made_trace()
    trace.at = 8.0
    found = {r.device: r for r in NvmlSampler(trace).read()}
    assert list(found) == [A, B, C, C1, C2]
    a, part = found[A], found[C2]
    assert (a.name, a.utilisation, a.power_watts) == ("NVIDIA H100 80GB HBM3", 0.95, 350.0)
    assert (a.memory_total, a.temperature_c, a.clock_mhz) == (80 * GB, 58.0, 1980.0)
    assert a.memory_used == GB // 2 + 2 * GB + (600 << 20)
    assert (part.utilisation, part.power_watts, part.temperature_c, part.clock_mhz) == (None,) * 4
    assert (part.memory_used, part.memory_total) == (GB // 4, 40 * GB)
    assert found[C].power_watts == 90.0 and found[C].utilisation is None


def test_what_the_recorder_writes_is_what_the_trace_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recording the played trace gives its own lines: a real recording can take the place of the made one."""
    path = Path(__file__).parents[2] / "benchmarks" / "record_nvml.py"
    loaded = importlib.util.spec_from_file_location("record_nvml", path)
    assert loaded and loaded.loader
    recorder = importlib.util.module_from_spec(loaded)
    loaded.loader.exec_module(recorder)
    trace = made_trace()
    trace.nvmlInit()

    class Played:
        NVMLError = pynvml.NVMLError

        def __getattr__(self, name: str) -> Any:
            return getattr(pynvml, name) if name.startswith("NVML_") else getattr(trace, name)

    monkeypatch.setattr(recorder, "pynvml", Played())
    recorded = recorder.sample()
    made = [{**d, "mig": [m | {"mig": []} for m in d["mig"] if m]} for d in trace.devices]
    assert [{**d, "mig": [m | {"mig": []} for m in d["mig"]]} for d in recorded] == made


def test_without_a_driver_there_are_no_readings() -> None:
    def refuse() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    assert NvmlSampler(SimpleNamespace(nvmlInit=refuse)).read() == []


def test_power_is_split_equally_and_unknown_stays_unknown() -> None:
    loads = [Load(run_id=r, device=d, pid=0, memory=m) for r, d, m in [("a", "G", GB), ("b", "G", 0), ("c", "cpu", 0)]]
    devices = [HardwareSampled(device="G", power_watts=300.0), HardwareSampled(device="cpu")]
    parts = {p.run_id: p for p in split(devices, loads, 2.0)}
    assert (parts["a"].power_watts, parts["b"].power_watts, parts["c"].power_watts) == (150.0, 150.0, None)
    assert (parts["a"].memory_used, parts["b"].memory_used) == (GB, None)


def test_a_first_sample_has_no_interval_and_a_long_gap_counts_only_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(monitor.time, "monotonic", lambda: clock[0])
    watched = Monitor([SimpleNamespace(read=lambda: [HardwareSampled(device="cpu")])])  # type: ignore[list-item]
    seconds = []
    for clock[0] in (100.0, 102.0, 3600.0):
        seconds.append(watched.sample([])[0].seconds)
    assert seconds == [0.0, 2.0, monitor.LONGEST_GAP_SECONDS]


def test_a_lab_tells_every_column_and_the_energy_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs share A for 4 of 8 s under load, one works on a slice, one on the processor: only A's have energy."""
    lab = init_lab(tmp_path / "lab")
    on_a, beside, on_slice, on_host = (born(lab, seed=s).run_id for s in range(4))
    trace, clock, me = made_trace(), [0.0], os.getpid()
    monkeypatch.setattr(monitor.time, "monotonic", lambda: clock[0])
    watched = Monitor([HostSampler(lab), NvmlSampler(trace)])
    journal = open_journal(lab, SAMPLES)
    for second in (4, 6, 8, 10, 12):
        clock[0] = trace.at = float(second)
        loads = [
            Load(run_id=on_a, device=A, pid=me, memory=2 * GB),
            Load(run_id=on_slice, device=C1, pid=me, memory=GB),
            Load(run_id=on_host, device="cpu", pid=me, memory=GB // 4),
        ]
        if second > 8:
            loads.append(Load(run_id=beside, device=A, pid=0, memory=GB))
        journal.append(*watched.sample(loads))
    journal.close()
    store = open_store(lab)
    store.refresh(force=True)
    energy = dict(store.query("select run_id, energy_wh from runs").rows)
    assert energy[on_a] == pytest.approx((350 * 4 + 175 * 4) / 3600)
    assert energy[beside] == pytest.approx(175 * 4 / 3600)
    assert energy[on_slice] is None and energy[on_host] is None
    columns = (
        "logged_at, device, run_id, utilisation, memory_used, memory_total, power_watts, temperature_c, "
        "cpu_percent, rss_bytes"
    )
    table = store.query(f"select {columns} from hardware order by logged_at, run_id is null, device").rows
    assert len(table) == 5 * (2 + 4) + 5 * 3 + 2
    whole = [r for r in table if r[1] == A and r[2] is None]
    assert [r[3] for r in whole] == [0.95] * 5 and {r[6] for r in whole} == {350.0}
    host = next(r for r in table if r[1] == "cpu" and r[2] is None)
    assert 0 <= host[3] <= 1 and 0 < host[4] < host[5] and host[6] is None and host[8] >= 0
    ours = [r for r in table if r[2] == on_a]
    assert all(r[4] == 2 * GB and r[5] == 80 * GB and r[9] > 10 << 20 and r[8] >= 0 for r in ours)
    assert all(r[8] is None and r[9] is None for r in table if r[2] == beside)  # its process is not of this host
    store.close()


def test_memory_of_a_container_is_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "CGROUP", tmp_path)
    used, total = host_memory()
    assert total == psutil.virtual_memory().total and 0 < used < total
    (tmp_path / "memory.max").write_text("max\n")
    assert host_memory()[1] == total
    (tmp_path / "memory.max").write_text(f"{GB}\n")
    (tmp_path / "memory.current").write_text(f"{GB // 2}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {GB // 4}\n")
    assert host_memory() == (GB // 4, GB)
    cores = hardware.cores()
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert hardware.cores() == cores
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert hardware.cores() == 1
