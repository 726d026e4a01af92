"""What a key is not sold: remembered for its scope and for a day, whoever folds it and in whatever order."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.scope import Scope
from infra.clickhouse.queries import RefusedCall
from streams.accounts import entitlement
from streams.accounts.entitlement import MOST, REASON, REMEMBERED_MS, Refused, current, learn, of_key

NOON, DAY, YEAR = 1_780_000_000_000, 86_400_000, 365 * 86_400_000
BARS = {"endpoint": "bars", "asset_classes": ("equity", "etf"), "interval": "1d"}


def learnt(*scopes, refusals=(), at=NOON):
    for scope in scopes:
        refusals = learn(refusals, scope, "NotEntitled", "no", at)
    return refusals


def scopes(refusals):
    return [known.covers for known in refusals]


def test_a_refusal_is_remembered_for_a_day_with_the_provider_s_words():
    (known,) = learn((), Scope(**BARS), "NotEntitled", "Your plan lacks it. " * 20, NOON)

    assert known.reason == ("Your plan lacks it. " * 20)[:REASON]
    assert (known.outcome, known.since, known.until) == ("NotEntitled", NOON, NOON + REMEMBERED_MS)
    assert str(known) == f"bars (equity etf, 1d): {known.reason}"
    assert current((known,), NOON + REMEMBERED_MS - 1) == (known,)
    assert current((known,), NOON + REMEMBERED_MS) == ()


def test_a_repeated_refusal_keeps_its_since_as_long_as_it_holds():
    once = learnt(Scope(**BARS))
    (again,) = learnt(Scope(**BARS), refusals=once, at=NOON + DAY - 1)
    (later,) = learnt(Scope(**BARS), refusals=once, at=NOON + DAY)

    assert (again.since, again.until) == (NOON, NOON + DAY - 1 + REMEMBERED_MS)
    assert (later.since, later.until) == (NOON + DAY, NOON + DAY + REMEMBERED_MS)


OLDER, LONGER = Scope(**BARS, older_ms=2 * YEAR), Scope(**BARS, longer_ms=30 * DAY)


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (Scope(), OLDER),
        (Scope(), Scope(endpoint="news", symbols=("AAPL",))),
        (Scope(**BARS), OLDER),
        (Scope(**BARS), Scope(**BARS, symbols=("AAPL",))),
        (Scope(**BARS, older_ms=YEAR), OLDER),
        (Scope(**BARS, longer_ms=7 * DAY), LONGER),
    ],
)
def test_a_wider_refusal_takes_the_place_of_a_narrower_one(new, old):
    assert scopes(learnt(old, new)) == [new]


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (Scope(**BARS, older_ms=3 * YEAR), OLDER),
        (Scope(**BARS, longer_ms=60 * DAY), LONGER),
        (LONGER, OLDER),
        (Scope(**BARS, newer_ms=DAY), OLDER),
        (Scope(**BARS | {"interval": "1m"}), OLDER),
        (Scope(**BARS | {"interval": "1m"}, older_ms=YEAR), OLDER),
        (Scope(**BARS | {"asset_classes": ("crypto",)}), OLDER),
        (Scope(endpoint="news"), OLDER),
        (Scope(**BARS, symbols=("AAPL",)), Scope(**BARS, symbols=("MSFT",))),
        (OLDER, Scope(**BARS)),
    ],
)
def test_a_refusal_that_covers_something_else_leaves_the_other_one(new, old):
    assert set(scopes(learnt(old, new))) == {old, new}


unrelated = st.lists(
    st.builds(
        lambda symbol, endpoint: Scope(endpoint=endpoint, symbols=(symbol,)),
        st.sampled_from(["AAPL", "MSFT", "IBM", "KO", "VOD.XLON"]),
        st.sampled_from(["quote", "bars", "news"]),
    ),
    unique=True,
    max_size=10,
)


@given(scopes=unrelated, data=st.data())
def test_the_order_of_unrelated_refusals_does_not_matter(scopes, data):
    said = [(scope, NOON + number) for number, scope in enumerate(scopes)]
    shuffled = data.draw(st.permutations(said))

    def folded(events):
        found = ()
        for scope, at in events:
            found = learn(found, scope, "NotEntitled", "no", at)
        return found

    assert set(folded(shuffled)) == set(folded(said))
    assert len(folded(said)) == len(scopes)


@given(times=st.lists(st.integers(NOON, NOON + 5 * DAY), min_size=1, max_size=12).map(sorted))
def test_a_refusal_has_held_since_the_first_of_those_no_day_apart(times):
    found = ()
    for at in times:
        found = learn(found, OLDER, "NotEntitled", "no", at)

    started = times[0]
    for before, at in pairwise(times):
        started = at if at - before >= REMEMBERED_MS else started
    assert [(known.since, known.until) for known in found] == [(started, times[-1] + REMEMBERED_MS)]


def test_the_oldest_of_too_many_are_forgotten():
    found = learnt(*(Scope(endpoint="quote", symbols=(f"S{number}",)) for number in range(MOST + 2)))

    assert len(found) == MOST
    assert (found[0].covers.symbols, found[-1].covers.symbols) == (("S2",), (f"S{MOST + 1}",))


def refused(provider, label, scope, at, outcome="NotEntitled"):
    return RefusedCall(provider=provider, key_label=label, outcome=outcome, scope=scope, error="no", at=at)


def test_stored_refusals_are_folded_by_provider_and_key():
    found = entitlement.replayed(
        [
            refused("polygon", "polygon#1", OLDER.text(), NOON),
            refused("polygon", "polygon#2", Scope(endpoint="news").text(), NOON + 1),
            refused("fmp", "fmp#1", Scope().text(), NOON + 2),
            refused("polygon", "polygon#1", OLDER.text(), NOON + 3),
            refused("fmp", "fmp#1", "a scope of another version", NOON + 4),
        ]
    )

    assert {(provider, label) for provider, keys in found.items() for label in keys} == {
        ("polygon", "polygon#1"),
        ("polygon", "polygon#2"),
        ("fmp", "fmp#1"),
    }
    (older,) = found["polygon"]["polygon#1"]
    assert (older.covers, older.since, older.until) == (OLDER, NOON, NOON + 3 + REMEMBERED_MS)
    assert scopes(found["fmp"]["fmp#1"]) == [Scope()]


def test_a_key_is_held_to_what_it_is_not_sold_and_to_what_no_key_is_answered():
    own = learn((), Scope(endpoint="news"), "NotEntitled", "no", NOON)
    other = learn(learn((), Scope(), "NotEntitled", "no", NOON), OLDER, "InvalidRequest", "no", NOON)

    assert scopes(of_key({"a": own, "b": other}, "a")) == [Scope(endpoint="news"), OLDER]
    assert scopes(of_key({"a": own, "b": other}, "c")) == [OLDER]


def test_a_scope_that_this_version_cannot_read_covers_nothing_that_is_asked():
    known = Refused("{broken", "NotEntitled", "no", NOON, NOON + DAY)

    assert known.covers == entitlement.NOWHERE
    assert known.covers.endpoint == ""
