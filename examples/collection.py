"""A program that collects for some hours beside its own work, and tells how far that is.

python examples/collection.py             the pipeline that runs already, or an embedded one with the real providers
python examples/collection.py --sandbox   the bundled sandbox, no key and no network needed
"""

from __future__ import annotations

import sys

from streams.client import Collection

SYMBOLS = ["AAPL", "MSFT", "SPY:etf", "BTC-USD"]


def main(*, sandbox: bool) -> None:
    """Collect what two sources sell of four symbols, for half a minute, and tell what came."""
    with Collection(symbols=SYMBOLS, sources=["finnhub", "yahoo"], hours=1 / 120, sandbox=sandbox) as collection:
        while not collection.wait(timeout_s=10):
            print(collection.status()["line"])
    for source, told in collection.statistics().items():
        print(f"{source}: {told['records']:,} records in {told['calls']:,} calls, errors {told['errors'] or 'none'}")
    print("everything of it is in", collection.folder.path)


if __name__ == "__main__":
    main(sandbox="--sandbox" in sys.argv[1:])
