"""What Finnhub says of markets: candles, quotes, rates, actions, listings. Its clocks and units: see `finnhub`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors import errors
from connectors.calls import DAY_MS
from connectors.fields import cells, iso_date, millis, minor, number, period_start, price, scaled, shown, text, times
from connectors.finnhub.names import ASSET_TYPES, DAILY, RESOLUTIONS, SHARES
from connectors.items import BarColumns, Item, LeftOut
from connectors.reading import Reading
from connectors.records import Action, Adjustment, Asset, Envelope, Quote

HALF_DAY_MS = DAY_MS // 2  # a stamp is rounded to the nearest midnight


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
        raise errors.MalformedPayload(f"status of the candles was {shown(body['s'])}, neither ok nor no_data")
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


# -- corporate actions -------------------------------------------------------------------------------------------------


def dividend(reading: Reading, row: dict[str, Any]) -> Action:
    """Read a dividend; `adjustedAmount` is adjusted for later splits."""
    factor = minor(row.get("currency"))
    return Action(
        **reading.of(row["symbol"] or ""),
        kind="dividend",
        ex_date=iso_date(row["date"]),
        amount=scaled(number(row.get("amount")), factor),
        amount_adjusted=scaled(number(row.get("adjustedAmount")), factor),
        currency=reading.currency(row.get("currency")),
        record_date=iso_date(row.get("recordDate")),
        pay_date=iso_date(row.get("payDate")),
        declared_date=iso_date(row.get("declarationDate")),
    )


def split(reading: Reading, row: dict[str, Any]) -> Action:
    """Read a split of `fromFactor` old shares into `toFactor` new ones."""
    ratio = round(row["toFactor"] / row["fromFactor"], 12)
    return Action(**reading.of(row["symbol"] or ""), kind="split", ex_date=iso_date(row["date"]), ratio=ratio)


# -- listings ----------------------------------------------------------------------------------------------------------


def listing(reading: Reading, row: dict[str, Any]) -> Asset:
    """Read an instrument of an exchange's list, or of a search, which says neither currency nor exchange."""
    kind = ASSET_TYPES.get(str(row.get("type")))
    if kind is None and reading.call.asset_class in SHARES:
        kind = "equity"  # a list holds all kinds of them, whichever was asked for
    return Asset(
        **reading.of(row["symbol"] or "", kind),
        name=text(row.get("description")),
        exchange=text(row.get("mic")),
        currency=reading.currency(row.get("currency")),
        isin=text(row.get("isin")),
        figi=text(row.get("figiComposite")) or text(row.get("figi")),
        provider_symbol=row["symbol"],
    )


def pair(reading: Reading, row: dict[str, Any]) -> Asset | LeftOut:
    """Read a pair by `displaySymbol`, for `symbol` may be a number; contracts on indices and the like are left out."""
    try:
        envelope = reading.of(row["displaySymbol"] or "")
    except errors.FieldError:
        if isinstance(row["displaySymbol"], str) and "/" in row["displaySymbol"]:
            return LeftOut()
        raise
    exchange, colon, _ = str(row["symbol"]).partition(":")
    return Asset(
        **envelope,
        name=text(row.get("description")),
        exchange=exchange if colon else None,
        currency=envelope["symbol"].replace("/", "-").rpartition("-")[2],
        provider_symbol=row["symbol"],
    )
