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

YEAR_1, YEAR_9999 = -62_135_596_800_000, 253_402_300_799_999  # the first and the last millisecond of a calendar
Millis = Annotated[int, Field(ge=YEAR_1, le=YEAR_9999, description="ms since the epoch, UTC")]
Span = Annotated[int, Field(ge=YEAR_1 - YEAR_9999, le=YEAR_9999 - YEAR_1, description="ms from one time to another")]
Count = Annotated[int, Field(ge=0, le=2**53, description="a count")]
Int64 = Annotated[int, Field(ge=-(2**63), le=2**63 - 1, description="an integer of 64 bits")]
IsoDate = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="calendar date, YYYY-MM-DD")]
Currency = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,10}$", description="ISO 4217 code, or a crypto code")]


class Envelope(TypedDict):
    """The fields every record of one answer shares."""

    symbol: str
    """Canonical symbol."""
    asset_class: AssetClass
    """`equity`, `etf`, `fund`, `crypto`, `forex`, `commodity` or `index`; the one that was asked for."""
    source: str
    """Provider that said it."""
    observed_at: int
    """When its answer was received, ms UTC."""
    request_id: str
    """Poll request that caused it; leads to `api_calls` and `raw_responses`."""


class Record(BaseModel):
    """Common fields: canonical symbol, asset class, provider, receive time, the request that caused it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dataset: ClassVar[str]
    key: ClassVar[tuple[str, ...]]

    symbol: Annotated[str, Field(min_length=1, max_length=64)]
    """Canonical symbol."""
    asset_class: AssetClass
    """`equity`, `etf`, `fund`, `crypto`, `forex`, `commodity` or `index`; the one that was asked for."""
    source: str
    """Provider that said it."""
    observed_at: Millis
    """When its answer was received, ms UTC."""
    request_id: str
    """Poll request that caused it; leads to `api_calls` and `raw_responses`."""


class Quote(Record):
    """The latest trade or two-sided quote; session fields are those of the running session."""

    dataset: ClassVar[str] = "quote"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "ts")

    ts: Millis
    """Time of `price`, or of the quote when there is no price, ms UTC."""
    ts_estimated: bool = False
    """True when the provider gave no time, or only a date: `ts` is then `observed_at`."""
    price: float | None = None
    """Last trade of the regular session; null for a quote without a trade; in `currency`."""
    bid: float | None = None
    """Best bid, in `currency`."""
    ask: float | None = None
    """Best ask, in `currency`."""
    bid_size: float | None = None
    """Size at `bid`, in shares, coins or contracts."""
    ask_size: float | None = None
    """Size at `ask`, likewise."""
    open: float | None = None
    """Open of the running session, in `currency`."""
    high: float | None = None
    """High of the running session, in `currency`."""
    low: float | None = None
    """Low of the running session, in `currency`."""
    prev_close: float | None = None
    """Close of the session before, in `currency`."""
    volume: float | None = None
    """Volume of the running session, in shares, coins or contracts."""
    quote_volume: float | None = None
    """Volume of the running session in the quote currency, where it is given in money."""
    currency: Currency | None = None
    """ISO 4217 code (or a coin's) in which prices are; null for an index in points."""


class Bars(Record):
    """A frame: the bars of one symbol, interval and adjustment from one answer, as columns of equal length.

    `ts` is ascending and unique, the start of each interval; a daily bar's is 00:00 UTC of the trading date.
    """

    dataset: ClassVar[str] = "bars"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "interval", "adjustment", "ts")

    interval: Interval
    """`1m` `5m` `15m` `30m` `1h` `4h` `1d` `1w` or `1mo`."""
    adjustment: Adjustment
    """What open to close are: `raw` as traded, `split` adjusted for splits, `total` for splits and dividends."""
    currency: Currency | None = None
    """ISO 4217 code (or a coin's) in which prices are; null for an index in points."""
    ts: Annotated[list[Millis], Field(min_length=1)]
    """Start of the interval, ascending and unique in a frame, ms UTC."""
    open: list[float]
    """First trade, in `currency`."""
    high: list[float]
    """Highest trade, in `currency`."""
    low: list[float]
    """Lowest trade, in `currency`."""
    close: list[float]
    """Last trade, in `currency`."""
    volume: list[float | None]
    """Shares, coins or contracts traded; null where none is counted (forex, funds, indices)."""
    vwap: list[float | None] | None = None
    """Volume-weighted average price; the column is null when the provider has none; in `currency`."""
    trades: list[Int64 | None] | None = None
    """Number of trades; the column is null when the provider has none."""
    adj_close: list[float | None] | None = None
    """Close adjusted for splits and dividends, beside a differently adjusted `close`, in `currency`."""
    quote_volume: list[float | None] | None = None
    """Volume in the quote currency, in units of `currency`."""


class Action(Record):
    """A split (`ratio` = new shares per old), a dividend (`amount` per share as paid), a spin-off, a change of symbol.

    Of a spin-off `ratio` counts shares of the company `new_symbol` per share held; a change of symbol has `new_symbol`.
    """

    dataset: ClassVar[str] = "actions"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "kind", "ex_date")

    kind: Literal["split", "dividend", "spin_off", "symbol_change"]
    """`split` (a stock dividend of 5 % is a split of 1.05), `dividend`, `spin_off` or `symbol_change`."""
    ex_date: IsoDate
    """First day of trading without the entitlement; of a change of symbol, under the new one; YYYY-MM-DD."""
    ratio: float | None = None
    """Split: new shares per old one; `4.0` is 4-for-1, `0.1` a 1-for-10 reverse split; spin-off: new company's
    shares per share held."""
    amount: float | None = None
    """Dividend: per share, as it was paid; in `currency`."""
    amount_adjusted: float | None = None
    """Dividend: per share, adjusted for later splits, where that is what the provider gives; in `currency`."""
    adjustment_factor: float | None = None
    """What prices before `ex_date` are multiplied by to adjust for this and all later actions of the kind, as the
    provider computes it."""
    new_symbol: str | None = None
    """Canonical symbol: change of symbol: the instrument's from `ex_date` on; spin-off: the new company's."""
    currency: Currency | None = None
    """ISO 4217 code of the amounts."""
    record_date: IsoDate | None = None
    """Holders of this day are entitled, YYYY-MM-DD."""
    pay_date: IsoDate | None = None
    """Day of payment, YYYY-MM-DD."""
    declared_date: IsoDate | None = None
    """Day of announcement, YYYY-MM-DD."""


class Profile(Record):
    """Who the instrument is: one observation of names, classification and size (market cap in units)."""

    dataset: ClassVar[str] = "profile"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "ts")

    ts: Millis
    """When it was true; the observation, if the provider dates nothing; ms UTC."""
    name: str | None = None
    """Name of the company, fund or pair."""
    exchange: str | None = None
    """ISO 10383 code of the listing's operating market where known, else the provider's code."""
    country: str | None = None
    """ISO 3166-1 alpha-2."""
    currency: Currency | None = None
    """Currency of the listing, and of `market_cap`."""
    sector: str | None = None
    """In the provider's classification."""
    industry: str | None = None
    """In the provider's classification."""
    website: str | None = None
    """URL."""
    description: str | None = None
    """What it does, in prose."""
    employees: Int64 | None = None
    """Full-time employees."""
    market_cap: float | None = None
    """Market capitalisation in units of `currency`, not thousands or millions."""
    shares_outstanding: float | None = None
    """Shares outstanding, in units."""
    ipo_date: IsoDate | None = None
    """First listing, YYYY-MM-DD."""
    isin: str | None = None
    """ISO 6166."""
    cik: str | None = None
    """SEC's Central Index Key, ten digits."""
    figi: str | None = None
    """Composite FIGI."""


class Statement(Record):
    """One financial statement of one fiscal period, as reported; `items` in units of `currency`."""

    dataset: ClassVar[str] = "statements"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "statement", "period", "fiscal_date")

    statement: Literal["income", "balance", "cash_flow"]
    """`income`, `balance` or `cash_flow`."""
    period: FiscalPeriod
    """`FY`, `Q1` to `Q4`, `H1`, `H2`, `TTM`, or `Q` for a quarter whose fiscal number is not said."""
    fiscal_date: IsoDate
    """Last day of the period, YYYY-MM-DD."""
    filed_date: IsoDate | None = None
    """Day of filing, YYYY-MM-DD."""
    currency: Currency | None = None
    """ISO 4217 code of the items."""
    items: Annotated[dict[str, float], Field(min_length=1)]
    """Name to value, in units of `currency` (or shares); the names below, others in snake_case as the provider has
    them."""


class Metrics(Record):
    """Ratios, key metrics, valuations: snake_case name to the provider's own number."""

    dataset: ClassVar[str] = "metrics"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "kind", "period", "as_of")

    kind: Literal["ratios", "key_metrics", "dcf", "estimates", "etf"]
    """`ratios`, `key_metrics`, `dcf`, `estimates` or `etf`."""
    period: FiscalPeriod | Literal["spot"]
    """A fiscal period as in `statements`, or `spot`."""
    as_of: IsoDate
    """End of the period; for `spot` the provider's date, else the day of observation; YYYY-MM-DD."""
    currency: Currency | None = None
    """ISO 4217 code of the values that are money."""
    values: Annotated[dict[str, float], Field(min_length=1)]
    """Snake_case name to the provider's own number, in its own unit."""


class Earnings(Record):
    """One earnings report, past or announced; `surprise_pct` in percent."""

    dataset: ClassVar[str] = "earnings"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "period", "fiscal_date", "report_date")

    period: FiscalPeriod | None = None
    """Fiscal period as in `statements`."""
    fiscal_date: IsoDate | None = None
    """Last day of the period reported on, YYYY-MM-DD."""
    report_date: IsoDate | None = None
    """Day of the report, YYYY-MM-DD."""
    time_of_day: Literal["bmo", "amc"] | None = None
    """`bmo` before the market opens, `amc` after it closes."""
    eps_actual: float | None = None
    """Earnings per share, reported, in `currency`."""
    eps_estimate: float | None = None
    """Earnings per share, as expected, in `currency`."""
    surprise_pct: float | None = None
    """How far the report was from the estimate, as the provider has it, percent."""
    revenue_actual: float | None = None
    """Revenue, reported, in units of `currency`."""
    revenue_estimate: float | None = None
    """Revenue, as expected, in units of `currency`."""
    currency: Currency | None = None
    """ISO 4217 code of the above."""


class News(BaseModel):
    """One article; `ts` is its publication, `sentiment` lies in -1..1. Keyed by article, not by symbol."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dataset: ClassVar[str] = "news"
    key: ClassVar[tuple[str, ...]] = ("source", "id")

    source: str
    """Provider that said it."""
    observed_at: Millis
    """When its answer was received, ms UTC."""
    request_id: str
    """Poll request that caused it; leads to `api_calls` and `raw_responses`."""
    id: Annotated[str, Field(min_length=1)]
    """The provider's, else a hash of the URL."""
    ts: Millis
    """Publication, ms UTC."""
    title: str
    """Headline."""
    summary: str | None = None
    """Abstract or body, as far as the provider gives it."""
    url: str | None = None
    """Where to read it."""
    publisher: str | None = None
    """Who published it."""
    symbols: list[str] = Field(default_factory=list)
    """Canonical symbols it is about, possibly none."""
    sentiment: Annotated[float, Field(ge=-1, le=1)] | None = None
    """-1 (bad) to 1 (good)."""


class Insider(Record):
    """One insider transaction; `shares` is signed: + acquired, - disposed, null when not said."""

    dataset: ClassVar[str] = "insider"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "id")

    id: Annotated[str, Field(min_length=1)]
    """One per transaction: the provider's, or a hash of the row where that is per filing or missing."""
    transaction_date: IsoDate | None = None
    """Day of the transaction, YYYY-MM-DD."""
    filed_date: IsoDate | None = None
    """Day of filing, YYYY-MM-DD."""
    name: str | None = None
    """Who."""
    role: str | None = None
    """Officer's title or relation."""
    code: str | None = None
    """Transaction code of SEC Form 4 (`P` purchase, `S` sale, …)."""
    shares: float | None = None
    """Signed: + acquired, - disposed of; null when the direction is not said; in shares, coins or contracts."""
    price: float | None = None
    """Per share."""
    shares_after: float | None = None
    """Held afterwards, in shares, coins or contracts."""
    derivative: bool | None = None
    """True for options and the like."""
    url: str | None = None
    """The filing."""


class Recommendation(Record):
    """Analysts' counts or targets for a month (`consensus`), or one firm's rating change (`change`)."""

    dataset: ClassVar[str] = "recommendations"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol", "kind", "period", "ts", "firm")

    kind: Literal["consensus", "change"]
    """`consensus` (counts, targets) or `change` (one firm)."""
    period: IsoDate | None = None
    """Consensus: first day of the month; YYYY-MM-DD."""
    ts: Millis | None = None
    """Change: when; ms UTC."""
    firm: str | None = None
    """Change: who."""
    from_grade: str | None = None
    """Change: grade before, in the firm's words."""
    to_grade: str | None = None
    """Change: grade since, in the firm's words."""
    action: str | None = None
    """Change: what was done (`up`, `down`, `init`, …), in the provider's words."""
    strong_buy: Int64 | None = None
    """Analysts."""
    buy: Int64 | None = None
    """Analysts."""
    hold: Int64 | None = None
    """Analysts."""
    sell: Int64 | None = None
    """Analysts."""
    strong_sell: Int64 | None = None
    """Analysts."""
    target_mean: float | None = None
    """Mean of the price targets, in `currency`."""
    target_high: float | None = None
    """Highest price target, in `currency`."""
    target_low: float | None = None
    """Lowest price target, in `currency`."""
    currency: Currency | None = None
    """ISO 4217 code of the targets."""


class Asset(Record):
    """One instrument of a provider's universe, with the provider's own spelling."""

    dataset: ClassVar[str] = "assets"
    key: ClassVar[tuple[str, ...]] = ("source", "symbol")

    name: str | None = None
    """Name of the instrument."""
    exchange: str | None = None
    """ISO 10383 code of the operating market where known, else the provider's code."""
    currency: Currency | None = None
    """Currency of its prices."""
    country: str | None = None
    """ISO 3166-1 alpha-2."""
    active: bool | None = None
    """False once it is delisted."""
    tradable: bool | None = None
    """Whether the provider's brokerage trades it."""
    listed_date: IsoDate | None = None
    """First day of listing, YYYY-MM-DD."""
    delisted_date: IsoDate | None = None
    """Last day of listing, YYYY-MM-DD."""
    isin: str | None = None
    """ISO 6166."""
    cik: str | None = None
    """SEC's Central Index Key, ten digits."""
    figi: str | None = None
    """Composite FIGI."""
    provider_symbol: str
    """The provider's own spelling."""


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
    for cls in (Quote, Bars, Action, Profile, Statement, Metrics, Earnings, News, Insider, Recommendation, Asset)
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
