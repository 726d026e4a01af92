"""What is shipped, what a user's file changes of it, and how its mistakes are told."""

from datetime import timedelta
from pathlib import Path

import pytest

from connectors import Call
from streams.collecting import declarations as module
from streams.collecting.declarations import load
from streams.collecting.model import RetryPolicy, Universe, Wanted
from streams.collecting.schedule import Schedule
from streams.errors import DeclarationsInvalid
from streams.planning.capabilities import matrix
from streams.planning.routing import slip

NEW_YORK = "America/New_York"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(text):
    Path("tapestream.toml").write_text(text)
    return load()


def mistakes(text):
    with pytest.raises(DeclarationsInvalid) as error:
        loaded(text)
    return str(error.value).splitlines()


def test_what_is_shipped_goes_from_the_assets_to_the_quotes():
    found = load()

    assert [(each.priority, name) for name, each in found.collectors.items()] == [
        (10, "stocks_etfs"),
        (15, "mutual_funds"),
        (20, "crypto"),
        (30, "daily_prices"),
        (40, "fundamentals"),
        (50, "news_events"),
        (60, "quotes"),
    ]
    assert found.schedules == (
        Schedule("quality_check", "0 9 * * *", "UTC"),
        Schedule("budget_reset", "0 0 * * *", "UTC"),
        Schedule("cache_cleanup", "0 * * * *", "UTC"),
    )


def test_daily_prices_come_new_after_each_close_and_whole_on_sundays():
    prices = load().collectors["daily_prices"]

    assert [(each.schedule, each.refresh) for each in prices.timings] == [
        (Schedule("daily_prices/close", "30 16 * * 1-5", NEW_YORK), "incremental"),
        (Schedule("daily_prices/weekly", "0 18 * * 0", NEW_YORK), "full"),
    ]
    assert prices.depends_on == ("stocks_etfs",)
    assert "AAPL" in prices.universe.symbols


def test_everything_shipped_is_sold_on_a_free_plan():
    free = {row.provider for row in matrix() if row.plan == "free"}
    for collector in load().collectors.values():
        classes = collector.universe.asset_classes or (collector.universe.asset_class,)
        for wanted in collector.datasets:
            symbols = () if wanted.dataset == "assets" else collector.universe.symbols
            for asset_class in classes:
                options = {name: getattr(wanted, name) for name in ("interval", "adjustment", "kind", "period")}
                call = Call(dataset=wanted.dataset, symbols=symbols, asset_class=asset_class, **options)
                assert slip(call, free.__contains__)


def test_a_file_changes_single_keys_and_leaves_the_others():
    shipped = load().collectors["quotes"]
    quotes = loaded("""
        [collectors.quotes]
        priority = 5
        universe = { symbols = ["BTC-USD"], asset_class = "crypto" }
        providers = ["alpaca", "yahoo"]
    """).collectors["quotes"]

    assert (quotes.priority, quotes.providers) == (5, ("alpaca", "yahoo"))
    assert quotes.universe == Universe(symbols=("BTC-USD",), asset_class="crypto")
    assert (quotes.datasets, quotes.timings, quotes.retry) == (shipped.datasets, shipped.timings, shipped.retry)


def test_a_universe_that_is_changed_changes_for_all_who_name_it():
    found = loaded('[universes.watchlist]\nsymbols = ["KO"]').collectors

    assert found["quotes"].universe.symbols == found["daily_prices"].universe.symbols == ("KO",)
    assert found["fundamentals"].universe == load(module.SHIPPED).collectors["fundamentals"].universe


def test_a_key_is_replaced_whole_so_that_empty_schedules_leave_none():
    assert loaded("collectors.quotes.schedules = {}").collectors["quotes"].timings == ()
    assert len(load().collectors["daily_prices"].timings) == 2


def test_the_time_of_a_job_can_be_changed():
    found = loaded('schedules.quality_check = { cron = "30 7 * * 1-5", zone = "Europe/London" }')

    assert found.schedules[0] == Schedule("quality_check", "30 7 * * 1-5", "Europe/London")
    assert [each.name for each in found.schedules] == ["quality_check", "budget_reset", "cache_cleanup"]


def test_a_collector_of_ones_own_is_added_in_its_place():
    found = loaded("""
        [collectors.nyse]
        priority = 1
        depends_on = ["daily_prices"]
        datasets = ["profile", { dataset = "bars", interval = "1h", history = "30d" }]
        universe = { where = "asset_class = 'equity' AND exchange = 'XNYS'" }
        refresh = "full"
        schedules.nightly = { cron = "0 1 * * *", zone = "UTC" }
        schedules.noon = { cron = "0 12 * * *", zone = "UTC", refresh = "incremental" }
        retry = { attempts = 5, base_s = 1.5, cap_s = 10 }
    """).collectors

    nyse = found["nyse"]
    assert nyse.datasets == (Wanted(dataset="profile"), Wanted(dataset="bars", interval="1h", history=timedelta(30)))
    assert nyse.universe == Universe(where="asset_class = 'equity' AND exchange = 'XNYS'")
    assert [(each.schedule.name, each.refresh) for each in nyse.timings] == [
        ("nyse/nightly", "full"),
        ("nyse/noon", "incremental"),
    ]
    assert nyse.retry == RetryPolicy(attempts=5, base_s=1.5, cap_s=10)
    assert list(found).index("nyse") == list(found).index("daily_prices") + 1


def test_another_file_is_read_when_it_is_named(folder):
    Path("tapestream.toml").write_text("collectors.quotes.priority = 1")
    (folder / "other.toml").write_text("collectors.quotes.priority = 2")

    assert load(folder / "other.toml").collectors["quotes"].priority == 2
    assert load().collectors["quotes"].priority == 1


def test_a_named_file_must_be_readable_and_toml(folder):
    with pytest.raises(DeclarationsInvalid, match=r"^gone\.toml cannot be read: No such file or directory$"):
        load(Path("gone.toml"))
    with pytest.raises(DeclarationsInvalid, match=r"cannot be read: Is a directory$"):
        load(folder)
    assert mistakes("[collectors") == [
        "tapestream.toml is not TOML: Expected ']' at the end of a table declaration (at end of document)"
    ]
    Path("tapestream.toml").write_bytes(b"x = '\xff'")
    with pytest.raises(DeclarationsInvalid, match=r"^tapestream\.toml is not TOML: 'utf-8' codec"):
        load()


A = '[collectors.a]\nuniverse = "watchlist"\ndatasets = ["news"]\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("colours = 1", "colours: unknown key; known: universes, collectors, schedules"),
        ("collectors = 3", "collectors: was 3: write a table"),
        ("collectors.quotes = 3", "[collectors.quotes]: was 3: write a table"),
        (
            A + "intervall = 1",
            "[collectors.a] intervall: unknown key; known: datasets, universe, priority, depends_on, ",
        ),
        (A + "priority = 'x'", "[collectors.a] priority: was 'x': Input should be a valid integer"),
        (A + "refresh = 'all'", "[collectors.a] refresh: was 'all': Input should be 'incremental' or 'full'"),
        (A + "providers = ['yahu']", "[collectors.a] providers[0]: unknown provider 'yahu'; known: alpaca, "),
        (A + "retry.attempts = 0", "[collectors.a] retry.attempts: was 0: Input should be greater than or equal to 1"),
        (A + "retry.cap_s = inf", "[collectors.a] retry.cap_s: was inf: Input should be a finite number"),
        (A + "retry.base = 1", "[collectors.a] retry.base: unknown key; known: attempts, base_s, cap_s"),
        (A + "depends_on = ['b']", "[collectors.a] depends_on: unknown collector 'b'; known: stocks_etfs, "),
        (A + "depends_on = ['a']", "[collectors.a] depends_on: a -> a is a cycle"),
        (
            "collectors.stocks_etfs.depends_on = ['daily_prices']",
            "[collectors.stocks_etfs] depends_on: stocks_etfs -> daily_prices -> stocks_etfs is a cycle",
        ),
        ("[collectors.a]\ndatasets = ['news']", "[collectors.a] universe: is missing"),
        ("[collectors.a]\nuniverse = 'watchlist'", "[collectors.a] datasets: is missing"),
        (
            "[collectors.'A b']\nuniverse = 'watchlist'\ndatasets = ['news']",
            "[collectors.A b]: 'A b' is no name; write ",
        ),
        ("collectors.quotes.datasets = []", "[collectors.quotes] datasets: name at least one dataset"),
        ("collectors.quotes.datasets = [3]", "[collectors.quotes] datasets[0]: was 3: write a table"),
        (
            "collectors.quotes.datasets = ['bar']",
            "[collectors.quotes] datasets[0].dataset: unknown dataset 'bar'; known: quote, ",
        ),
        ("collectors.quotes.datasets = ['bars']", "[collectors.quotes] datasets[0]: bars need an interval, such as 1d"),
        (
            "collectors.quotes.datasets = [{ dataset = 'bars', interval = '2d' }]",
            "[collectors.quotes] datasets[0].interval: was '2d': Input should be '1m', ",
        ),
        (
            "collectors.quotes.datasets = ['news', { dataset = 'quote', adjustment = 'raw' }]",
            "[collectors.quotes] datasets[1]: only bars have an interval and an adjustment, not quote",
        ),
        (
            "collectors.quotes.datasets = [{ dataset = 'news', period = 'annual' }]",
            "[collectors.quotes] datasets[0]: only statements and metrics have a period, not news",
        ),
        (
            "collectors.quotes.datasets = [{ dataset = 'actions', kind = 'merger' }]",
            "[collectors.quotes] datasets[0]: unknown kind of actions 'merger'; known: dividend, spin_off, split, ",
        ),
        (
            "collectors.quotes.datasets = [{ dataset = 'news', histroy = '1d' }]",
            "[collectors.quotes] datasets[0].histroy: unknown key; known: dataset, interval, adjustment, kind, ",
        ),
        *(
            (
                f"collectors.quotes.datasets = [{{ dataset = 'news', history = {text} }}]",
                f"[collectors.quotes] datasets[0].history: {text} is no duration; write 30d, 6w, 3mo or 2y, ",
            )
            for text in ("3", "'3'", "'0d'", "'-1d'", "'2 y'", "'1h'", "'101y'")
        ),
        (
            "collectors.quotes.universe = 'coins'",
            "[collectors.quotes] universe: unknown universe 'coins'; known: watchlist, ",
        ),
        ("collectors.quotes.universe = 3", "[collectors.quotes] universe: was 3: write a table"),
        (
            "collectors.quotes.universe = { }",
            "[collectors.quotes] universe: give exactly one of symbols, asset_classes and where",
        ),
        (
            "universes.watchlist.where = 'active'",
            "[universes.watchlist]: give exactly one of symbols, asset_classes and where",
        ),
        (
            "universes.x = { symbol = 'A' }",
            "[universes.x] symbol: unknown key; known: symbols, asset_class, asset_classes, where",
        ),
        (
            "collectors.quotes.universe = { asset_classes = ['stock'] }",
            "[collectors.quotes] universe.asset_classes[0]: was 'stock': Input should be 'equity', ",
        ),
        (
            "collectors.crypto.universe = 'watchlist'",
            "[collectors.crypto] universe: assets make the universe: give asset_classes, not symbols or where",
        ),
        (
            "collectors.quotes.schedules.x = { cron = '* 25 * * *', zone = 'UTC' }",
            "[collectors.quotes] schedules.x.cron: cron '* 25 * * *': there is no hour '25'; write minute hour day ",
        ),
        (
            "collectors.quotes.schedules.x = { cron = '* * * * *', zone = 'Mars' }",
            "[collectors.quotes] schedules.x.zone: unknown zone 'Mars'; write an IANA name such as America/",
        ),
        ("collectors.quotes.schedules.x = { cron = '* * * * *' }", "[collectors.quotes] schedules.x.zone: is missing"),
        (
            "collectors.quotes.schedules.x = { at = 1, cron = '* * * * *', zone = 'UTC' }",
            "[collectors.quotes] schedules.x.at: unknown key; known: cron, zone, refresh",
        ),
        (
            "schedules.cleanup.cron = '* * * * *'",
            "[schedules.cleanup]: unknown key; known: quality_check, budget_reset, ",
        ),
        (
            "schedules.quality_check.refresh = 'full'",
            "[schedules.quality_check] refresh: unknown key; known: cron, zone",
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_file_table_and_key(text, told):
    (line,) = mistakes(text)

    assert line.startswith(f"tapestream.toml {told}")


def test_every_mistake_has_its_line():
    assert mistakes("collectors.quotes = { priority = 'x', refresh = 'x' }\nschedules.budget_reset.zone = 'x'") == [
        "tapestream.toml [collectors.quotes] priority: was 'x': Input should be a valid integer",
        "tapestream.toml [collectors.quotes] refresh: was 'x': Input should be 'incremental' or 'full'",
        "tapestream.toml [schedules.budget_reset] zone: unknown zone 'x'; "
        "write an IANA name such as America/New_York or UTC",
    ]


@pytest.mark.parametrize(("text", "days"), [("30d", 30), ("6w", 42), ("3mo", 93), ("2y", 732), ("100y", 36_600)])
def test_a_history_reaches_as_far_as_the_longest_of_its_months_and_years(text, days):
    found = loaded(f"collectors.quotes.datasets = [{{ dataset = 'news', history = '{text}' }}]")

    assert found.collectors["quotes"].datasets[0].history == timedelta(days=days)
