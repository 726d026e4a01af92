"""Collection sessions: some hours of work for some sources, which survive every kill and end when they should.

Reading order: `options` (the user's description) -> `units` (the calls of each source) -> `runner`, `run`, `source` ->
`in_flight` (attempts) -> `recorder` and `folder` (files). The states are in `streams.sessions.state`.
"""
