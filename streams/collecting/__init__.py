"""Collectors: what is declared in TOML, their order and schedules, their targets and runs."""
