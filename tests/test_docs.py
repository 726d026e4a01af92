"""The documents say what the code does: each one that repeats something is compared with it."""

import ast
import asyncio
import importlib.util
import inspect
import re
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import click
import pytest

from connectors import DATASETS, INTERVAL_MS, Answer, Call, Connector, connectors
from infra import settings
from infra.clickhouse import DATASET_TABLES, Store, migrate
from infra.clickhouse.queries import OPERATION_TABLES, columns
from streams.__main__ import main
from streams.client import Bar
from streams.messaging import topics
from streams.messaging.outcomes import PollOutcome
from streams.processing.normalize import judge
from streams.processing.table_rows import TABLES

ROOT = Path(__file__).parents[1]


def load(path):
    """Import a file that belongs to no package."""
    spec = importlib.util.spec_from_file_location(f"loose_{path.stem}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def sections(name):
    return dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text(name), re.MULTILINE | re.DOTALL))


GENERATE = load(ROOT / "docs" / "generate.py")


# -- made documents --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["PROVIDERS.md", "OPERATIONS.md", *(f"schemas/{dataset}.json" for dataset in DATASETS)]
)
def test_made_document_is_current(name):
    path = ROOT / "docs" / name

    assert path.read_text(encoding="utf-8") == GENERATE.documents()[path], "run `make docs`"


def test_no_schema_is_left_over():
    assert {path.stem for path in (ROOT / "docs" / "schemas").iterdir()} == set(DATASETS)


# -- datasets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_field_has_a_meaning_and_every_meaning_a_field(dataset):
    assert set(GENERATE.meanings(dataset)) == set(DATASETS[dataset].model_fields)


def docstrings(record):
    """Field to docstring, in one line, of a record class and its bases."""
    found = {}
    for cls in reversed(record.__mro__):
        if cls.__module__ == record.__module__:
            body = ast.parse(dedent(inspect.getsource(cls))).body[0].body
            pairs = [(field, below) for field, below in pairwise(body) if isinstance(field, ast.AnnAssign)]
            found |= {f.target.id: b.value.value for f, b in pairs if isinstance(b, ast.Expr)}
    return {name: " ".join(docstring.replace("`", "").split()) for name, docstring in found.items()}


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_field_s_docstring_says_its_meaning(dataset):
    told, meanings = docstrings(DATASETS[dataset]), GENERATE.meanings(dataset)

    assert {name for name in meanings if not told[name].lower().startswith(meanings[name].lower())} == set()


@pytest.mark.parametrize("dataset", DATASETS)
def test_key_topic_and_table_are_told(dataset):
    section = sections("docs/DATASETS.md")[dataset]

    assert f"Key: `{', '.join(DATASETS[dataset].key)}`" in section
    assert f"`{topics.MARKET[dataset]}`" in section
    assert f"`{DATASET_TABLES[dataset]}`" in section


def test_every_interval_is_told():
    assert set(INTERVAL_MS) <= set(re.findall(r"`(\w+)`", sections("docs/DATASETS.md")["bars"]))


def test_every_outcome_is_told():
    assert set(PollOutcome) <= set(re.findall(r"`(\w+)`", text("docs/DATASETS.md")))


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Of a freshly migrated store: name → (columns, sorting key, engine)."""

    async def ask():
        async with await Store.open(f"chdb://{tmp_path_factory.mktemp('store')}") as store:
            await migrate(store)
            found = await store.query(
                "SELECT name, sorting_key, engine FROM system.tables WHERE database = currentDatabase()"
            )
            return {name: (set(await columns(store, name)), key, engine) for name, key, engine in found.rows}

    return asyncio.run(ask())


@pytest.mark.parametrize("dataset", DATASETS)
def test_table_has_the_fields_of_its_record(tables, dataset):
    assert tables[DATASET_TABLES[dataset]][0] == set(DATASETS[dataset].model_fields)


@pytest.mark.parametrize("dataset", DATASETS)
def test_table_replaces_by_the_key_of_its_record(tables, dataset):
    _, sorting_key, engine = tables[f"{DATASET_TABLES[dataset]}_log"]

    assert engine == "ReplacingMergeTree"
    assert set(re.findall(r"\w+", sorting_key)) >= set(DATASETS[dataset].key)


@pytest.mark.parametrize("topic", TABLES)
def test_sink_fills_every_column(tables, topic):
    assert set(TABLES[topic].columns) == tables[TABLES[topic].name][0]


def test_every_view_is_told(tables):
    views = {name for name, (_, _, engine) in tables.items() if engine == "View"}
    told = set(re.findall(r"`(\w+)`", sections("docs/OPERATIONS.md")["Tables"]))

    assert views == (told & tables.keys()) - {"schema_migrations"}
    assert views >= {*DATASET_TABLES.values(), *OPERATION_TABLES}


def test_a_single_bar_has_the_fields_of_a_frame():
    assert set(Bar.__dataclass_fields__) == set(DATASETS["bars"].model_fields)


# -- settings --------------------------------------------------------------------------------------------------------


def example(*, commented):
    return dict(re.findall(rf"^{'#' if commented else ''}([A-Z][A-Z0-9_]*)=(.*)$", text(".env.example"), re.MULTILINE))


def test_example_settings_change_nothing_until_uncommented():
    assert example(commented=False) == {}


def test_every_setting_is_in_the_example_with_its_default():
    fields = {name: field for name, field in settings.Settings.model_fields.items() if name != "provider_values"}
    told = example(commented=True)

    assert {name.upper() for name in fields} <= told.keys()
    read = settings.load(Path("none"), {name.upper(): told[name.upper()] for name in fields})
    assert {name: getattr(read, name) for name in fields} == {name: field.default for name, field in fields.items()}


def test_everything_in_the_example_is_a_setting():
    own = {name.upper() for name in settings.Settings.model_fields}
    known = own | {f"{name.upper()}_{what}" for name in connectors() for what in settings.OF_PROVIDERS}

    assert example(commented=True).keys() - known == set()


def test_example_shows_a_key_of_every_provider_that_needs_one_and_each_kind_of_value():
    told = example(commented=True)

    wanting = {f"{name.upper()}_KEYS" for name, connector in connectors().items() if not connector.auth.keyless}
    assert {name for name in told if name.endswith("_KEYS")} == wanting
    read = settings.load(Path("none"), told)
    assert len(read.keys("alpaca")) == 2
    assert read.limits("polygon")
    assert read.base_url("polygon") == connectors()["polygon"].base_url


# -- log events ------------------------------------------------------------------------------------------------------

LEVELS = {"note": "info", "say": "info", "warn": "warning", "exception": "error"}
"""Methods of a `SessionLog`, and of a logger, that are named otherwise than the level they write at."""
METHODS = {"debug", "info", "warning", "error", "critical", "log", *LEVELS}
CATALOGUES = {catalogue.__name__: catalogue for catalogue in GENERATE.LOG_EVENTS}
LOGGING = ("agents", "infra", "streams")
LEVEL_NAMES = ("DEBUG", "INFO", "WARNING", "ERROR")


def log_calls():
    """Every call of a logger in the packages, as (where, method, arguments, the function around it)."""
    for path in (path for package in LOGGING for path in (ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for around in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            for call in (node for node in ast.walk(around) if isinstance(node, ast.Call)):
                logger, _, method = ast.unparse(call.func).rpartition(".")
                if logger in {"log", "self._log"} and method in METHODS:
                    yield f"{path.relative_to(ROOT)}:{call.lineno}", method, call.args, around


def event_of(arguments):
    """The catalogued event among the arguments of a log call; None where there is none."""
    named = [ast.unparse(argument).split(".") for argument in arguments]
    found = [(CATALOGUES[name[0]], name[1]) for name in named if len(name) == 2 and name[0] in CATALOGUES]
    return found[0][0][found[0][1]] if len(found) == 1 else None


def test_every_log_call_names_an_event_of_the_catalogue():
    assert [where for where, _, arguments, _ in log_calls() if event_of(arguments) is None] == []


def test_no_log_method_is_taken_from_its_logger():
    taken = re.compile(r"(?<![.\w])log\.(?:debug|info|warning|error|exception|critical|log)\b(?!\()")
    sources = {path: path.read_text(encoding="utf-8") for package in LOGGING for path in (ROOT / package).rglob("*.py")}

    found = [str(path.relative_to(ROOT)) for path, source in sources.items() if taken.search(source)]
    assert found == [], "the level of an event is read at its call: write `log.log(level, ...)`"


def test_every_event_of_the_catalogue_is_logged():
    logged = {event_of(arguments) for _, _, arguments, _ in log_calls()}

    assert {event for catalogue in CATALOGUES.values() for event in catalogue} == logged - {None}


def test_every_event_is_logged_at_the_levels_that_it_is_described_with():
    logged, told = {}, {}
    for _, method, arguments, around in log_calls():
        named = re.findall(r"logging\.([A-Z]+)", ast.unparse(around)) if method == "log" else []
        logged.setdefault(str(event_of(arguments)), set()).update(named or {LEVELS.get(method, method).upper()})
    for catalogue in CATALOGUES.values():
        for event, text in GENERATE.described(catalogue).items():
            told[event] = set(text.partition(":")[0].split(" or "))

    assert logged == told
    assert set().union(*told.values()) <= set(LEVEL_NAMES)


def test_no_event_has_two_names():
    values = [event.value for catalogue in CATALOGUES.values() for event in catalogue]

    assert sorted(values) == sorted(set(values))
    assert [
        event
        for catalogue in CATALOGUES.values()
        for event in catalogue
        if event.name != event.replace(".", "_").upper()
    ] == []


# -- topics, commands, versions --------------------------------------------------------------------------------------


def test_every_topic_is_told_as_it_is_created():
    rows = re.findall(
        r"^\| `([\w.-]+)` \| (\d+) \| (\d+ days|compacted) \|", sections("docs/OPERATIONS.md")["Topics"], re.MULTILINE
    )

    told = {
        name: (int(partitions), None if kept == "compacted" else int(kept.split()[0]) * topics.DAY_MS)
        for name, partitions, kept in rows
    }
    assert told == {spec.name: (spec.partitions, spec.retention_ms) for spec in topics.SPECS}


def test_every_command_is_told():
    assert {f"tapestream {name}" for name in main.commands} == sections("docs/CLI.md").keys()


GROUPS = {name: command for name, command in main.commands.items() if isinstance(command, click.Group)}
LEAVES = {name: command for name, command in main.commands.items() if name not in GROUPS} | {
    f"{name} {sub}": command for name, group in GROUPS.items() for sub, command in group.commands.items()
}


def told_of(name):
    """What CLI.md says of a command, or of one in a group."""
    section = sections("docs/CLI.md")[f"tapestream {name.split()[0]}"]
    parts = dict(re.findall(r"^### (.+?)\n(.*?)(?=^### |\Z)", section, re.MULTILINE | re.DOTALL))
    return parts[f"tapestream {name}"] if " " in name else section


@pytest.mark.parametrize("name", GROUPS)
def test_every_command_of_a_group_is_told(name):
    told = set(re.findall(r"^### tapestream (.+)$", told_of(name), re.MULTILINE))

    assert told == {f"{name} {sub}" for sub in GROUPS[name].commands}


@pytest.mark.parametrize("name", LEAVES)
def test_every_option_is_told_and_no_other(name):
    table = "\n".join(re.findall(r"^\| `.*$", told_of(name), re.MULTILINE))

    options = [parameter for parameter in LEAVES[name].params if isinstance(parameter, click.Option)]
    declared = {text for option in options for text in (*option.opts, *option.secondary_opts)}
    assert set(re.findall(r"(?<![\w-])--[\w-]+", table)) == {text for text in declared if text[:2] == "--"} - {"--help"}


@pytest.mark.parametrize("name", LEAVES)
def test_help_shows_an_example(name):
    assert f"tapestream {name}" in LEAVES[name].help or name in {"worker", "sandbox"}


def test_every_command_is_in_the_changelog_and_its_version_is_the_project_s():
    changelog = text("CHANGELOG.md")
    version = tomllib.loads(text("pyproject.toml"))["project"]["version"]

    assert re.findall(r"^## \[([^]]+)\]", changelog, re.MULTILINE)[0] == version
    assert {name for name in main.commands if name not in changelog} == set()


def test_readme_names_every_provider():
    told = text("README.md").lower().replace(" ", "")

    assert [name for name in connectors() if name not in told] == []


@pytest.mark.parametrize("path", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?://)([^)#]+)[^)]*\)", path.read_text(encoding="utf-8"))

    assert [link for link in links if not (path.parent / link).exists()] == []


# -- examples --------------------------------------------------------------------------------------------------------


def test_example_provider_is_one(tmp_path):
    block = re.search(r"```python\n(.*?)```", text("ADDING_A_PROVIDER.md"), re.DOTALL)[1]
    path = tmp_path / "example.py"
    path.write_text(dedent(block))
    connector = load(path).CONNECTOR
    call = Call(dataset="bars", symbols=("AAPL",), interval="1d", start=1_717_372_800_000)

    request = connector.request(call)
    body = b'{"bars": [{"d": "2024-06-03", "o": 1, "h": 3, "l": 1, "c": 2, "v": 10}, {"d": "2024-06-04", "o": "x"}]}'
    outcome = connector.read(call, request, Answer(status=200, body=body, observed_at=0))
    found = judge(outcome)

    assert isinstance(connector, Connector)
    assert connector.mailbox not in {other.mailbox for other in connectors().values()}
    assert (request.path, dict(request.params)) == ("/v1/daily/aapl", {"from": "2024-06-03"})
    assert [(record.ts, record.close) for record in found.records] == [([1_717_372_800_000], [2.0])]
    assert [reject.rule for reject in found.rejects] == ["price"]
    spent = Answer(status=200, body=b'{"message": "no calls left"}', observed_at=0)
    assert connector.read(call, request, spent).name == "QuotaExhausted"


def test_example_strategy_tells_each_crossing_once():
    crossing = load(ROOT / "examples" / "strategy.py").Crossing(fast=2, slow=4)
    common = dict.fromkeys(Bar.__dataclass_fields__)
    bars = [Bar(**{**common, "ts": ts, "close": close}) for ts, close in enumerate([4, 3, 2, 1, 1, 5, 9, 9, 1, 1])]

    told = [crossing.feed(bar) for bar in bars for _ in range(2)]

    assert told == [None] * 10 + ["up"] + [None] * 5 + ["down"] + [None] * 3
    assert [crossing.feed(bar) for bar in bars] == [None] * 10
