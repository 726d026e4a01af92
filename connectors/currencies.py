"""Currency codes as providers write them: ISO 4217, and the minor units in which some exchanges quote. Pure.

A code that is neither is not guessed at: in upper case it would be a currency that nobody named, and a price in cents
that is taken for one in whole units is a hundred times too high.
"""

from __future__ import annotations

from types import MappingProxyType

from connectors.errors import FieldError

_HUNDREDTHS = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY
    COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS
    INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR
    MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP
    STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
"""
HUNDREDTHS = frozenset(_HUNDREDTHS.split())
"""Codes in force whose minor unit is a hundredth."""
THOUSANDTHS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_UNDIVIDED = """
    BIF CLF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI UYW VND VUV XAF XAG XAU XBA XBB XBC XBD XDR XOF XPD XPF XPT
    XSU XUA
"""
UNDIVIDED = frozenset(_UNDIVIDED.split())
"""Codes in force without a minor unit in which anything is quoted: yen, units of account, metals."""
_WITHDRAWN = """
    ANG ATS AZM BEF BGL BGN BYR CSD CUC CYP DEM EEK ESP FIM FRF GHC GRD HRK IEP ITL LTL LUF LVL MGF MRO MTL MZM NLG
    PTE ROL RUR SDD SIT SKK SLL SRG STD TMM TRL USS VEB VEF XEU YUM ZMK ZWD ZWL ZWR
"""
WITHDRAWN = frozenset(_WITHDRAWN.split())
"""Codes of ISO 4217's list of historic ones since 1995: old statements, dividends and prices are in them."""
OFFSHORE = frozenset({"CNH"})
"""The yuan traded outside China: no code of ISO 4217, but a rate and a price of its own at every provider."""
KNOWN = HUNDREDTHS | THOUSANDTHS | UNDIVIDED | WITHDRAWN | OFFSHORE

_NAMED = MappingProxyType(
    {
        "GBX": ("GBP", 0.01),
        "GBx": ("GBP", 0.01),
        "ZAC": ("ZAR", 0.01),
        "ZAc": ("ZAR", 0.01),
        "ILA": ("ILS", 0.01),
        "ILa": ("ILS", 0.01),
        "USX": ("USD", 0.01),
        "USx": ("USD", 0.01),
        "KWF": ("KWD", 0.001),
        "KWf": ("KWD", 0.001),
    }
)
"""Minor units with names of their own: pence, cents, agorot and fils, as exchanges, Yahoo and EODHD write them."""


def unit(code: str) -> tuple[str, float]:
    """Return (ISO 4217 code, factor that brings a price in `code` to it): `GBX` -> (`GBP`, 0.01), `USD` -> (`USD`, 1).

    Bloomberg writes a minor unit with a small last letter: `ZAr`, `ILs`, `KWd`. Raises `FieldError` (rule `currency`).
    """
    if code in KNOWN:
        return code, 1.0
    if named := _NAMED.get(code):
        return named
    major = code.upper()
    if len(code) == 3 and code[:2].isupper() and code[2].islower():
        if major in HUNDREDTHS:
            return major, 0.01
        if major in THOUSANDTHS:
            return major, 0.001
    raise FieldError("currency", f"currency {code[:20]} is neither of ISO 4217 nor a known minor unit")
