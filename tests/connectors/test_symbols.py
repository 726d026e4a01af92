"""Symbols of shares in every notation, venues, coins: one instrument, one symbol, at every provider."""

import json
import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iso10383 import MIC, Status

from connectors import UnsupportedSymbol, connectors
from connectors.coins import NUMBERS, PLAIN, TICKERS
from connectors.currencies import KNOWN
from connectors.errors import OutOfScope
from connectors.symbols import SHARES, dashed, is_us, listing, split_listing, suffixed, taped, unsuffixed, us_share
from connectors.venues import BY_MIC, VENUES
from streams.processing import replay as stored

PROVIDERS = connectors()
FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.json"))
CODE = re.compile("0P[A-Z0-9]{8}|[A-Z]{2}[A-Z0-9]{9}[0-9]")  # a fund without a ticker: Morningstar's code, an ISIN
CORPUS = next(filter(Path.is_dir, (above / "shared" / "corpus" for above in Path(__file__).parents)), None)
MARKETS = {entry.value.mic: entry.value for entry in MIC}


def canonical(provider, spelling, asset_class="equity"):
    return PROVIDERS[provider].symbols.canonical(spelling, asset_class)[0]


def spell(provider, symbol, asset_class="equity"):
    return PROVIDERS[provider].symbols.spell(symbol, asset_class)


# -- the venues ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.mic)
def test_venue_is_in_force_and_in_its_country(venue):
    found = MARKETS[venue.mic]

    assert found.status is not Status.expired
    assert found.iso_country_code.name.strip("_").upper() == venue.country
    assert venue.currency in KNOWN


@pytest.mark.parametrize("column", ["yahoo", "eodhd", "alphavantage"])
def test_code_of_a_venue_is_no_other_venue_s(column):
    codes = [code for venue in VENUES if (code := getattr(venue, column))]

    assert len(codes) == len(set(codes))


# -- shares in the US ------------------------------------------------------------------------------------------------

NOTATIONS = {  # canonical -> the tape's, web sites', others that are met
    "AAPL": ("AAPL", "AAPL"),
    "BRK.B": ("BRK.B", "BRK-B"),
    "PEB.PR": ("PEBp", "PEB-P"),
    "PEB.PRE": ("PEBpE", "PEB-PE", "PEB.PR.E", "PEB-P-E", "PEB-PR-E"),
    "PEB.PRR": ("PEBpR", "PEB-PR"),
    "AAIC.WS": ("AAIC.WS", "AAIC-WT", "AAIC-WS"),
    "GM.WS.B": ("GM.WS.B", "GM-WTB", "GM-WS-B"),
    "GIW.U": ("GIW.U", "GIW-UN", "GIW-U"),
    "ABCD.RT": ("ABCDr", "ABCD-RI", "ABCD-RT"),
    "ABCD.RT.WI": ("ABCDrw", "ABCD-RWI"),
    "ABCD.WI": ("ABCDw", "ABCD-WI"),
    "ABCD.WD": ("ABCD.WD", "ABCD-WD"),
    "ABCD.CL": ("ABCD.CL", "ABCD-CL"),
    "ABCD.PRA.WI": ("ABCDpAw", None),
    "ABCD.A.WI": ("ABCD.Aw", None),
    "ABCD.PRA.CL": ("ABCDpA.CL", None),
    "ABCD.P": ("ABCD.P", None),  # `-P` is a preferred share
}


@pytest.mark.parametrize("symbol", NOTATIONS)
def test_every_notation_of_a_us_share_is_one_symbol(symbol):
    tape, hyphens, *others = NOTATIONS[symbol]

    assert (is_us(symbol), taped(symbol), dashed(symbol)) == (True, tape, hyphens)
    assert {us_share(text) for text in (symbol, tape, hyphens or symbol, *others)} == {symbol}


@pytest.mark.parametrize("text", ["", "-P-HIZ", "abc", "NO SUCH", "ABC.KW", "ABC.TO", "N/A", "A1.B2", "A.PR.PR"])
def test_what_no_exchange_writes_is_no_us_share(text):
    assert us_share(text) is None
    assert not is_us(text)


PARTS = st.sampled_from(["", ".A", ".B", ".PR", ".PRC", ".WS", ".WS.D", ".U", ".RT", ".WI", ".WD", ".CL", ".CV"])


@given(root=st.from_regex("[A-Z]{1,5}", fullmatch=True), parts=st.lists(PARTS, max_size=2))
def test_us_share_in_the_tape_s_or_web_sites_notation_is_read_back(root, parts):
    symbol = root + "".join(parts)
    with suppress(OutOfScope):
        if us_share(symbol) == symbol:
            assert us_share(taped(symbol)) == symbol
            assert dashed(symbol) is None or us_share(dashed(symbol)) == symbol


@pytest.mark.parametrize("ticker", ["ZVZZT", "ZWZZT", "NTEST", "NTEST.A", "ATEST", "ZXYZ.A", "CBO", "ABC.TEST"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_test_ticker_is_left_out_and_never_asked(provider, ticker):
    spelling = {"eodhd": f"{ticker.replace('.', '-')}.US", "brightdata": f"{ticker.replace('.', '/')}:US"}.get(
        provider, ticker.replace(".", "-") if provider in {"yahoo", "fmp", "alphavantage"} else ticker
    )
    with pytest.raises(OutOfScope):
        canonical(provider, spelling)
    with pytest.raises(UnsupportedSymbol):
        spell(provider, ticker)


LISTS = {  # provider -> its list of shares among the fixtures, and the ticker of one of them there
    "alpaca": ("the universe: an option is left out, a delisted share has a code", "ABC"),
    "alphavantage": ("listing status", "ACME"),
    "eodhd": ("listings of the US: tickers that look like nothing, a bond", "BRK-B"),
    "finnhub": ("shares and funds of an exchange", "RC.PRE"),
    "fmp": ("shares", "PEB-PE"),
    "polygon": ("the universe: a bond is left out", "ABCpA"),
    "yahoo": ("a search: options and private companies are none of ours", "BRK-B"),
}


def test_every_provider_that_lists_shares_is_tried_with_test_tickers():
    assert LISTS.keys() == {
        name
        for name, connector in PROVIDERS.items()
        if any(e.dataset == "assets" and "equity" in e.asset_classes for e in connector.endpoints)
    }


@pytest.mark.parametrize("ticker", ["ZVZZT", "ZWZZT", "ZXZZT", "NTEST", "CTEST", "ZTST"])
@pytest.mark.parametrize("provider", LISTS)
def test_test_ticker_in_a_list_is_counted_as_left_out_and_no_dead_letter(provider, ticker):
    name, listed = LISTS[provider]
    fixtures = json.loads((Path(__file__).parent / "fixtures" / f"{provider}.json").read_text())
    fixture = next(fixture for fixture in fixtures if fixture["name"] == name)
    case = stored.Case.from_recording({"provider": provider, **fixture}, fixture["call"])
    body = re.sub(rf"(?<![\w.-]){re.escape(listed)}(?![\w.-])", ticker, case.answer.body.decode())
    before, after = stored.run(case), stored.run(replace(case, answer=replace(case.answer, body=body.encode())))

    assert len(after.normalized.records) == len(before.normalized.records) - 1
    assert after.left_out == before.left_out + 1
    assert len(after.normalized.rejects) == len(before.normalized.rejects)


@pytest.mark.parametrize("ticker", ["NVTS", "ZEST", "CBOE", "TESTA"])
def test_ticker_like_a_test_ticker_is_a_share(ticker):
    assert us_share(ticker) == ticker


# -- shares elsewhere ------------------------------------------------------------------------------------------------

ABROAD = {  # canonical -> spellings by provider
    "NOVO.B.XCSE": {"yahoo": "NOVO-B.CO", "fmp": "NOVO-B.CO", "finnhub": "NOVO-B.CO", "eodhd": "NOVO-B.CO"}
    | {"alphavantage": "NOVO-B.CPH"},
    "HM.B.XSTO": {"yahoo": "HM-B.ST", "eodhd": "HM-B.ST", "alphavantage": "HM-B.STO"},
    "SAGA-PREF.XSTO": {"yahoo": "SAGA-PREF.ST", "eodhd": "SAGA-PREF.ST"},
    "BT.A.XLON": {"yahoo": "BT-A.L", "eodhd": "BT-A.LSE", "alphavantage": "BT-A.LON", "brightdata": "BT/A:LN"},
    "BP.XLON": {"yahoo": "BP.L", "eodhd": "BP.LSE", "brightdata": "BP/:LN"},
    "CTC.A.XTSE": {"yahoo": "CTC-A.TO", "eodhd": "CTC-A.TO", "alphavantage": "CTC-A.TRT", "brightdata": "CTC/A:CT"},
    "REI.UN.XTSE": {"yahoo": "REI-UN.TO", "eodhd": "REI-UN.TO", "finnhub": "REI-UN.TO"},
    "BCE.PRA.XTSE": {"yahoo": "BCE-PA.TO", "eodhd": "BCE-PA.TO"},
    "BAJAJ-AUTO.XNSE": {"yahoo": "BAJAJ-AUTO.NS", "eodhd": "BAJAJ-AUTO.NSE"},
    "M&M.XBOM": {"yahoo": "M&M.BO", "alphavantage": "M&M.BSE"},
    "0700.XHKG": {"yahoo": "0700.HK", "eodhd": "0700.HK", "alphavantage": "0700.HKG", "brightdata": "700:HK"},
    "7203.XTKS": {"yahoo": "7203.T", "eodhd": "7203.TSE", "brightdata": "7203:JT"},
    "NBK.XKUW": {"yahoo": "NBK.KW", "brightdata": "NBK:KK"},
}


@pytest.mark.parametrize(
    ("symbol", "provider", "spelling"),
    [(symbol, *pair) for symbol, spellings in ABROAD.items() for pair in spellings.items()],
)
def test_listing_is_one_symbol_at_every_provider_both_ways(symbol, provider, spelling):
    assert (spell(provider, symbol), canonical(provider, spelling)) == (spelling, symbol)


@pytest.mark.parametrize(
    ("provider", "spelling", "symbol"),
    [
        ("eodhd", "BCE-PR-A.TO", "BCE.PRA.XTSE"),
        ("finnhub", "REI.UN.TO", "REI.UN.XTSE"),
        ("yahoo", "700.HK", "0700.XHKG"),
        ("finnhub", "ABCD+", "ABCD.WS"),
        ("finnhub", "ABCD+B", "ABCD.WS.B"),
        ("finnhub", "ABCD=", "ABCD.U"),
        ("alphavantage", "ABCDWS", "ABCD.WS"),
        ("eodhd", "ABCD-U.US", "ABCD.U"),
        ("polygon", "ABCD-B", "ABCD.PRB"),
    ],
)
def test_other_spelling_of_a_provider_is_read_as_the_same_symbol(provider, spelling, symbol):
    assert canonical(provider, spelling) == symbol


@pytest.mark.parametrize("symbol", ["NOVO-B.XCSE", "700.XHKG", "BCE.PA.XTSE", "BRK-B", "PEB.PR.E", "GM-WTB", "AAIC.WT"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_other_spelling_is_not_canonical_and_cannot_be_asked(provider, symbol):
    with pytest.raises(UnsupportedSymbol):
        spell(provider, symbol)


@pytest.mark.parametrize("symbol", ["NOVO.B.XCSE", "HM.B.XSTO"])
def test_class_that_runs_together_with_its_ticker_is_not_asked(symbol):
    with pytest.raises(UnsupportedSymbol):
        spell("brightdata", symbol)


TICKER = st.from_regex(r"[A-Z0-9]{1,5}((\.|-| )[A-Z0-9]{1,4}){0,2}", fullmatch=True)


@given(text=TICKER, venue=st.sampled_from(VENUES))
def test_reading_a_listing_again_changes_nothing(text, venue):
    symbol = listing(text, venue)

    if symbol is not None:
        ticker = split_listing(symbol)[0]
        assert listing(ticker, venue) == symbol
        assert suffixed(symbol) is None or unsuffixed(suffixed(symbol)) == symbol


def test_former_holder_of_a_ticker_is_left_out():
    with pytest.raises(OutOfScope):
        canonical("eodhd", "AAC_OLD.US")
    assert canonical("eodhd", "OLD.US") == "OLD"


def test_share_that_alpha_vantage_lists_twice_is_left_out_the_second_time():
    with pytest.raises(OutOfScope):
        canonical("alphavantage", "ABCD:BAT")


# -- coins -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ticker", NUMBERS)
def test_coin_that_yahoo_numbers_is_asked_and_read_by_its_number(ticker):
    spelling = spell("yahoo", f"{ticker}-USD", "crypto")

    assert spelling == f"{ticker}{NUMBERS[ticker]}-USD"
    assert canonical("yahoo", spelling, "crypto") == f"{ticker}-USD"
    with pytest.raises(OutOfScope):
        canonical("yahoo", f"{ticker}-USD", "crypto")


def test_coin_of_which_nothing_is_known_is_not_asked_at_yahoo():
    with pytest.raises(UnsupportedSymbol):
        spell("yahoo", "XYZ-USD", "crypto")
    with pytest.raises(OutOfScope):
        canonical("yahoo", "XYZ12345-USD", "crypto")
    assert canonical("yahoo", "BTC-EUR", "crypto") == spell("yahoo", "BTC-EUR", "crypto") == "BTC-EUR"


def test_no_coin_is_plain_and_numbered():
    assert NUMBERS.keys() & PLAIN == set()
    assert len(TICKERS) == len(NUMBERS)


@pytest.mark.parametrize(
    ("provider", "symbol"), [("eodhd", "UNI-USD"), ("fmp", "XCN-USD"), ("alphavantage", "STX-EUR")]
)
def test_coin_that_another_list_may_mean_otherwise_is_not_asked_there(provider, symbol):
    with pytest.raises(UnsupportedSymbol):
        spell(provider, symbol, "crypto")


@pytest.mark.parametrize(("provider", "spelling"), [("eodhd", "UNI-USD.CC"), ("alphavantage", "STX/EUR")])
def test_coin_that_may_be_another_is_left_out(provider, spelling):
    with pytest.raises(OutOfScope):
        canonical(provider, spelling, "crypto")


@pytest.mark.parametrize(
    ("provider", "spelling"), [("polygon", "X:UNIUSD"), ("finnhub", "COINBASE:UNI-USD"), ("alpaca", "UNI/USD")]
)
def test_exchange_s_own_ticker_is_the_coin_itself(provider, spelling):
    assert canonical(provider, spelling, "crypto") == "UNI-USD"
    assert spell(provider, "UNI-USD", "crypto") == spelling


# -- every list of symbols through every provider --------------------------------------------------------------------


def recorded():
    """Cases of the corpus, where it is, and of the fixtures."""
    for path in FIXTURES:
        for fixture in json.loads(path.read_text()):
            yield stored.Case.from_recording({"provider": path.stem, **fixture}, fixture["call"])
    for path in sorted((CORPUS / "expected").glob("*/*.json")) if CORPUS else ():
        if path.parent.name in PROVIDERS:
            recording = json.loads((CORPUS / path.parent.name / path.name).read_text())
            yield stored.Case.from_recording(recording, json.loads(path.read_text())["call"])


@pytest.fixture(scope="module")
def listed():
    """(symbol, asset class) of every record -> who told of it."""
    found = defaultdict(set)
    for case in recorded():
        for record in stored.run(case).normalized.records:
            if symbol := getattr(record, "symbol", None):
                found[symbol, record.asset_class].add(case.provider)
    return found


def test_every_symbol_is_read_back_at_every_provider_that_spells_it(listed):
    assert len(listed) > 100
    wrong = []
    for symbol, asset_class in listed:
        for name, connector in PROVIDERS.items():
            with suppress(UnsupportedSymbol):
                spelling = connector.symbols.spell(symbol, asset_class)
                if connector.symbols.canonical(spelling, asset_class) != (symbol, asset_class):
                    wrong.append((name, symbol, spelling))

    assert wrong == []


def test_every_share_is_asked_again_by_the_provider_that_told_of_it(listed):
    """Otherwise the test above would hold of a symbol that nobody can spell."""
    unasked = set()
    for (symbol, asset_class), providers in listed.items():
        for name in providers - {"alpaca"} if asset_class in SHARES else ():  # whose delisted shares have codes
            try:
                spell(name, symbol, asset_class)
            except UnsupportedSymbol:
                unasked.add((name, symbol))

    assert unasked == set()


def test_no_two_symbols_are_spelled_alike_at_a_provider(listed):
    """Two symbols of one spelling would be one share under two names."""
    symbols = defaultdict(set)
    for symbol, asset_class in listed:
        for name, connector in PROVIDERS.items():
            with suppress(UnsupportedSymbol):
                symbols[name, asset_class, connector.symbols.spell(symbol, asset_class)].add(symbol)

    assert [alike for alike in symbols.values() if len(alike) > 1] == []


def test_no_provider_stores_a_share_under_the_name_another_one_reads_otherwise(listed):
    """What one provider stores is canonical to all: read as any notation it stays as it is."""
    strange = []
    for (symbol, asset_class), providers in listed.items():
        if asset_class in SHARES and providers != {"alpaca"}:  # whose delisted shares have codes
            venue = split_listing(symbol)
            if not (venue or is_us(symbol) or CODE.fullmatch(symbol)):
                strange.append((symbol, providers))

    assert strange == []


def test_share_is_read_back_at_every_provider_and_venue():
    for symbol in [*NOTATIONS, *ABROAD, *(f"ABC.{mic}" for mic in BY_MIC), *(f"ABC.B.{mic}" for mic in BY_MIC)]:
        read = set()
        for name in PROVIDERS:
            with suppress(UnsupportedSymbol):
                read.add(canonical(name, spell(name, symbol)))
        assert read <= {symbol}
