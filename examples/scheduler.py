"""A program with collectors of its own rhythm: change the universe, have one run now, see how all of them stand.

python examples/scheduler.py             the pipeline that runs already, or an embedded one with the real providers
python examples/scheduler.py --sandbox   the bundled sandbox, no key and no network needed
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from streams.client import SchedulerClient


def lines(statistics: dict[str, Any]) -> Iterator[str]:
    """How each collector's last run ended, and when each schedule fires next."""
    for name, run in statistics["collectors"].items():
        brought = f"{run['records']:,} records in {run['calls']:,} calls" if run["last_state"] else ""
        yield f"  {name:24} {run['last_state'] or 'never ran':10} {brought}"
    for name, times in statistics["schedules"].items():
        yield f"  {name:24} {times['next'][0]:%Y-%m-%d %H:%M} UTC{' (due)' if times['due'] else ''}"


def main(*, sandbox: bool) -> None:
    """Add AMD, drop XOM, collect daily prices and tell how everything stands."""
    with SchedulerClient(sandbox=sandbox) as scheduler:
        print("The pipeline is", "one of its own" if scheduler.own else "the one that runs already")
        scheduler.add_symbol("AMD")
        scheduler.remove_symbol("XOM")
        run = scheduler.force_collection("daily_prices")
        print(f"{run.collector} {run.state}: {run.records:,} records in {run.calls:,} calls. {run.reason}")
        print(*lines(scheduler.statistics()), sep="\n")


if __name__ == "__main__":
    main(sandbox="--sandbox" in sys.argv[1:])
