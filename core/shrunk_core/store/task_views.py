"""Views of downstream scores: every score, means over seeds, averages over tasks, gains of pre-training, minimal pairs."""

from __future__ import annotations

from .view import Column, View, field, time_of

_CELLS = "join raw.cells c on c.job_id = r.source"

_GROUP = field("group")
_DONE = "exists (select 1 from raw.events f where f.source = r.source and f.kind = 'cell-finished')"
"""A killed cell's successor logs the same scores again; only a finished cell counts, and of its rows the last."""


def task_views() -> tuple[View, ...]:
    """In an order in which they can be created: `task_means` reads `task_scores`, `task_averages` reads `task_means`."""
    return (_task_scores(), _task_means(), _task_averages(), _pretraining_gain(), _task_curves(), _minimal_pairs())


_RUN = Column("run_id", "c.run_id", "The run whose checkpoint was scored.")
_CHECKPOINT = Column("checkpoint", "c.checkpoint", "best, final, untrained, or a number of updates.")
_TASK = Column("task", "c.task", "The task: cola, sst2 ..., a probe, or a file of minimal pairs.")
_FILTERED = Column("filtered", "c.filtered", "True if the task was reduced to a word list; a result of its own.")
_SEED = Column("seed", "c.seed", "Seed of head, order, dropout and selection slice; the run has a seed of its own.")
_SETTINGS = Column(
    "settings",
    "c.settings",
    "Name of the fine-tuning settings and what was changed of them, or the method of minimal pairs.",
)
_COMPARISON = Column(
    "comparison", "c.comparison", "Digest of task, rows, filter and settings: scores compare within one."
)
_CELL = Column("job_id", "c.job_id", "The cell: RUN/CELL, as `shrunk logs` takes it.")


def _last(*key: str) -> str:
    return f"qualify row_number() over (partition by r.source, {', '.join(key)} order by r.seq desc) = 1"


def _task_scores() -> View:
    return View(
        "task_scores",
        "One row a number: a checkpoint of a run on a task with one seed, by metric and scored split. Finished cells only.",
        (
            _RUN,
            _CHECKPOINT,
            _TASK,
            _FILTERED,
            _SEED,
            Column("metric", field("metric"), "matthews, accuracy, f1, macro-f1, pearson or spearman."),
            Column("value", field("value", "DOUBLE"), "The score."),
            Column(
                "stderr", field("stderr", "DOUBLE"), "Standard error over examples: a bootstrap of 1,000 resamples."
            ),
            Column("n", field("n", "BIGINT"), "Examples scored."),
            Column("epochs", field("epoch", "BIGINT"), "Epochs of fine-tuning behind the weights that were scored."),
            Column("logged_at", time_of("r.logged_at"), "When, UTC."),
            Column("split", field("split"), "The scored split: validation, or mnli's matched and mismatched."),
            Column("place", field("place", "BIGINT"), "0 for the task's first metric."),
            Column("learning_rate", field("learning_rate", "DOUBLE"), "Peak learning rate that was chosen."),
            _SETTINGS,
            _COMPARISON,
            _CELL,
        ),
        f"from raw.events r {_CELLS} where r.kind = 'cell-scored' and {_GROUP} = '' and {_DONE} "
        + _last(field("split"), field("metric")),
    )


def _task_means() -> View:
    one = (
        "select run_id, checkpoint, task, filtered, settings, comparison, seed, avg(value) as score, max(n) as n "
        "from task_scores group by all"
    )
    return View(
        "task_means",
        "One row a task of a checkpoint: the mean over seeds of the task's score, which is the mean of its metrics and "
        "splits (GLUE's definition).",
        (
            Column("run_id", "r.run_id", _RUN.comment),
            Column("checkpoint", "r.checkpoint", _CHECKPOINT.comment),
            Column("task", "r.task", _TASK.comment),
            Column("filtered", "r.filtered", _FILTERED.comment),
            Column("mean", "avg(r.score)", "Mean over seeds."),
            Column("spread", "stddev_samp(r.score)", "Standard deviation over seeds; NULL of one."),
            Column("seeds", "count(*)", "Seeds."),
            Column("n", "max(r.n)", "Examples scored."),
            Column("settings", "r.settings", _SETTINGS.comment),
            Column("comparison", "r.comparison", _COMPARISON.comment),
        ),
        f"from ({one}) r group by r.run_id, r.checkpoint, r.task, r.filtered, r.settings, r.comparison",
    )


def _task_averages() -> View:
    inner = (
        "select m.*, (select any_value(c.averaged) from raw.cells c where c.comparison = m.comparison) as averaged "
        "from task_means m"
    )
    return View(
        "task_averages",
        "One row a checkpoint: the plain mean of its GLUE tasks in task_means. Averages over different tasks do not "
        "compare: look at `tasks`.",
        (
            Column("run_id", "r.run_id", _RUN.comment),
            Column("checkpoint", "r.checkpoint", _CHECKPOINT.comment),
            Column("filtered", "r.filtered", _FILTERED.comment),
            Column("settings", "r.settings", _SETTINGS.comment),
            Column("average", "avg(r.mean)", "Mean of the tasks' means."),
            Column("without_wnli", "avg(r.mean) filter (r.task <> 'wnli')", "The same without wnli, which is noise."),
            Column("tasks", "list_sort(list(r.task))", "The tasks averaged."),
            Column("seeds", "min(r.seeds)", "Seeds of the task with fewest."),
        ),
        f"from ({inner}) r where r.averaged group by r.run_id, r.checkpoint, r.filtered, r.settings",
    )


def _pretraining_gain() -> View:
    def own(name: str, sql_type: str, comment: str) -> Column:
        return Column(name, field(name, sql_type), comment)

    return View(
        "pretraining_gain",
        "One row a task and metric: a pre-trained checkpoint minus the untrained start, same settings, paired by seed and "
        "example. An interval that holds 0 is no gain that could be told from chance.",
        (
            _RUN,
            own("checkpoint", "VARCHAR", "The pre-trained one."),
            _TASK,
            _FILTERED,
            own("metric", "VARCHAR", "The metric."),
            own("pretrained", "DOUBLE", "Mean score of the pre-trained checkpoint over the paired seeds."),
            own("untrained", "DOUBLE", "Mean score of the untrained start over the same seeds."),
            own("gain", "DOUBLE", "Their difference."),
            own(
                "low", "DOUBLE", "Lower end of its 95 % interval, over seeds and examples; examples only with one seed."
            ),
            own("high", "DOUBLE", "Upper end."),
            own("seeds", "BIGINT", "Paired seeds."),
            own("n", "BIGINT", "Examples scored."),
            own("split", "VARCHAR", "The scored split."),
            own("place", "BIGINT", "0 for the task's first metric."),
            _SETTINGS,
            _COMPARISON,
            Column("logged_at", time_of("r.logged_at"), "When it was measured, UTC."),
        ),
        f"from raw.events r {_CELLS} where r.kind = 'gain-measured' qualify row_number() over (partition by c.run_id, "
        f"c.comparison, {field('checkpoint')}, {field('split')}, {field('metric')} "
        f"order by {field('seeds', 'BIGINT')} desc, r.logged_at desc, r.seq desc) = 1",
    )


def _task_curves() -> View:
    return View(
        "task_curves",
        "One row an epoch of a cell, finished or not: its learning curve.",
        (
            _RUN,
            _CHECKPOINT,
            _TASK,
            _FILTERED,
            _SEED,
            Column("trial", field("trial", "BIGINT"), "Which of the learning rates that were tried, from 0."),
            Column("epoch", field("epoch", "BIGINT"), "Epochs done."),
            Column("learning_rate", field("learning_rate", "DOUBLE"), "Peak learning rate of the trial."),
            Column("loss", field("loss", "DOUBLE"), "Mean training loss of the epoch: nats, or squared error."),
            Column("score", field("score", "DOUBLE"), "First metric on the first scored split; it chooses nothing."),
            Column("selection", field("selection", "DOUBLE"), "First metric on the selection slice; NaN without one."),
            _CELL,
        ),
        f"from raw.events r {_CELLS} where r.kind = 'cell-epoch' " + _last(field("trial"), field("epoch")),
    )


def _minimal_pairs() -> View:
    return View(
        "minimal_pairs",
        "One row a paradigm (uid) or phenomenon (uid NULL) of minimal pairs of a checkpoint.",
        (
            _RUN,
            _CHECKPOINT,
            _TASK,
            _FILTERED,
            Column("phenomenon", f"split_part({_GROUP}, '/', 1)", "What the pairs are about."),
            Column("uid", f"nullif(split_part({_GROUP}, '/', 2), '')", "The paradigm; NULL for the whole phenomenon."),
            Column("accuracy", field("value", "DOUBLE"), "Share of pairs whose good sentence is the likelier."),
            Column(
                "stderr",
                field("stderr", "DOUBLE"),
                "Standard error, over paradigms where there are several; binomial within one.",
            ),
            Column("n", field("n", "BIGINT"), "Pairs."),
            _SETTINGS,
            _CELL,
        ),
        f"from raw.events r {_CELLS} where r.kind = 'cell-scored' and {_GROUP} <> '' and {_DONE} " + _last(_GROUP),
    )
