"""An analyst: ask the store, here whether the stored splits explain what lies between raw and adjusted closes.

tapestream poll bars AAPL --interval 1d --adjustment raw --start 2005-01-01 --end 2005-12-31
tapestream poll bars AAPL --interval 1d --adjustment split --start 2005-01-01 --end 2005-12-31
tapestream poll actions AAPL --kind split
python examples/analyst.py AAPL

Works beside a running pipeline and without one, embedded or with a ClickHouse server.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from streams.client import TapestreamError, query

HELD = """
SELECT source, interval, adjustment, count() AS bars, min(ts) AS first, max(ts) AS last
FROM bars WHERE symbol = '{symbol}' GROUP BY ALL ORDER BY ALL
"""

# An ex date's own bar is already traded in new shares: only later splits divide it.
COMPARED = """
WITH splits AS
(
    SELECT source, groupArray((ex_date, assumeNotNull(ratio))) AS all
    FROM actions WHERE symbol = '{symbol}' AND kind = 'split' GROUP BY source
)
SELECT raw.source AS source, count() AS days, max(abs(made / adjusted.close - 1)) AS difference,
       min(raw.ts) AS first, max(raw.ts) AS last
FROM
(
    SELECT bars.source AS source, ts, close / arrayProduct(split -> if(split.1 > toDate32(ts), split.2, 1), all) AS made
    FROM daily_bars AS bars INNER JOIN splits ON splits.source = bars.source
    WHERE symbol = '{symbol}' AND adjustment = 'raw'
) AS raw
INNER JOIN
(
    SELECT source, ts, close FROM daily_bars WHERE symbol = '{symbol}' AND adjustment = 'split'
) AS adjusted ON adjusted.source = raw.source AND adjusted.ts = raw.ts
GROUP BY source ORDER BY source
"""


def ask(sql: str) -> list[dict[str, Any]]:
    """Rows of an answer as dicts; `pandas.DataFrame(ask(sql))` makes a frame of them."""
    try:
        return asyncio.run(query(sql))
    except TapestreamError as error:
        sys.exit(str(error))


def main(symbol: str) -> None:
    """Print what is held of `symbol`, and how well its splits explain its adjusted closes."""
    if not symbol.replace(".", "").replace("-", "").isalnum():
        sys.exit(f"{symbol!r} is no ticker; write AAPL")
    print(f"Bars of {symbol} in the store")
    for row in ask(HELD.format(symbol=symbol)):
        print("  {source:12} {interval:4} {adjustment:6} {bars:6} from {first} to {last}".format(**row))
    print("Raw closes, divided by later splits, against the provider's own split-adjusted closes")
    for row in ask(COMPARED.format(symbol=symbol)):
        print("  {source:12} {days} days from {first} to {last}, at most {difference:.6%} apart".format(**row))


if __name__ == "__main__":
    main(*(sys.argv[1:2] or ["AAPL"]))
