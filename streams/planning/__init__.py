"""Who can be asked what: capabilities, routes, coverage, and the plan with the fewest calls."""
