"""The house rules that a reader relies on, held by reading the source: who imports what, and how long things are."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections import Counter
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agents", "connectors", "infra", "sandbox", "streams")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LOOSE = sorted(path for folder in ("benchmarks", "docs", "examples") for path in (ROOT / folder).rglob("*.py"))
LONGEST_MODULE, MEDIAN_MODULE, LONGEST_FUNCTION, FULLEST_FOLDER = 450, 160, 45, 20

PURE = [
    path
    for path in SOURCES
    if path.parent.name in {"accounts", "planning"}
    or path.is_relative_to(ROOT / "connectors")
    or (path.parent.name == "sessions" and path.stem in {"state", "spec", "summary"})
    or path == ROOT / "streams" / "collecting" / "schedule.py"
]
HARMLESS = {
    *("__future__", "bisect", "collections", "cronsim", "csv", "dataclasses", "datetime", "decimal", "enum"),
    *("contextlib", "email", "functools", "hashlib", "html"),
    *(
        "io",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "types",
        "typing",
        "unicodedata",
        "urllib",
        "zoneinfo",
    ),
    *("msgspec", "orjson", "pydantic"),
}
"""What pure code may import: nothing here knows a socket, a clock, the environment or a log."""
SETTINGS = {"infra.errors", "infra.settings", "infra.clickhouse.queries"}
"""What accounts and planning may know of infra: the classes of settings and of stored calls, which are data."""
CLOCK = re.compile(r"(datetime|date|time)\.(now|utcnow|today|time|monotonic)")


def relative(path):
    return str(path.relative_to(ROOT))


@cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_names(path):
    """What a file imports, as (module, name); the name is None where the module itself is imported.

    Every statement counts: inside a function and behind `TYPE_CHECKING` too.
    """
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}: write imports in full"
            yield from ((node.module, alias.name) for alias in node.names)


def imports(path):
    """Names of the modules that a file imports."""
    return {module for module, _ in imported_names(path)}


def module_name(path):
    """The dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCES}


def modules_of(path):
    """The modules of this project that a file imports; `from package import module` names the module."""
    for module, name in imported_names(path):
        found = f"{module}.{name}" if f"{module}.{name}" in MODULES else module
        if found in MODULES:
            yield found


def private_names(path):
    """The underscore names of this project that a file imports, as (name in full, the folder that it belongs to)."""
    for module, name in imported_names(path):
        parts = [*module.split("."), *([name] if name else [])]
        if parts[0] not in PACKAGES:
            continue
        for place, part in enumerate(parts):
            if part.startswith("_") and not part.startswith("__"):
                owner = ROOT.joinpath(*parts[:place])
                yield ".".join(parts), owner if owner.is_dir() else owner.parent


def rooms_of(path):
    """The folders whose underscore names a file may import: its own and, for a test, the one that it tests."""
    tested = ROOT / path.parent.relative_to(ROOT / "tests") if path in TESTS else path.parent
    return {path.parent, tested}


def importers(name):
    return {relative(path) for path in SOURCES if any(found.split(".")[0] == name for found in imports(path))}


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def lines(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def length(function):
    docstring = ast.get_docstring(function, clean=False)
    return function.end_lineno - function.lineno + 1 - (len(docstring.splitlines()) if docstring else 0)


@pytest.mark.parametrize("path", PURE, ids=relative)
def test_pure_code_imports_nothing_impure(path):
    allowed = HARMLESS | ({"connectors"} if path.is_relative_to(ROOT / "connectors") else {"connectors", "streams"})
    if path == ROOT / "connectors" / "__init__.py":
        allowed |= {"importlib", "pkgutil"}  # it finds its siblings

    data = SETTINGS if path.parent.name in {"accounts", "planning"} else set()
    assert {name.split(".")[0] for name in imports(path) if name not in data} <= allowed


@pytest.mark.parametrize("path", PURE, ids=relative)
def test_pure_code_asks_no_clock(path):
    calls = (ast.unparse(node.func) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call))

    assert [call for call in calls if CLOCK.search(call)] == []


def test_outbound_http_is_one_module():
    assert importers("httpx") == {"agents/polling/transport.py"}


PRINTS = re.compile(
    r"\bclick\.(?:echo|secho)\((?!CLEAR)|(?<![\w.])print\(|\bConsole\(|\bsys\.std(?:out|err)\.write\((?!printable)"
)


def test_commands_print_through_one_place():
    printing = {relative(path) for path in SOURCES if PRINTS.search(path.read_text(encoding="utf-8"))}

    assert {path for path in printing if path.startswith(("streams/commands/", "streams/topology", "agents/"))} == {
        "streams/commands/console.py"
    }


def test_imports_point_one_way():
    above = {
        "infra": {"agents", "connectors", "streams"},
        "connectors": {"agents", "infra", "streams"},
        "streams": {"agents"},
    }
    for package, forbidden in above.items():
        for name in forbidden:
            found = {path for path in importers(name) if path.startswith(f"{package}/")}
            assert found <= {"streams/topology.py"}, f"{package} must not import {name}"


def test_faust_is_met_in_the_streams_and_their_pages_only():
    assert importers("faust") <= {"agents/monitor.py", "streams/application.py", "streams/topology.py"}


def test_imports_go_in_no_circle():
    graph = {name: set(modules_of(path)) - {name} for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import circle: {' <- '.join(error.args[1])}")


def test_an_underscore_name_is_imported_in_its_own_folder_only():
    found = {
        (relative(path), name)
        for path in (*SOURCES, *TESTS, *LOOSE)
        for name, owner in private_names(path)
        if owner not in rooms_of(path)
    }

    assert found == set()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_modules_and_functions_are_short(path):
    tree = tree_of(path)

    assert lines(path) <= LONGEST_MODULE
    assert {node.name: length(node) for node in functions(tree) if length(node) > LONGEST_FUNCTION} == {}


def test_most_modules_are_read_at_one_sitting():
    assert median(lines(path) for path in SOURCES) <= MEDIAN_MODULE


def test_no_folder_is_a_heap():
    modules = Counter(relative(path.parent) for path in (*SOURCES, *TESTS))

    assert {folder: count for folder, count in modules.items() if count > FULLEST_FOLDER} == {}


def test_a_test_lies_in_the_folder_of_what_it_tests():
    rooms = {path.parent for path in SOURCES}
    for path in TESTS:
        tested = ROOT / path.parent.relative_to(ROOT / "tests")
        if tested in {ROOT, ROOT / "pipeline"}:  # the whole repository, and the pipeline as a whole
            continue
        subjects = {"_".join(path.stem.split("_")[1:end]) for end in range(2, path.stem.count("_") + 2)}

        assert tested in rooms, f"{relative(path)}: there is no folder {relative(tested)}"
        assert {name for name in subjects if tested / name in rooms} == set(), f"{relative(path)} belongs one deeper"


def undocumented(node, inside=""):
    """Public names below `node` without a docstring; what is defined in a function is nobody's business."""
    for child in node.body:
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or child.name.startswith("_"):
            continue
        if not ast.get_docstring(child) and not _stands_for_another(child):
            yield inside + child.name
        if isinstance(child, ast.ClassDef):
            yield from undocumented(child, f"{inside}{child.name}.")


def _stands_for_another(node):
    """An overload or an override is described by what it stands for."""
    return any(ast.unparse(mark).split(".")[-1] in {"overload", "override"} for mark in node.decorator_list)


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_public_names_are_described(path):
    tree = tree_of(path)

    assert ast.get_docstring(tree), "a module says what it owns"
    assert list(undocumented(tree)) == []


MIRRORS = {"Facts": "Endpoint"}
"""Classes that repeat the fields of another one, where these are described."""
ITEMS = {"Income", "Balance", "CashFlow"}
"""Statements of the sandbox: each field is the item of its name, in the unit that the class says."""


def fields_of(node):
    """The public fields of a class, as (name, whether a docstring follows)."""
    for field, below in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(field, ast.AnnAssign) or "ClassVar" in ast.unparse(field.annotation):
            continue
        if not (name := ast.unparse(field.target)).startswith("_"):
            described = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            yield name, described and isinstance(below.value.value, str)


def public_classes(path):
    return [
        node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_public_fields_are_described(path):
    found = {
        f"{node.name}.{name}"
        for node in public_classes(path)
        for name, described in fields_of(node)
        if not described and node.name not in {*MIRRORS, *ITEMS}
    }

    assert found == set(), "a docstring beneath a field says what it is, and its unit"


def test_a_class_that_mirrors_another_has_described_fields_of_it():
    classes = {node.name: dict(fields_of(node)) for path in SOURCES for node in public_classes(path)}

    for mirror, described in MIRRORS.items():
        assert classes[mirror].keys() <= {name for name, told in classes[described].items() if told}


UNITS = re.compile(r"_?(?:MINUTE|HOUR|DAY|GIB|MIB|MICROS|MILLION)(?:_MS)?")
"""Figures that are their own reason: how many smaller units the larger one has."""


def bare_figures(path):
    """Module-level constants that are numbers, or tuples of numbers, without comment or docstring."""
    source = path.read_text(encoding="utf-8").splitlines()
    body = tree_of(path).body
    for node, below in zip(body, [*body[1:], None], strict=True):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = [name.id for target in targets if target for name in ast.walk(target) if isinstance(name, ast.Name)]
        if not names or not all(name.isupper() for name in names) or all(UNITS.fullmatch(name) for name in names):
            continue
        parts = list(ast.walk(node.value))
        numeric = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Name, ast.Load, ast.Tuple)
        values = [part.value for part in parts if isinstance(part, ast.Constant)]
        if not values or not all(isinstance(value, int | float) for value in values):
            continue
        told = isinstance(below, ast.Expr) or any("#" in line for line in source[node.lineno - 2 : node.end_lineno])
        if all(isinstance(part, numeric) for part in parts) and not told:
            yield ", ".join(names)


@pytest.mark.parametrize("path", [path for path in SOURCES if "sandbox" not in path.parts], ids=relative)
def test_figures_have_a_reason(path):
    assert list(bare_figures(path)) == [], "say beside a figure why it is not another one"


def test_no_module_is_a_drawer():
    drawers = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}

    assert [relative(path) for path in SOURCES if drawers & set(path.stem.strip("_").split("_"))] == []


def test_all_packages_are_this_distribution_s_own():
    owners = importlib.metadata.packages_distributions()

    assert {name: set(owners[name]) for name in PACKAGES} == {name: {"tapestream"} for name in PACKAGES}
    for name in PACKAGES:
        assert Path(__import__(name).__file__).is_relative_to(ROOT)


def test_every_package_is_typed_and_declared():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {relative(path.parent).replace("/", ".") for path in SOURCES if path.name == "__init__.py"}

    assert found == set(declared)
    assert {relative(path.parent) for path in SOURCES} == {name.replace(".", "/") for name in found}
    assert [name for name in PACKAGES if not (ROOT / name / "py.typed").is_file()] == []


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import streams", {"faust", "aiokafka", "infra", "connectors", "pydantic", "asyncio"}),
        ("import connectors", {"faust", "aiokafka", "infra", "streams", "asyncio", "httpx"}),
        ("import streams.commands.normalize", {"faust", "httpx", "chdb"}),
        ("import streams.processing.validate", {"faust", "aiokafka", "infra", "httpx"}),
    ],
)
def test_importing_stays_light(statement, unwanted):
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert unwanted & set(done.stdout.split()) == set()
