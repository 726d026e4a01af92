"""The errors are one tree, as it is drawn, and a command's end follows from it."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import infra
import streams
from connectors import ConnectorError, UnsupportedCall
from infra.kafka.connection import BrokerUnreachable
from streams import errors
from streams.commands.console import one_line_errors
from streams.errors import TapestreamError

ADVICE = "`tapestream up` starts everything, KAFKA_URL names another broker"
LINE = re.compile(r"^((?:[│ ]   )*)(?:├── |└── )?(\w+)  +\S")


def drawn():
    """Pairs (class, its parent) as the docstring draws them; the root has none."""
    path = []
    for line in errors.__doc__.splitlines():
        if (found := LINE.match(line)) and line[0] in "T├└│ ":
            depth = 0 if line.startswith("Tapestream") else len(found[1]) // 4 + 1
            path[depth:] = [found[2]]
            yield found[2], path[depth - 1] if depth else None


def descendants(cls):
    for child in cls.__subclasses__():
        yield child
        yield from descendants(child)


def modules():
    for package in (infra, streams):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(module.name)


def test_the_tree_is_drawn_as_it_is():
    list(modules())
    tree = {(TapestreamError.__name__, None)}
    for cls in descendants(TapestreamError):
        (parent,) = (base for base in cls.__bases__ if issubclass(base, TapestreamError))
        if cls.__module__.split(".")[0] in {"infra", "streams"}:
            tree.add((cls.__name__, parent.__name__))

    assert set(drawn()) == tree


def test_every_exception_of_ours_is_in_the_tree():
    strays = {
        f"{module.__name__}.{name}"
        for module in modules()
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, BaseException)
        and value.__module__ == module.__name__
        and not issubclass(value, TapestreamError)
    }

    assert strays == set()


def test_the_names_of_the_module_are_what_it_exports():
    tree = ast.parse(Path(errors.__file__).read_text())

    assert set(errors.__all__) >= {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert all(issubclass(getattr(errors, name), TapestreamError) for name in errors.__all__)


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (errors.PartEnded("worker ended"), "worker ended", 1),
        (errors.InvalidSpec("no such source"), "no such source", 2),
        (errors.UnknownCollector("unknown collector 'x'"), "unknown collector 'x'", 2),
        (errors.NothingToCollect("no source"), "no source", 1),
        (errors.Unroutable("nobody can serve it"), "nobody can serve it", 1),
        (UnsupportedCall("unknown provider 'x'"), "unknown provider 'x'", 2),
        (ConnectorError("odd"), "odd", 2),
        (BrokerUnreachable("no broker"), f"no broker; {ADVICE}", 1),
        (PermissionError(13, "Permission denied", "data"), "[Errno 13] Permission denied: 'data'", 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_an_error_is_one_line_and_its_exit_code(error, line, code):
    @click.command()
    @one_line_errors
    def command():
        raise error

    done = CliRunner().invoke(command)

    assert (done.exit_code, done.stderr) == (code, f"tapestream: {line}\n")


def test_the_tree_costs_no_broker_and_no_store_to_import():
    program = "import sys, streams.errors\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert {"aiokafka", "chdb", "clickhouse_connect", "pydantic", "asyncio"}.isdisjoint(done.stdout.split())
