"""The venues where shares are listed, and how each provider writes them: one table, one row per venue."""

from __future__ import annotations

from typing import NamedTuple


class Venue(NamedTuple):
    """An exchange: its MIC, country (ISO 3166-1), and how providers write it; "" where one does not sell it."""

    mic: str
    """ISO 10383 code of the operating market."""
    country: str
    """ISO 3166-1 alpha-2 code."""
    currency: str
    """ISO 4217 code of the prices."""
    yahoo: str
    """Suffix at Yahoo, FMP and Finnhub."""
    eodhd: str
    """Exchange code at EODHD."""
    alphavantage: str
    """Suffix at Alpha Vantage."""
    bloomberg: str
    """Exchange code of Bloomberg, which Bright Data uses."""


VENUES: tuple[Venue, ...] = (
    Venue("XLON", "GB", "GBP", "L", "LSE", "LON", "LN"),
    Venue("XETR", "DE", "EUR", "DE", "XETRA", "DEX", "GY"),
    Venue("XFRA", "DE", "EUR", "F", "F", "FRK", "GF"),
    Venue("XPAR", "FR", "EUR", "PA", "PA", "PAR", "FP"),
    Venue("XAMS", "NL", "EUR", "AS", "AS", "AMS", "NA"),
    Venue("XBRU", "BE", "EUR", "BR", "BR", "BRU", "BB"),
    Venue("XLIS", "PT", "EUR", "LS", "LS", "LIS", "PL"),
    Venue("XDUB", "IE", "EUR", "IR", "IR", "", "ID"),
    Venue("XMIL", "IT", "EUR", "MI", "", "", "IM"),
    Venue("XMAD", "ES", "EUR", "MC", "MC", "", "SM"),
    Venue("XSWX", "CH", "CHF", "SW", "SW", "SWX", "SW"),
    Venue("XWBO", "AT", "EUR", "VI", "VI", "", "AV"),
    Venue("XSTO", "SE", "SEK", "ST", "ST", "STO", "SS"),
    Venue("XOSL", "NO", "NOK", "OL", "OL", "OSL", "NO"),
    Venue("XCSE", "DK", "DKK", "CO", "CO", "CPH", "DC"),
    Venue("XHEL", "FI", "EUR", "HE", "HE", "HEL", "FH"),
    Venue("XICE", "IS", "ISK", "IC", "IC", "", "IR"),
    Venue("XWAR", "PL", "PLN", "WA", "WAR", "", "PW"),
    Venue("XPRA", "CZ", "CZK", "PR", "PR", "", "CP"),
    Venue("XBUD", "HU", "HUF", "BD", "BUD", "", "HB"),
    Venue("XATH", "GR", "EUR", "AT", "AT", "", "GA"),
    Venue("XIST", "TR", "TRY", "IS", "IS", "", "TI"),
    Venue("XTAE", "IL", "ILS", "TA", "TA", "", "IT"),
    Venue("XJSE", "ZA", "ZAR", "JO", "JSE", "", "SJ"),
    Venue("XTSE", "CA", "CAD", "TO", "TO", "TRT", "CT"),
    Venue("XTSX", "CA", "CAD", "V", "V", "TRV", "CV"),
    Venue("XCNQ", "CA", "CAD", "CN", "CN", "", "CF"),
    Venue("NEOE", "CA", "CAD", "NE", "NEO", "", "QF"),
    Venue("XMEX", "MX", "MXN", "MX", "MX", "", "MM"),
    Venue("BVMF", "BR", "BRL", "SA", "SA", "SAO", "BS"),
    Venue("XBUE", "AR", "ARS", "BA", "BA", "", "AR"),
    Venue("XSGO", "CL", "CLP", "SN", "SN", "", "CI"),
    Venue("XASX", "AU", "AUD", "AX", "AU", "", "AU"),
    Venue("XNZE", "NZ", "NZD", "NZ", "", "", "NZ"),
    Venue("XTKS", "JP", "JPY", "T", "TSE", "", "JT"),
    Venue("XHKG", "HK", "HKD", "HK", "HK", "HKG", "HK"),
    Venue("XSHG", "CN", "CNY", "SS", "SHG", "SHH", "CG"),
    Venue("XSHE", "CN", "CNY", "SZ", "SHE", "SHZ", "CS"),
    Venue("XKRX", "KR", "KRW", "KS", "KO", "", "KP"),
    Venue("XKOS", "KR", "KRW", "KQ", "KQ", "", "KQ"),
    Venue("XTAI", "TW", "TWD", "TW", "TW", "", "TT"),
    Venue("ROCO", "TW", "TWD", "TWO", "TWO", "", "TT"),
    Venue("XNSE", "IN", "INR", "NS", "NSE", "NSE", "IS"),
    Venue("XBOM", "IN", "INR", "BO", "BSE", "BSE", "IB"),
    Venue("XSES", "SG", "SGD", "SI", "", "", "SP"),
    Venue("XBKK", "TH", "THB", "BK", "BK", "", "TB"),
    Venue("XIDX", "ID", "IDR", "JK", "JK", "", "IJ"),
    Venue("XKLS", "MY", "MYR", "KL", "KLSE", "", "MK"),
    Venue("XBER", "DE", "EUR", "BE", "BE", "", "GB"),
    Venue("XHAM", "DE", "EUR", "HM", "HM", "", "GH"),
    Venue("XDUS", "DE", "EUR", "DU", "DU", "", "GD"),
    Venue("XHAN", "DE", "EUR", "HA", "HA", "", "GI"),
    Venue("XMUN", "DE", "EUR", "MU", "MU", "", "GM"),
    Venue("XSTU", "DE", "EUR", "SG", "STU", "", "GS"),
    Venue("XLUX", "LU", "EUR", "", "LU", "", "LX"),
    Venue("XPHS", "PH", "PHP", "PS", "PSE", "", "PM"),
    Venue("XBSE", "RO", "RON", "RO", "RO", "", "RO"),
    Venue("XSAU", "SA", "SAR", "SR", "", "", "AB"),
    Venue("DSMD", "QA", "QAR", "QA", "", "", "QD"),
    Venue("XDFM", "AE", "AED", "AE", "", "", "UH"),
    Venue("XCAI", "EG", "EGP", "CA", "EGX", "", "EY"),
    Venue("XSTC", "VN", "VND", "VN", "", "", "VN"),
    Venue("XTAL", "EE", "EUR", "TL", "", "", "ET"),
    Venue("XRIS", "LV", "EUR", "RG", "", "", ""),
    Venue("XLIT", "LT", "EUR", "VS", "", "", ""),
    Venue("XKUW", "KW", "KWD", "KW", "", "", "KK"),
    Venue("XBAH", "BH", "BHD", "", "", "", "BI"),
    Venue("XMUS", "OM", "OMR", "", "", "", "OM"),
    Venue("XAMM", "JO", "JOD", "", "", "", "JR"),
    Venue("XCAS", "MA", "MAD", "", "BC", "", "MC"),
    Venue("XNSA", "NG", "NGN", "", "XNSA", "", "NL"),
    Venue("XNAI", "KE", "KES", "", "XNAI", "", "KN"),
    Venue("XGHA", "GH", "GHS", "", "GSE", "", "GN"),
    Venue("XBOT", "BW", "BWP", "", "XBOT", "", "BG"),
    Venue("XLUS", "ZM", "ZMW", "", "LUSE", "", "ZL"),
    Venue("XMSW", "MW", "MWK", "", "MSE", "", "MW"),
    Venue("XUGA", "UG", "UGX", "", "USE", "", "UG"),
    Venue("XDAR", "TZ", "TZS", "", "DSE", "", "TZ"),
    Venue("XMAU", "MU", "MUR", "", "SEM", "", "MP"),
    Venue("XKAR", "PK", "PKR", "KA", "KAR", "", "PA"),
    Venue("XCOL", "LK", "LKR", "CM", "CM", "", "SL"),
    Venue("XLIM", "PE", "PEN", "", "LIM", "", "PE"),
    Venue("XBOG", "CO", "COP", "CL", "", "", "CB"),
    Venue("XZAG", "HR", "EUR", "", "ZSE", "", "CZ"),
)

BY_MIC = {venue.mic: venue for venue in VENUES}


def venue_by(field: str, code: str) -> Venue | None:
    """Return the venue that a provider writes as `code`; `field` is the column of `VENUES`, e.g. ``yahoo``."""
    return _BY_CODE[field].get(code)


def us_exchange(name: str | None) -> str | None:
    """Return the MIC of a US exchange as providers name it (`NYSE`, `ARCA`); an unknown name stays as it is."""
    return None if name is None else _US_EXCHANGES.get(name.upper(), name)


_US_EXCHANGES = {
    "NYSE": "XNYS",
    "NYE": "XNYS",
    "NGS": "XNAS",
    "NASDAQ": "XNAS",
    "AMEX": "XASE",
    "NYSE MKT": "XASE",
    "NYSE AMERICAN": "XASE",
    "ARCA": "ARCX",
    "NYSE ARCA": "ARCX",
    "NYSEARCA": "ARCX",
    "BATS": "BATS",
    "CBOE": "BATS",
    "OTC": "OOTC",
}

_BY_CODE: dict[str, dict[str, Venue]] = {
    field: {code: venue for venue in reversed(VENUES) if (code := getattr(venue, field))}
    for field in ("yahoo", "eodhd", "alphavantage", "bloomberg")
}
