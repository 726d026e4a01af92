"""A session's task is refused with all that is wrong, and the ready-made ones can really be collected."""

from dataclasses import replace

import pytest

from connectors import DATASETS, UnsupportedCall, connectors
from streams.errors import InvalidSpec
from streams.sessions.spec import HOUR_MS, MINUTE_MS, PRESETS, SessionAsset, Spec, preset

GOOD = Spec(
    "s-1",
    "custom",
    HOUR_MS,
    (SessionAsset("AAPL"), SessionAsset("BTC-USD", "crypto")),
    ("yahoo",),
    ("quote",),
    "Ann B.",
)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"id": ""}, "its id must be 1 to 64"),
        ({"id": "../other"}, "its id must be 1 to 64"),
        ({"mode": "fast"}, "mode 'fast' is none of production, focused, test, custom"),
        ({"duration_ms": 0}, "it cannot last 0 hours: more than 0, at most 8784"),
        ({"duration_ms": 10**30}, "at most 8784"),
        ({"symbols": ()}, "symbols: name at least one"),
        ({"symbols": (SessionAsset("aapl"),)}, "symbols: 'aapl' is not of the form"),
        ({"symbols": (SessionAsset("AAPL", "a share"),)}, "asset classes: 'a share' is not of the form"),
        ({"symbols": (SessionAsset("AAPL"), SessionAsset("AAPL"))}, r"symbols: AAPL \(equity\) is named twice"),
        ({"sources": ()}, "sources: name at least one"),
        ({"sources": ("yahoo?apikey=1",)}, "sources: 'yahoo.apikey=1' is not of the form"),
        ({"sources": ("yahoo", "fmp", "yahoo")}, "sources: yahoo is named twice"),
        ({"datasets": ("Quote",)}, "datasets: 'Quote' is not of the form"),
        ({"started_by": "https://x/?apikey=abc"}, "started_by must be a name"),
        ({"started_by": "a\nb"}, "started_by must be a name"),
    ],
)
def test_a_wrong_task_is_refused_with_what_is_wrong(change, complaint):
    with pytest.raises(InvalidSpec, match=complaint):
        replace(GOOD, **change)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(InvalidSpec, match=r"^session 's-1': it cannot last .*; sources: name at least one$"):
        replace(GOOD, duration_ms=-1, sources=())


def test_one_symbol_of_two_asset_classes_is_two_things():
    assert len(replace(GOOD, symbols=(SessionAsset("GLD", "etf"), SessionAsset("GLD", "commodity"))).symbols) == 2


def test_production_takes_eight_hours_of_all_providers():
    spec = preset("production", "p-1", "ann")

    assert (spec.id, spec.mode, spec.started_by, spec.duration_ms) == ("p-1", "production", "ann", 8 * HOUR_MS)
    assert len(spec.symbols) >= 50
    assert {asset.asset_class for asset in spec.symbols} == {"equity", "etf", "crypto", "forex"}
    assert set(spec.sources) == set(connectors())


def test_focused_and_test_are_as_small_as_promised():
    focused, test = preset("focused", "f-1"), preset("test", "t-1")

    assert (focused.duration_ms, len(focused.symbols), set(focused.sources)) == (
        2 * HOUR_MS,
        15,
        {"eodhd", "finnhub", "fmp"},
    )
    assert (test.duration_ms, len(test.symbols), set(test.sources)) == (
        30 * MINUTE_MS,
        5,
        {"yahoo", "polygon", "finnhub", "eodhd"},
    )


@pytest.mark.parametrize("mode", ["custom", "fast"])
def test_a_mode_without_a_ready_made_session_is_refused(mode):
    with pytest.raises(InvalidSpec, match=f"no ready-made session '{mode}'; there are production, focused, test"):
        preset(mode, "s-1")


def serves(source, dataset, asset):
    connector = connectors()[source]
    try:
        connector.symbols.spell(asset.symbol, asset.asset_class)
    except UnsupportedCall:
        return False
    return any(
        endpoint.routed and endpoint.dataset == dataset and asset.asset_class in endpoint.asset_classes
        for endpoint in connector.endpoints
    )


@pytest.mark.parametrize("mode", PRESETS)
def test_every_part_of_a_ready_made_session_brings_work(mode):
    spec = preset(mode, "s-1")
    work = [
        (source, dataset, asset)
        for source in spec.sources
        for dataset in spec.datasets
        for asset in spec.symbols
        if serves(source, dataset, asset)
    ]

    assert set(spec.datasets) <= set(DATASETS)
    assert {source for source, _, _ in work} == set(spec.sources)
    assert {dataset for _, dataset, _ in work} == set(spec.datasets)
    assert {asset for _, _, asset in work} == set(spec.symbols)
