"""The public topics `market.*`: how their records are read, and listened to by the poll request that caused them."""

from __future__ import annotations

from connectors import DATASETS, AnyRecord
from infra.kafka.brokers import Brokers
from streams.messaging import topics
from streams.messaging.events import ConsumerRecord
from streams.messaging.job import job_of
from streams.messaging.listener import TopicListener

REQUEST_ID = "request_id"
"""Header of every record of `market.*`: the id of its poll request, as in its value, which need not be read for it."""
DATASET_OF = {topic: dataset for dataset, topic in topics.MARKET.items()}


def headers(request_id: str) -> dict[str, bytes]:
    """Headers of a record that this request caused."""
    return {REQUEST_ID: request_id.encode()}


def read_record(record: ConsumerRecord) -> AnyRecord:
    """Read a consumer's record. Fields of a later version are left out. Raises `ValueError` for what is no record."""
    return DATASETS[DATASET_OF[record.topic]].model_validate_json(record.value, extra="ignore")


def market_records(bootstrap: Brokers, dataset: str) -> TopicListener[AnyRecord]:
    """Listen to a dataset's topic: a record has the name of the job that caused it."""
    return TopicListener(bootstrap, topics.MARKET[dataset], names=_job_names, read=read_record)


def _job_names(record: ConsumerRecord) -> tuple[str, ...]:
    request_id = dict(record.headers).get(REQUEST_ID, b"")
    return (job_of(request_id.decode("utf-8", "replace")),)
