"""For programs: fetch bars and quotes, subscribe to the normalized topics, submit polls and wait for them.

found = await fetch_ticker("AAPL", days=30)

async for bar in subscribe("kafka://127.0.0.1:9092", "bars", symbols={"AAPL"}):
...
"""

from infra.kafka.connection import BrokerUnreachable
from streams.client.client import Client, fetch_ticker, fetch_tickers, get_quote, get_quotes
from streams.client.results import FetchResult, QuoteResult, Tried
from streams.client.subscription import subscribe
from streams.messaging.bars import Bar, bars_of
from streams.messaging.job import Job, requests_for

__all__ = [
    "Bar",
    "BrokerUnreachable",
    "Client",
    "FetchResult",
    "Job",
    "QuoteResult",
    "Tried",
    "bars_of",
    "fetch_ticker",
    "fetch_tickers",
    "get_quote",
    "get_quotes",
    "requests_for",
    "subscribe",
]
