"""The unified datasets: the public contract of topics and tables. Owns shapes, never how they are obtained.

Times are milliseconds since the epoch, UTC; dates are ISO strings; absent is null, never 0; prices are
in `currency`. docs/DATASETS.md gives the meaning of every field, docs/schemas/ the JSON Schemas.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field

AssetClass = Literal["equity", "etf", "fund", "crypto", "forex", "commodity", "index"]
Interval = Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1mo"]
Adjustment = Literal["raw", "split", "total"]
Period = Literal["annual", "quarterly", "ttm"]
"""What a call asks of: fiscal years, fiscal quarters, the last twelve months."""
FiscalPeriod = Literal["FY", "Q1", "Q2", "Q3", "Q4", "H1", "H2", "TTM", "Q"]

Millis = Annotated[int, Field(ge=-62_135_596_800_000, le=253_402_300_799_999, description="ms since the epoch, UTC")]
IsoDate = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="calendar date, YYYY-MM-DD")]
Currency = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,10}$", description="ISO 4217 code, or a crypto code")]


class Envelope(TypedDict):
    """The fields every record of one answer shares."""

    symbol: str
    asset_class: AssetClass
    source: str
    observed_at: int
    request_id: str


class Record(BaseModel):
    """Common fields: canonical symbol, asset class, provider, receive time, the request that caused it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dataset: ClassVar[str]
    key: ClassVar[tuple[str, ...]]

    symbol: Annotated[str, Field(min_length=1, max_length=64)]
    asset_class: AssetClass
    source: str
    observed_at: Millis
    request_id: str


class Quote(Record):
    """The latest trade or two-sided quote; session fields are those of the running session."""

    dataset: ClassVar[str] = "quote"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "ts")

    ts: Millis
    ts_estimated: bool = False
    price: float | None = None
    bid: float | None = None
    ask: float | None = None
    bid_size: float | None = None
    ask_size: float | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    prev_close: float | None = None
    volume: float | None = None
    quote_volume: float | None = None
    currency: Currency | None = None


class Bars(Record):
    """A frame: the bars of one symbol, interval and adjustment from one answer, as columns of equal length.

    `ts` is ascending and unique, the start of each interval; a daily bar's is 00:00 UTC of the trading date.
    """

    dataset: ClassVar[str] = "bars"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "interval", "adjustment", "ts")

    interval: Interval
    adjustment: Adjustment
    currency: Currency | None = None
    ts: Annotated[list[Millis], Field(min_length=1)]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float | None]
    vwap: list[float | None] | None = None
    trades: list[int | None] | None = None
    adj_close: list[float | None] | None = None
    quote_volume: list[float | None] | None = None


class Action(Record):
    """A split (`ratio` = new shares per old), a dividend (`amount` per share as paid), a spin-off, a change of symbol.

    Of a spin-off `ratio` counts shares of the company `new_symbol` per share held; a change of symbol has `new_symbol`.
    """

    dataset: ClassVar[str] = "actions"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "kind", "ex_date")

    kind: Literal["split", "dividend", "spin_off", "symbol_change"]
    ex_date: IsoDate
    ratio: float | None = None
    amount: float | None = None
    amount_adjusted: float | None = None
    adjustment_factor: float | None = None
    new_symbol: str | None = None
    currency: Currency | None = None
    record_date: IsoDate | None = None
    pay_date: IsoDate | None = None
    declared_date: IsoDate | None = None


class Profile(Record):
    """Who the instrument is: one observation of names, classification and size (market cap in units)."""

    dataset: ClassVar[str] = "profile"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "ts")

    ts: Millis
    name: str | None = None
    exchange: str | None = None
    country: str | None = None
    currency: Currency | None = None
    sector: str | None = None
    industry: str | None = None
    website: str | None = None
    description: str | None = None
    employees: int | None = None
    market_cap: float | None = None
    shares_outstanding: float | None = None
    ipo_date: IsoDate | None = None
    isin: str | None = None
    cik: str | None = None
    figi: str | None = None


class Statement(Record):
    """One financial statement of one fiscal period, as reported; `items` in units of `currency`."""

    dataset: ClassVar[str] = "statements"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "statement", "period", "fiscal_date")

    statement: Literal["income", "balance", "cash_flow"]
    period: FiscalPeriod
    fiscal_date: IsoDate
    filed_date: IsoDate | None = None
    currency: Currency | None = None
    items: Annotated[dict[str, float], Field(min_length=1)]


class Metrics(Record):
    """Ratios, key metrics, valuations: snake_case name to the provider's own number."""

    dataset: ClassVar[str] = "metrics"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "kind", "period", "as_of")

    kind: Literal["ratios", "key_metrics", "dcf", "estimates", "etf"]
    period: FiscalPeriod | Literal["spot"]
    as_of: IsoDate
    currency: Currency | None = None
    values: Annotated[dict[str, float], Field(min_length=1)]


class Earnings(Record):
    """One earnings report, past or announced; `surprise_pct` in percent."""

    dataset: ClassVar[str] = "earnings"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "period", "fiscal_date", "report_date")

    period: FiscalPeriod | None = None
    fiscal_date: IsoDate | None = None
    report_date: IsoDate | None = None
    time_of_day: Literal["bmo", "amc"] | None = None
    eps_actual: float | None = None
    eps_estimate: float | None = None
    surprise_pct: float | None = None
    revenue_actual: float | None = None
    revenue_estimate: float | None = None
    currency: Currency | None = None


class News(BaseModel):
    """One article; `ts` is its publication, `sentiment` lies in -1..1. Keyed by article, not by symbol."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dataset: ClassVar[str] = "news"
    key: ClassVar[tuple[str, ...]] = ("source", "id")

    source: str
    observed_at: Millis
    request_id: str
    id: Annotated[str, Field(min_length=1)]
    ts: Millis
    title: str
    summary: str | None = None
    url: str | None = None
    publisher: str | None = None
    symbols: list[str] = Field(default_factory=list)
    sentiment: Annotated[float, Field(ge=-1, le=1)] | None = None


class Insider(Record):
    """One insider transaction; `shares` is signed: + acquired, - disposed, null when not said."""

    dataset: ClassVar[str] = "insider"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "id")

    id: Annotated[str, Field(min_length=1)]
    transaction_date: IsoDate | None = None
    filed_date: IsoDate | None = None
    name: str | None = None
    role: str | None = None
    code: str | None = None
    shares: float | None = None
    price: float | None = None
    shares_after: float | None = None
    derivative: bool | None = None
    url: str | None = None


class Recommendation(Record):
    """Analysts' counts or targets for a month (`consensus`), or one firm's rating change (`change`)."""

    dataset: ClassVar[str] = "recommendations"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "kind", "period", "ts", "firm")

    kind: Literal["consensus", "change"]
    period: IsoDate | None = None
    ts: Millis | None = None
    firm: str | None = None
    from_grade: str | None = None
    to_grade: str | None = None
    action: str | None = None
    strong_buy: int | None = None
    buy: int | None = None
    hold: int | None = None
    sell: int | None = None
    strong_sell: int | None = None
    target_mean: float | None = None
    target_high: float | None = None
    target_low: float | None = None
    currency: Currency | None = None


class Asset(Record):
    """One instrument of a provider's universe, with the provider's own spelling."""

    dataset: ClassVar[str] = "assets"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol")

    name: str | None = None
    exchange: str | None = None
    currency: Currency | None = None
    country: str | None = None
    active: bool | None = None
    tradable: bool | None = None
    listed_date: IsoDate | None = None
    delisted_date: IsoDate | None = None
    isin: str | None = None
    cik: str | None = None
    figi: str | None = None
    provider_symbol: str


RecordType = (
    type[Quote]
    | type[Bars]
    | type[Action]
    | type[Profile]
    | type[Statement]
    | type[Metrics]
    | type[Earnings]
    | type[News]
    | type[Insider]
    | type[Recommendation]
    | type[Asset]
)
AnyRecord = Quote | Bars | Action | Profile | Statement | Metrics | Earnings | News | Insider | Recommendation | Asset

DATASETS: dict[str, RecordType] = {
    cls.dataset: cls
    for cls in (
        Quote,
        Bars,
        Action,
        Profile,
        Statement,
        Metrics,
        Earnings,
        News,
        Insider,
        Recommendation,
        Asset,
    )
}
INTERVAL_MS: dict[str, int] = {
    "1m": 60_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
    "1w": 604_800_000,
    "1mo": 2_678_400_000,  # the longest month: good for spans, not for adding
}
