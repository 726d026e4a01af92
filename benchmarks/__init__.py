"""Speed, as ratios measured in one run. Tests never assert it."""
