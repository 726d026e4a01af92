"""Pure folds: (state, event, now) to state."""
