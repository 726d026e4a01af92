"""A strategy: follow bars and quotes as they arrive, and print where a fast moving average crosses a slow one.

python examples/strategy.py AAPL MSFT --interval 1d          beside a running `tapestream up`
python examples/strategy.py AAPL --group crossings           goes on where it left off (with a Kafka that remembers)
"""

from __future__ import annotations

import argparse
import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from streams.client import Bar, find_pipeline, subscribe


@dataclass(slots=True)
class Crossing:
    """The two averages of one series of closes. Feed it bars in order; repeats and older ones change nothing."""

    fast: int
    slow: int
    closes: deque[float] = field(init=False)
    last_ts: int = -1
    above: bool | None = None

    def __post_init__(self) -> None:
        self.closes = deque(maxlen=self.slow)

    def feed(self, bar: Bar) -> str | None:
        """Take in a bar; give `up` or `down` when the fast average has just crossed the slow one."""
        if bar.ts <= self.last_ts:  # delivery is at least once
            return None
        self.last_ts = bar.ts
        self.closes.append(bar.close)
        if len(self.closes) < self.slow:
            return None
        recent = list(self.closes)[-self.fast :]
        above = sum(recent) / self.fast > sum(self.closes) / self.slow
        before, self.above = self.above, above
        if before is None or before == above:
            return None
        return "up" if above else "down"


async def follow(options: argparse.Namespace) -> None:
    """Print crossings and quotes until interrupted."""
    series: dict[tuple[str, str, str], Crossing] = {}
    wanted = {"symbols": options.symbols, "group": options.group, "history": options.history}
    async for record in subscribe(find_pipeline().bootstrap, "bars", "quote", **wanted):
        if not isinstance(record, Bar):
            tell(record["ts"], record["symbol"], f"quote {record['price']} ({record['source']})")
        elif record.interval == options.interval:
            # never mix sources or adjustments: their closes differ
            key = (record.symbol, record.source, record.adjustment)
            crossing = series.setdefault(key, Crossing(options.fast, options.slow))
            if way := crossing.feed(record):
                tell(record.ts, record.symbol, f"{way} at {record.close:g} ({record.source}, {record.adjustment})")


def tell(ts: int, symbol: str, what: str) -> None:
    """Print one line; `ts` in ms UTC."""
    print(f"{datetime.fromtimestamp(ts / 1000, UTC):%Y-%m-%d %H:%M}  {symbol:8} {what}", flush=True)


def arguments() -> argparse.Namespace:
    """What the user asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("symbols", nargs="+", help="canonical symbols")
    parser.add_argument("--interval", default="1d")
    parser.add_argument("--fast", type=int, default=20)
    parser.add_argument("--slow", type=int, default=50)
    parser.add_argument("--group", help="keep the position in Kafka under this name")
    parser.add_argument("--history", action="store_true", help="begin with the oldest record the topics hold")
    return parser.parse_args()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(follow(arguments()))
