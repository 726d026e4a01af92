"""The truth that every provider renders in its own way: raw prices, volumes, splits, dividends, quotes.

Pure and seeded: the same seed gives the same market, and what is asked for `asof` a moment holds nothing
of what comes after it. Two parts, one face: `recorded` (real) and `generated` (invented, consistent).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from sandbox.errors import UnknownInstrument
from sandbox.market import generated, recorded
from sandbox.market.actions import split_divisors
from sandbox.market.bars import NOTHING, Bar, Bars, joined
from sandbox.market.calendars import MINUTE_MS
from sandbox.market.universe import Instrument, instruments

if TYPE_CHECKING:
    from sandbox.market.actions import Dividend, Split

SPREAD = 0.0002  # of the price, half of it on each side
ONE_DAY = timedelta(days=1)
LONGEST_BREAK = timedelta(days=12)  # no venue closes for longer between two sessions


@dataclass(frozen=True, slots=True)
class Quote:
    """What is known of one instrument at a moment. Prices are raw."""

    instrument: Instrument
    """The instrument."""
    live: bool
    """Whether the session is running."""
    ts: int
    """Time of the last trade, ms UTC; its price is the close of `today`."""
    bid: float
    """Best bid."""
    ask: float
    """Best ask."""
    bid_size: int
    """Size at the bid, in shares, coins or contracts."""
    ask_size: int
    """Size at the ask, likewise."""
    today: Bar
    """The session that is running, or the last one over."""
    previous: Bar | None
    """The session before, in the shares of `today`; None where there is none."""
    minute: Bar | None
    """The last whole minute with a trade; None where there is none."""

    @property
    def price(self) -> float:
        """The last trade's price."""
        return self.today.close

    @property
    def prev_close(self) -> float:
        """The close before `today`; in an instrument's first session its open."""
        return self.previous.close if self.previous else self.today.open


class Market:
    """All prices of all instruments, from a `seed`."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.instruments = instruments()
        self._course = lru_cache(maxsize=None)(self._make_course)
        self._year = lru_cache(maxsize=2048)(self._make_year)
        self._day = lru_cache(maxsize=512)(self._make_day)
        self._dividends = lru_cache(maxsize=None)(self._make_dividends)

    def find(self, symbol: str) -> Instrument:
        """The instrument of a canonical symbol.

        Raises:
            UnknownInstrument: there is none.
        """
        try:
            return self.instruments[symbol]
        except KeyError:
            raise UnknownInstrument(symbol) from None

    def daily(self, symbol: str, start: date, end: date, asof: datetime) -> Bars:
        """Raw daily bars of the trading dates `start`…`end`, the last one perhaps still running."""
        instrument, now = self.find(symbol), _ms(asof)
        start, end = max(start, instrument.listed), min(end, asof.astimezone(UTC).date() + ONE_DAY)
        whole = joined([self._year(symbol, year) for year in range(start.year, end.year + 1)])
        wanted = (whole.days >= np.datetime64(start, "D")) & (whole.days <= np.datetime64(end, "D"))
        bars = whole.take(wanted & (whole.starts <= now))
        if not len(bars) or self._closes(instrument, bars.days[-1].item()) <= now:
            return bars
        today = self._day(symbol, bars.days[-1].item())
        today = today.take(today.starts + MINUTE_MS <= now)
        return joined([bars.take(slice(-1)), today.grouped(np.full(len(today), bars.starts[-1]))])

    def minutes(self, symbol: str, start: datetime, end: datetime, asof: datetime) -> Bars:
        """Raw minutes with trades that begin in `start` ≤ t < `end` and are over at `asof`."""
        instrument, now = self.find(symbol), _ms(asof)
        last = min(end, asof).astimezone(UTC).date() + ONE_DAY
        first = max(start.astimezone(UTC).date() - ONE_DAY, instrument.listed)
        sessions = instrument.calendar.sessions(first, last)
        wanted = (sessions.closes > _ms(start)) & (sessions.opens < min(_ms(end), now))
        bars = joined([self._day(symbol, day.item()) for day in sessions.days[wanted]])
        inside = (bars.starts >= _ms(start)) & (bars.starts < _ms(end)) & (bars.starts + MINUTE_MS <= now)
        return bars.take(inside)

    def splits(self, symbol: str, asof: datetime) -> list[Split]:
        """Splits in force at `asof`, oldest first."""
        today = asof.astimezone(self.find(symbol).calendar.tz).date()
        return [split for split in self._splits(symbol) if split.ex_date <= today]

    def dividends(self, symbol: str, asof: datetime, since: date = date.min) -> list[Dividend]:
        """Dividends whose ex-date lies in `since`…`asof`, oldest first, as paid."""
        instrument = self.find(symbol)
        today = asof.astimezone(instrument.calendar.tz).date()
        years = range(max(since, instrument.listed).year, today.year + 1)
        paid = [dividend for year in years for dividend in self._dividends(symbol, year)]
        return [dividend for dividend in paid if since <= dividend.ex_date <= today]

    def quote(self, symbol: str, asof: datetime) -> Quote | None:
        """The state at `asof`; None before the first trade of all."""
        instrument, now = self.find(symbol), _ms(asof)
        bars = self.daily(symbol, (asof - LONGEST_BREAK).date(), (asof + ONE_DAY).date(), asof)
        if not len(bars):
            return None
        bars = bars.take(slice(-2, None))
        splits = [split for split in self._splits(symbol) if split.ex_date == bars.days[-1].item()]
        recent = list(bars.scaled(split_divisors(bars.days, splits)) if splits else bars)
        today, closes = recent[-1], self._closes(instrument, recent[-1].day)
        traded = self._day(symbol, today.day)
        done = traded.take(traded.starts + MINUTE_MS <= now)
        minute = next(iter(done.take(slice(-1, None))), None)
        ts = minute.start + MINUTE_MS if minute else closes
        running = next(iter(traded.take((traded.starts <= now) & (traded.starts + MINUTE_MS > now))), None)
        if running:  # the price moves on a straight line through the minute that is not over
            ts, part = now, (now - running.start) / MINUTE_MS
            price = round(today.close + (running.close - today.close) * part, instrument.decimals)
            today = today._replace(close=price, high=max(today.high, price), low=min(today.low, price))
        half = max(10.0**-instrument.decimals, today.close * SPREAD / 2)
        size = 1 + int(minute.volume) % 40 if minute else 1
        return Quote(
            instrument,
            live=now < closes,
            ts=min(ts, closes),
            bid=round(today.close - half, instrument.decimals),
            ask=round(today.close + half, instrument.decimals),
            bid_size=size,
            ask_size=1 + size * 7 % 40,
            today=today,
            previous=recent[-2] if len(recent) > 1 else None,
            minute=minute,
        )

    def session(self, symbol: str, asof: datetime) -> tuple[int, int]:
        """Opening and close, UTC ms, of the session running at `asof`, else of the next one."""
        calendar = self.find(symbol).calendar
        day = asof.astimezone(UTC).date()
        sessions = calendar.sessions(day - ONE_DAY, day + LONGEST_BREAK)
        at = int(np.searchsorted(sessions.closes, _ms(asof), "right"))
        return int(sessions.opens[at]), int(sessions.closes[at])

    def _closes(self, instrument: Instrument, day: date) -> int:
        return int(instrument.calendar.sessions(day, day).closes[0])

    def _splits(self, symbol: str) -> tuple[Split, ...]:
        return self._course(symbol).all_splits

    def _make_course(self, symbol: str) -> generated.Course:
        instrument = self.find(symbol)
        if symbol in recorded.SYMBOLS:
            last = float(recorded.daily(symbol).close[-1])
            splits = recorded.SPLITS.get(symbol, ())
            return generated.Course(self.seed, instrument, recorded.LAST_DAY, last, splits)
        eve = instrument.listed - ONE_DAY
        return generated.Course(self.seed, instrument, eve, instrument.start_price)

    def _make_year(self, symbol: str, year: int) -> Bars:
        invented = self._course(symbol).year(year)
        if symbol not in recorded.SYMBOLS:
            return invented
        real = recorded.daily(symbol)
        return joined([real.take(real.days.astype("datetime64[Y]") == np.datetime64(str(year), "Y")), invented])

    def _make_day(self, symbol: str, day: date) -> Bars:
        instrument = self.find(symbol)
        year = self._year(symbol, day.year)
        bar = year.take(year.days == np.datetime64(day, "D"))
        if not len(bar) or instrument.asset_class == "fund":
            return NOTHING
        length = (self._closes(instrument, day) - int(bar.starts[0])) // MINUTE_MS
        return generated.minutes(self.seed, instrument, bar, length)

    def _make_dividends(self, symbol: str, year: int) -> list[Dividend]:
        real = recorded.dividends(symbol) if symbol in recorded.SYMBOLS else ()
        course = self._course(symbol)
        return [dividend for dividend in real if dividend.ex_date.year == year] + course.dividends(year)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
