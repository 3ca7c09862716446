"""What people wrote about runs (tags, notes, archive marks), folded from journal events by SQL.

Journals are several files without an order of their own, so the latest event by its clock stands, as in the engine.
"""

from __future__ import annotations

TAGS = (
    "select run_id, list(tag order by tag) as tags from (select run_id, tag from ("
    "select run_id, unnest(from_json(fields->'added', '[\"VARCHAR\"]')) as tag, true as present, logged_at "
    "from raw.events where kind = 'run-tagged' union all "
    "select run_id, unnest(from_json(fields->'removed', '[\"VARCHAR\"]')), false, logged_at "
    "from raw.events where kind = 'run-tagged') group by run_id, tag having arg_max(present, (logged_at, present))) "
    "group by run_id"
)
"""run_id, tags: sorted, without those that were taken away again (within one event, removed first, then added)."""

NOTES = "select run_id, arg_max(fields->>'text', logged_at) as note from raw.events where kind = 'run-noted' group by run_id"
"""run_id, note: the latest text, empty when it was taken away."""

ARCHIVED = (
    "select run_id, arg_max((fields->>'archived')::boolean, logged_at) as archived from raw.events "
    "where kind = 'run-archived' group by run_id"
)
"""run_id, archived: the latest word."""
