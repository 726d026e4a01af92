"""The wire form of IncrementalAlterConfigs, which aiokafka 0.14 lacks.

https://kafka.apache.org/protocol#The_Messages_IncrementalAlterConfigs. Unlike AlterConfigs, which replaces
a topic's whole configuration, it leaves what it does not name alone; Tansu knows only this one.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

API = 44  # IncrementalAlterConfigs
TOPIC = 2  # resource type
SET = 0  # operation


class IncrementalAlterConfigsResponse(Response):  # type: ignore[misc]
    """Version 0 of the answer: one error code and message for each resource."""

    API_KEY = API
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class _Request(RequestStruct):  # type: ignore[misc]
    API_KEY = API
    API_VERSION = 0
    RESPONSE_TYPE = IncrementalAlterConfigsResponse
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(
                        ("name", String("utf-8")),
                        ("config_operation", Int8),
                        ("value", String("utf-8")),
                    ),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class SetTopicConfigs(Request[_Request]):  # type: ignore[misc]
    """Sets the given configs of topics: `{"a.topic": {"retention.ms": "60000"}}`."""

    API_KEY = API

    def __init__(self, configs: Mapping[str, Mapping[str, str]]) -> None:
        self._resources = [
            (TOPIC, topic, [(name, SET, value) for name, value in wanted.items()]) for topic, wanted in configs.items()
        ]

    def build(self, request_struct_class: type[_Request]) -> _Request:
        """The request for the only version we speak."""
        return request_struct_class(self._resources, False)
