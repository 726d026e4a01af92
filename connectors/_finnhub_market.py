"""What Finnhub says of prices: candles, quotes, rates. Its clocks and units: see `finnhub`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors import _errors as errors
from connectors._fields import cells, millis, period_start, price, times
from connectors._finnhub_names import DAILY, RESOLUTIONS, SHARES
from connectors._reading import Reading
from connectors._records import Adjustment, Envelope, Quote
from connectors._vocabulary import DAY_MS, BarColumns, Item

HALF_DAY_MS = DAY_MS // 2


def _currency(envelope: Envelope) -> str | None:
    """A pair says it; of a share it is not said."""
    paired = envelope["asset_class"] in {"crypto", "forex"}
    return envelope["symbol"].replace("/", "-").rpartition("-")[2] if paired else None


def _days(stamps: list[Any], interval: str) -> list[int | None]:
    """The nearest UTC midnight is the date: of midnight between UTC-12 and UTC+12, and of a forex day's eve."""
    whole = [None if at is None else (at + HALF_DAY_MS) // DAY_MS * DAY_MS for at in times(stamps, "s")]
    return [period_start(at, interval) for at in whole]


def candles(reading: Reading) -> Iterator[Item]:
    """Read the columns of one symbol's bars."""
    body = reading.json
    if body["s"] == "no_data" or not body["t"]:
        return
    if body["s"] != "ok":
        raise errors.MalformedPayload(f"status of the candles was {body['s']!r:.40}, neither ok nor no_data")
    stamps = body["t"]
    interval = RESOLUTIONS[reading.params["resolution"]]
    envelope = reading.of(reading.params.get("symbol"))
    adjustment: Adjustment = "split" if envelope["asset_class"] in SHARES and interval in DAILY else "raw"

    def column(name: str) -> list[float | None]:
        values = body[name]
        if not isinstance(values, list) or len(values) != len(stamps):
            raise errors.MalformedPayload(f"column {name} does not have {len(stamps)} values like t")
        return cells(values, zero_absent=name != "v")

    yield BarColumns(
        envelope=envelope,
        interval=interval,
        adjustment=adjustment,
        currency=_currency(envelope),
        ts=_days(stamps, interval) if interval in DAILY else times(stamps, "s"),
        open=column("o"),
        high=column("h"),
        low=column("l"),
        close=column("c"),
        volume=column("v") if body.get("v") else [None] * len(stamps),
    )


def quote(reading: Reading, row: dict[str, Any]) -> Quote | None:
    """Read a quote; an unknown symbol's is all zeros and nulls."""
    if (last := price(row["c"])) is None:
        return None
    envelope = reading.of(reading.params.get("symbol"))
    ts = millis(row.get("t"), "s") or None
    return Quote(
        **envelope,
        ts=ts or reading.answer.observed_at,
        ts_estimated=ts is None,
        price=last,
        open=price(row.get("o")),
        high=price(row.get("h")),
        low=price(row.get("l")),
        prev_close=price(row.get("pc")),
        currency=_currency(envelope),
    )


def rates(reading: Reading) -> Iterator[Item]:
    """Read the rates of one base currency, which have no time."""
    base, observed = reading.json["base"], reading.answer.observed_at

    def read(rate: tuple[str, Any]) -> Quote | None:
        if (last := price(rate[1])) is None or rate[0] == base:
            return None
        envelope = reading.of(f"FHFX:{base}-{rate[0]}")
        return Quote(**envelope, ts=observed, ts_estimated=True, price=last, currency=rate[0])

    yield from reading.rows(list(reading.json["quote"].items()), read)
