"""Which instruments the sandbox market knows, and what kind of thing each is. Everything else is unknown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import islice, product
from typing import TYPE_CHECKING, Literal

from sandbox.market.calendars import CRYPTO, FOREX, FUTURES, LONDON, NYSE, TOKYO

if TYPE_CHECKING:
    from sandbox.market.calendars import Calendar

AssetClass = Literal["equity", "etf", "fund", "crypto", "forex", "commodity", "index"]


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable thing."""

    symbol: str
    """Canonical: `AAPL`, `BRK.B`, `VOD.XLON`, `BTC-USD`, `EUR/USD`, `GC`, `^GSPC`."""
    asset_class: AssetClass
    """Its asset class."""
    name: str
    """Its name."""
    exchange: str
    """ISO 10383 code of its market."""
    calendar: Calendar
    """When it trades."""
    listed: date
    """First day of listing."""
    start_price: float
    """Price before the first generated session, in the major unit of its currency."""
    daily_volume: float
    """Size of a usual day, in shares, coins, contracts or (forex) price changes."""
    volatility: float
    """Standard deviation of a year's return."""
    drift: float = 0.05
    """Mean return of a year."""
    currency: str = "USD"
    """ISO 4217 code."""
    decimals: int = 2
    """Decimals of a price."""
    dividend_yield: float = 0.0
    """Dividends of a year as a share of the price."""


# Five whose history of 2000 to 2013 is real (see `recorded`); here is what follows it.
_RECORDED = """
AAPL Apple XNAS 2000-03-01 .015
FB Facebook XNAS 2012-05-18 0
GOOG Google XNAS 2004-08-19 0
IBM International_Business_Machines XNYS 2000-03-01 .03
MSFT Microsoft XNAS 2000-03-01 .022
"""

_EQUITIES = """
A AA AAL AAP ABBV ABNB ABT ACN ADBE ADI ADM ADP ADSK AEE AEP AES AFL AIG AJG AKAM ALB ALGN ALL AMAT AMCR AMD
AME AMGN AMP AMT AMZN ANET AON AOS APA APD APH APTV ARE ATO AVB AVGO AVY AWK AXP AZO BA BABA BAC BALL BAX BBY
BDX BEN BF.B BIIB BK BKNG BKR BLK BMY BR BRK.A BRK.B BSX BWA BX BXP C CAG CAH CARR CAT CB CBRE CCI CCL CDNS
CE CF CFG CHD CHRW CHTR CI CINF CL CLX CMCSA CME CMG CMI CMS CNC CNP COF COO COP COST CPB CPRT CPT CRL CRM
CSCO CSX CTAS CTRA CTSH CVS CVX D DAL DD DE DFS DG DGX DHI DHR DIS DLR DLTR DOV DOW DRI DTE DUK DVA DVN EA
EBAY ECL ED EFX EIX EL EMN EMR EOG EQIX EQR ES ESS ETN ETR EW EXC EXPD EXPE F FAST FCX FDX FE FIS FITB FMC
FOX FRT FTNT GD GE GEN GILD GIS GL GLW GM GOOGL GPC GPN GRMN GS GWW HAL HAS HBAN HCA HD HIG HLT HOLX HON HPE
HPQ HRL HST HSY HUM ICE IDXX IFF ILMN INCY INTC INTU IP IPG IRM ISRG ITW IVZ JBHT JCI JNJ JPM KDP KEY KHC KIM
KLAC KMB KMI KMX KO KR L LEN LHX LIN LKQ LLY LMT LNC LNT LOW LRCX LUV LVS LYB LYV MA MAA MAR MAS MCD MCHP MCK
MCO MDLZ MDT MET META MGM MHK MKC MLM MMC MMM MNST MO MOS MPC MRK MRNA MRO MS MSCI MSI MTB MTD MU NDAQ NEE NEM
NFLX NI NKE NOC NOW NRG NSC NTAP NTRS NUE NVDA NVR O ODFL OKE OMC ORCL ORLY OXY PANW PAYX PCAR PEG PEP PFE PFG
PG PGR PH PHM PLD PLTR PM PNC PNR PNW PPG PPL PRU PSA PSX PWR PYPL QCOM RCL REG REGN RF RHI RJF RL RMD ROK ROL
ROP ROST RSG RTX SBUX SCHW SHOP SHW SJM SLB SNA SNOW SNPS SO SPG SPGI SQ SRE STE STT STX STZ SWK SWKS SYF SYK
SYY T TAP TDG TEL TER TFC TFX TGT TJX TMO TMUS TPR TRMB TRV TSCO TSLA TSN TT TXN TXT UAL UBER UDR UHS ULTA UNH
UNP UPS URI USB V VFC VLO VMC VRSK VRSN VRTX VTR VZ WAB WAT WBA WDC WEC WELL WFC WM WMB WMT WRB WST WY WYNN XEL
XOM XRAY XYL YUM ZBH ZBRA ZTS
"""

# Funds seldom traded: most minutes pass without a trade, and so without a bar.
_THIN = "AOS BF.B BRK.A GL MTD NVR PNW RHI TFX XRAY"

_ETFS = """
AGG ARKK DIA EEM EFA GDX GLD HYG IEF IVV IWM LQD QQQ SLV SMH SPY TIP TLT USO VEA VNQ VOO VTI VWO VXUS XBI XLB XLE
XLF XLI XLK XLP XLU XLV XLY XRT
"""

# Canonical symbol, asset class, name, start price, usual daily volume, yearly volatility, yearly drift, decimals.
_OTHERS = """
BTC-USD crypto Bitcoin 457 40000 .65 .35 2
ETH-USD crypto Ethereum 8 400000 .8 .4 2
SOL-USD crypto Solana 1.5 3000000 .9 .4 4
XRP-USD crypto XRP .2 90000000 .9 .1 5
DOGE-USD crypto Dogecoin .004 900000000 .95 .2 6
LTC-USD crypto Litecoin 5 900000 .8 .2 3
ADA-USD crypto Cardano .06 80000000 .9 .1 5
LINK-USD crypto Chainlink .5 4000000 .9 .2 4
EUR/USD forex Euro 1.2 180000 .08 0 5
GBP/USD forex Pound 1.7 160000 .08 0 5
USD/JPY forex Dollar_in_yen 108 170000 .09 0 3
AUD/USD forex Australian_dollar .72 120000 .1 0 5
USD/CAD forex Dollar_in_Canadian_dollars 1.3 120000 .07 0 5
USD/CHF forex Dollar_in_francs 1.29 110000 .08 0 5
EUR/GBP forex Euro_in_pounds .7 110000 .06 0 5
EUR/JPY forex Euro_in_yen 131 120000 .1 0 3
USD/INR forex Dollar_in_rupees 45 30000 .06 0 4
GC commodity Gold 275 180000 .16 .06 1
SI commodity Silver 4.9 60000 .28 .05 3
CL commodity Crude_oil 33 350000 .35 .02 2
NG commodity Natural_gas 4.8 150000 .45 0 3
HG commodity Copper .88 70000 .23 .05 4
ZC commodity Corn 1.97 140000 .27 .02 4
ZW commodity Wheat 2.65 60000 .29 .02 4
^GSPC index S&P_500 360 3000000000 .15 .07 2
^DJI index Dow_Jones_Industrial_Average 2810 300000000 .15 .07 2
^IXIC index NASDAQ_Composite 459 3500000000 .2 .09 2
^RUT index Russell_2000 168 2500000000 .2 .06 2
^VIX index Volatility_Index 18 0 .3 0 2
VFIAX fund Index_Admiral_Shares 34 0 .15 .07 2
VTSAX fund Total_Market_Admiral_Shares 33 0 .15 .07 2
FXAIX fund 500_Index_Fund 48 0 .15 .07 2
PIMIX fund Income_Fund_Institutional 10 0 .05 .01 2
VOD.XLON equity Vodafone 2.4 60000000 .25 -.02 4
OCDO.XLON equity Ocado 1.5 4000000 .4 .04 4
7203.XTKS equity Toyota 3500 8000000 .25 .04 1
6758.XTKS equity Sony 9000 6000000 .28 .04 1
"""

_LISTED: dict[AssetClass, date] = {
    "crypto": date(2014, 9, 17),
    "forex": date(2003, 12, 1),
    "commodity": date(2000, 8, 30),
    "index": date(1990, 1, 2),
    "fund": date(2000, 11, 13),
    "equity": date(2000, 1, 4),
}
_VENUES: dict[AssetClass, tuple[str, Calendar]] = {
    "crypto": ("CRYPTO", CRYPTO),
    "forex": ("FX", FOREX),
    "commodity": ("XCME", FUTURES),
    "index": ("XNYS", NYSE),
    "fund": ("XNAS", NYSE),
}
_FOREIGN: dict[str, tuple[Calendar, str]] = {"XLON": (LONDON, "GBP"), "XTKS": (TOKYO, "JPY")}


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_further: list[str] = []


def enlarge(shares: int) -> None:
    """Add a number of further US shares to the market, `ZAAAA`, `ZAAAB`, …; before anybody asks for an instrument."""
    _further[:] = ["Z" + "".join(four) for four in islice(product(LETTERS, repeat=4), shares)]
    instruments.cache_clear()


@cache
def instruments() -> dict[str, Instrument]:
    """Every instrument by its canonical symbol, in a fixed order."""
    listed = [*_recorded(), *_shares(), *_etfs(), *map(_other, _OTHERS.strip().splitlines())]
    return {instrument.symbol: instrument for instrument in listed}


def _recorded() -> list[Instrument]:
    rows = [line.split() for line in _RECORDED.strip().splitlines()]
    return [
        Instrument(
            symbol,
            "equity",
            name.replace("_", " "),
            mic,
            NYSE,
            date.fromisoformat(listed),
            start_price=0.0,  # the last recorded close
            daily_volume=20e6,
            volatility=0.24,
            drift=0.08,
            dividend_yield=float(dividend_yield),
        )
        for symbol, name, mic, listed, dividend_yield in rows
    ]


def _shares() -> list[Instrument]:
    """US shares; their differences follow from the place in the list and need no seed."""
    thin = set(_THIN.split())
    shares = []
    for place, symbol in enumerate([*_EQUITIES.split(), *_further]):
        step = (place * 37) % 100  # spreads the traits evenly over the list
        shares.append(
            Instrument(
                symbol,
                "equity",
                f"{symbol} Corporation",
                "XNAS" if place % 3 == 0 else "XNYS",
                NYSE,
                date(2004 + step % 12, 3, 15) if step < 25 else date(1990, 1, 2),
                start_price=8.0 + step * 0.9,
                daily_volume=4_000.0 if symbol in thin else 400_000.0 * (1 + step % 17),
                volatility=0.2 + (step % 10) * 0.025,
                drift=0.02 + (step % 7) * 0.015,
                dividend_yield=0.0 if step % 3 == 0 else 0.01 + (step % 5) * 0.006,
            )
        )
    return shares


def _etfs() -> list[Instrument]:
    return [
        Instrument(
            symbol,
            "etf",
            f"{symbol} Trust",
            "ARCX",
            NYSE,
            date(1998, 12, 22) if place % 2 else date(2004, 11, 18),
            start_price=30.0 + 7 * (place % 9),
            daily_volume=1_500_000.0 * (1 + place % 12),
            volatility=0.12 + (place % 6) * 0.02,
            dividend_yield=0.016,
        )
        for place, symbol in enumerate(_ETFS.split())
    ]


def _other(line: str) -> Instrument:
    symbol, kind, name, price, volume, volatility, drift, decimals = line.split()
    asset_class: AssetClass = kind  # type: ignore[assignment]
    currency = "USD"
    if asset_class == "equity":
        exchange = symbol.rpartition(".")[2]
        calendar, currency = _FOREIGN[exchange]
    else:
        exchange, calendar = _VENUES[asset_class]
    if asset_class == "forex":
        currency = symbol.partition("/")[2]
    return Instrument(
        symbol,
        asset_class,
        name.replace("_", " "),
        exchange,
        calendar,
        _LISTED[asset_class],
        float(price),
        float(volume),
        float(volatility),
        float(drift),
        currency,
        int(decimals),
    )
