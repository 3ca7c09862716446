"""Tasks, their rows, the filter, metrics and gains: official definitions, golden counts, bad input named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from shrunk_core.config.cell import FinetuneSpec, TaskSpec
from shrunk_core.downstream.examples import training_batches
from shrunk_core.downstream.gain import paired_gain
from shrunk_core.downstream.metrics import Resampler, metric_value
from shrunk_core.downstream.pair_rows import read_pairs
from shrunk_core.downstream.rows import read_task_rows
from shrunk_core.downstream.sizes import refuse_small
from shrunk_core.downstream.tasks import GLUE, find_task, shipped_tasks
from shrunk_core.downstream.vocabulary_filter import counted_words, filter_task
from shrunk_core.errors import ConfigError, DataError, RunError
from shrunk_core.language.vocabulary import load_vocabulary
from sklearn import metrics as sk

TASK = TaskSpec(name="mood", fields=("sentence",), labels=("bad", "good"), metrics=("accuracy",))


def write(folder: Path, **splits: list[dict[str, object]]) -> Path:
    (folder / "mood").mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        (folder / "mood" / f"{split}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


def row(sentence: object = "a fine day", label: object = 1) -> dict[str, object]:
    return {"sentence": sentence, "label": label}


def test_shipped_tasks_read_and_other_splits_are_named_after_an_at_sign() -> None:
    assert set(GLUE) < set(shipped_tasks()) and {"sick", "snli", "subj", "mr", "trec"} < set(shipped_tasks())
    assert all(find_task(name).name == name for name in shipped_tasks())
    assert find_task("mnli").splits == ("validation_matched", "validation_mismatched")
    assert find_task("mrpc@test").splits == ("test",)
    with pytest.raises(ConfigError, match="did you mean `sst2`"):
        find_task("sst")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('fields = ["a", "b", "c"]', "one or two sentences"),
        ('fields = ["a"]\nlabels = ["x", "y"]\nmetrics = ["acuracy"]', "did you mean `accuracy`"),
        ('fields = ["a"]\nlabels = ["x", "y"]\nmetrics = ["pearson"]', "tasks of numbers"),
        ('fields = ["a"]\nlabels = ["x", "y", "z"]\nmetrics = ["f1"]', "needs two labels"),
    ],
)
def test_a_task_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        find_task(str(tmp_path / "own.toml"))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (row(label=2), "line 2: the label `label` is 2, none of 0 bad, 1 good"),
        (row(label=-1), "has no labels"),
        (row(label="great"), "'great'"),
        (row(sentence="  "), "line 2: `sentence` is empty"),
        (row(sentence=3), "`sentence` is no text"),
        ({"text": "x", "label": 1}, "has no `sentence`; it has text, label"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, bad: dict[str, object], words: str) -> None:
    write(tmp_path, train=[row(), bad], validation=[row()])
    with pytest.raises(DataError, match=words):
        read_task_rows(TASK, str(tmp_path))


def test_a_missing_split_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    write(tmp_path, train=[row()], test=[row()])
    with pytest.raises(DataError, match=r"no validation.jsonl in .*there is test, train; `mood@test` scores that one"):
        read_task_rows(TASK, str(tmp_path))
    with pytest.raises(DataError, match="holds no task `modd`.*there is mood"):
        read_task_rows(TaskSpec(name="modd", fields=("sentence",), labels=("a", "b")), str(tmp_path))


def test_labels_by_name_and_by_number_are_the_same_rows(tmp_path: Path) -> None:
    by_number = read_task_rows(TASK, str(write(tmp_path / "a", train=[row(), row(label=0)], validation=[row()])))
    by_name = read_task_rows(
        TASK, str(write(tmp_path / "b", train=[row(label="good"), row(label="bad")], validation=[row()]))
    )
    assert by_number.fingerprint == by_name.fingerprint


def test_a_task_with_too_few_examples_is_refused_with_its_count(tmp_path: Path) -> None:
    rows = read_task_rows(TASK, str(write(tmp_path, train=[row()] * 7, validation=[row()])))
    with pytest.raises(DataError, match="7 train examples left, fewer than 100"):
        refuse_small(FinetuneSpec(), "mood", rows)


def test_the_filter_drops_names_and_numbers_before_it_looks_words_up() -> None:
    assert counted_words("The 3 dogs saw Anna.", "Paris isn't here!") == ["the", "dogs", "saw", "isnt", "here"]
    assert counted_words("Unknown first words count") == ["unknown", "first", "words", "count"]


def test_the_filter_keeps_what_the_paper_kept(shared_data: Path) -> None:
    """PAPER.md section 1 with the AO-CHILDES list: CoLA 5,273 of 8,551 and 655 of 1,043; RTE 156 of its train rows."""
    words = load_vocabulary(str(shared_data / "vocabulary/AOChildes_word_frequency.csv")).words
    kept = {}
    for name in ("cola", "rte", "stsb", "wnli"):
        rows = filter_task(read_task_rows(find_task(name), str(shared_data / "glue")), words)
        kept[name] = {split: len(part) for split, part in rows.splits.items()}
    assert kept["cola"] == {"train": 5273, "validation": 655}
    assert kept["rte"]["train"] == 156
    total = {"stsb": (5749 + 1500, 0.402), "wnli": (635 + 71, 0.418)}
    for name, (seen, share) in total.items():
        assert sum(kept[name].values()) / seen == pytest.approx(share, abs=0.05)


labels_and_answers = st.integers(2, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 2), min_size=n, max_size=n) for _ in range(2)])
)


@settings(max_examples=60, deadline=None)
@given(labels_and_answers)
def test_metrics_are_those_of_scikit_learn(both: tuple[list[int], list[int]]) -> None:
    labels, answers = (np.array(part) for part in both)
    if len(set(labels.tolist() + answers.tolist())) > 1:
        wanted = sk.matthews_corrcoef(labels, answers)
        assert metric_value("matthews", labels, answers) == pytest.approx(wanted, abs=1e-9)
    else:
        assert metric_value("matthews", labels, answers) == 0.0
    assert metric_value("accuracy", labels, answers) == pytest.approx(np.mean(labels == answers), abs=1e-12)
    two, said = (labels > 0).astype(int), (answers > 0).astype(int)
    right = int((two & said).sum())
    f1 = 2 * right / (two.sum() + said.sum()) if two.sum() + said.sum() else 0.0
    assert metric_value("f1", two, said) == pytest.approx(f1, abs=1e-12)


def test_correlations_are_scipys_and_one_without_spread_is_an_error() -> None:
    x, y = np.arange(20.0), np.sin(np.arange(20.0))
    assert metric_value("pearson", x, y) == stats.pearsonr(x, y).statistic
    assert metric_value("spearman", x, y) == stats.spearmanr(x, y).statistic
    with pytest.raises(RunError, match="all the same"):
        metric_value("pearson", x, np.zeros(20))


def test_the_majority_class_scores_nothing_and_its_share() -> None:
    labels, answers = np.array([1] * 69 + [0] * 31), np.ones(100, dtype=int)
    assert metric_value("matthews", labels, answers) == 0.0
    assert metric_value("accuracy", labels, answers) == 0.69


@pytest.mark.parametrize("metric", ["accuracy", "matthews", "f1", "macro-f1", "pearson", "spearman"])
def test_resamples_have_the_metric_of_the_sample_at_their_centre(metric: str) -> None:
    random = np.random.default_rng(0)
    if metric in ("pearson", "spearman"):
        labels = random.normal(size=400)
        answers = labels + random.normal(size=400)
    else:
        labels = random.integers(0, 2, 400)
        answers = np.where(random.random(400) < 0.8, labels, 1 - labels)
    sample = Resampler(400)
    values = sample.values(metric, labels, answers)
    assert values.mean() == pytest.approx(metric_value(metric, labels, answers), abs=3 * values.std())
    if metric == "accuracy":
        share = metric_value(metric, labels, answers)
        assert sample.stderr(metric, labels, answers) == pytest.approx((share * (1 - share) / 400) ** 0.5, rel=0.1)


def test_a_paired_gain_is_tighter_than_two_scores_and_no_gain_holds_zero() -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 800)
    base = np.stack([np.where(random.random(800) < 0.7, labels, 1 - labels) for _ in range(3)])
    same = paired_gain("accuracy", labels, base, base)
    assert (same.gain, same.low, same.high) == (0.0, 0.0, 0.0)
    better = base.copy()
    better[:, :80] = labels[:80]
    gain = paired_gain("accuracy", labels, better, base)
    assert gain.low < gain.gain < gain.high and gain.low > 0
    assert gain.gain == pytest.approx(gain.pretrained - gain.untrained)
    assert (gain.seeds, gain.n) == (3, 800)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 500), st.integers(1, 40), st.booleans(), st.integers(0, 5))
def test_every_example_is_in_one_batch_an_epoch(n: int, batch: int, bucketing: bool, epoch: int) -> None:
    lengths = np.random.default_rng(n).integers(2, 30, n)
    batches = training_batches(lengths, batch, seed=3, epoch=epoch, bucketing=bucketing)
    assert sorted(np.concatenate(batches).tolist()) == list(range(n))
    assert max(len(b) for b in batches) <= batch
    again = training_batches(lengths, batch, seed=3, epoch=epoch, bucketing=bucketing)
    assert all((a == b).all() for a, b in zip(batches, again, strict=True))


def test_pairs_name_the_row_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"sentence_good": "a b", "sentence_bad": ""}) + "\n")
    with pytest.raises(DataError, match="row 1: `sentence_bad` is empty"):
        read_pairs(path)
    with pytest.raises(DataError, match="does not exist"):
        read_pairs(tmp_path / "none.jsonl")


def test_every_shipped_task_reads_its_rows(shared_data: Path) -> None:
    """The splits that are there: GLUE's test labels are not public, MRPC comes with its original split, MNLI is a sample."""
    seen = {}
    for name in shipped_tasks():
        task = {"mrpc": "mrpc@test", "mnli": "mnli@validation"}.get(name, name)
        rows = read_task_rows(find_task(task), str(shared_data / "glue"))
        seen[name] = tuple(len(part) for part in rows.splits.values())
        assert len(rows.fingerprint) == 12
    assert seen["cola"] == (8551, 1043) and seen["sst2"] == (67349, 872) and seen["stsb"] == (5749, 1500)
    assert seen["rte"] == (2490, 277) and seen["wnli"] == (635, 71) and seen["mrpc"] == (4076, 1725)
    assert seen["qnli"] == (8999, 5463) and seen["mnli"] == (8999, 1000) and seen["qqp"] == (8999, 1000)


def test_rows_of_the_hub_are_glues_and_without_it_a_folder_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    from shrunk_core.language import hub

    asked = []

    def load_dataset(*args: object, **options: object) -> object:
        asked.append((*args, options["split"]))
        return iter([{"sentence": "a fine day", "label": 1, "idx": 0}, {"sentence": "a bad one", "label": 0, "idx": 1}])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(hub, "unreachable", lambda: "")
    rows = read_task_rows(find_task("sst2"), "hub")
    assert rows.splits["train"].labels.tolist() == [1, 0] and len(rows.splits["validation"]) == 2
    assert asked == [("nyu-mll/glue", "sst2", "train"), ("nyu-mll/glue", "sst2", "validation")]
    monkeypatch.setattr(hub, "unreachable", lambda: "HF_HUB_OFFLINE is set")
    with pytest.raises(
        DataError, match="hub:nyu-mll/glue:sst2:train: HF_HUB_OFFLINE is set. .* give a folder with --data"
    ):
        read_task_rows(find_task("sst2"), "hub")
