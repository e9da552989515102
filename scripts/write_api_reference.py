"""Write the API reference from the docstrings. Run: make docs

docs/api/*.md    one page for each topic of PAGES, and index.md

The sources are parsed, not imported. A test fails when a page is not current (tests/unit/test_docs.py).
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
API = ROOT / "docs" / "api"

# Title and modules of each page; "package.*" stands for the public modules of a package.
PAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "twinpath": ("The public names", ("twinpath",)),
    "recognize": ("Recognition: plan, read, infer, aggregate", ("twinpath.recognize.*",)),
    "results": ("Results as data", ("twinpath.results.*",)),
    "formats": ("Results and annotations in files", ("twinpath.formats.*",)),
    "explain": ("Why a model answers so", ("twinpath.explain.*",)),
    "jobs": ("One use case over many inputs", ("twinpath.jobs.*",)),
    "video": (
        "Video files and cameras to frames",
        (
            "twinpath.video.decode",
            "twinpath.video.selection",
            "twinpath.video.clip_plan",
            "twinpath.video.clips",
            "twinpath.video.source",
            "twinpath.video.probe",
            "twinpath.video.find",
            "twinpath.video.live",
            "twinpath.video.writer",
            "twinpath.video.isolated",
        ),
    ),
    "engine": (
        "Frames to scores on a device",
        (
            "twinpath.engine.base",
            "twinpath.engine.config",
            "twinpath.engine.open",
            "twinpath.engine.quantize",
            "twinpath.engine.calibration",
            "twinpath.engine.export",
            "twinpath.engine.export_int8",
        ),
    ),
    "people": ("Person detectors and trackers", ("twinpath.people.base", "twinpath.people.choose")),
    "models": (
        "Networks and weights",
        (
            "twinpath.zoo.create",
            "twinpath.zoo.records",
            "twinpath.models.registry",
            "twinpath.models.input_spec",
            "twinpath.models.network",
            "twinpath.models.preprocess",
            "twinpath.weights.load",
        ),
    ),
    "data": ("Data sets", ("twinpath.data.*", "twinpath.data.ava", "twinpath.data.synthetic")),
    "evaluate": ("Evaluation and metrics", ("twinpath.evaluate.*", "twinpath.metrics.*")),
    "render": (
        "Results drawn on frames",
        (
            "twinpath.render.annotate",
            "twinpath.render.contact_sheet",
            "twinpath.render.timeline",
            "twinpath.render.live",
            "twinpath.render.live_window",
        ),
    ),
    "errors": ("Errors", ("twinpath.errors",)),
}

_SECTION = re.compile(r"(Args|Attributes|Returns|Yields|Raises|Returns, Raises|Source|Example):(?:\s+(.*))?$")
_ENTRY = re.compile(r"(\*{0,2}[A-Za-z_][\w.]*(?:, \*{0,2}[A-Za-z_][\w.]*)*): (.*)$")
_MAX_SIGNATURE = 96

Function = ast.FunctionDef | ast.AsyncFunctionDef


def pages() -> dict[str, str]:
    """The text of each page by the name of its file."""
    written = {f"{name}.md": _page(title, modules) for name, (title, modules) in PAGES.items()}
    return {"index.md": _index(), **written}


def _index() -> str:
    lines = [
        "# API reference\n",
        "Made from the docstrings by `make docs`; do not edit these pages.\n",
        "| page | modules |",
        "| --- | --- |",
    ]
    for name, (title, patterns) in PAGES.items():
        modules = ", ".join(f"`{module}`" for module in _modules(patterns))
        lines.append(f"| [{title}]({name}.md) | {modules} |")
    return "\n".join(lines) + "\n"


def _page(title: str, patterns: Sequence[str]) -> str:
    parts = [f"# {title}\n\n[API reference](index.md). Made from the docstrings by `make docs`; do not edit."]
    for module in _modules(patterns):
        parts += _public_names(module) if module == "twinpath" else _module(module)
    return "\n\n".join(parts) + "\n"


def _modules(patterns: Sequence[str]) -> list[str]:
    """The modules that some patterns stand for, in their order.

    Raises:
        FileNotFoundError: A module does not exist: it was moved or renamed.
    """
    modules: list[str] = []
    for pattern in patterns:
        if pattern.endswith(".*"):
            folder = SOURCE / pattern.removesuffix(".*").replace(".", "/")
            found = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
            modules += [f"{pattern.removesuffix('*')}{name}" for name in found]
        else:
            _file_of(pattern)
            modules.append(pattern)
    return modules


def _file_of(module: str) -> Path:
    base = SOURCE / module.replace(".", "/")
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    if not path.is_file():
        raise FileNotFoundError(f"there is no module {module}; correct PAGES in {__file__}")
    return path


def parsed(module: str) -> ast.Module:
    return ast.parse(_file_of(module).read_text("utf-8"))


def _public_names(package: str) -> list[str]:
    """The names of the package's `__all__`, from the modules that its imports for type checkers name."""
    tree = parsed(package)
    home = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("twinpath.")
        for alias in node.names
    }
    parts = [_markdown(ast.get_docstring(tree) or "")]
    for name in _all(tree):
        if name in home:
            definitions = [node for node in _definitions(parsed(home[name])) if node.name == name]
            parts += [text for node in definitions for text in _definition(node, level=2)]
    return parts


def _all(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    raise ValueError("the package has no __all__")


def _module(module: str) -> list[str]:
    tree = parsed(module)
    names = _reexported(tree) or [node for node in _definitions(tree) if ast.get_docstring(node)]
    parts = [f"## `{module}`", _markdown(ast.get_docstring(tree) or "")]
    return parts + [text for node in names for text in _definition(node, level=3)]


def _reexported(tree: ast.Module) -> list[ast.ClassDef | Function]:
    """What a package's `__init__` takes from its own modules."""
    found: list[ast.ClassDef | Function] = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("twinpath."):
            wanted = {alias.name for alias in node.names if alias.asname in (None, alias.name)}
            if any(isinstance(n, ast.Assign) and "__all__" in ast.unparse(n.targets[0]) for n in tree.body):
                definitions = _definitions(parsed(node.module))
                found += [n for n in definitions if n.name in wanted and ast.get_docstring(n)]
    return found


def _definitions(tree: ast.Module) -> list[ast.ClassDef | Function]:
    """Public classes and functions, in the order of the file."""
    return [
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
    ]


def _definition(node: ast.ClassDef | Function, *, level: int) -> Iterator[str]:
    heading = "#" * level
    if not isinstance(node, ast.ClassDef):
        yield f"{heading} `{node.name}`"
        yield _fenced(_signature(node))
        yield _markdown(ast.get_docstring(node) or "")
        return
    yield f"{heading} `{node.name}`"
    yield _fenced(_class_signature(node))
    yield _markdown(ast.get_docstring(node) or "")
    for method in node.body:
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and _is_shown(method):
            yield _fenced(_signature(method))
            if text := _markdown(ast.get_docstring(method) or ""):
                yield text


def _is_shown(method: Function) -> bool:
    """Public methods with a docstring, and how an object is made and called, where that is documented."""
    documented = ast.get_docstring(method) is not None
    return documented and (not method.name.startswith("_") or method.name in ("__init__", "__call__"))


def _class_signature(node: ast.ClassDef) -> str:
    decorators = [f"@{ast.unparse(decorator)}" for decorator in node.decorator_list]
    bases = f"({', '.join(ast.unparse(base) for base in node.bases)})" if node.bases else ""
    lines = [*decorators, f"class {node.name}{bases}:"]
    is_data = bool(decorators) or "NamedTuple" in bases or "BaseModel" in bases
    if is_data:
        fields = [part for part in node.body if isinstance(part, ast.AnnAssign) and _is_public(part)]
        lines += [f"    {_field(field)}" for field in fields]
    made = next((m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"), None)
    if made is not None and ast.get_docstring(made) is None:  # else it is shown by itself
        lines.append(textwrap.indent(_signature(made), "    "))
    return "\n".join(lines)


def _field(field: ast.AnnAssign) -> str:
    default = f" = {source_of(field.value)}" if field.value else ""
    return f"{source_of(field.target)}: {source_of(field.annotation)}{default}"


def _is_public(field: ast.AnnAssign) -> bool:
    return not ast.unparse(field.target).startswith("_")


def _signature(node: Function) -> str:
    """The definition as it stands in the source, with one argument on a line where it is long."""
    decorators = "".join(
        f"@{name}\n"
        for name in map(ast.unparse, node.decorator_list)
        if name in ("property", "cached_property", "classmethod", "staticmethod", "contextmanager")
    )
    keyword = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {source_of(node.returns)}" if node.returns else ""
    arguments = _arguments(node.args)
    line = f"{keyword} {node.name}({', '.join(arguments)}){returns}"
    if len(line) > _MAX_SIGNATURE:
        lines = "".join(f"    {argument},\n" for argument in arguments)
        line = f"{keyword} {node.name}(\n{lines}){returns}"
    return decorators + line


def source_of(node: ast.expr) -> str:
    """An expression as in the source, with double quotes."""
    return re.sub(r"'([^'\"\\]*)'", r'"\1"', ast.unparse(node))


def _arguments(arguments: ast.arguments) -> list[str]:
    """Each argument with its annotation and default, and the marks between them."""
    positional = [*arguments.posonlyargs, *arguments.args]
    first_default = len(positional) - len(arguments.defaults)
    texts = []
    for i, argument in enumerate(positional):
        default = arguments.defaults[i - first_default] if i >= first_default else None
        texts.append(_argument(argument, default))
        if arguments.posonlyargs and i + 1 == len(arguments.posonlyargs):
            texts.append("/")
    if arguments.vararg:
        texts.append(f"*{_argument(arguments.vararg, None)}")
    elif arguments.kwonlyargs:
        texts.append("*")
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    texts += [_argument(argument, default) for argument, default in pairs]
    if arguments.kwarg:
        texts.append(f"**{_argument(arguments.kwarg, None)}")
    return texts


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    annotation = f": {source_of(argument.annotation)}" if argument.annotation else ""
    if default is None:
        return argument.arg + annotation
    equals = " = " if annotation else "="
    return argument.arg + annotation + equals + source_of(default)


def _fenced(code: str) -> str:
    return f"```python\n{code}\n```"


def _markdown(docstring: str) -> str:
    """A docstring as Markdown: paragraphs, code in fences, lists under the names of sections."""
    blocks: list[str] = []
    lines = docstring.splitlines()
    i = 0
    while i < len(lines):
        section = _SECTION.match(lines[i])
        if section:
            i, text = _section(section, lines, i + 1)
            blocks.append(text)
        elif lines[i].startswith("    ") or _is_code(lines, i):
            i, text = _code(lines, i)
            blocks.append(text)
        elif lines[i].strip():
            start = i
            while i < len(lines) and lines[i].strip() and not _SECTION.match(lines[i]):
                i += 1
            paragraph = "\n".join(lines[start:i])
            blocks.append(f"```text\n{paragraph}\n```" if _is_table(lines[start:i]) else paragraph)
        else:
            i += 1
    return "\n\n".join(blocks)


def _is_table(paragraph: list[str]) -> bool:
    """Whether all lines have columns, apart by two spaces or more."""
    return len(paragraph) > 1 and all(re.search(r"\S {2,}\S", line) for line in paragraph)


def _is_code(lines: list[str], i: int) -> bool:
    """Whether a paragraph that is not indented is code: formatters take the indentation of some away."""
    end = next((n for n in range(i, len(lines)) if not lines[n].strip()), len(lines))
    paragraph = "\n".join(lines[i:end])
    if not paragraph or (i and lines[i - 1].strip()):
        return False
    try:
        ast.parse(paragraph)
    except SyntaxError:
        return False
    return "(" in paragraph or "=" in paragraph


def _code(lines: list[str], i: int) -> tuple[int, str]:
    start = i
    indented = lines[i].startswith("    ")
    while i < len(lines) and (lines[i].startswith("    ") or not lines[i].strip() if indented else lines[i]):
        i += 1
    code = textwrap.dedent("\n".join(lines[start:i])).strip("\n")
    try:
        ast.parse(code)
        language = "python"
    except SyntaxError:
        language = "text"
    return i, f"```{language}\n{code}\n```"


def _section(match: re.Match[str], lines: list[str], i: int) -> tuple[int, str]:
    """A section such as "Args:", from the line behind its title."""
    title, rest = match[1], match[2]
    start = i
    while i < len(lines) and (lines[i].startswith("    ") or (not lines[i].strip() and _continues(lines, i))):
        i += 1
    body = textwrap.dedent("\n".join(lines[start:i])).strip("\n")
    if rest is not None:
        return i, f"**{title}:** {rest}" + (f" {' '.join(body.split())}" if body else "")
    entries = entries_of(body)
    if entries is None:
        return i, f"**{title}:** {' '.join(body.split())}"
    return i, f"**{title}:**\n\n" + "\n".join(f"* `{names}`: {text}" for names, text in entries)


def _continues(lines: list[str], i: int) -> bool:
    following = next((line for line in lines[i + 1 :] if line.strip()), "")
    return following.startswith("    ")


def entries_of(body: str) -> list[tuple[str, str]] | None:
    """(names, text) of each entry of a section; None where it is plain text."""
    entries: list[tuple[str, str]] = []
    for line in body.splitlines():
        if match := _ENTRY.match(line):
            entries.append((match[1], match[2]))
        elif entries and (line.startswith(" ") or not line.strip()):
            names, text = entries[-1]
            entries[-1] = (names, f"{text} {line.strip()}".rstrip())
        elif line.strip():
            return None
    return entries or None


def main() -> None:
    API.mkdir(exist_ok=True)
    written = pages()
    for path in API.glob("*.md"):
        if path.name not in written:
            path.unlink()
    for name, text in written.items():
        (API / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
