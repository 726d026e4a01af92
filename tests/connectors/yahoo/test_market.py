"""A quote of Yahoo without a price: unknown where Yahoo says so, malformed where the price's name is missing."""

import orjson
import pytest

from connectors import Answer, Call
from connectors.yahoo import CONNECTOR

TRADED = {"symbol": "AAPL", "quoteType": "EQUITY", "regularMarketPrice": 10.5, "regularMarketTime": 1_720_641_600}


def read(*rows, symbols=("AAPL",)):
    call = Call(dataset="quote", symbols=symbols)
    body = orjson.dumps({"quoteResponse": {"result": rows, "error": None}})
    answer = Answer(status=200, headers={}, body=body, observed_at=1_720_641_700_000)
    return CONNECTOR.read(call, CONNECTOR.request(call), answer)


def without(*names):
    return {name: value for name, value in TRADED.items() if name not in names}


@pytest.mark.parametrize("lacking", [("regularMarketPrice",), ("regularMarketPrice", "regularMarketTime")])
def test_a_row_without_its_price_is_malformed(lacking):
    (reject,) = read(without(*lacking)).rejects

    assert (reject.rule, reject.reason) == ("shape", '"regularMarketPrice" is missing')


def test_the_other_rows_of_a_batch_are_kept():
    found = read(TRADED, without("regularMarketPrice", "regularMarketTime") | {"symbol": "KO"}, symbols=("AAPL", "KO"))

    assert [(quote.symbol, quote.price) for quote in found.items] == [("AAPL", 10.5)]
    assert len(found.rejects) == 1


@pytest.mark.parametrize("row", [{"symbol": "AAPL", "quoteType": "NONE"}, TRADED | {"regularMarketPrice": None}])
def test_a_symbol_of_which_yahoo_has_nothing_is_unknown(row):
    assert read(row).name == "UnknownSymbol"


def test_a_row_with_a_bid_alone_is_a_quote():
    (quote,) = read({"symbol": "AAPL", "quoteType": "EQUITY", "bid": 10.25}).items

    assert (quote.price, quote.bid, quote.ts_estimated) == (None, 10.25, True)
