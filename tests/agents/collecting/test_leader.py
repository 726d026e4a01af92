"""Whoever owns `collect.requests` leads; schedules run only where somebody wants them."""

import pytest
from aiokafka import TopicPartition

from agents.collecting.leader import Leader, scheduled
from agents.polling.quote_cache import Quotes
from infra.clock import SYSTEM
from infra.kafka.brokers import Brokers
from infra.settings import Settings
from streams.messaging import topics
from streams.messaging.producer import Outbox


@pytest.mark.parametrize(
    ("setting", "has_file", "run"),
    [("auto", False, False), ("auto", True, True), ("on", False, True), ("off", True, False)],
)
def test_schedules_run_where_they_are_switched_on_or_declared(tmp_path, monkeypatch, setting, has_file, run):
    monkeypatch.chdir(tmp_path)
    if has_file:
        (tmp_path / "tapestream.toml").touch()

    assert scheduled(Settings(schedules=setting)) is run


async def test_other_partitions_make_no_leader_and_a_worker_that_is_not_open_leads_nothing():
    leader = Leader(
        Settings(),
        {},
        Outbox(Brokers("127.0.0.1:1")),
        Quotes(Brokers("127.0.0.1:1"), 0),
        owned=list,
        clock=SYSTEM,
        on_fault=lambda error: pytest.fail(str(error)),
    )
    await leader.assigned(None, {TopicPartition(topics.COLLECT_REQUESTS, 0)})
    assert leader._leading is None
    await leader.stop()
