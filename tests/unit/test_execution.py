"""torch.compile is probed once per shape and machine: with a fake timer here, with the real one in a process of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from shrunk_core.config.spec import CorpusSpec, ModelSpec, RunSpec, TokenizerSpec, TrainSpec
from shrunk_core.engine import execution
from shrunk_core.engine.estimate import speed_digest
from shrunk_core.engine.execution import COMPILED, Trial, choose, in_a_process, read, settle
from shrunk_core.record.lock import FileLock

SPEC = RunSpec(
    model=ModelSpec(
        embedding_size=16, hidden_size=16, intermediate_size=32, num_heads=2, num_layers=1, vocab_size=200, max_positions=34
    ),
    train=TrainSpec(updates=10_000, batch_size=8, sequence_length=32, precision="fp32"),
    corpus=CorpusSpec(sources=("embedded:kjv",)),
    tokenizer=TokenizerSpec(),
    seed=0,
    corpus_fingerprint="0" * 12,
    tokenizer_fingerprint="0" * 12,
)  # fmt: skip


class Timer:
    """Answers as told, and counts how often it was asked."""

    def __init__(self, **trials: Trial) -> None:
        self.trials, self.asked = trials, []

    def __call__(self, execution: str) -> Trial:
        self.asked.append(execution)
        return self.trials[execution]


def settled(
    lab: Path, timer: Timer, spec: RunSpec = SPEC, expected: float = 3600.0, usual: str = "eager"
) -> tuple[str, str]:
    return settle(
        lab, spec, usual=usual, device_name="card", torch_version="2", expected_seconds=expected, measure=timer
    )


@pytest.mark.parametrize(
    "changed", [{"objective": "clm"}, {"mask_share": 0.3}, {"batch_size": 4}, {"precision": "bf16"}]
)
def test_what_was_measured_of_other_work_is_not_believed(changed: dict[str, object]) -> None:
    other = dataclasses.replace(SPEC, train=dataclasses.replace(SPEC.train, **changed))
    assert speed_digest(other) != speed_digest(SPEC)


def test_seed_rate_and_length_of_a_run_decide_nothing_about_its_speed() -> None:
    train = dataclasses.replace(SPEC.train, learning_rate=9e-4, updates=7)
    assert speed_digest(dataclasses.replace(SPEC, seed=3, train=train)) == speed_digest(SPEC)


def test_a_faster_compiled_update_is_used_and_remembered(tmp_path: Path) -> None:
    timer = Timer(graph=Trial(seconds=0.010), compiled=Trial(seconds=0.006, start_seconds=20.0))
    taken, told = settled(tmp_path, timer, usual="graph")
    assert taken == COMPILED
    assert "6 ms an update after 20 s, without it 10 ms: used" in told
    assert settled(tmp_path, timer, usual="graph") == (COMPILED, "")
    assert timer.asked == ["graph", COMPILED]


def test_what_is_remembered_serves_a_short_run_by_its_own_length(tmp_path: Path) -> None:
    timer = Timer(eager=Trial(seconds=0.010), compiled=Trial(seconds=0.006, start_seconds=20.0))
    settled(tmp_path, timer)
    short = dataclasses.replace(SPEC, train=dataclasses.replace(SPEC.train, updates=1000))
    assert settled(tmp_path, timer, short, expected=10.0) == ("eager", "")  # 20 s of compiling for 4 s of gain


@pytest.mark.parametrize(
    ("compiled", "word"),
    [
        (Trial(seconds=0.012, start_seconds=20.0), "not used"),
        (Trial(seconds=0.0099, start_seconds=0.0), "not used"),
        (Trial(problem="no compiler"), "no compiler"),
    ],
)
def test_a_slower_or_failing_compiler_is_never_used_silently(tmp_path: Path, compiled: Trial, word: str) -> None:
    timer = Timer(eager=Trial(seconds=0.010), compiled=compiled)
    taken, told = settled(tmp_path, timer)
    assert taken == "eager"
    assert word in told
    assert settled(tmp_path, timer) == ("eager", "")
    assert len(timer.asked) == 2


def test_a_short_run_of_an_unknown_shape_is_not_held_up(tmp_path: Path) -> None:
    timer = Timer()
    assert settled(tmp_path, timer, expected=60.0) == ("eager", "")
    assert timer.asked == []


def test_another_shape_or_card_is_tried_anew(tmp_path: Path) -> None:
    timer = Timer(eager=Trial(seconds=0.010), compiled=Trial(seconds=0.006))
    settled(tmp_path, timer)
    wider = dataclasses.replace(SPEC, model=dataclasses.replace(SPEC.model, hidden_size=32))
    settled(tmp_path, timer, wider)
    assert len(timer.asked) == 4
    assert len(read(tmp_path / ".shrunk" / "executions.json")) == 2


def test_nobody_waits_for_another_workers_trial(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / ".shrunk" / "executions.lock")
    assert lock.take()
    timer = Timer()
    assert settled(tmp_path, timer) == ("eager", "")
    lock.release()


def test_a_damaged_memory_is_no_memory(tmp_path: Path) -> None:
    (tmp_path / ".shrunk").mkdir()
    (tmp_path / ".shrunk" / "executions.json").write_text('{"x": 3}')
    timer = Timer(eager=Trial(seconds=0.010), compiled=Trial(seconds=0.012))
    assert settled(tmp_path, timer)[0] == "eager"


def test_the_run_decides_not_the_update() -> None:
    trials = {"eager": Trial(seconds=0.010), COMPILED: Trial(seconds=0.005, start_seconds=50.0)}
    assert choose(trials, "eager", 9_000) == "eager"
    assert choose(trials, "eager", 20_000) == COMPILED


def test_a_real_trial_is_timed_in_a_process_and_its_failure_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "TRIAL_SECONDS", 0.1)
    measure = in_a_process(SPEC, device="cpu", threads=1, micro_batch=8, leave=lambda: False)
    trial = measure("eager")
    assert 0 < trial.seconds < 5 and trial.start_seconds > 0 and not trial.problem
    absent = in_a_process(SPEC, device="cuda:7", threads=1, micro_batch=8, leave=lambda: False)
    assert "cuda:7" in absent("eager").problem


def test_a_trial_is_given_up_when_the_worker_has_to_leave() -> None:
    assert in_a_process(SPEC, device="cpu", threads=1, micro_batch=8, leave=lambda: True)("eager").problem == "given up"
