"""The forms of canonical symbols, and what is meant by other spellings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.forms import asset_class_of, is_canonical, not_canonical, suggestion
from connectors.symbols import SHARES

MEANT = {
    "BRK-B": "BRK.B",
    "brk.b": "BRK.B",
    "BRK/B": "BRK.B",
    "PEB-PE": "PEB.PRE",
    "PEBpE": "PEB.PRE",
    "GM-WTB": "GM.WS.B",
    "VOD.L": "VOD.XLON",
    "VOD.LSE": "VOD.XLON",
    "VOD:LN": "VOD.XLON",
    "BMW.XETRA": "BMW.XETR",
    "BMW.DEX": "BMW.XETR",
    "NOVO-B.CO": "NOVO.B.XCSE",
    "NOVO-B.XCSE": "NOVO.B.XCSE",
    "NOVO B DC": "NOVO.B.XCSE",
    "700.HK": "0700.XHKG",
    "AAPL.US": "AAPL",
    "AAPL:US": "AAPL",
    "NASDAQ:AAPL": "AAPL",
    "$AAPL": "AAPL",
    " aapl ": "AAPL",
    "BTCUSD": "BTC-USD",
    "BTC/USD": "BTC-USD",
    "btc-usd": "BTC-USD",
    "X:BTCUSD": "BTC-USD",
    "ETHUSDT": "ETH-USDT",
    "EURUSD": "EUR/USD",
    "EUR-USD": "EUR/USD",
    "eur/usd": "EUR/USD",
    "EURUSD=X": "EUR/USD",
    "INR=X": "USD/INR",
    "C:EURUSD": "EUR/USD",
    "^gspc": "^GSPC",
    "GC=F": "GC (commodity)",
}


@pytest.mark.parametrize("written", MEANT)
def test_other_spelling_is_answered_with_what_is_meant(written):
    told = not_canonical(written, asset_class_of(written))

    assert told == f"{written} is not canonical: did you mean {MEANT[written]}?"


@pytest.mark.parametrize(
    ("symbol", "asset_class"),
    [
        *((symbol, "equity") for symbol in ("AAPL", "BRK.B", "GM.WS.B", "GIW.U", "NOVO.B.XCSE", "7203.XTKS", "BF.A")),
        *(("BTC-USD", "crypto"), ("1INCH-EUR", "crypto"), ("EUR/USD", "forex"), ("XAU/USD", "forex")),
        *(("^GSPC", "index"), ("^STOXX50E", "index")),
    ],
)
def test_canonical_symbol_has_the_asset_class_of_its_form_and_no_other_is_suggested(symbol, asset_class):
    assert asset_class_of(symbol) == asset_class
    assert is_canonical(symbol, asset_class)
    assert not_canonical(symbol, asset_class) is None


@pytest.mark.parametrize(("symbol", "asset_class"), [("GC", "commodity"), ("VTSAX", "fund"), ("0P000071W8", "fund")])
def test_commodity_and_fund_have_the_form_of_a_share_and_are_canonical_as_what_they_are(symbol, asset_class):
    assert asset_class_of(symbol) == "equity"
    assert is_canonical(symbol, asset_class)


@pytest.mark.parametrize(
    ("text", "asset_class", "example"),
    [
        ("no share", "equity", "AAPL, BRK.B, VOD.XLON"),
        ("", "fund", "AAPL, BRK.B, VOD.XLON"),
        ("ZVZZT", "equity", "AAPL, BRK.B, VOD.XLON"),
        ("!", "crypto", "BTC-USD"),
        ("!", "index", "^GSPC"),
    ],
)
def test_what_is_like_nothing_is_answered_with_an_example(text, asset_class, example):
    assert suggestion(text, asset_class) is None
    assert not_canonical(text, asset_class) == (
        f"{text} is no canonical symbol of the asset class {asset_class}: write {example}"
    )


def test_share_keeps_the_asset_class_that_was_asked_for():
    assert suggestion("SPY.US", "etf") == ("SPY", "etf")


@given(text=st.one_of(st.text(max_size=12), st.from_regex(r"[A-Za-z0-9./:=^ _-]{0,14}", fullmatch=True)))
def test_suggestion_is_canonical_and_not_the_text_itself(text):
    found = suggestion(text, asset_class_of(text))

    if found is not None:
        assert is_canonical(*found) or found[1] in SHARES
        assert not_canonical(*found) is None
