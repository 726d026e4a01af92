"""Alpha Vantage's time series: newest first, every number a string, every key numbered; the zone stands in the head."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from math import isnan
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from sandbox.alphavantage.listings import (
    Row,
    at_last_close,
    currency_name,
    invalid_call,
    pair,
    pence,
    share_of,
    table,
    wants_csv,
)
from sandbox.market.actions import dividend_factors, split_divisors
from sandbox.market.bars import Bars
from sandbox.market.calendars import months, weeks
from sandbox.market.universe import Instrument
from sandbox.server.provider import Call, Reply
from sandbox.server.windows import Grid, Reading, read

EASTERN = ZoneInfo("America/New_York")
INTERVALS = {"1min": 1, "5min": 5, "15min": 15, "30min": 30, "60min": 60}
COMPACT = 100
FULL_INTRADAY = timedelta(days=30)
FIRST_MONTH = date(2000, 1, 1)
PRICES = ("open", "high", "low", "close")
Columns = dict[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Series:
    """A series to render."""

    head: Row
    """Its meta data, in order."""
    word: str
    """The key of its rows."""
    stamps: Sequence[str]
    """The text of each row's time, oldest first."""
    columns: Columns
    """The rows' values by name, each column as long as `stamps`."""


def _answer(call: Call, series: Series) -> Reply:
    newest = range(len(series.stamps) - 1, -1, -1)
    if wants_csv(call):
        rows = ([series.stamps[at], *(column[at] for column in series.columns.values())] for at in newest)
        return table(call, ["timestamp", *series.columns], rows, call.query["function"])
    head = {f"{at}. {name}": value for at, (name, value) in enumerate(series.head.items(), 1)}
    names = [f"{at}. {name}" for at, name in enumerate(series.columns, 1)]
    columns = list(series.columns.values())
    return Reply(
        {
            "Meta Data": head,
            series.word: {
                series.stamps[at]: dict(zip(names, (column[at] for column in columns), strict=True)) for at in newest
            },
        }
    )


def _texts(values: NDArray[np.float64], decimals: int) -> list[str]:
    """Numbers as strings; a price that a fault made none at all is Alpha Vantage's word for it."""
    return ["None" if isnan(value) else f"{value:.{decimals}f}" for value in values.tolist()]


def _prices(bars: Bars, decimals: int) -> Columns:
    return {name: _texts(getattr(bars, name), decimals) for name in PRICES}


def _cut(call: Call, bars: Bars) -> tuple[Bars, str]:
    """The last hundred rows, or all of them if the full size is requested, and the name of that size."""
    size = call.query.get("outputsize", "compact")
    if size not in ("compact", "full"):
        raise invalid_call(call.query["function"])
    whole = size == "full"
    return call.with_faults(bars if whole else bars.take(slice(-COMPACT, None))), "Full size" if whole else "Compact"


# -- shares ------------------------------------------------------------------------------------------------------------


def daily(call: Call) -> Reply:
    """`TIME_SERIES_DAILY`: raw."""
    instrument = share_of(call)
    call, bars = _days(call, instrument)
    bars, size = _cut(call, bars)
    head = _share_head(call, "Daily Prices (open, high, low, close) and Volumes", bars, size)
    return _answer(call, Series(head, "Time Series (Daily)", _dates(bars), _ohlcv(call, bars)))


def daily_adjusted(call: Call) -> Reply:
    """`TIME_SERIES_DAILY_ADJUSTED`: raw, with the adjusted close, the dividend and the split of each day."""
    instrument = share_of(call)
    call, bars = _days(call, instrument)
    bars, size = _cut(call, bars)
    head = _share_head(call, "Daily Time Series with Splits and Dividend Events", bars, size)
    splits = {split.ex_date: float(split.ratio) for split in call.market.splits(instrument.symbol, call.now)}
    columns = _adjusted(call, instrument, bars, bars.days)
    columns["split coefficient"] = [f"{splits.get(day, 1.0):.1f}" for day in bars.days.tolist()]
    return _answer(call, Series(head, "Time Series (Daily)", _dates(bars), columns))


def longer(begins: Callable[[NDArray[np.datetime64]], NDArray[np.datetime64]], word: str) -> Callable[[Call], Reply]:
    """`TIME_SERIES_WEEKLY`, `_MONTHLY`: stamped with the last trading day, raw prices of the days taken together."""

    def series(call: Call) -> Reply:
        call, bars = _grouped(call, share_of(call), begins)
        head = _share_head(call, f"{word} Prices (open, high, low, close) and Volumes", bars)
        return _answer(call, Series(head, f"{word} Time Series", _dates(bars), _ohlcv(call, bars)))

    return series


def longer_adjusted(
    begins: Callable[[NDArray[np.datetime64]], NDArray[np.datetime64]], word: str
) -> Callable[[Call], Reply]:
    """`TIME_SERIES_WEEKLY_ADJUSTED`, `_MONTHLY_ADJUSTED`."""

    def series(call: Call) -> Reply:
        instrument = share_of(call)
        call, bars = _grouped(call, instrument, begins)
        head = _share_head(call, f"{word} Adjusted Prices and Volumes", bars)
        columns = _adjusted(call, instrument, bars, begins(bars.days))
        return _answer(call, Series(head, f"{word} Adjusted Time Series", _dates(bars), columns))

    return series


weekly, monthly = longer(weeks, "Weekly"), longer(months, "Monthly")
weekly_adjusted, monthly_adjusted = longer_adjusted(weeks, "Weekly"), longer_adjusted(months, "Monthly")


def intraday(call: Call) -> Reply:
    """`TIME_SERIES_INTRADAY`: `month=YYYY-MM`, `adjusted=true` (for splits and dividends), Eastern time."""
    instrument = share_of(call)
    start, end = _intraday_span(call, EASTERN)
    call = at_last_close(call, instrument)
    bars = _minutes(
        call, instrument, EASTERN, start, min(end, call.now), adjusted=call.query.get("adjusted") != "false"
    )
    bars, size = _cut(call, bars)
    interval, stamps = call.query["interval"], _times(bars, EASTERN)
    head: Row = {
        "Information": f"Intraday ({interval}) open, high, low, close prices and volume",
        "Symbol": call.query["symbol"],
        "Last Refreshed": stamps[-1] if stamps else "",
        "Interval": interval,
        "Output Size": size,
        "Time Zone": "US/Eastern",
    }
    return _answer(call, Series(head, f"Time Series ({interval})", stamps, _ohlcv(call, bars)))


def _share_head(call: Call, information: str, bars: Bars, size: str | None = None) -> Row:
    head: Row = {"Information": information, "Symbol": call.query["symbol"]}
    head["Last Refreshed"] = _dates(bars)[-1] if len(bars) else ""
    if size:
        head["Output Size"] = size
    return head | {"Time Zone": "US/Eastern"}


def _days(call: Call, instrument: Instrument) -> tuple[Call, Bars]:
    """The call as of the last close, and the days until then, in the provider's unit."""
    call = at_last_close(call, instrument)
    bars = call.market.daily(instrument.symbol, instrument.listed, call.now.date(), call.now)
    return call, _in_unit(instrument, bars)


def _in_unit(instrument: Instrument, bars: Bars) -> Bars:
    unit = pence(instrument)
    return bars if unit == 1.0 else replace(bars.scaled(1 / unit), volume=bars.volume)


def _grouped(
    call: Call, instrument: Instrument, begins: Callable[[NDArray[np.datetime64]], NDArray[np.datetime64]]
) -> tuple[Call, Bars]:
    """Longer bars, whose `days` are the last trading days of each."""
    call, bars = _days(call, instrument)
    return call, call.with_faults(_by_windows(bars, begins))


def _by_windows(bars: Bars, begins: Callable[[NDArray[np.datetime64]], NDArray[np.datetime64]]) -> Bars:
    keys = begins(bars.days).astype(np.int64)
    lasts = np.flatnonzero(np.r_[keys[1:] != keys[:-1], True]) if len(bars) else np.array([], np.intp)
    return replace(bars.grouped(keys), days=bars.days[lasts])


def _adjusted(call: Call, instrument: Instrument, bars: Bars, begun: NDArray[np.datetime64]) -> Columns:
    """Raw prices, the adjusted close and what was paid between `begun` and the day of each bar."""
    symbol, unit = instrument.symbol, pence(instrument)
    paid = call.market.dividends(symbol, call.now)
    divisors = split_divisors(bars.days, call.market.splits(symbol, call.now))
    adjusted = bars.close / divisors * dividend_factors(bars.days, paid)
    amounts = np.zeros(len(bars))
    for dividend in paid:
        day = np.datetime64(dividend.ex_date, "D")
        at = int(np.searchsorted(bars.days, day))
        if at < len(bars) and begun[at] <= day:
            amounts[at] += dividend.amount * unit
    ohlcv = _ohlcv(call, bars)
    volume = {"volume": ohlcv.pop("volume")}
    return {**ohlcv, "adjusted close": _texts(adjusted, 4), **volume, "dividend amount": _texts(amounts, 4)}


def _ohlcv(_: Call, bars: Bars) -> Columns:
    return {**_prices(bars, 4), "volume": _texts(bars.volume, 0)}


# -- currencies and coins ----------------------------------------------------------------------------------------------


def fx_daily(call: Call) -> Reply:
    """`FX_DAILY`: days of UTC, the running one among them."""
    instrument = _fx_pair(call)
    bars, size = _cut(call, _all_days(call, instrument))
    head = _fx_head(call, "Forex Daily Prices (open, high, low, close)")
    head |= {"Output Size": size, "Last Refreshed": _refreshed(call, bars), "Time Zone": "UTC"}
    return _answer(call, Series(head, "Time Series FX (Daily)", _dates(bars), _prices(bars, 5)))


def fx_longer(begins: Callable[[NDArray[np.datetime64]], NDArray[np.datetime64]], word: str) -> Callable[[Call], Reply]:
    """`FX_WEEKLY`, `FX_MONTHLY`: stamped with the last day."""

    def series(call: Call) -> Reply:
        bars = call.with_faults(_by_windows(_all_days(call, _fx_pair(call)), begins))
        head = _fx_head(call, f"Forex {word} Prices (open, high, low, close)")
        head |= {"Last Refreshed": _refreshed(call, bars), "Time Zone": "UTC"}
        return _answer(call, Series(head, f"Time Series FX ({word})", _dates(bars), _prices(bars, 5)))

    return series


fx_weekly, fx_monthly = fx_longer(weeks, "Weekly"), fx_longer(months, "Monthly")


def fx_intraday(call: Call) -> Reply:
    """`FX_INTRADAY`."""
    instrument, (start, end) = _fx_pair(call), _intraday_span(call, UTC)
    bars, size = _cut(call, _minutes(call, instrument, UTC, start, end))
    interval = call.query["interval"]
    head = _fx_head(call, f"FX Intraday ({interval}) Time Series")
    head |= {"Last Refreshed": (_times(bars, UTC) or [""])[-1], "Interval": interval}
    head |= {"Output Size": size, "Time Zone": "UTC"}
    return _answer(call, Series(head, f"Time Series FX ({interval})", _times(bars, UTC), _prices(bars, 5)))


def coin(
    begins: Callable[[NDArray[np.datetime64]], NDArray[np.datetime64]] | None, word: str
) -> Callable[[Call], Reply]:
    """`DIGITAL_CURRENCY_DAILY`, `_WEEKLY`, `_MONTHLY`: the whole history, the running day among it."""

    def series(call: Call) -> Reply:
        bars = _all_days(call, _coin_pair(call))
        bars = call.with_faults(_by_windows(bars, begins) if begins else bars)
        head = _coin_head(call, f"{word} Prices and Volumes for Digital Currency")
        head |= {"Last Refreshed": _refreshed(call, bars), "Time Zone": "UTC"}
        columns = {**_prices(bars, 8), "volume": _texts(bars.volume, 8)}
        return _answer(call, Series(head, f"Time Series (Digital Currency {word})", _dates(bars), columns))

    return series


coin_daily, coin_weekly, coin_monthly = coin(None, "Daily"), coin(weeks, "Weekly"), coin(months, "Monthly")


def coin_intraday(call: Call) -> Reply:
    """`CRYPTO_INTRADAY`."""
    instrument, (start, end) = _coin_pair(call), _intraday_span(call, UTC)
    bars, size = _cut(call, _minutes(call, instrument, UTC, start, end))
    interval = call.query["interval"]
    head = _coin_head(call, f"Crypto Intraday ({interval}) Time Series")
    head |= {"Last Refreshed": (_times(bars, UTC) or [""])[-1], "Interval": interval}
    head |= {"Output Size": size, "Time Zone": "UTC"}
    columns = {**_prices(bars, 5), "volume": _texts(bars.volume, 8)}
    return _answer(call, Series(head, f"Time Series Crypto ({interval})", _times(bars, UTC), columns))


def _fx_pair(call: Call) -> Instrument:
    instrument = pair(call.query.get("from_symbol", ""), call.query.get("to_symbol", ""))
    if instrument is None or instrument.asset_class != "forex":
        raise invalid_call(call.query["function"])
    return instrument


def _coin_pair(call: Call) -> Instrument:
    instrument = pair(call.query.get("symbol", ""), call.query.get("market", ""))
    if instrument is None or instrument.asset_class != "crypto":
        raise invalid_call(call.query["function"])
    return instrument


def _fx_head(call: Call, information: str) -> Row:
    pairs = {"From Symbol": call.query["from_symbol"], "To Symbol": call.query["to_symbol"]}
    return {"Information": information, **pairs}


def _coin_head(call: Call, information: str) -> Row:
    code, market = call.query["symbol"], call.query["market"]
    named = {"Digital Currency Code": code, "Digital Currency Name": currency_name(code)}
    return {"Information": information, **named, "Market Code": market, "Market Name": currency_name(market)}


def _all_days(call: Call, instrument: Instrument) -> Bars:
    return call.market.daily(instrument.symbol, instrument.listed, call.now.date(), call.now)


# -- time --------------------------------------------------------------------------------------------------------------


def _intraday_span(call: Call, zone: tzinfo) -> tuple[datetime, datetime]:
    """A month, or the last thirty days."""
    if call.query.get("interval") not in INTERVALS:
        raise invalid_call(call.query["function"])
    if "month" not in call.query:
        return call.now - FULL_INTRADAY, call.now
    try:
        first = date.fromisoformat(f"{call.query['month']}-01")
    except ValueError:
        raise invalid_call(call.query["function"]) from None
    if not FIRST_MONTH <= first <= call.now.date():
        raise invalid_call(call.query["function"])
    start = datetime.combine(first, time(), zone)
    after = first + timedelta(days=calendar.monthrange(first.year, first.month)[1])
    return start, datetime.combine(after, time(), zone)


def _minutes(
    call: Call, instrument: Instrument, zone: tzinfo, start: datetime, end: datetime, adjusted: bool = False
) -> Bars:
    def adjust(bars: Bars) -> Bars:
        if not adjusted or not len(bars):
            return bars
        divisors = split_divisors(bars.days, call.market.splits(instrument.symbol, call.now))
        paid = call.market.dividends(instrument.symbol, call.now, bars.days[0].item())
        whole = bars.scaled(divisors / dividend_factors(bars.days, paid))
        return replace(whole, volume=np.round(bars.volume * divisors))

    reading = Reading(instrument, Grid(INTERVALS[call.query["interval"]], "minute", zone), start, end, limit=100_000)
    bars = read(call.market, reading, call.now, adjust).bars
    return _in_unit(instrument, bars)


def _dates(bars: Bars) -> list[str]:
    return [str(day) for day in bars.days]


def _times(bars: Bars, zone: tzinfo) -> list[str]:
    stamps = (datetime.fromtimestamp(start // 1000, zone) for start in bars.starts.tolist())
    return [f"{stamp:%Y-%m-%d %H:%M:%S}" for stamp in stamps]


def _refreshed(call: Call, bars: Bars) -> str:
    """The moment, if the last day is still running; else that day's midnight."""
    if len(bars) and bars.days[-1].item() == call.now.date():
        return f"{call.now:%Y-%m-%d %H:%M:%S}"
    return f"{bars.days[-1]} 00:00:00" if len(bars) else ""
