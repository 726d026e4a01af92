"""What a provider's calls have used up: keys with their quotas, circuit breaker, budget.

Pure folds: (state, event, now) to state.
"""
