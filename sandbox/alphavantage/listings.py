"""How Alpha Vantage spells the market's instruments, writes numbers and tables, and says no (always with 200)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sandbox.market.universe import Instrument, instruments
from sandbox.server.provider import Call, Reply

Row = dict[str, Any]

DOCUMENTATION = "https://www.alphavantage.co/documentation/"
CURRENCIES = {
    "USD": "United States Dollar",
    "EUR": "Euro",
    "GBP": "British Pound Sterling",
    "JPY": "Japanese Yen",
    "AUD": "Australian Dollar",
    "CAD": "Canadian Dollar",
    "CHF": "Swiss Franc",
    "INR": "Indian Rupee",
}
LONGEST_BREAK = timedelta(days=12)


class Refused(Exception):
    """A call that Alpha Vantage does not understand; `word` is the only key of its answer."""

    def __init__(self, text: str, word: str = "Error Message") -> None:
        super().__init__(text)
        self.word = word


def invalid_call(function: str) -> Refused:
    """What a bad parameter or an unknown symbol is answered with."""
    return Refused(f"Invalid API call. Please retry or visit the documentation ({DOCUMENTATION}) for {function}.")


@cache
def shares() -> dict[str, Instrument]:
    """Shares, ETFs and mutual funds by symbol: `AAPL`, `BRK-B`, `VOD.LON`."""
    named = {}
    for instrument in instruments().values():
        if instrument.asset_class in ("equity", "etf", "fund") and instrument.exchange != "XTKS":
            symbol = instrument.symbol
            london = instrument.exchange == "XLON"
            named[symbol.replace(".XLON", ".LON") if london else symbol.replace(".", "-")] = instrument
    return named


def pair(one: str, other: str) -> Instrument | None:
    """The currency pair or coin of which `other` is the price of one `one`."""
    known = instruments()
    return known.get(f"{one}/{other}") or known.get(f"{one}-{other}")


def currency_name(code: str) -> str:
    """The name of a currency or coin."""
    coin = instruments().get(f"{code}-USD")
    return coin.name if coin else CURRENCIES.get(code, code)


def pence(instrument: Instrument) -> float:
    """By how much prices are multiplied: London's are in pence."""
    return 100.0 if instrument.exchange == "XLON" else 1.0


def share_of(call: Call) -> Instrument:
    """The share, ETF or fund that a call names by `symbol`.

    Raises:
        Refused: it names none, or an unknown one.
    """
    instrument = shares().get(call.query.get("symbol", "").upper())
    if instrument is None:
        raise invalid_call(call.query["function"])
    return instrument


def company_of(call: Call) -> Instrument | None:
    """The company that a call names by `symbol`; None for what is no company."""
    instrument = shares().get(call.query.get("symbol", "").upper())
    return instrument if instrument and instrument.asset_class == "equity" else None


def at_last_close(call: Call, instrument: Instrument) -> Call:
    """The call as of the last session's end: without `entitlement`, prices are those of the end of the day."""
    if call.query.get("entitlement") in ("realtime", "delayed"):
        return call
    today = call.now.astimezone(UTC).date()
    closes = instrument.calendar.sessions(today - LONGEST_BREAK, today + timedelta(days=1)).closes
    last = closes[closes <= call.now.timestamp() * 1000][-1]
    return replace(call, now=datetime.fromtimestamp(int(last) / 1000, UTC))


def table(call: Call, columns: Sequence[str], rows: Iterable[Sequence[object]], name: str) -> Reply:
    """A CSV file."""
    lines = [",".join(columns), *(",".join(map(_cell, row)) for row in rows)]
    headers = {"Content-Disposition": f"attachment; filename={name}.csv"}
    return Reply("\r\n".join(lines) + "\r\n", content_type="application/x-download", headers=headers)


def _cell(value: object) -> str:
    text = "null" if value is None else str(value)
    return f'"{text}"' if "," in text else text


def wants_csv(call: Call) -> bool:
    """Whether the call asks for CSV instead of JSON."""
    return call.query.get("datatype", "json") == "csv"


def listed(call: Call, symbol: str, columns: Mapping[str, str], rows: Sequence[Row]) -> Reply:
    """`{symbol, data: [...]}`, or the same as a table; `columns` are the fields of a row."""
    if wants_csv(call):
        return table(call, list(columns), ([row[name] for name in columns] for row in rows), call.query["function"])
    return Reply({"symbol": symbol, "data": rows})
