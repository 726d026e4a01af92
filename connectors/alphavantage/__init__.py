"""Alpha Vantage: one path, `function` selects. Documentation: https://www.alphavantage.co/documentation/.

Numbers are texts, JSON names are numbered ("1. open"), missing is "None". Rows come newest first, their times are wall
clocks: US Eastern for shares, UTC for forex and crypto, whose days are UTC days. Prices are as traded, beside an
adjusted close where the function says so, and name no currency (London is quoted in pence). Every refusal is a 200.
"""

from __future__ import annotations

from connectors.alphavantage import company, market
from connectors.alphavantage import requests as ask
from connectors.alphavantage.names import ANCHORS, COMMODITIES, INTRADAY, LISTED
from connectors.alphavantage.requests import canonical, refusal, spell
from connectors.calls import Auth, Limit
from connectors.declaration import Connector
from connectors.endpoints import Facts, endpoint
from connectors.records import AssetClass
from connectors.symbols import Symbols

DOCS = "https://www.alphavantage.co/documentation/"
EQUITY: tuple[AssetClass, ...] = ("equity",)
FOREIGN: tuple[AssetClass, ...] = ("forex",)
CRYPTO: tuple[AssetClass, ...] = ("crypto",)
FX = ask.pair("from_symbol", "to_symbol")
COIN = ask.pair("symbol", "market")
RATE = ask.pair("from_currency", "to_currency")
ENTITLED = frozenset(  # of US shares: realtime or delayed by 15 minutes, where the plan sells it
    {"global_quote", "time_series_intraday", "time_series_daily", "time_series_daily_adjusted"}
    | {f"time_series_{span}{kind}" for span in ("weekly", "monthly") for kind in ("", "_adjusted")}
)
DAY, WEEK, MONTH = (Facts(intervals={interval: ""}) for interval in ("1d", "1w", "1mo"))
QUOTE = Facts(dataset="quote", latest=True)
BARS = Facts(dataset="bars", parse=market.bars, adjustments=("raw",))
SHARE_BARS = BARS | Facts(build=ask.by_symbol, asset_classes=LISTED)
FX_BARS = BARS | Facts(build=FX, asset_classes=FOREIGN)
COIN_BARS = BARS | Facts(build=COIN, asset_classes=CRYPTO)
MINUTES = Facts(intervals=INTRADAY, plan="premium")
OF_COMPANY = Facts(build=ask.by_symbol, asset_classes=EQUITY)
OVERVIEW = OF_COMPANY | Facts(parse=company.overview, latest=True)
ACTIONS = Facts(dataset="actions", build=ask.by_symbol, asset_classes=LISTED)
ASSETS = Facts(dataset="assets", asset_classes=LISTED, batch=0)
DEPTH = "100 days on the free plan, else 20+ years"


def function(name: str) -> Facts:
    """One function of the API: the parameter that selects it, and its place in the documentation."""
    anchor = ANCHORS.get(name) or name.lower().replace("_", "-")
    return Facts(path="/query", match={"function": name}, docs=f"{DOCS}#{anchor}")


CONNECTOR = Connector(
    name="alphavantage",
    title="Alpha Vantage",
    base_url="https://www.alphavantage.co",
    docs=DOCS,
    auth=Auth(query="apikey"),
    symbols=Symbols(spell=spell, canonical=canonical),
    mailbox=28,
    limits=(Limit(calls=1, per="second"), Limit(calls=25, per="day", zone="America/New_York")),
    zone="America/New_York",
    refusal=refusal,
    options={"entitlement": ENTITLED},
    endpoints=(
        endpoint(
            "global_quote",
            function("GLOBAL_QUOTE"),
            QUOTE,
            build=ask.by_symbol,
            parse=market.single_quote,
            asset_classes=LISTED,
            kinds=("single",),
        ),
        endpoint(
            "realtime_bulk_quotes",
            function("REALTIME_BULK_QUOTES"),
            QUOTE,
            build=ask.by_symbol,
            parse=market.bulk_quotes,
            asset_classes=LISTED,
            kinds=("bulk",),
            batch=100,
            plan="premium",
        ),
        endpoint(
            "currency_exchange_rate",
            function("CURRENCY_EXCHANGE_RATE"),
            QUOTE,
            build=RATE,
            parse=market.exchange_rate,
            asset_classes=(*FOREIGN, *CRYPTO),
        ),
        endpoint(
            "time_series_daily",
            function("TIME_SERIES_DAILY"),
            SHARE_BARS,
            DAY,
            build=ask.sized(ask.by_symbol),
            kinds=("raw",),
            history=DEPTH,
        ),
        endpoint(
            "time_series_daily_adjusted",
            function("TIME_SERIES_DAILY_ADJUSTED"),
            SHARE_BARS,
            DAY,
            build=ask.sized(ask.by_symbol),
            parse=market.adjusted_bars,
            kinds=("adjusted",),
            plan="premium",
        ),
        endpoint(
            "time_series_weekly_adjusted",
            function("TIME_SERIES_WEEKLY_ADJUSTED"),
            SHARE_BARS,
            WEEK,
            history="20+ years",
        ),
        endpoint("time_series_weekly", function("TIME_SERIES_WEEKLY"), SHARE_BARS, WEEK, routed=False),
        endpoint(
            "time_series_monthly_adjusted",
            function("TIME_SERIES_MONTHLY_ADJUSTED"),
            SHARE_BARS,
            MONTH,
            history="20+ years",
        ),
        endpoint("time_series_monthly", function("TIME_SERIES_MONTHLY"), SHARE_BARS, MONTH, routed=False),
        endpoint(
            "time_series_intraday",
            function("TIME_SERIES_INTRADAY"),
            SHARE_BARS,
            MINUTES,
            build=ask.intraday,
            parse=market.intraday_bars,
            adjustments=("raw", "total"),
            history="since 2000, a month a call",
            begins={"": ("2000-01-01",)},
        ),
        endpoint("fx_daily", function("FX_DAILY"), FX_BARS, DAY, build=ask.sized(FX)),
        endpoint("fx_weekly", function("FX_WEEKLY"), FX_BARS, WEEK),
        endpoint("fx_monthly", function("FX_MONTHLY"), FX_BARS, MONTH),
        endpoint("fx_intraday", function("FX_INTRADAY"), FX_BARS, MINUTES, build=ask.timed(FX), history="recent days"),
        endpoint("digital_currency_daily", function("DIGITAL_CURRENCY_DAILY"), COIN_BARS, DAY),
        endpoint("digital_currency_weekly", function("DIGITAL_CURRENCY_WEEKLY"), COIN_BARS, WEEK),
        endpoint("digital_currency_monthly", function("DIGITAL_CURRENCY_MONTHLY"), COIN_BARS, MONTH),
        endpoint(
            "crypto_intraday",
            function("CRYPTO_INTRADAY"),
            COIN_BARS,
            MINUTES,
            build=ask.timed(COIN),
            history="recent days",
        ),
        # spot averages, which are no bars
        *(
            endpoint(
                name.lower(),
                function(name),
                BARS,
                MONTH,
                build=ask.nothing,
                parse=market.commodity,
                asset_classes=("commodity",),
                routed=False,
            )
            for name in COMMODITIES
        ),
        endpoint("dividends", function("DIVIDENDS"), ACTIONS, parse=market.dividends, kinds=("dividend",)),
        endpoint("splits", function("SPLITS"), ACTIONS, parse=market.splits, kinds=("split",)),
        endpoint("overview", function("OVERVIEW"), OVERVIEW, dataset="profile"),
        endpoint("overview_metrics", function("OVERVIEW"), OVERVIEW, dataset="metrics", kinds=("key_metrics",)),
        endpoint("overview_consensus", function("OVERVIEW"), OVERVIEW, dataset="recommendations"),
        endpoint(
            "etf_profile",
            function("ETF_PROFILE"),
            dataset="metrics",
            build=ask.by_symbol,
            parse=company.etf,
            asset_classes=("etf",),
            kinds=("etf",),
            latest=True,
        ),
        endpoint(
            "earnings_estimates",
            function("EARNINGS_ESTIMATES"),
            OF_COMPANY,
            dataset="metrics",
            parse=company.estimates,
            kinds=("estimates",),
        ),
        endpoint(
            "shares_outstanding",
            function("SHARES_OUTSTANDING"),
            OF_COMPANY,
            dataset="metrics",
            parse=company.shares,
            kinds=("shares",),
        ),
        endpoint(
            "income_statement",
            function("INCOME_STATEMENT"),
            OF_COMPANY,
            dataset="statements",
            parse=company.statement("income"),
            kinds=("income",),
        ),
        endpoint(
            "balance_sheet",
            function("BALANCE_SHEET"),
            OF_COMPANY,
            dataset="statements",
            parse=company.statement("balance"),
            kinds=("balance",),
        ),
        endpoint(
            "cash_flow",
            function("CASH_FLOW"),
            OF_COMPANY,
            dataset="statements",
            parse=company.statement("cash_flow"),
            kinds=("cash_flow",),
        ),
        endpoint("earnings", function("EARNINGS"), OF_COMPANY, dataset="earnings", parse=company.earnings),
        endpoint(
            "earnings_calendar",
            function("EARNINGS_CALENDAR"),
            dataset="earnings",
            build=ask.horizon,
            parse=company.calendar,
            asset_classes=EQUITY,
            batch=0,
        ),
        endpoint(
            "news_sentiment",
            function("NEWS_SENTIMENT"),
            dataset="news",
            build=ask.articles,
            parse=company.news,
            asset_classes=(*LISTED, *CRYPTO, *FOREIGN),
            rows=ask.NEWS_ROWS,
        ),
        endpoint(
            "insider_transactions",
            function("INSIDER_TRANSACTIONS"),
            OF_COMPANY,
            dataset="insider",
            parse=company.insider,
        ),
        endpoint(
            "listing_status",
            function("LISTING_STATUS"),
            ASSETS,
            build=ask.listed,
            parse=company.listing,
            kinds=("active", "delisted"),
        ),
        endpoint(
            "symbol_search",
            function("SYMBOL_SEARCH"),
            ASSETS,
            build=ask.keywords,
            parse=company.search,
            kinds=("search",),
            rows=10,
        ),
    ),
)
