"""Everything the environment decides, read once from variables and `.env`. Secrets stay inside `SecretStr`.

Names are documented in `.env.example`; a test keeps the two in step.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from dotenv.main import resolve_variables
from dotenv.parser import parse_stream
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from infra.clock import Clock
from infra.errors import ConfigurationError
from infra.kafka.admin import Replication
from infra.kafka.brokers import Brokers, KafkaSecurity
from infra.kafka.oauth import ClientCredentials

GIB = 2**30
OF_PROVIDERS = ("KEYS", "KEY", "URL", "LIMITS", "BUDGET", "PRICE", "BREAKER", "ENTITLEMENT")
"""What the variables of each provider are called: `POLYGON_KEYS`, …"""
RENAMED = MappingProxyType({"polygon": "massive"})
"""Providers by what they call themselves now: `MASSIVE_KEYS` counts where there is no `POLYGON_KEYS`."""
KEY = re.compile(r"[!-~]+")
TOKEN = re.compile(r"[!-~]{16,}")
BREAKER = re.compile(r"([1-9][0-9]{0,3})/([0-9]{1,6}(?:\.[0-9]+)?)(?:/([1-9][0-9]{0,3}))?")


class SettingsInvalid(ConfigurationError):
    """A variable or a line of `.env` cannot be used; the message says which, why, and what to write."""


class Settings(BaseModel):
    """The settings of one process. Field names are the variables' names in lower case."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    kafka_url: str = "kafka://127.0.0.1:9092"
    """Brokers, as `kafka://host:port[,host:port]`; the embedded broker takes their place in `tapestream up`."""
    kafka_security_protocol: str = "PLAINTEXT"
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
    kafka_sasl_mechanism: str = ""
    """PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER."""
    kafka_sasl_username: str = ""
    """User of SASL; empty where the protocol has none, and for OAUTHBEARER."""
    kafka_sasl_password: Annotated[SecretStr, Field(repr=False)] = SecretStr("")
    """Password of that user."""
    kafka_oauth_token_url: str = ""
    """Where OAUTHBEARER gets its tokens, by client credentials."""
    kafka_oauth_client_id: str = ""
    """Name by which the authorization server knows this client."""
    kafka_oauth_client_secret: Annotated[SecretStr, Field(repr=False)] = SecretStr("")
    """What proves it."""
    kafka_oauth_scope: str = ""
    """Scopes that are asked for, separated by spaces; empty: those that the server gives by default."""
    kafka_ssl_cafile: Path | None = None
    """PEM certificates trusted instead of the system's."""
    kafka_ssl_certfile: Path | None = None
    """PEM certificate of this client, with its chain; its key may be in the same file."""
    kafka_ssl_keyfile: Path | None = None
    """PEM private key of this client, where it is not in the file of its certificate."""
    kafka_ssl_password: Annotated[SecretStr, Field(repr=False)] = SecretStr("")
    """Password of the key."""
    kafka_replication_factor: Annotated[int | None, Field(ge=1)] = None
    """Copies of a topic that is created; None: as many as there are brokers, up to 3."""
    kafka_min_insync_replicas: Annotated[int | None, Field(ge=1)] = None
    """Copies that have a record before it is acknowledged; None: all but one."""
    clickhouse_url: Annotated[str, Field(repr=False)] = ""
    """`http://user:password@host:8123/database` or `chdb:///absolute/folder`; empty: embedded, under DATA_DIR."""
    data_dir: Path = Path("data")
    """Folder of the embedded store, the logs and run.json."""
    web_port: Annotated[int, Field(ge=1, le=65_535)] = 6066
    """TCP port of the worker's pages."""
    web_host: str = "127.0.0.1"
    """Address that the worker's pages listen on; another than loopback opens them to the network."""
    web_names: str = ""
    """Names, by commas, by which the pages may be called beside localhost and addresses."""
    web_token: Annotated[SecretStr | None, Field(repr=False)] = None
    """What a caller of the pages shows; None: made at each start and kept in DATA_DIR for this user's commands."""
    log_level: str = "info"
    """Lowest level that is logged: `debug`, `info`, `warning` or `error`."""

    schedules: Literal["on", "off", "auto"] = "auto"
    """Whether collectors run by themselves at their times; auto: where there is a tapestream.toml."""
    poller_window: Annotated[int, Field(ge=1, le=256)] = 8
    """Calls under way at once per provider."""
    http_timeout_s: Annotated[float, Field(gt=0)] = 30
    """Seconds that one HTTP call may take in all."""
    http_body_limit: Annotated[int, Field(ge=1024, le=14 * 2**20)] = 12 * 2**20
    """Bytes of an answer, decoded; it travels through Kafka as one message of at most 16 MiB."""
    routes: str = ""
    """Whom to ask first: `quote=finnhub,polygon; bars/crypto=alpaca; */forex=fmp`."""
    quote_ttl_s: Annotated[float, Field(ge=0)] = 900
    """A quote younger than this answers a request without a call; 0: always call."""
    budget_usd: Annotated[float | None, Field(ge=0)] = None
    """Dollars a day that all providers' calls may cost together; None: their own budgets alone count."""
    budget_zone: str = "UTC"
    """Zone whose midnight begins a new day of money."""
    clock_rate: Annotated[float, Field(gt=0, le=100_000)] = 1
    """How many times faster than real time the clock runs, for a rehearsal against the sandbox."""
    clock_anchor: Annotated[int, Field(ge=0)] = 0
    """Moment from which the clock runs faster, ms UTC."""
    retries: Annotated[int, Field(ge=0, le=20)] = 4
    """Tries beyond the first for a provider that is unavailable or asks to wait."""
    sink_batch_rows: Annotated[int, Field(ge=1)] = 50_000
    """Rows at which an insert is made."""
    sink_batch_age_s: Annotated[float, Field(gt=0)] = 1.0
    """Seconds after which an insert is made of the rows that there are."""
    broker_memory_limit: Annotated[int, Field(ge=64 * 2**20)] = GIB
    """Bytes of memory at which the embedded broker is started afresh."""
    provider_values: Mapping[str, SecretStr] = Field(default_factory=dict, repr=False)
    """The variables of the providers (`POLYGON_KEYS`, `POLYGON_URL`, …), whose names only the connectors know."""

    @field_validator("kafka_url")
    @classmethod
    def _kafka(cls, url: str) -> str:
        if "://" not in url:
            url = f"kafka://{url}"
        scheme, _, rest = url.partition("://")
        hosts = [host.rpartition(":") for host in rest.rstrip("/").split(",")]
        if scheme not in {"kafka", "aiokafka"} or not all(
            h and p.isdecimal() and 0 < int(p) < 65_536 for h, _, p in hosts
        ):
            raise ValueError("write it as kafka://host:port[,host:port]")
        return f"kafka://{rest.rstrip('/')}"

    @field_validator("clickhouse_url")
    @classmethod
    def _clickhouse(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://", "chdb://")):
            raise ValueError("write it as http://user:password@host:8123/database or chdb:///absolute/folder")
        return url

    @field_validator("web_host")
    @classmethod
    def _web_host(cls, host: str) -> str:
        try:
            return str(ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]")))
        except ValueError as error:
            raise ValueError("write an address of this machine, such as 127.0.0.1 or 0.0.0.0") from error

    @field_validator("web_token")
    @classmethod
    def _web_token(cls, token: SecretStr) -> SecretStr:
        if not TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("write at least 16 letters, digits or marks, without blanks")
        return token

    @field_validator("log_level")
    @classmethod
    def _level(cls, level: str) -> str:
        if level.lower() not in {"debug", "info", "warning", "error"}:
            raise ValueError("write debug, info, warning or error")
        return level.lower()

    @field_validator("budget_zone")
    @classmethod
    def _zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ValueError, OSError, KeyError) as error:
            raise ValueError("write a zone such as UTC or America/New_York") from error
        return zone

    @cached_property
    def bootstrap(self) -> Brokers:
        """The brokers of KAFKA_URL, and how one logs in there. Raises as `load` does for a login."""
        return Brokers(self.kafka_url.partition("://")[2], self._security())

    @property
    def replication(self) -> Replication:
        """How many copies topics have."""
        return Replication(self.kafka_replication_factor, self.kafka_min_insync_replicas)

    def _security(self) -> KafkaSecurity:
        oauth = (
            self.kafka_oauth_token_url,
            self.kafka_oauth_client_id,
            self.kafka_oauth_client_secret.get_secret_value(),
        )
        return KafkaSecurity(
            protocol=self.kafka_security_protocol.upper(),
            mechanism=self.kafka_sasl_mechanism.upper(),
            username=self.kafka_sasl_username,
            password=self.kafka_sasl_password.get_secret_value(),
            credentials=ClientCredentials(*oauth, self.kafka_oauth_scope) if all(oauth) else None,
            ca_file=self.kafka_ssl_cafile,
            cert_file=self.kafka_ssl_certfile,
            key_file=self.kafka_ssl_keyfile,
            key_password=self.kafka_ssl_password.get_secret_value(),
        )

    @cached_property
    def web_url(self) -> str:
        """Where this machine's commands find the worker's pages."""
        host = ipaddress.ip_address(self.web_host)
        if host.is_unspecified:  # 0.0.0.0 and :: listen everywhere, so also on loopback
            host = ipaddress.ip_address("127.0.0.1" if host.version == 4 else "::1")
        return f"http://{f'[{host}]' if host.version == 6 else host}:{self.web_port}"

    @cached_property
    def store_url(self) -> str:
        """The store's URL; without CLICKHOUSE_URL the embedded one under DATA_DIR."""
        return self.clickhouse_url or f"chdb://{self.data_dir.resolve()}/store"

    @property
    def clock(self) -> Clock:
        """The clock that a process with these settings goes by."""
        return Clock(self.clock_rate, self.clock_anchor)

    @property
    def embedded_store(self) -> bool:
        """True when the store lives in this machine's folder and has one owner process."""
        return self.store_url.startswith("chdb://")

    def keys(self, provider: str) -> tuple[str, ...]:
        """The provider's API keys in their order, from `<PROVIDER>_KEYS` (commas) or `<PROVIDER>_KEY`.

        Raises `SettingsInvalid`, without the key, for one that no header and no URL can carry.
        """
        value = self._value(provider, "KEYS") or self._value(provider, "KEY")
        found = tuple(key.strip() for key in value.split(",") if key.strip())
        for number, key in enumerate(found, 1):
            if not KEY.fullmatch(key):
                name = f"{provider.upper()}_KEYS"
                raise SettingsInvalid(f"{name} cannot be used: key {number} has a character outside printable ASCII")
        return found

    def base_url(self, provider: str) -> str | None:
        """An override of the provider's base URL, from `<PROVIDER>_URL`. Raises `SettingsInvalid`."""
        url = self._value(provider, "URL").rstrip("/")
        if url and not _is_base(url):
            raise SettingsInvalid(f"{provider.upper()}_URL cannot be used: write it as https://host/path")
        return url or None

    def limits(self, provider: str) -> tuple[tuple[float, Any], ...] | None:
        """What the keys' plan allows, from `<PROVIDER>_LIMITS` such as `300/minute,100000/day`; None: as declared.

        `none` lifts every limit. Raises `SettingsInvalid`.
        """
        value = self._value(provider, "LIMITS")
        if not value:
            return None
        return () if value.strip().lower() == "none" else tuple(_limit(provider, part) for part in value.split(","))

    def budget(self, provider: str, declared: float | None = None) -> float | None:
        """Dollars a day that the provider's calls may cost, from `<PROVIDER>_BUDGET`; `none` lifts a declared one.

        Raises `SettingsInvalid`.
        """
        value = self._value(provider, "BUDGET").strip()
        if value.lower() == "none":
            return None
        return (
            _number(f"{provider.upper()}_BUDGET", value, "dollars a day, such as 5.50, or none") if value else declared
        )

    def price(self, provider: str) -> float | None:
        """Dollars a call costs, from `<PROVIDER>_PRICE`; None: as declared. Raises `SettingsInvalid`."""
        value = self._value(provider, "PRICE").strip()
        return _number(f"{provider.upper()}_PRICE", value, "dollars a call, such as 0.0015") if value else None

    def breaker(self, provider: str) -> tuple[int, float, int] | None:
        """(failures in a row, seconds of rest, successes) from `<PROVIDER>_BREAKER` such as `3/120/1`; None: declared.

        Raises `SettingsInvalid`.
        """
        value = self._value(provider, "BREAKER").strip()
        if not value:
            return None
        found = BREAKER.fullmatch(value)
        if not found:
            raise SettingsInvalid(
                f"{provider.upper()}_BREAKER cannot be used: {value!r}; write failures/seconds, such as 3/120, "
                "or failures/seconds/successes"
            )
        return int(found[1]), float(found[2]), int(found[3] or 1)

    def entitlement(self, provider: str) -> str | None:
        """`realtime` or `delayed` from `<PROVIDER>_ENTITLEMENT`: the US quotes that a plan includes.

        Raises `SettingsInvalid`.
        """
        value = self._value(provider, "ENTITLEMENT").strip().lower()
        if value not in {"", "realtime", "delayed"}:
            raise SettingsInvalid(f"{provider.upper()}_ENTITLEMENT cannot be used: write realtime or delayed")
        return value or None

    def _value(self, provider: str, what: str) -> str:
        for name in filter(None, (provider, RENAMED.get(provider))):
            if found := self.provider_values.get(f"{name}_{what}".upper()):
                return found.get_secret_value()
        return ""


def load(env_file: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings: the environment wins over `.env`.

    Raises `SettingsInvalid`, and where a broker's login cannot be used `SecurityInvalid`, `TokenUrlInvalid` or
    `TlsFileInvalid`.
    """
    given = dict(os.environ if environ is None else environ)
    path = env_file or Path(given.get("TAPESTREAM_ENV", ".env"))
    values = {**_read_env_file(path), **given}
    fields = {name: values[name.upper()] for name in Settings.model_fields if values.get(name.upper(), "") != ""}
    providers = {
        name: SecretStr(value)
        for name, value in values.items()
        if name.endswith(tuple(f"_{what}" for what in OF_PROVIDERS)) and value
    }
    try:
        found = Settings(**{**fields, "provider_values": providers})
    except ValidationError as error:
        raise SettingsInvalid(_explain(error)) from None
    _ = found.bootstrap  # a login that cannot be used is a mistake of now
    for name in providers:
        provider, _, what = name.rpartition("_")
        if what in {"LIMITS", "BUDGET", "PRICE", "BREAKER", "ENTITLEMENT"}:
            getattr(found, what.lower())(provider)
    return found


def _is_base(url: str) -> bool:
    """Return whether paths can be put behind a URL."""
    try:
        parts = urlsplit(url)
        return bool(
            parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and not {"?", "#"} & {*url}
        )
    except ValueError:
        return False


def _limit(provider: str, text: str) -> tuple[float, str]:
    calls, _, per = text.strip().partition("/")
    if not calls.isdecimal() or int(calls) < 1 or per not in {"second", "minute", "day", "month"}:
        name = f"{provider.upper()}_LIMITS"
        raise SettingsInvalid(f"{name} cannot be used: {text.strip()!r}; write 300/minute,100000/day or none")
    return float(calls), per


def _number(name: str, text: str, what: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1e9:
        raise SettingsInvalid(f"{name} cannot be used: {text!r}; write {what}")
    return found


def _read_env_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    pairs: list[tuple[str, str | None]] = []
    with path.open(encoding="utf-8", errors="replace") as stream:
        for binding in parse_stream(stream):
            if binding.error:
                blank = len(binding.original.string) - len(binding.original.string.lstrip("\n"))
                line = binding.original.line + blank
                raise SettingsInvalid(f"{path} line {line}: not NAME=value; mend or remove the line")
            if binding.key is not None:
                pairs.append((binding.key, binding.value))
    return {name: value or "" for name, value in resolve_variables(pairs, override=False).items()}


def _explain(error: ValidationError) -> str:
    def line(found: Any) -> str:
        name = str(found["loc"][0]).upper()
        return f"{name} cannot be used: {found['msg'].removeprefix('Value error, ')}"

    return "; ".join(line(found) for found in error.errors(include_url=False, include_input=False))
