"""What Alpaca says of companies: their news, and which assets it knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from connectors import fields as read
from connectors.alpaca.requests import follow
from connectors.items import Item, LeftOut
from connectors.reading import Reading
from connectors.records import Asset, AssetClass, News
from connectors.venues import us_exchange

CLASSES: Mapping[str, AssetClass] = MappingProxyType({"us_equity": "equity", "crypto": "crypto"})
Row = dict[str, Any]


def news(reading: Reading) -> Iterator[Item]:
    """An article names the shares and coins it mentions."""

    def article(row: Row) -> News:
        number = read.integer(row["id"])
        return News(
            **reading.source(),
            id=None if number is None else str(number),
            ts=read.iso_time(row["created_at"]),
            title=read.text(row["headline"]),
            summary=read.text(row.get("summary")),
            url=read.text(row.get("url")),
            publisher=read.text(row.get("source")),
            symbols=reading.symbols(row.get("symbols")),
        )

    yield from reading.rows(reading.json["news"], article)
    yield from follow(reading)


def assets(reading: Reading) -> Iterator[Item]:
    """`us_equity` holds shares and ETFs alike: which one is not said."""

    def asset(row: Row) -> Item:
        if (asset_class := CLASSES.get(row["class"])) is None:
            return LeftOut()
        envelope = reading.of(row["symbol"], asset_class)
        return Asset(
            **envelope,
            name=read.text(row.get("name")),
            exchange=us_exchange(read.text(row.get("exchange"))),
            currency=envelope["symbol"].split("-")[-1] if asset_class == "crypto" else None,
            active=row["status"] == "active",
            tradable=row.get("tradable"),
            provider_symbol=row["symbol"],
        )

    yield from reading.rows(reading.json, asset)
