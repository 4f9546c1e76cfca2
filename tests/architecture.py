"""The rules of the house that a machine can hold, as functions from source text to findings.

Each rule is a function that takes a module's dotted name and its text and returns a list of sentences, one for each
place that breaks it; none is good. So a rule can be tried on three lines of bad code as well as on the tree. Syntax
trees and tokens are all it looks at: nothing is imported, so a module cannot hide behind what happens when it runs.

Exceptions stand in tables below, each with its reason; an entry that is no longer needed is a finding too.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple, Union

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "wssync"
TOP = "__init__"
"""The public names, `wssync/__init__.py`, in the tables below."""

ORDER = (
    "hints",
    "errors",
    "frozen",
    "protocol",
    "cookies",
    "auth",
    "configuration",
    "metrics",
    "transport",
    "engine",
    "delegate",
    "session_task",
    "task",
    "session",
    TOP,
    "compat",
    "testing",
    "cli",
    "__main__",
)
"""Each part may import itself and what stands before it."""

ASIDE: Dict[str, Tuple[Tuple[str, ...], Tuple[str, ...]]] = {
    "_speedups": ((), ("protocol", "engine")),
    "logs": (("hints",), ("strand", "engine")),
    "strand": (("hints", "errors", "logs"), ("executors", "engine", "session_task", "task", "session", "testing")),
    "executors": (("hints", "errors", "strand"), ("session", TOP, "compat", "testing", "cli", "__main__")),
}
"""A part outside the order -> what it may import, and who may import it."""

COMPILED = frozenset(["_speedups"])
"""Parts that are no Python: they import nothing."""

IMPURE = frozenset(
    [
        "_thread",
        "asyncio",
        "concurrent",
        "logging",
        "multiprocessing",
        "queue",
        "select",
        "selectors",
        "socket",
        "ssl",
        "subprocess",
        "threading",
        "time",
    ]
)
"""What `protocol/` must not import: with none of these it has no clock, no thread, no log and no network."""

HINTS = "hints"
MAY_IMPORT_TYPING = (HINTS, "testing", "cli", "compat")

THREAD_MAKERS = frozenset(["Thread", "Timer", "start_new_thread"])
MAY_MAKE_THREADS = ("engine", "transport.dial", "executors", "testing")

FUNCTION_LINES, COMPLEXITY, NESTING, PARAMETERS = 50, 12, 4, 6
MODULE_LINES, CLASS_LINES, CLASS_METHODS = 500, 350, 25

BUDGET_EXCEPTIONS: Dict[Tuple[str, str], str] = {
    (
        "protocol.frames.cut_messages",
        "complexity",
    ): "the loop over frames, written out: a call per frame would double its cost",
    (
        "engine.reader.Reader.borrow",
        "complexity",
    ): "the short way in one piece: a call more would be seen in every round trip",
    ("engine.reader.Reader.borrow", "nesting"): "a role is let go before what was read under it can be put back",
    ("errors.ConnectionClosed.__init__", "parameters"): "a record of how a connection ended: keyword-only values",
    (
        "session.connect",
        "parameters",
    ): "a task, its session and the waiting in one call: keyword-only values of those three",
}
"""(dotted name below the package, budget) -> why it may be over."""

NO_TEST_MODULE: Dict[str, str] = {
    TOP: "the public names, which test_package tries",
    "engine.state": "the first chapter of engine.connection's one object, and tested as that object",
    "engine.calls": "the third chapter of engine.connection's one object, and tested as that object",
    "session_task": "the base of task, which is never made alone: its tests are those of the one kind there is",
}
"""Module -> why it has no test module of its own."""

SERVERS = ("create_server.", "start_server.", "start_unix_server.", "socketserver.", "http.server.")
"""What makes a socket that listens, besides its method `listen`; the dot stands for all that is in a module."""

SERVER_ROLE = (
    "SERVER",
    "ServerAccepted",
    "ServerRefused",
    "format_response",
    "parse_request_head",
    "wssync.protocol.handshake.answer",
)
"""What of `wssync.protocol` is for servers alone."""

MAY_SERVE: Dict[str, str] = {
    "engine.support": "the other end of a stream in memory: the engine without any socket",
    "engine.test_counts": "compresses, as a server does, what the connection receives",
    "engine.test_outbox": "inflates, as a server does, what the outbox has compressed",
    "interop": "the servers and clients of others",
    "opening.support": "a Unix socket, which the shipped server does not listen on",
    "protocol": "both roles of the protocol are what is tested there",
    "testing": "tries the shipped server, and what it is made of, by itself",
    "transport": "sockets below WebSocket, where a listening one is half of a pair",
}
"""Package or module of tests/ -> why it may do without `wssync.testing.Server`."""

FunctionNode = Union[ast.FunctionDef, ast.AsyncFunctionDef]
Definition = Union[ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef]


class Module(NamedTuple):
    """A file of the tree: its dotted name below its root ("protocol.frames", "__init__"), its path and its text."""

    name: str
    path: Path
    text: str


def modules_below(folder: Path) -> Iterator[Module]:
    """Every Python file in `folder` and below, in the order of its paths."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if parts[-1] == TOP and len(parts) > 1:
            parts = parts[:-1]
        yield Module(".".join(parts), path, path.read_text(encoding="utf-8"))


# Imports


def imports_of(name: str, text: str, *, is_package: bool = False) -> List[Tuple[int, str]]:
    """(line, dotted name) of everything that module `name` of the package imports, typing imports included.

    Names inside the package come as "wssync.protocol.http1"; `from x import y` comes as "x.y".
    """
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(name, node, is_package)
            found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return sorted(found)


def _base(name: str, node: ast.ImportFrom, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    here = [PACKAGE] if name == TOP else [PACKAGE, *name.split(".")]
    up = node.level - 1 if is_package or name == TOP else node.level
    return ".".join(here[: len(here) - up] + ([node.module] if node.module else []))


def part_of(dotted: str) -> str:
    """The part of the package that a dotted name ("protocol.frames") or an imported one ("wssync.protocol") is in."""
    words = dotted.split(".")
    if words[0] == PACKAGE:
        words = words[1:]
    return words[0] if words and (words[0] in ORDER or words[0] in ASIDE) else TOP


def direction(name: str, text: str, *, is_package: bool = False) -> List[str]:
    """Imports go one way only, along ORDER."""
    if name.split(".")[0] not in (*ORDER, *ASIDE):
        return [f"{name} has no place in the order of the parts"]
    importer = part_of(name)
    findings = []
    for line, target in imports_of(name, text, is_package=is_package):
        if target.split(".")[0] == PACKAGE and not _may_import(importer, part_of(target)):
            findings.append(f"{name}:{line}: {importer} may not import {part_of(target)} ({target})")
    return findings


def _may_import(importer: str, imported: str) -> bool:
    if importer == imported:
        return True
    if importer in ASIDE:
        return imported in ASIDE[importer][0]
    if imported in ASIDE:
        return importer in ASIDE[imported][1]
    return ORDER.index(imported) < ORDER.index(importer)


def cycles(graph: Mapping[str, Set[str]]) -> List[str]:
    """Modules that import each other, in a circle of any length, in a graph of module -> modules it imports."""
    done: Set[str] = set()
    findings: List[str] = []

    def visit(module: str, trail: Tuple[str, ...]) -> None:
        if module in trail:
            findings.append(" -> ".join((*trail[trail.index(module) :], module)))
        elif module not in done:
            for target in sorted(graph.get(module, ())):
                visit(target, (*trail, module))
            done.add(module)

    for start in sorted(graph):
        visit(start, ())
    return findings


def import_graph(modules: List[Module]) -> Dict[str, Set[str]]:
    """Module -> the modules of the package it imports; `from .a import b` means module `a.b` where that is one."""
    names = {module.name for module in modules}
    graph = {}
    for module in modules:
        targets = set()
        for _, target in imports_of(module.name, module.text, is_package=module.path.name == "__init__.py"):
            words = target.split(".")[1:]
            if target.split(".")[0] == PACKAGE and part_of(target) not in COMPILED:
                inner = (".".join(words), ".".join(words[:-1]) or TOP)
                targets.add(next((candidate for candidate in inner if candidate in names), TOP))
        graph[module.name] = targets - {module.name}
    return graph


def purity(name: str, text: str) -> List[str]:
    """`protocol/` touches no socket, thread, clock or log."""
    if name.split(".")[0] != "protocol":
        return []
    return [
        f"{name}:{line}: the protocol is pure and may not import {target}"
        for line, target in imports_of(name, text)
        if target.split(".")[0] in IMPURE
    ]


def typing_imports(name: str, text: str) -> List[str]:
    """The words of annotations come from `hints`, so that nothing which a connection needs loads `typing`."""
    if any(name == place or name.startswith(place + ".") for place in MAY_IMPORT_TYPING):
        return []
    return [
        f"{name}:{line}: takes {target} from typing and not from {HINTS}"
        for line, target in imports_of(name, text)
        if target.split(".")[0] == "typing"
    ]


# Names


def _names(text: str) -> Iterator[Tuple[int, str]]:
    """(line, name) of every name, attribute (the last word and the dotted whole) and import in the code."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
            if isinstance(node.value, ast.Name):
                yield node.lineno, f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, alias.name
                yield node.lineno, f"{node.module}.{alias.name}"


def thread_makers(name: str, text: str) -> List[str]:
    """Only the parts that are there for it make threads."""
    if any(name == place or name.startswith(place + ".") for place in MAY_MAKE_THREADS):
        return []
    return [f"{name}:{line}: names {word}" for line, word in _names(text) if word in THREAD_MAKERS]


def engine_clock(name: str, text: str) -> List[str]:
    """The engine asks its clock for the time and its stream to wait, so that tests can do both for it."""
    if name.split(".")[0] != "engine":
        return []
    forbidden = {"time.monotonic", "time.time", "time.sleep", "select", "selectors"}
    return [f"{name}:{line}: the engine may not name {word}" for line, word in _names(text) if word in forbidden]


def sleeping(name: str, text: str) -> List[str]:
    """No test sleeps: it waits for what it waits for."""
    return [f"{name}:{line}: sleeps" for line, word in _names(text) if word in ("time.sleep", "asyncio.sleep")]


def own_servers(name: str, text: str) -> Tuple[List[str], Set[str]]:
    """Findings on test modules that listen, or play the server's part, by themselves, and the exceptions used.

    What stands for a WebSocket server in a test is `wssync.testing.Server`, with a fault where one is needed: it is
    what users have, so this suite is its first user.
    """
    nodes = ast.walk(ast.parse(text))
    found = [(node.lineno, "listen") for node in nodes if isinstance(node, ast.Attribute) and node.attr == "listen"]
    found += [(line, word) for line, word in _names(text) if word in SERVER_ROLE or f"{word}.".startswith(SERVERS)]
    excuses = {place for place in MAY_SERVE if name == place or name.startswith(f"{place}.")}
    if found and excuses:
        return [], excuses
    return [f"{name}:{line}: names {word}; wssync.testing has a server" for line, word in sorted(set(found))], set()


# Budgets


def budgets(name: str, text: str) -> Tuple[List[str], Set[Tuple[str, str]]]:
    """Findings on the sizes of functions, classes and the module, and the exceptions of the table that were used."""
    tree = ast.parse(text)
    code = _code_lines(text, tree)
    measures = [(name, "module lines", len(text.splitlines()), MODULE_LINES)]
    for dotted, node in _definitions(tree, name):
        measures += _measure_class(dotted, node) if isinstance(node, ast.ClassDef) else _measure(dotted, node, code)
    findings = []
    used = set()
    for dotted, budget, amount, limit in measures:
        if amount > limit and (dotted, budget) in BUDGET_EXCEPTIONS:
            used.add((dotted, budget))
        elif amount > limit:
            findings.append(f"{dotted}: {amount} {budget}, at most {limit}")
    return findings, used


def _measure(dotted: str, node: FunctionNode, code: Set[int]) -> List[Tuple[str, str, int, int]]:
    lines = sum(1 for line in range(node.lineno, (node.end_lineno or node.lineno) + 1) if line in code)
    return [
        (dotted, "code lines", lines, FUNCTION_LINES),
        (dotted, "complexity", complexity(node), COMPLEXITY),
        (dotted, "nesting", nesting(node), NESTING),
        (dotted, "parameters", parameters(node), PARAMETERS),
    ]


def _measure_class(dotted: str, node: ast.ClassDef) -> List[Tuple[str, str, int, int]]:
    methods = {item.name for item in node.body if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))}
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    return [(dotted, "class lines", lines, CLASS_LINES), (dotted, "methods", len(methods), CLASS_METHODS)]


def _definitions(tree: ast.AST, prefix: str) -> Iterator[Tuple[str, Definition]]:
    """Every class and function with its dotted name, those inside others included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{prefix}.{node.name}", node
            yield from _definitions(node, f"{prefix}.{node.name}")
        else:
            yield from _definitions(node, prefix)


def _code_lines(text: str, tree: ast.AST) -> Set[int]:
    """The numbers of the lines that hold code: not blank, not only a comment, no docstring."""
    ignored = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines: Set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in ignored:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of the functions and classes inside it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node
            yield from _own_nodes(node)


def complexity(function: FunctionNode) -> int:
    """McCabe's number: one, and one for each branch, loop, handler, condition of a comprehension and `and` or `or`."""
    total = 1
    for node in _own_nodes(function):
        if isinstance(node, (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler)):
            total += 1
        elif isinstance(node, ast.comprehension):
            total += 1 + len(node.ifs)
        elif isinstance(node, ast.BoolOp):
            total += len(node.values) - 1
    return total


def nesting(function: FunctionNode) -> int:
    """How deep blocks stand in blocks; an `elif` is no deeper than its `if`."""
    return max((_depth(node) for node in function.body), default=0)


_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try)


def _depth(node: ast.AST) -> int:
    if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        return 0
    depth = 0
    for child in ast.iter_child_nodes(node):
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        depth = max(depth, _depth(child) - (1 if is_elif else 0))
    return depth + (1 if isinstance(node, _BLOCKS) else 0)


def parameters(function: FunctionNode) -> int:
    """How many arguments a caller may give, `self` and `cls` excluded."""
    arguments = [*function.args.posonlyargs, *function.args.args]
    bound = bool(arguments) and arguments[0].arg in ("self", "cls")
    return len(arguments) - bound + len(function.args.kwonlyargs)


# Words


def exported(text: str) -> Optional[List[str]]:
    """The names in `__all__`, or `None` where there is none."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            names: List[str] = ast.literal_eval(node.value)
            return names
    return None


def sorted_exports(name: str, text: str) -> List[str]:
    """`__all__` is sorted and names nothing twice."""
    names = exported(text)
    if names is None or names == sorted(set(names)):
        return []
    return [f"{name}: __all__ is not sorted, or names something twice"]


def undocumented(names: List[str], readme: str) -> List[str]:
    """The names that the README never mentions."""
    return [f"README.md does not mention {name}" for name in names if not re.search(rf"\b{re.escape(name)}\b", readme)]


def docstrings(name: str, text: str) -> List[str]:
    """The module and every public class, function and method in it has a docstring."""
    tree = ast.parse(text)
    findings = [] if ast.get_docstring(tree) else [f"{name}: no docstring"]
    return findings + list(_without_docstring(tree, name))


def _without_docstring(tree: Union[ast.Module, ast.ClassDef], prefix: str) -> Iterator[str]:
    for node in tree.body:
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if node.name.startswith("_") or _repeats(node):
            continue
        if not ast.get_docstring(node):
            yield f"{prefix}.{node.name}: no docstring"
        if isinstance(node, ast.ClassDef):
            yield from _without_docstring(node, f"{prefix}.{node.name}")


def _repeats(node: Definition) -> bool:
    """A setter and an overload say nothing that the getter and the implementation do not."""
    words = [ast.dump(decorator) for decorator in node.decorator_list]
    return any("'setter'" in word or "'deleter'" in word or "'overload'" in word for word in words)


def test_docstrings(name: str, text: str) -> List[str]:
    """Every test method of a class at the top of a test module states its expectation in a docstring."""
    return [
        f"{name}.{case.name}.{method.name}: no docstring"
        for case in ast.parse(text).body
        if isinstance(case, ast.ClassDef)
        for method in case.body
        if isinstance(method, ast.FunctionDef) and method.name.startswith("test") and not ast.get_docstring(method)
    ]


COVERAGE_PRAGMA = r"#\s*pragma:\s*no\s*(?:cover|branch)"
TYPES_PRAGMA = r"#\s*type:\s*ignore(?:\[[\w, -]*\])?"


def pragmas(name: str, text: str, *, types: bool = True) -> List[str]:
    """A line that is left out of the coverage, or (with `types`) of the types, says why in the same line."""
    findings = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        for pattern in (COVERAGE_PRAGMA, TYPES_PRAGMA) if types else (COVERAGE_PRAGMA,):
            found = re.search(pattern, token.string)
            if found and len(re.findall(r"\w{2,}", token.string[found.end() :])) < 2:
                findings.append(f"{name}:{token.start[0]}: {token.string} gives no reason")
    return findings


def error_tree(text: str) -> List[str]:
    """The docstring of `errors` draws the tree of its exceptions as the code has it."""
    tree = ast.parse(text)
    drawn = _drawn_tree(ast.get_docstring(tree) or "")
    coded = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            coded[node.name] = [ast.unparse(base) for base in node.bases]
    findings = [f"{error} is not in the tree of the docstring" for error in coded if error not in drawn]
    for error, bases in drawn.items():
        if error not in coded:
            findings.append(f"the docstring draws {error}, which is not there")
        elif coded[error] != bases:
            findings.append(f"{error} derives from {coded[error]}, the docstring says {bases}")
    return findings


def _drawn_tree(docstring: str) -> Dict[str, List[str]]:
    """Exception -> its bases, as the indented lines draw them; "(also X)" names a second base."""
    drawn: Dict[str, List[str]] = {}
    trail: List[Tuple[int, str]] = []
    for found in re.finditer(r"^( +)([A-Z]\w+)(?: \(also (\w+)\))?(?:  .*)?$", docstring, re.MULTILINE):
        indent, name, other = len(found[1]), found[2], found[3]
        while trail and trail[-1][0] >= indent:
            trail.pop()
        drawn[name] = [trail[-1][1] if trail else "Exception", *([other] if other else [])]
        trail.append((indent, name))
    return drawn


# Test modules


def expected_test_module(name: str, *, is_package: bool = False) -> str:
    """The path below tests/ of the module that tests `name`."""
    words = ["init" if name == TOP else name] if "." not in name else name.split(".")
    if is_package and name != TOP:
        words.append("init")
    return "/".join([*words[:-1], f"test_{words[-1].strip('_')}.py"])


def only_imports(text: str) -> bool:
    """Whether a module has neither functions nor classes, so that there is nothing to test."""
    return not any(
        isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) for node in ast.walk(ast.parse(text))
    )


def missing_test_modules(modules: List[Module], tests: Set[str]) -> List[str]:
    """Source modules without their test module among the paths `tests`."""
    findings = []
    for module in modules:
        path = expected_test_module(module.name, is_package=module.path.name == "__init__.py")
        excused = module.name in NO_TEST_MODULE or only_imports(module.text)
        if path not in tests and not excused:
            findings.append(f"{module.name} has no tests/{path}")
    return findings
