"""The log: whole lines only, torn tails cut, newer versions named, nothing lost."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shrunk_core.errors import RunError
from shrunk_core.record.eventlog import EventWriter, cut_torn_tail, read_events, read_new
from shrunk_core.record.events import KINDS, Failed, NewerVersion, Noted, Unknown, decode, encode


def noted(n: int) -> Noted:
    return Noted(attempt=1, update=n, message=f"event {n}", logged_at=float(n))


def test_round_trip_with_non_finite_numbers() -> None:
    event = KINDS["step"](attempt=1, update=2, tokens=3, flops=4, loss=math.inf, learning_rate=1e-3,
                          grad_norm=math.nan, tokens_per_second=5.0, logged_at=6.0)  # fmt: skip
    line = encode(event)
    json.loads(line, parse_constant=lambda c: pytest.fail(f"{c} is no JSON"))
    back = decode(line)
    assert back.loss == math.inf  # type: ignore[attr-defined]
    assert math.isnan(back.grad_norm)  # type: ignore[attr-defined]


def test_unknown_kinds_are_kept_and_newer_versions_refused(tmp_path: Path) -> None:
    line = '{"v":1,"kind":"brand-new","logged_at":1.5,"x":[1,2]}'
    event = decode(line)
    assert isinstance(event, Unknown)
    assert json.loads(encode(event)) == json.loads(line)
    with pytest.raises(NewerVersion):
        decode('{"v":2,"kind":"noted"}')
    log = tmp_path / "events.jsonl"
    log.write_text('{"v":99,"kind":"noted"}\n')
    with pytest.raises(RunError, match="newer shrunk-tui"):
        list(read_events(log))


@pytest.mark.parametrize("line", ["", "{", "[]", '{"v":1}', '{"v":1,"kind":"noted"}'])
def test_what_is_no_event_is_a_value_error(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  any of json's and ours
        decode(line)


@given(st.integers(1, 6), st.integers(0, 400))
def test_a_torn_log_keeps_every_whole_line(tmp_path_factory: pytest.TempPathFactory, events: int, cut: int) -> None:
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    writer = EventWriter(path)
    writer.append(*[noted(i) for i in range(events)])
    writer.close()
    data = path.read_bytes()
    kept = data[: max(0, len(data) - cut)]
    path.write_bytes(kept)
    whole = kept.count(b"\n")
    lines, offset = read_new(path)
    assert (len(lines), offset) == (whole, kept.rfind(b"\n") + 1)
    again = EventWriter(path)
    again.append(noted(99))
    again.close()
    assert [e.update for e in read_events(path)] == [*range(whole), 99]  # type: ignore[attr-defined]


def test_reading_in_pieces_is_reading_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = EventWriter(path)
    writer.append(*[noted(i) for i in range(50)])
    writer.close()
    got, offset = [], 0
    while True:
        lines, offset = read_new(path, offset, limit=37)
        if not lines:
            break
        got += lines
    assert [decode(line) for line in got] == [noted(i) for i in range(50)]


def test_absent_and_empty_logs_have_no_events(tmp_path: Path) -> None:
    assert list(read_events(tmp_path / "none")) == []
    (tmp_path / "empty").touch()
    assert list(read_events(tmp_path / "empty")) == []
    assert cut_torn_tail(tmp_path / "empty") == 0


def test_a_full_disk_is_named_and_leaves_the_log_whole() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    writer = EventWriter(full)
    with pytest.raises(RunError, match="Make space"):
        writer.append(Failed(attempt=1, update=1, cause="disk", message="x"))
    with contextlib.suppress(OSError):
        writer.close()
