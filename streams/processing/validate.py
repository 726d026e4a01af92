"""Judge unified records by the rules of the datasets: what passes, what is rejected and why. Pure.

Nothing is repaired: a row that breaks a rule becomes a `Reject` with the rule's name, its siblings go on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from connectors import INTERVAL_MS, AnyRecord, BarColumns, Bars, Quote, Reject
from connectors.fields import shown
from connectors.records import Action, Interval

SLACK = 1e-9  # relative rounding slack between high, low, open and close
MAY_BE_NEGATIVE = frozenset({"commodity"})
PRICES = ("open", "high", "low", "close")
OPTIONAL = ("vwap", "trades", "adj_close", "quote_volume")
SIGNED = frozenset({"vwap", "adj_close"})
"""What may be below zero: a close adjusted for dividends that exceed it, and a vwap, which is then absent."""
DATE_AHEAD_MS = 14 * 3_600_000
"""Bars of a day or longer are stamped 00:00 UTC of a trading date that begins up to 14 h earlier in the far east."""
GRID_MS = 60_000  # every intraday interval starts on a whole minute of its session

Floats = NDArray[np.float64]


def validate(items: Iterable[AnyRecord | BarColumns]) -> tuple[list[AnyRecord], list[Reject]]:
    """Return (records that keep every rule, rejects). Identical repeated records are one."""
    records: list[AnyRecord] = []
    rejects: list[Reject] = []
    seen: set[int] = set()
    frames: dict[tuple[object, ...], list[Bars]] = {}
    for item in items:
        if isinstance(item, BarColumns):
            frame, broken = judge_bars(item)
            rejects += broken
            if frame is None:
                continue
            alike = frames.setdefault((frame.symbol, frame.interval, frame.adjustment, frame.ts[0]), [])
            if frame not in alike:
                alike.append(frame)
                records.append(frame)
        elif rule := next(_broken(item), None):
            rejects.append(
                Reject(rule=rule[0], reason=rule[1], row=item.model_dump(), symbol=getattr(item, "symbol", None))
            )
        elif (same := hash(item.model_dump_json())) not in seen:
            seen.add(same)
            records.append(item)
    return records, rejects


def judge_bars(columns: BarColumns) -> tuple[Bars | None, list[Reject]]:
    """Return (the frame of good bars or None, rejects).

    Bars whose prices are all absent are left out, and so is a still running intraday bar off the grid.
    """
    prices = {name: np.array(getattr(columns, name), dtype=np.float64) for name in PRICES}
    keep, verdicts = _verdicts(columns, prices)
    rejects = [_reject(columns, index, rule) for index, rule in verdicts]
    order = np.flatnonzero(keep)
    ts = np.array([columns.ts[i] for i in order], dtype=np.int64)
    if len(ts) > 1 and not (ts[1:] > ts[:-1]).all():
        order, doubles = _ascending(columns, order, ts)
        rejects += [_reject(columns, int(index), "duplicate") for index in doubles]
    if not len(order):
        return None, rejects
    return _frame(columns, order), rejects


def _verdicts(columns: BarColumns, prices: dict[str, Floats]) -> tuple[NDArray[np.bool_], list[tuple[int, str]]]:
    """Return (mask of bars to keep, (index, broken rule) of those to reject); the rest is left out."""
    n = len(columns.ts)
    no_price = np.ones(n, dtype=bool)
    for name in PRICES:
        no_price &= np.array([value is None for value in getattr(columns, name)], dtype=bool)
    rules: list[tuple[str, NDArray[np.bool_]]] = [
        ("time", np.array([at is None for at in columns.ts], dtype=bool)),
        ("future", _begun_later(columns)),
        ("price", ~np.logical_and.reduce([np.isfinite(column) for column in prices.values()])),
    ]
    with np.errstate(invalid="ignore"):
        rules += _price_rules(columns, prices)
    keep = ~no_price & ~_off_grid(columns)
    verdicts: list[tuple[int, str]] = []
    for rule, broken in rules:
        hit = np.flatnonzero(broken & keep)
        verdicts += [(int(index), rule) for index in hit]
        keep[hit] = False
    return keep, verdicts


def _begun_later(columns: BarColumns) -> NDArray[np.bool_]:
    """A bar cannot begin after its answer was received; where that time is not known (0) nothing is too late."""
    received = columns.envelope["observed_at"]
    latest = received + (DATE_AHEAD_MS if INTERVAL_MS[columns.interval] >= INTERVAL_MS["1d"] else 0)
    return np.array([bool(received) and at is not None and at > latest for at in columns.ts], dtype=bool)


def _price_rules(columns: BarColumns, prices: dict[str, Floats]) -> list[tuple[str, NDArray[np.bool_]]]:
    opened, high, low, close = (prices[name] for name in PRICES)
    volume = np.array([0.0 if value is None else value for value in columns.volume], dtype=np.float64)
    slack = SLACK * np.maximum(np.abs(high), np.abs(low))
    rules = [
        ("low_above_high", low > high + slack),
        ("open_outside", (opened > high + slack) | (opened < low - slack)),
        ("close_outside", (close > high + slack) | (close < low - slack)),
        ("volume", ~(volume >= 0) | np.isinf(volume)),
    ]
    if columns.envelope["asset_class"] not in MAY_BE_NEGATIVE:
        rules.insert(0, ("price_not_positive", np.minimum(np.minimum(opened, close), np.minimum(low, high)) <= 0))
    for name in OPTIONAL:
        values = getattr(columns, name) or []
        broken = [
            value is not None and not (math.isfinite(value) and (value >= 0 or name in SIGNED)) for value in values
        ]
        if any(broken):
            rules.append((name, np.array(broken, dtype=bool)))
    return rules


def _off_grid(columns: BarColumns) -> NDArray[np.bool_]:
    """A live bar carries the time of its last trade: off the whole minute, or off its siblings' grid."""
    n = len(columns.ts)
    step = INTERVAL_MS[columns.interval]
    if step >= INTERVAL_MS["1d"]:
        return np.zeros(n, dtype=bool)
    known = np.flatnonzero([at is not None for at in columns.ts])
    ts = np.array([columns.ts[i] for i in known], dtype=np.int64)
    off = np.zeros(n, dtype=bool)
    off[known] = ts % GRID_MS != 0
    if len(ts) > 1:
        last = int(np.argmax(ts))
        phase = ts % min(step, INTERVAL_MS["1h"])
        # the grid counts from the session's open: hours at :30 are right, so siblings tell it
        off[known[last]] |= phase[last] not in np.delete(phase, last)
    return off


def _ascending(
    columns: BarColumns, order: NDArray[np.intp], ts: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Sort by time; of bars with the same time the first stays. Returns (order, indexes of differing repeats)."""
    ranked = np.argsort(ts, kind="stable")
    order, ts = order[ranked], ts[ranked]
    first = np.concatenate(([True], ts[1:] != ts[:-1]))
    doubles = [
        index
        for index, kept in zip(order[~first], order[first][np.cumsum(first)[~first] - 1], strict=True)
        if _row(columns, int(index)) != _row(columns, int(kept))
    ]
    return order[first], np.array(doubles, dtype=np.intp)


def _frame(columns: BarColumns, order: NDArray[np.intp]) -> Bars:
    whole = len(order) == len(columns.ts) and bool((order == np.arange(len(order))).all())
    picked = order.tolist()

    def take(name: str) -> Any:
        values = getattr(columns, name)
        if values is None:
            return None
        chosen = values if whole else [values[i] for i in picked]
        return chosen if name in {"ts", *PRICES, "volume"} or any(value is not None for value in chosen) else None

    trades = take("trades")
    vwap = take("vwap")
    if vwap and columns.envelope["asset_class"] not in MAY_BE_NEGATIVE:
        vwap = [value if value is not None and value > 0 else None for value in vwap]
        vwap = vwap if any(value is not None for value in vwap) else None
    volume = take("volume")
    if columns.envelope["asset_class"] in {"forex", "fund", "index"}:
        volume = [value or None for value in volume]  # 0 means that none is counted
    return Bars.model_construct(
        **columns.envelope,
        interval=cast("Interval", columns.interval),
        adjustment=columns.adjustment,
        currency=columns.currency,
        ts=take("ts"),
        open=take("open"),
        high=take("high"),
        low=take("low"),
        close=take("close"),
        volume=volume,
        vwap=vwap,
        trades=trades and [None if value is None else int(value) for value in trades],
        adj_close=take("adj_close"),
        quote_volume=take("quote_volume"),
    )


def _row(columns: BarColumns, index: int) -> dict[str, Any]:
    found = {}
    for name in ("ts", *PRICES, "volume", *OPTIONAL):
        values = getattr(columns, name)
        value = values[index] if values else None
        found[name] = "unreadable" if isinstance(value, float) and math.isnan(value) else value
    return found


REASONS: dict[str, str] = {
    "time": "the time cannot be read",
    "future": "the bar begins after it was received",
    "price": "some of open, high, low, close are absent or unreadable",
    "price_not_positive": "a price is zero or negative",
    "low_above_high": "low is above high",
    "open_outside": "open lies outside low..high",
    "close_outside": "close lies outside low..high",
    "volume": "volume is negative or unreadable",
    "duplicate": "another bar of the same time came first",
}


def _reject(columns: BarColumns, index: int, rule: str) -> Reject:
    row = {"interval": columns.interval, "adjustment": columns.adjustment, **_row(columns, index)}
    return Reject(
        rule=rule,
        reason=REASONS.get(rule, f"{rule} is negative or unreadable"),
        row=row,
        symbol=columns.envelope["symbol"],
    )


def _broken(record: AnyRecord) -> Iterator[tuple[str, str]]:
    """Return (rule, reason) for each rule the record breaks."""
    if isinstance(record, Quote):
        yield from _quote_rules(record)
    elif isinstance(record, Action):
        yield from _action_rules(record)


def _quote_rules(quote: Quote) -> Iterator[tuple[str, str]]:
    if quote.price is None and quote.bid is None and quote.ask is None:
        yield "no_price", "a quote needs a price, a bid or an ask"
    if quote.low is not None and quote.high is not None and quote.low > quote.high * (1 + SLACK):
        yield "low_above_high", f"low {quote.low} is above high {quote.high}"
    if quote.asset_class not in MAY_BE_NEGATIVE:
        for name in ("price", "bid", "ask", "open", "high", "low", "prev_close"):
            if (value := getattr(quote, name)) is not None and value <= 0:
                yield "price_not_positive", f"{name} was {value}"
    for name in ("bid_size", "ask_size", "volume", "quote_volume"):
        if (value := getattr(quote, name)) is not None and value < 0:
            yield "negative_size", f"{name} was {value}"


def _action_rules(action: Action) -> Iterator[tuple[str, str]]:
    if action.kind == "split" and not (action.ratio is not None and action.ratio > 0):
        yield "ratio", f"a split needs a positive ratio, was {shown(action.ratio)}"
    if action.kind == "dividend" and action.amount is None and action.amount_adjusted is None:
        yield "amount", "a dividend needs an amount"
    if action.kind in {"spin_off", "symbol_change"} and action.new_symbol is None:
        yield "new_symbol", f"a {action.kind} needs another symbol"
