"""Collection sessions: some hours of work for some sources, which survive every kill and end when they should.

Reading order: `wish` (what somebody writes) -> `units` (what is asked of whom) -> `conduct`, `run`, `source` -> `work`
(what is under way) -> `recorder` and `folder` (what is kept). The states are in `streams.sessions.state`.
"""
