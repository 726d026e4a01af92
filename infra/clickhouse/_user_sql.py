"""What a user's SQL may do: read this database, and nothing else of the machine. The engine's own parser decides.

Text cannot be judged by patterns (`INTO/**/OUTFILE`), so the engine writes the query anew (`formatQuerySingleLine`:
one statement, no comments, its own quotes) and prints its syntax tree (`EXPLAIN AST`). What is judged here, and then
run, is that text. Only nodes, functions and tables that are listed pass: a clause of a newer engine is refused until
it has been reviewed.

The tree is lines, one node each, indented by depth: `Function max (alias m) (children 1)`. A line says the kind, then
names as they are, so that a name with a line break could pretend to be a node: such names are refused first.
A few kinds say less than they hold (`APPLY`, the `WHERE` of `SHOW`): they are refused, or judged by their text.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from infra.clickhouse._errors import QueryRefused

SYSTEM_TABLES = frozenset(
    f"system.{name}" for name in ("columns", "functions", "numbers", "one", "parts", "tables", "time_zones", "zeros")
)
"""They tell of tables and of the engine. The others tell of users, settings, queries, files and other machines."""
TABLE_FUNCTIONS = frozenset(
    (
        "numbers",
        "numbers_mt",
        "zeros",
        "zeros_mt",
        "generateseries",
        "generate_series",
        "generaterandom",
        "values",
        "view",
    )
)
"""They make rows of nothing, or of the query itself."""

_STATEMENTS = frozenset(("SelectWithUnionQuery", "DescribeQuery", "Explain"))
_LIKE = r"(?: (?:NOT )?I?LIKE '')?"
_ABOUT_A_TABLE = re.compile(r"(?:EXISTS|SHOW CREATE) (?:TABLE|VIEW) (?:(\w+)\.)?\w+", re.ASCII)
_BY_TEXT = {
    "ShowTables": re.compile(rf"SHOW (?:FULL )?TABLES(?: FROM (\w+))?{_LIKE}(?: LIMIT \d+)?", re.ASCII),
    "ShowColumns": re.compile(rf"SHOW (?:FULL )?COLUMNS FROM \w+(?: FROM (\w+))?{_LIKE}", re.ASCII),
    **dict.fromkeys(
        ("ExistsTableQuery", "ExistsViewQuery", "ShowCreateTableQuery", "ShowCreateViewQuery"), _ABOUT_A_TABLE
    ),
}
"""Statements whose tree does not say everything, as text without its strings; the group is a database."""
_PARTS = frozenset(
    (
        *(
            "ArrayJoin",
            "Asterisk",
            "Collation",
            "ColumnsExceptTransformer",
            "ColumnsListMatcher",
            "ColumnsRegexpMatcher",
        ),
        *("ColumnsReplaceTransformer", "ColumnsReplaceTransformer::Replacement", "ColumnsTransformerList"),
        *("ExpressionList", "Function", "Identifier", "InterpolateElement", "Literal", "OrderByElement"),
        *("QualifiedAsterisk", "QualifiedColumnsListMatcher", "QualifiedColumnsRegexpMatcher", "SampleRatio"),
        *("SelectIntersectExceptQuery", "SelectQuery", "SelectWithUnionQuery", "Subquery", "TableExpression"),
        *("TableIdentifier", "TableJoin", "TablesInSelectQuery", "TablesInSelectQueryElement", "WindowDefinition"),
        *("WindowListElement", "WithElement"),
    )
)
"""What a SELECT may be made of."""
_ONLY_CHILDREN = {
    "SelectWithUnionQuery": frozenset(("ExpressionList",)),
    "DescribeQuery": frozenset(("TableExpression",)),
    "Explain": frozenset(("SelectWithUnionQuery", "Set")),  # the options of EXPLAIN are a Set, and known to the parser
}
"""A file, a format or settings would stand beside these."""
_CLAUSES = {"Literal": "INTO OUTFILE", "Identifier": "FORMAT", "Set": "SETTINGS"}

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*\"""")
_LINE = re.compile(r"( *)([\w:]+)(?: (.*))?", re.DOTALL)
_NAMED = re.compile(r"(\S+)(?: \(alias .*\))?(?: \(children \d+\))?", re.DOTALL)
_TABLE = re.compile(r"(?:(\w+)\.)?\w+", re.ASCII)
_COMBINATORS = re.compile(
    r"(?:simplestate|ordefault|distinct|resample|foreach|argmax|argmin|ornull|tuple|merge|state|array|null|map|if)$"
)
_MEMBERSHIP = re.compile(r"(?:global)?(?:not)?(?:null)?in(?:ignoreset)?")


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the syntax tree."""

    kind: str
    """The engine's name for its kind."""
    said: str
    """What its line says beside the kind."""
    above: Node | None = None
    """The node that it is part of; None for the root."""
    children: list[Node] = field(default_factory=list, repr=False)
    """The nodes that are part of it, in order."""

    @property
    def name(self) -> str:
        """The name it says; empty where that is not one word, as no function's and no table's of ours is."""
        found = _NAMED.fullmatch(self.said)
        return found[1] if found else ""


def require_text(sql: str) -> None:
    """Refuse what must not even be explained. `sql` is one statement as the engine writes it.

    Raises:
        QueryRefused: it writes a file, or a name in it is no plain one.
    """
    if any("\\" in quoted[0] for quoted in _QUOTED.finditer(sql) if quoted[0][0] != "'"):
        raise QueryRefused("a name in the query has a backslash or a line break: use plain names")
    if re.search(r"\bINTO OUTFILE\b", _without_strings(sql)):
        raise QueryRefused("a query answers to its caller only: leave out INTO OUTFILE")


def require_reading(sql: str, tree: str, database: str) -> None:
    """Refuse a query that does more than read tables.

    Args:
        sql: one statement as the engine writes it, which has passed `require_text`.
        tree: its syntax tree as the engine prints it.
        database: whose tables may be read, beside the harmless ones of the engine.

    Raises:
        QueryRefused: with what is not allowed in it.
    """
    nodes = _read(tree)
    root = nodes[0]
    if shape := _BY_TEXT.get(root.kind):
        found = shape.fullmatch(_without_strings(sql))
        if not found or found[1] not in {None, database}:
            raise QueryRefused(f"SHOW and EXISTS may name tables and columns of {database}, with LIKE and nothing else")
    elif root.kind not in _STATEMENTS:
        raise QueryRefused("a query may only read: write one SELECT, WITH, SHOW, DESCRIBE, EXISTS or EXPLAIN")
    else:
        for node in nodes[1:]:
            _require_node(node, database)


def _require_node(node: Node, database: str) -> None:
    assert node.above
    above = node.above.kind
    if node.kind not in _ONLY_CHILDREN.get(above, {node.kind}) or (node.kind == "Set" and above != "Explain"):
        raise QueryRefused(f"leave out {_CLAUSES.get(node.kind, 'what follows the query')}: a query chooses none")
    if node.kind not in _PARTS and node.kind != "Set":
        what = "APPLY: the engine does not tell what it calls" if "Apply" in node.kind else node.kind
        raise QueryRefused(f"a query may not use {what}")
    if node.kind == "TableIdentifier":
        _require_table(node.name, database)
    elif node.kind == "Function" and above == "TableExpression":
        if node.name.lower() not in TABLE_FUNCTIONS:
            raise QueryRefused(f"a query may not read {node.name}(): its tables are those of {database}")
    elif node.kind == "Function":
        _require_function(node, database)


def _require_function(node: Node, database: str) -> None:
    name = node.name.lower()
    if not _allowed(name):
        reason = _functions()[1].get(name, "is not known to be harmless")
        raise QueryRefused(f"a query may not call {node.name or node.said}(): it {reason}")
    if _MEMBERSHIP.fullmatch(name):
        # `x IN name` reads the table of that name
        for side in [found for child in node.children for found in child.children][1:]:
            if side.kind == "Identifier" and "." in side.said:
                _require_table(side.name, database)


def _require_table(name: str, database: str) -> None:
    found = _TABLE.fullmatch(name)
    if not found or (found[1] not in {None, database} and name not in SYSTEM_TABLES):
        raise QueryRefused(f"a query may not read {name or 'a table of that name'}: its tables are those of {database}")


def _allowed(name: str) -> bool:
    """Return whether a function may be called: itself, or what remains of an aggregate without its combinators."""
    allowed = _functions()[0]
    while name not in allowed:
        base = _COMBINATORS.sub("", name)
        if base == name:
            return False
        name = base
    return True


@cache
def _functions() -> tuple[frozenset[str], dict[str, str]]:
    """The functions that are allowed, and why others are not; names in lower case."""
    found = tomllib.loads((files("infra.clickhouse") / "functions.toml").read_text())
    refused = {name: reason for reason, names in found["refused"].items() for name in names.split()}
    return frozenset(found["allowed"].split()), refused


def _read(tree: str) -> list[Node]:
    """The nodes of a tree that is given as indented lines, the root first."""
    nodes: list[Node] = []
    path: list[Node] = []
    for line in tree.rstrip("\n").split("\n"):
        found = _LINE.fullmatch(line)
        if not found or len(found[1]) > len(path) or (path and not found[1]):
            raise QueryRefused("the engine's account of the query cannot be read: write it more simply")
        del path[len(found[1]) :]
        node = Node(found[2], found[3] or "", path[-1] if path else None)
        if path:
            path[-1].children.append(node)
        path.append(node)
        nodes.append(node)
    return nodes


def _without_strings(sql: str) -> str:
    return _QUOTED.sub(lambda quoted: "''" if quoted[0][0] == "'" else quoted[0], sql)
