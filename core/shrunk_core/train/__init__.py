"""Pre-training as a generator of events, and what it stands on: order, masks, schedule, checkpoints, evaluation."""
