"""The scheduler object without a pipeline: what it refuses, and when."""

import pytest

from infra import settings
from infra.ports import free_port
from infra.settings import SettingsInvalid
from streams.client.scheduler import SchedulerClient, with_schedules
from streams.errors import ChangeInvalid, DeclarationsInvalid, NotRunning, UnknownCollector


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WEB_PORT", str(free_port()))
    return tmp_path


def test_settings_and_declarations_that_cannot_be_used_are_told_when_it_is_made(environment, monkeypatch):
    (environment / "tapestream.toml").write_text("[collectors.quotes]\npriority = 'first'\n")
    with pytest.raises(DeclarationsInvalid, match=r"tapestream.toml \[collectors.quotes\] priority"):
        SchedulerClient()

    monkeypatch.setenv("SCHEDULES", "sometimes")
    with pytest.raises(SettingsInvalid, match="SCHEDULES"):
        SchedulerClient()


def test_what_cannot_be_asked_is_refused_before_anybody_is():
    scheduler = SchedulerClient()

    with pytest.raises(UnknownCollector, match="unknown collector 'dayly_prices'; known: stocks_etfs"):
        scheduler.force_collection("dayly_prices")
    with pytest.raises(ChangeInvalid, match="is no symbol"):
        scheduler.add_symbol("AAPL,MSFT")
    with pytest.raises(ChangeInvalid, match="unknown asset class 'stock'"):
        scheduler.remove_symbol("AAPL", "stock")


def test_before_its_start_it_says_how_it_is_started():
    scheduler = SchedulerClient()

    for method in (
        scheduler.statistics,
        lambda: scheduler.add_symbol("AMD"),
        lambda: scheduler.force_collection("quotes"),
    ):
        with pytest.raises(NotRunning, match="with SchedulerClient"):
            method()
    assert not scheduler.own
    scheduler.stop()


@pytest.mark.parametrize(("given", "then"), [("auto", "on"), ("on", "on"), ("off", "off")])
def test_its_own_pipeline_fires_schedules_unless_that_is_forbidden(monkeypatch, given, then):
    monkeypatch.setenv("SCHEDULES", given)

    assert with_schedules(settings.load()).schedules == then
