"""Coins whose ticker another coin bears too. Data only.

On exchanges `UNI` is Uniswap; in a list of every coin an older one, Unicorn Token, has that ticker. Such a list
distinguishes them by CoinMarketCap's number: at Yahoo `UNI7083-USD` is Uniswap and `UNI-USD` the other. The canonical
`UNI-USD` is the coin that exchanges trade under that ticker.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NUMBERS: Mapping[str, int] = MappingProxyType(
    {
        "AERO": 29270,
        "ALT": 29073,
        "APE": 18876,
        "APT": 21794,
        "ARB": 11841,
        "ASTER": 36341,
        "ATH": 30083,
        "AXL": 17799,
        "BANANA": 28066,
        "BEAM": 28298,
        "CBBTC": 32994,
        "COMP": 5692,
        "CORE": 23254,
        "CYBER": 24781,
        "DEGEN": 30096,
        "GMT": 18069,
        "GMX": 11857,
        "GRT": 6719,
        "HIFI": 23037,
        "HYPE": 32196,
        "ID": 21846,
        "IMX": 10603,
        "IO": 29835,
        "JUP": 29210,
        "LUNA": 20314,
        "MEME": 28301,
        "METH": 29035,
        "MEW": 30126,
        "MNT": 27075,
        "ONE": 3945,
        "PENGU": 34466,
        "PEPE": 24478,
        "PI": 35697,
        "POL": 28321,
        "POPCAT": 28782,
        "PORTAL": 29555,
        "PRIME": 23711,
        "PUMP": 36507,
        "RARE": 11294,
        "S": 32684,
        "SAFE": 21585,
        "SAGA": 30372,
        "SATS": 28194,
        "SKY": 33038,
        "SPX": 28081,
        "STRK": 22691,
        "STX": 4847,
        "SUI": 20947,
        "TAO": 22974,
        "TIA": 22861,
        "TON": 11419,
        "TRUMP": 35336,
        "UNI": 7083,
        "USDE": 29470,
        "ZRO": 26997,
    }
)
"""CoinMarketCap's number of the coin that exchanges trade under a ticker of several coins."""
TICKERS: Mapping[str, str] = MappingProxyType({f"{ticker}{number}": ticker for ticker, number in NUMBERS.items()})
"""`UNI7083` -> `UNI`."""
_PLAIN = """
    1INCH AAVE ADA ALGO AR ATOM AVAX AXS BAT BCH BNB BONK BSV BTC BUSD CAKE CELO CFX CHZ CRO CRV CVX DAI DASH DOGE
    DOT DYDX EGLD ENJ ENS EOS ETC ETH FDUSD FET FIL FLOKI FLOW FLR FRAX FTM GALA GLM GNO HBAR HNT ICP INJ IOTA JASMY
    KAS KAVA KCS KLAY KNC KSM LDO LEO LINK LRC LTC LUNC MANA MATIC MINA MIOTA MKR NEAR NEO NEXO OKB ONDO OP ORDI
    PAXG PENDLE PYTH QNT QTUM RENDER ROSE RPL RUNE RVN SAND SHIB SNX SOL STETH THETA TRX TUSD TWT USDC USDT VET
    WAVES WBETH WBTC WETH WIF WLD WSTETH XDC XEC XLM XMR XRD XRP XTZ YFI ZEC ZETA ZIL
"""
PLAIN = frozenset(_PLAIN.split())
"""Tickers under which lists of every coin have the one that exchanges trade."""
