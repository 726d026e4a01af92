"""Finnhub: quotes, candles, company facts, lists. Documentation: https://finnhub.io/docs/api.

Times are seconds. A daily candle is stamped with midnight in the exchange's zone, a forex one with 17:00 New York of
the evening before. Daily candles are split-adjusted, intraday ones as traded. What measures a company is in millions.
An unknown symbol is answered with zeros. There are no batches. A list of symbols is a redirect to a file. What the free
plan lacks is refused with 401 or 403, most listings abroad too. The statements of `/stock/financials` are standardised,
not as reported, and not asked.
"""

from __future__ import annotations

from connectors.calls import DAY_MS, Auth, Limit
from connectors.declaration import Connector
from connectors.endpoints import Facts, endpoint, with_market
from connectors.finnhub import company, market, statements
from connectors.finnhub import requests as ask
from connectors.finnhub.names import DAILY, INTRADAY, SHARES, canonical, spell
from connectors.finnhub.rows import each, one
from connectors.records import AssetClass
from connectors.symbols import Symbols

DOCS = "https://finnhub.io/docs/api"
EQUITY: tuple[AssetClass, ...] = ("equity",)
MONTH = dict.fromkeys(INTRADAY, 30 * DAY_MS)
OF_SYMBOL = Facts(build=ask.one)
PREMIUM = Facts(plan="premium")
CANDLES = PREMIUM | Facts(dataset="bars", build=ask.candles, parse=market.candles, adjustments=("raw",))
DAILY_CANDLES = CANDLES | Facts(intervals=DAILY)
INTRADAY_CANDLES = CANDLES | Facts(intervals=INTRADAY, span_ms=MONTH)
STOCK = Facts(path="/stock/candle", asset_classes=SHARES, docs=f"{DOCS}/stock-candles")
FOREX = Facts(path="/forex/candle", asset_classes=("forex",), docs=f"{DOCS}/forex-candles")
CRYPTO = Facts(path="/crypto/candle", asset_classes=("crypto",), docs=f"{DOCS}/crypto-candles")
PROFILE = Facts(dataset="profile", build=ask.one, parse=one(company.profile), latest=True)
FUND = PREMIUM | Facts(dataset="metrics", build=ask.one, parse=one(company.fund), kinds=("etf",))
INSIDER = Facts(
    dataset="insider",
    path="/stock/insider-transactions",
    build=ask.dated,
    parse=company.insiders,
    asset_classes=EQUITY,
    rows=100,
    docs=f"{DOCS}/insider-transactions",
)
LISTED = Facts(dataset="assets", kinds=("listed",), batch=0)

CONNECTOR = Connector(
    name="finnhub",
    mailbox=16,
    title="Finnhub",
    base_url="https://finnhub.io/api/v1",
    docs=DOCS,
    auth=Auth(headers={"X-Finnhub-Token": "{key}"}),
    symbols=Symbols(spell=spell, canonical=canonical),
    limits=(Limit(calls=60, per="minute"), Limit(calls=30, per="second")),
    refusal=ask.refusal,
    endpoints=(
        endpoint(
            "quote",
            dataset="quote",
            path="/quote",
            build=ask.quote,
            parse=one(market.quote),
            asset_classes=(*SHARES, "forex", "crypto"),
            latest=True,
            docs=f"{DOCS}/quote",
        ),
        endpoint(
            "forex_rates",
            PREMIUM,
            dataset="quote",
            path="/forex/rates",
            build=ask.base,
            parse=market.rates,
            asset_classes=("forex",),
            batch=0,
            docs=f"{DOCS}/forex-rates",
        ),
        endpoint(
            "stock_daily",
            DAILY_CANDLES,
            STOCK,
            adjustments=("split",),
            history="25 years of US shares",
            begins={"": ("9131d",)},
        ),
        endpoint("stock_intraday", INTRADAY_CANDLES, STOCK),
        endpoint("forex_daily", DAILY_CANDLES, FOREX),
        endpoint("forex_intraday", INTRADAY_CANDLES, FOREX),
        endpoint("crypto_daily", DAILY_CANDLES, CRYPTO),
        endpoint("crypto_intraday", INTRADAY_CANDLES, CRYPTO),
        endpoint(
            "stock_dividend",
            PREMIUM,
            dataset="actions",
            path="/stock/dividend",
            build=ask.bounded,
            parse=each(market.dividend),
            asset_classes=EQUITY,
            kinds=("dividend",),
            docs=f"{DOCS}/stock-dividends",
        ),
        endpoint(
            "stock_split",
            PREMIUM,
            dataset="actions",
            path="/stock/split",
            build=ask.bounded,
            parse=each(market.split),
            asset_classes=EQUITY,
            kinds=("split",),
            docs=f"{DOCS}/stock-splits",
        ),
        endpoint("stock_profile2", PROFILE, path="/stock/profile2", kinds=("short",), docs=f"{DOCS}/company-profile2"),
        endpoint(
            "stock_profile", PROFILE, PREMIUM, path="/stock/profile", kinds=("full",), docs=f"{DOCS}/company-profile"
        ),
        endpoint(
            "stock_financials_reported",
            dataset="statements",
            path="/stock/financials-reported",
            build=ask.reported,
            parse=statements.reported,
            asset_classes=EQUITY,
            kinds=("income", "balance", "cash_flow"),
            docs=f"{DOCS}/financials-reported",
        ),
        endpoint(
            "stock_metric",
            dataset="metrics",
            path="/stock/metric",
            build=ask.metric,
            parse=company.metrics,
            asset_classes=EQUITY,
            kinds=("key_metrics", "ratios"),
            docs=f"{DOCS}/company-basic-financials",
        ),
        endpoint(
            "stock_eps_estimate",
            PREMIUM,
            dataset="metrics",
            path="/stock/eps-estimate",
            build=ask.frequency,
            parse=company.estimates,
            asset_classes=EQUITY,
            kinds=("estimates",),
            docs=f"{DOCS}/company-eps-estimates",
        ),
        endpoint("etf_profile", FUND, path="/etf/profile", asset_classes=("etf",), docs=f"{DOCS}/etfs-profile"),
        endpoint(
            "mutual_fund_profile",
            FUND,
            path="/mutual-fund/profile",
            asset_classes=("fund",),
            docs=f"{DOCS}/mutual-fund-profile",
        ),
        *with_market(
            endpoint(
                "calendar_earnings",
                dataset="earnings",
                path="/calendar/earnings",
                build=ask.dated,
                parse=each(company.announcement, "earningsCalendar"),
                asset_classes=EQUITY,
                kinds=("calendar",),
                history="1 month on the free plan",
                docs=f"{DOCS}/earnings-calendar",
            ),
            "calendar_earnings_all",
        ),
        endpoint(
            "stock_earnings",
            OF_SYMBOL,
            dataset="earnings",
            path="/stock/earnings",
            parse=each(company.surprise),
            asset_classes=EQUITY,
            kinds=("surprise",),
            history="4 quarters on the free plan",
            docs=f"{DOCS}/company-earnings",
        ),
        endpoint(
            "company_news",
            dataset="news",
            path="/company-news",
            build=ask.bounded,
            parse=each(company.article),
            history="1 year on the free plan",
            docs=f"{DOCS}/company-news",
        ),
        endpoint(
            "news",
            dataset="news",
            path="/news",
            build=ask.category,
            parse=each(company.article),
            asset_classes=("equity", "forex", "crypto"),
            batch=0,
            docs=f"{DOCS}/market-news",
        ),
        endpoint("stock_insider_transactions", INSIDER, span_ms={"": 30 * DAY_MS}),
        endpoint("stock_insider_transactions_all", INSIDER, batch=0),
        endpoint(
            "stock_recommendation",
            OF_SYMBOL,
            dataset="recommendations",
            path="/stock/recommendation",
            parse=each(company.trend),
            asset_classes=EQUITY,
            kinds=("consensus",),
            docs=f"{DOCS}/recommendation-trends",
        ),
        endpoint(
            "stock_price_target",
            OF_SYMBOL,
            PREMIUM,
            dataset="recommendations",
            path="/stock/price-target",
            parse=one(company.target),
            asset_classes=EQUITY,
            kinds=("target",),
            docs=f"{DOCS}/price-target",
        ),
        endpoint(
            "stock_upgrade_downgrade",
            PREMIUM,
            dataset="recommendations",
            path="/stock/upgrade-downgrade",
            build=ask.dated,
            parse=each(company.grade),
            asset_classes=EQUITY,
            kinds=("change",),
            docs=f"{DOCS}/upgrade-downgrade",
        ),
        endpoint(
            "stock_symbol",
            LISTED,
            path="/stock/symbol",
            build=ask.listed_on("US"),
            parse=each(market.listing),
            asset_classes=SHARES,
            docs=f"{DOCS}/stock-symbols",
        ),
        endpoint(
            "forex_symbol",
            LISTED,
            path="/forex/symbol",
            build=ask.listed_on("oanda"),
            parse=each(market.pair),
            asset_classes=("forex",),
            docs=f"{DOCS}/forex-symbols",
        ),
        endpoint(
            "crypto_symbol",
            LISTED,
            path="/crypto/symbol",
            build=ask.listed_on("binance"),
            parse=each(market.pair),
            asset_classes=("crypto",),
            docs=f"{DOCS}/crypto-symbols",
        ),
        endpoint(
            "search",
            dataset="assets",
            path="/search",
            build=ask.search,
            parse=each(market.listing, "result"),
            asset_classes=(*SHARES, "forex", "crypto"),
            kinds=("search",),
            batch=0,
            docs=f"{DOCS}/symbol-search",
        ),
    ),
)
