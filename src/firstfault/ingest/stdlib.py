"""The documentation of the running interpreter's standard library, as documents: a corpus on every machine.

One document for each public module, class and top-level function: its signature, docstring and, for a
class, its public methods. Python sources are parsed, never imported; the modules written in C that are
worth reading are imported from a list that is safe.
"""

import ast
import importlib
import inspect
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from firstfault.types import Document

_EXCLUDED = frozenset(
    """
    antigravity curses distutils encodings ensurepip idlelib lib2to3 msilib ntpath pydoc_data test tests this
    tkinter turtle turtledemo venv
    """.split()
)
"""Demonstrations, tests, platform shells and tables that a reader of the documentation does not want."""

_COMPILED = {
    "_bisect": "bisect", "_bz2": "bz2", "_collections": "collections", "_contextvars": "contextvars",
    "_csv": "csv", "_datetime": "datetime", "_decimal": "decimal", "_functools": "functools",
    "_heapq": "heapq", "_io": "io", "_lzma": "lzma", "_pickle": "pickle", "_queue": "queue",
    "_signal": "signal", "_socket": "socket", "_sqlite3": "sqlite3", "_struct": "struct", "array": "array",
    "atexit": "atexit", "binascii": "binascii", "builtins": "builtins", "cmath": "cmath", "errno": "errno",
    "faulthandler": "faulthandler", "fcntl": "fcntl", "gc": "gc", "itertools": "itertools",
    "marshal": "marshal", "math": "math", "mmap": "mmap", "posix": "os", "pwd": "pwd",
    "resource": "resource", "select": "select", "sys": "sys", "time": "time",
    "unicodedata": "unicodedata", "zlib": "zlib",
}  # fmt: skip
"""Modules written in C whose import does nothing but define names → where these are documented."""

_PUBLIC_NAME = {"posixpath": "os.path"}
"""Modules that are documented under another name."""

_MINIMUM_CHARACTERS = 80
"""A shorter docstring of a module inside a package says no more than its name."""

_PROGRAMS = frozenset({"main", "demo", "test"})
"""Functions that make a module a program, which nobody calls."""

_RECEIVER = re.compile(r"\(\$\w+(?:, /)?(?:, )?")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One thing that is documented."""

    name: str
    kind: str
    module: str
    signature: str
    docstring: str
    members: tuple[tuple[str, str], ...] = ()
    """(signature, docstring) of a class's public methods."""


def stdlib_documents() -> Iterator[Document]:
    """Yield the documents in the order of their ids; the same interpreter gives the same documents."""
    entries: dict[str, _Entry] = {}
    for entry in _all_entries():
        entries.setdefault(entry.name, entry)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for name in sorted(entries):
        entry = entries[name]
        yield Document(
            id=name,
            title=name,
            text=_render(entry),
            source=f"python {version} standard library: {entry.module}",
            revision="",
            metadata={"kind": entry.kind, "module": entry.module, "python": version},
        )


def _all_entries() -> Iterator[_Entry]:
    root = Path(sysconfig.get_paths()["stdlib"])
    for name in sorted(sys.stdlib_module_names):
        if name in _EXCLUDED or name.startswith("_"):
            continue
        if (root / f"{name}.py").is_file():
            public = _PUBLIC_NAME.get(name, name)
            yield from _from_source(_parse(root / f"{name}.py"), public, {})
        elif (root / name / "__init__.py").is_file():
            yield from _from_package(root, root / name)
    for name, public in _COMPILED.items():
        try:
            module = importlib.import_module(name)
        except ImportError:  # not on this platform
            continue
        yield from _from_compiled(module, public)


def _from_package(root: Path, folder: Path) -> Iterator[_Entry]:
    """Modules of a package; what its `__init__` takes over from them is documented as the package's own."""
    trees = {}
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part in _EXCLUDED or part == "__main__" for part in parts):
            trees[".".join(parts)] = _parse(file)
    exported: dict[tuple[str, str], str] = {}
    for module, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                origin = f"{module}.{node.module}" if node.level == 1 else node.module or ""
                if origin.startswith(f"{module}.") and origin in trees:
                    names = [alias.name for alias in node.names]
                    for name in _all_of(trees[origin]) if names == ["*"] else names:
                        exported.setdefault((origin, name), module)
    for module, tree in trees.items():
        yield from _from_source(tree, module, exported)


def _parse(file: Path) -> ast.Module:
    return ast.parse(file.read_bytes(), str(file))


def _all_of(tree: ast.Module) -> list[str]:
    """The names in a module's `__all__`, where it is written down as a list or tuple."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            try:
                return [str(name) for name in ast.literal_eval(node.value)]
            except ValueError:  # put together at run time
                return []
    return []


def _from_source(tree: ast.Module, module: str, exported: Mapping[tuple[str, str], str]) -> Iterator[_Entry]:
    private = any(part.startswith("_") for part in module.split("."))
    docstring = ast.get_docstring(tree)
    is_part = "." in module and module not in _PUBLIC_NAME.values()
    if docstring and not private and not (is_part and len(docstring) < _MINIMUM_CHARACTERS):
        yield _Entry(module, "module", module, "", docstring)
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        home = exported.get((module, node.name))
        if not node.name.startswith("_") and node.name not in _PROGRAMS and (home or not private):
            yield from _from_node(node, home or module)


def _from_node(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, module: str) -> Iterator[_Entry]:
    docstring = ast.get_docstring(node) or ""
    name = f"{module}.{node.name}"
    if not isinstance(node, ast.ClassDef):
        if docstring:
            yield _Entry(name, "function", module, _signature(node), docstring)
        return
    members = []
    constructor = ""
    for member in node.body:
        if not isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        text = ast.get_docstring(member) or ""
        if member.name == "__init__":
            constructor = _signature(member).removeprefix("__init__")
            docstring = docstring or text
        elif not member.name.startswith("_") and text:
            members.append((_signature(member), text))
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    signature = f"class {node.name}{constructor or (f'({bases})' if bases else '')}"
    if docstring or members:
        yield _Entry(name, "class", module, signature, docstring, tuple(members))


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    arguments = ast.unparse(node.args)
    for receiver in ("self, ", "cls, ", "self", "cls"):
        if arguments.startswith(receiver):
            arguments = arguments.removeprefix(receiver).removeprefix("/, ")
            break
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    prefix = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    return f"{prefix}{node.name}({arguments}){returns}"


def _from_compiled(module: ModuleType, public: str) -> Iterator[_Entry]:
    if module.__name__ == public and module.__doc__:
        yield _Entry(public, "module", public, "", inspect.cleandoc(module.__doc__))
    for name in sorted(vars(module)):
        value = vars(module)[name]
        if name.startswith("_") or not callable(value) or not isinstance(value.__doc__, str):
            continue
        if getattr(value, "__name__", "") != name:  # an alias such as IOError, or an object put there by site
            continue
        kind = "class" if isinstance(value, type) else "function"
        shown = name if public == "builtins" else f"{public}.{name}"
        members = tuple(_methods(value)) if isinstance(value, type) else ()
        prefix = "class " if kind == "class" else ""
        yield _Entry(
            shown,
            kind,
            public,
            f"{prefix}{name}{_text_signature(value)}",
            inspect.cleandoc(value.__doc__),
            members,
        )


def _methods(value: type) -> Iterator[tuple[str, str]]:
    for name in sorted(vars(value)):
        member = vars(value)[name]
        if not name.startswith("_") and callable(member) and getattr(member, "__doc__", None):
            yield f"{name}{_text_signature(member)}", inspect.cleandoc(member.__doc__ or "")


def _text_signature(value: object) -> str:
    written = getattr(value, "__text_signature__", None)
    if not isinstance(written, str):
        return "(...)"
    return _RECEIVER.sub("(", written)


def _render(entry: _Entry) -> str:
    """A reference entry as Markdown."""
    parts = [f"# {entry.name}"]
    if entry.signature:
        parts.append(entry.signature if "`" in entry.signature else f"`{entry.signature}`")
    if entry.docstring:
        parts.append(entry.docstring)
    if entry.members:
        parts.append("## Methods")
        parts += [f"`{signature}`: {docstring}" for signature, docstring in entry.members]
    return "\n\n".join(parts) + "\n"
