"""What happened, as append-only logs: the event vocabulary, the log files, a run's folder and the lab's journal."""
