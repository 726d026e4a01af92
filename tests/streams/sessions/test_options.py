"""What somebody writes becomes a session, or one line that says what was wrong."""

import pytest

from streams.errors import InvalidSpec
from streams.sessions.options import assets, make
from streams.sessions.spec import HOUR_MS, PRESETS, SessionAsset

NOW = 1_717_419_600_000


def test_a_mode_is_its_preset_and_what_is_given_besides_replaces_it():
    found = make(NOW, mode="test", hours=0.25, symbols=["IBM", "BTC-USD"])

    assert (found.mode, found.duration_ms) == ("test", HOUR_MS // 4)
    assert found.symbols == (SessionAsset("IBM"), SessionAsset("BTC-USD", "crypto"))
    assert found.sources == PRESETS["test"].sources
    assert found.id.startswith("20240603-130000-")


def test_without_a_mode_it_is_a_custom_one_of_all_there_is():
    found = make(NOW, hours=1)

    assert found.mode == "custom"
    assert found.symbols == PRESETS["production"].symbols
    assert make(NOW).id != found.id


def test_an_asset_class_is_told_known_or_seen_by_the_form():
    assert assets(["SPY", "VTI:etf", "AAPL", "EUR/USD", "DOGE-USD", "BRK.B", "GC:commodity", "AAPL"]) == (
        *(
            SessionAsset("SPY", "etf"),
            SessionAsset("VTI", "etf"),
            SessionAsset("AAPL"),
            SessionAsset("EUR/USD", "forex"),
        ),
        *(SessionAsset("DOGE-USD", "crypto"), SessionAsset("BRK.B"), SessionAsset("GC", "commodity")),
    )


def test_a_symbol_in_another_spelling_is_refused_with_what_may_be_meant():
    with pytest.raises(InvalidSpec, match=r"BRK-B is not canonical: did you mean BRK\.B\?$"):
        make(NOW, symbols=["AAPL", "BRK-B"])


def test_a_file_says_the_same_and_options_win_over_it(tmp_path):
    path = tmp_path / "session.toml"
    path.write_text('mode = "focused"\nhours = 3\nsymbols = ["IBM"]\nsources = ["yahoo", "fmp"]\n')

    found = make(NOW, file=path, sources=["finnhub"])

    assert (found.mode, found.duration_ms, found.symbols) == ("focused", 3 * HOUR_MS, (SessionAsset("IBM"),))
    assert found.sources == ("finnhub",)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("hours = 0", "hours was 0"),
        ('hours = "8"', "hours was '8'"),
        ('symbols = "AAPL"', "symbols was 'AAPL'"),
        ("sources = [3]", r"sources was \[3\]"),
        ("duration = 3", "unknown key 'duration'; known: mode, hours, symbols, sources, datasets"),
        ("hours", "session.toml: "),
        ('mode = "long"', "there is no ready-made session 'long'"),
    ],
)
def test_a_mistake_in_a_file_is_named(tmp_path, text, line):
    path = tmp_path / "session.toml"
    path.write_text(text)

    with pytest.raises(InvalidSpec, match=line):
        make(NOW, file=path)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(InvalidSpec, match=r"none\.toml"):
        make(NOW, file=tmp_path / "none.toml")
