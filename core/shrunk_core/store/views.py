"""The views of a lab, column by column with their units: the part of the index that other people's work relies on.

A column may be added at the end of its group; none is renamed, removed or given another meaning.
"""

from __future__ import annotations

from functools import cache

from ..record.status import STATUSES
from .marks import ARCHIVED, NOTES, TAGS
from .schema import spec_columns
from .study_views import study_views
from .task_views import task_views
from .view import Column, View, field, time_of

COUNTINGS = ("paper", "hoffmann", "kaplan", "executed")
"""The ways to count FLOPs, by name."""


_STANDING = "join raw.segments g on g.run_id = r.run_id and g.segment = r.segment where r.update <= g.last_update"
"""Only rows that no later resumption took back; the row is `r`."""

_EVALUATION_SET = "Digest of split, corpus, tokenizer, rows, mask set and padding rule."
_RUN_ID = Column("run_id", "r.run_id", "The run: 12 hex digits of a digest of everything that can change its numbers.")
_COUNTING = Column("flops_counting", "'paper'", "The counting that `flops` is in: always paper.")
_ATTEMPT = Column("attempt", "r.attempt", "The worker that wrote this row, counted from 1.")
_LOGGED = Column("logged_at", time_of("r.logged_at"), "When it was written, UTC.")


def _steps() -> View:
    return View(
        "steps",
        "One row an update of a run. After a crash only the rows that stand: each update once.",
        (
            _RUN_ID,
            Column("update", "r.update", "Optimiser updates done, from 1."),
            Column("tokens", "r.tokens", "Tokens seen since the first update."),
            Column("flops", "r.flops", "FLOPs spent since the first update, counting paper."),
            Column("loss", "r.loss", "Training loss of this update before it, mean nats per scored token."),
            Column("learning_rate", "r.learning_rate", "Learning rate of this update."),
            Column("grad_norm", "r.grad_norm", "L2 norm of the gradient before clipping."),
            Column("tokens_per_second", "r.tokens_per_second", "Throughput of the attempt that wrote the row."),
            _LOGGED,
            _ATTEMPT,
            _COUNTING,
        ),
        f"from raw.steps r {_STANDING}",
    )


def _evaluations() -> View:
    return View(
        "evaluations",
        "One row an evaluation: a run, an update and a split. Losses compare within one evaluation_id only.",
        (
            _RUN_ID,
            Column("evaluation_id", "r.evaluation_id", _EVALUATION_SET),
            Column("update", "r.update", "Updates done by the weights that were evaluated."),
            Column("tokens", "r.tokens", "Training tokens those weights had seen."),
            Column("flops", "r.flops", "FLOPs spent on those weights, counting paper."),
            Column("split", "r.split", "validation or test."),
            Column("loss", "r.loss", "Mean nats per scored token over the whole split, every scored token masked."),
            Column("perplexity", "exp(r.loss)", "exp(loss)."),
            Column("num_masked_tokens", "r.num_masked_tokens", "n: scored tokens of the split."),
            Column("loss_stderr", "r.loss_stderr", "Standard error of loss, clustered by sequence, nats."),
            _LOGGED,
            Column("num_sequences", "r.num_sequences", "Sequences of the split."),
            Column("unigram_loss", "r.unigram_loss", "Nats of the train split's add-one unigram on the same tokens."),
            Column("unigram_stderr", "r.unigram_stderr", "Standard error of unigram_loss - loss, clustered, nats."),
            Column("seconds", "r.seconds", "Wall seconds that the evaluation took."),
            _ATTEMPT,
            _COUNTING,
        ),
        f"from raw.evaluations r {_STANDING} "
        "qualify row_number() over (partition by r.run_id, r.split, r.update order by r.seq desc) = 1",
    )


def _events() -> View:
    return View(
        "events",
        "Everything else that happened, in runs and in the lab: starts, crashes survived, checkpoints, queueing. Steps, "
        "evaluations and curves of references have views of their own. Checkpoints and notes that a resumption took back "
        "are hidden.",
        (
            Column("run_id", "r.run_id", "The run it is about; NULL for the lab as a whole."),
            Column("logged_at", _LOGGED.sql, _LOGGED.comment),
            Column("kind", "r.kind", "What happened: started, resumed, checkpoint-saved, finished, run-queued ..."),
            Column("attempt", "r.attempt", "The worker that wrote it, counted from 1; NULL in journals."),
            Column("update", "r.update", "Updates done at that moment; NULL where none applies."),
            Column("message", "r.message", "The event's message or reason; empty where it has none."),
            Column("fields", "r.fields", "All other fields of the event, JSON."),
            Column("source", "r.source", "The log it is from: a run_id, or the file name of a journal."),
            Column("seq", "r.seq", "Line of that log, from 0: orders the events of one source."),
        ),
        "from raw.events r left join raw.segments g on g.run_id = r.source and g.segment = r.segment "
        "where (r.kind not in ('checkpoint-saved', 'noted') or r.update <= g.last_update) and r.kind <> 'reference-run'",
    )


def _runs() -> View:
    settings = tuple(Column(c.name, f's."{c.name}"', c.comment) for c in spec_columns())
    a_sequence = "FLOPs of one sequence, forward and backward, counting "
    sequences = "s.batch_size * s.updates"
    live = "coalesce(t.{0}, 0)"
    return View(
        "runs",
        "One row a run: what was asked, where it stands, what came out. Settings are columns under their own names; a "
        "setting of the same name in two sections has the later section as its prefix.",
        (
            Column("run_id", "s.run_id", _RUN_ID.comment),
            Column("grid", "s.grid", "The grid that gave birth to the run; all its grids are in the view grids."),
            Column("name", "s.name", "What people call it within its grid."),
            Column("status", "coalesce(t.status, 'stopped')", f"As of the last refresh: {', '.join(STATUSES)}."),
            Column("status_reason", "coalesce(t.status_reason, '')", "Why, where the status alone does not say."),
            Column("seed", "s.seed", "Seed of weights, order and training masks."),
            *settings,
            Column("num_params", "s.num_params", "Parameters, embeddings included."),
            Column("embedding_params", "s.embedding_params", "Parameters of token, position and type embeddings."),
            Column("flops_counting", "'paper'", "Of flops, flops_per_sequence and flops_total: always paper."),
            Column("flops_per_sequence", "s.flops_paper", a_sequence + "paper."),
            Column("flops_total", f"s.flops_paper * {sequences}", "FLOPs of the whole budget, counting paper."),
            *(Column(f"flops_{c}", f"s.flops_{c}", f"{a_sequence}{c}.") for c in COUNTINGS),
            Column("evaluation_id", "s.evaluation_id", _EVALUATION_SET),
            Column(
                "unigram_loss",
                "coalesce(e.unigram_loss, t.unigram_loss)",
                "Nats of the unigram on its validation tokens.",
            ),
            Column("best_loss", "e.best_loss", "Lowest validation loss that stands, nats."),
            Column("best_perplexity", "exp(e.best_loss)", "exp(best_loss)."),
            Column("final_loss", "f.loss", "Validation loss at the last update of the budget, nats; NULL before."),
            Column("started_at", time_of("t.started_at"), "First event of the first attempt, UTC."),
            Column("finished_at", time_of("t.finished_at"), "When it finished, UTC; NULL before."),
            Column(
                "seconds",
                "t.seconds_before + greatest(0, t.last_logged_at - t.attempt_started_at)",
                "Wall seconds summed over attempts, each from its first event to its last: without waiting, with the "
                "updates that a crash took back.",
            ),
            Column("best_update", "e.best_update", "Update of best_loss."),
            Column("final_perplexity", "exp(f.loss)", "exp(final_loss)."),
            Column("latest_loss", "e.latest_loss", "Validation loss of the latest evaluation, nats."),
            Column("test_loss", "e.test_loss", "Loss on the test split, nats; NULL before the run's end."),
            Column("test_perplexity", "exp(e.test_loss)", "exp(test_loss)."),
            Column("update", live.format("update"), "Updates done."),
            Column("tokens", live.format("tokens"), "Tokens seen so far."),
            Column("flops", live.format("flops"), "FLOPs spent so far, counting paper."),
            Column("train_loss", "t.train_loss", "Training loss of the last step, nats."),
            Column("tokens_per_second", "t.tokens_per_second", "Throughput of the last step, tokens/s."),
            Column("attempts", live.format("attempt"), "Workers that have taken it up so far."),
            Column("energy_wh", "h.energy_wh", "Watt-hours by samples of its device's power; NULL without a reading."),
            Column("host", "t.host", "Host of the last worker."),
            Column("device_used", "t.device", "Device of the last worker; `device` is what was asked."),
            Column("device_name", "t.device_name", "Model of that device."),
            Column("threads", "t.threads", "CPU threads of the last worker."),
            Column("micro_batch_used", "t.micro_batch", "Sequences computed at once; `micro_batch` is what was asked."),
            Column("torch_version", "t.torch_version", "Of the last worker."),
            Column("shrunk_version", "t.shrunk_version", "Of the last worker."),
            Column("corpus_fingerprint", "s.corpus_fingerprint", "Its row in corpora."),
            Column("tokenizer_fingerprint", "s.tokenizer_fingerprint", "Its row in tokenizers."),
            Column("tags", "coalesce(g.tags, [])", "Tags that people gave it, sorted; an empty list without any."),
            Column("note", "coalesce(n.note, '')", "A person's note; empty without one."),
            Column("archived", "coalesce(a.archived, false)", "Put out of the way by a person."),
        ),
        "from raw.run_specs s left join raw.run_states t on t.run_id = s.run_id "
        "left join (select run_id, "
        "min(loss) filter (split = 'validation' and isfinite(loss)) as best_loss, "
        "arg_min(update, loss) filter (split = 'validation' and isfinite(loss)) as best_update, "
        "arg_max(loss, update) filter (split = 'validation') as latest_loss, "
        "arg_max(loss, logged_at) filter (split = 'test') as test_loss, "
        "arg_max(unigram_loss, update) filter (split = 'validation') as unigram_loss "
        "from evaluations group by run_id) e on e.run_id = s.run_id "
        "left join evaluations f on f.run_id = s.run_id and f.split = 'validation' and f.update = s.updates "
        "left join (select run_id, sum(power_watts * seconds) / 3600 as energy_wh from raw.hardware "
        "where run_id is not null and power_watts is not null group by run_id) h on h.run_id = s.run_id "
        f"left join ({TAGS}) g on g.run_id = s.run_id left join ({NOTES}) n on n.run_id = s.run_id "
        f"left join ({ARCHIVED}) a on a.run_id = s.run_id",
    )


def _hardware() -> View:
    return View(
        "hardware",
        "One row a device and moment, sampled while a supervisor serves: the device as a whole (run_id NULL), and each "
        "run's part of it. What nobody could read is NULL.",
        (
            Column("logged_at", _LOGGED.sql, _LOGGED.comment),
            Column("device", "r.device", "UUID of a GPU or MIG slice, or cpu."),
            Column("run_id", "r.run_id", "The run whose part this is; NULL for the device as a whole."),
            Column("utilisation", "r.utilisation", "Busy share of the device, 0 to 1."),
            Column("memory_used", "r.memory_used", "Bytes; of a run what its worker reports."),
            Column("memory_total", "r.memory_total", "Bytes of the device."),
            Column("power_watts", "r.power_watts", "Watts; of a run its equal share among the runs on the card."),
            Column("temperature_c", "r.temperature_c", "Degrees Celsius."),
            Column("cpu_percent", "r.cpu_percent", "Processor time, 100 is one core."),
            Column("rss_bytes", "r.rss_bytes", "Resident memory of a run's worker, bytes."),
            Column("clock_mhz", "r.clock_mhz", "Clock of the card's multiprocessors, MHz."),
            Column("disk_free", "r.disk_free", "Free bytes on the lab's disk."),
            Column("seconds", "r.seconds", "Time since the sample before: power_watts * seconds is energy in joules."),
            Column("name", "r.name", "What the device is called."),
        ),
        "from raw.hardware r",
    )


def _grids() -> View:
    inner = (
        f"select {field('grid')} as grid, unnest({field('run_ids', 'VARCHAR[]')}) as run_id, "
        f"unnest({field('names', 'VARCHAR[]')}) as name, generate_subscripts({field('run_ids', 'VARCHAR[]')}, 1) - 1 "
        "as place, r.logged_at, r.source, r.seq from raw.events r where r.kind = 'grid-submitted'"
    )
    return View(
        "grids",
        "One row a grid and a run of it: a run may belong to several grids. Of one handed over twice, the last time.",
        (
            Column("grid", "r.grid", "Name of the grid."),
            Column("run_id", "r.run_id", _RUN_ID.comment),
            Column("submitted_at", time_of("r.logged_at"), "When the grid was last handed over with this run, UTC."),
            Column("name", "r.name", "What the run is called in this grid."),
            Column("place", "r.place", "Order of the run in the grid, from 0."),
        ),
        f"from ({inner}) r qualify row_number() over "
        "(partition by r.grid, r.run_id order by r.logged_at desc, r.source desc, r.seq desc) = 1",
    )


def _of_journal(name: str, kind: str, comment: str, fields: tuple[tuple[str, str, str, str], ...]) -> View:
    """A view with one row a fingerprint from the events of one kind; fields: column, event field, type, comment."""
    columns = tuple(Column(column, field(name, sql_type), text) for column, name, sql_type, text in fields)
    built = Column("built_at", time_of("r.logged_at"), "When it was built last, UTC.")
    latest = f"{field('fingerprint')} order by r.logged_at desc, r.source desc, r.seq desc"
    source = f"from raw.events r where r.kind = '{kind}' qualify row_number() over (partition by {latest}) = 1"
    return View(name, comment, (*columns, built), source)


def _corpora() -> View:
    return _of_journal(
        "corpora",
        "corpus-built",
        "One row a reduced language built in this lab.",
        (
            ("fingerprint", "fingerprint", "VARCHAR", "Digest of the recipe and of the sources' content."),
            ("sources", "sources", "VARCHAR[]", "Where the text is from."),
            ("vocabulary", "vocabulary", "VARCHAR", "The word list it is reduced to."),
            ("vocabulary_words", "vocabulary_words", "BIGINT", "Words of that list."),
            ("unit", "unit", "VARCHAR", "What is kept or dropped as a whole."),
            ("max_oov", "max_oov", "DOUBLE", "Largest share of words outside the vocabulary, 0 to 1."),
            ("documents", "documents", "BIGINT", "Documents read."),
            ("units_seen", "units_seen", "BIGINT", "Units read."),
            ("units_kept", "units_kept", "BIGINT", "Units kept."),
            ("words_seen", "words_seen", "BIGINT", "Words read."),
            ("words_kept", "words_kept", "BIGINT", "Words kept."),
            ("filter", "filter", "VARCHAR", "`vocabulary`, or `none` for an unconstrained control."),
            ("evaluation_from", "evaluation_from", "VARCHAR", "Of a control: the corpus whose held-out splits it has."),
            ("train_words", "train_words", "BIGINT", "Words of the train split, without duplicates, within the mix."),
            ("validation_units", "validation_units", "BIGINT", "Units of the validation split."),
            ("validation_words", "validation_words", "BIGINT", "Words of the validation split."),
            ("seconds", "seconds", "DOUBLE", "Wall seconds of the build."),
        ),
    )


def _tokenizers() -> View:
    return _of_journal(
        "tokenizers",
        "tokenizer-built",
        "One row a tokenizer trained in this lab, with the sizes of the splits in its tokens.",
        (
            ("fingerprint", "fingerprint", "VARCHAR", "Digest of the corpus and of the tokenizer recipe."),
            ("corpus_fingerprint", "corpus_fingerprint", "VARCHAR", "The corpus it was trained on: a row in corpora."),
            ("kind", "tokenizer_kind", "VARCHAR", "Model of the tokenizer."),
            ("vocab_size", "vocab_size", "BIGINT", "Entries, special tokens included."),
            ("train_tokens", "train_tokens", "BIGINT", "Tokens of the train split."),
            ("validation_tokens", "validation_tokens", "BIGINT", "Tokens of the validation split."),
            ("test_tokens", "test_tokens", "BIGINT", "Tokens of the test split."),
            ("seconds", "seconds", "DOUBLE", "Wall seconds of the build."),
        ),
    )


@cache
def views() -> tuple[View, ...]:
    """All views in an order in which they can be created: `runs` reads `evaluations`."""
    return (
        _steps(),
        _evaluations(),
        _events(),
        _runs(),
        _grids(),
        _hardware(),
        _corpora(),
        _tokenizers(),
        *study_views(),
        *task_views(),
    )


def columns_by_view() -> dict[str, tuple[str, ...]]:
    return {view.name: tuple(c.name for c in view.columns) for view in views()}
