"""`tapestream`, also as `python -m streams`."""

from __future__ import annotations

import click

from streams.commands.accounts import breakers, budget, keys
from streams.commands.ask import poll, status
from streams.commands.collect import collect, schedule
from streams.commands.demo import demo
from streams.commands.normalize import normalize
from streams.commands.plan import capacity, plan
from streams.commands.providers import providers
from streams.commands.query import query
from streams.commands.replay import raw, replay
from streams.commands.run import sandbox, up, worker
from streams.commands.session import session
from streams.commands.symbols import symbols


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="tapestream", prog_name="tapestream")
def main() -> None:
    """Keep a ClickHouse full of clean market data: eight providers, Kafka, Faust, one unified form."""


for command in (
    *(up, worker, session, status, query, poll, plan, capacity, keys, breakers, budget),
    *(collect, schedule, symbols),
    *(normalize, replay, raw, providers, sandbox, demo),
):
    main.add_command(command)

if __name__ == "__main__":
    main()
