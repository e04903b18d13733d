"""The C text of libfaust as Python functions: the same statements in the same order, whoever does the arithmetic.

Of the languages that libfaust writes, C is the one that says everything: each cast from whole numbers to real ones,
the width of the integers, which values change only with a slider, and where a long delay line is written in place.
The functions that come out of it are run twice: with Python's numbers, once, to fill tables and constants; and with
what JAX traces, for the sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pycparser import c_ast, c_parser

from sonimatch.faust.c_expression import Array, Reader, Whole, named

_GLUE = "typedef struct {int x;} MetaGlue; typedef struct {int x;} UIGlue; typedef double FAUSTFLOAT;\n"


@dataclass
class Translation:
    """Python source of every function of the text, and what there is to be known about the data.

    `structs` are the fields of each record, `tables` the arrays outside of them, with their text where it is given.
    `source` holds functions of the names of the C text, and of `compute` two: `control(dsp)` returns what changes only
    with a slider, `tick(dsp, **control)` one sample. `moved` are the fields that a tick writes, `written` those of them
    that it writes at a place known only when it runs, and `calls` the functions that are not of the text.
    `flow` tells which name goes into which other, and through what it loses its derivative on the way, if it does.
    """

    source: str = ""
    structs: dict[str, dict[str, str | Array]] = field(default_factory=dict)
    tables: dict[str, tuple[Array, list[float] | None]] = field(default_factory=dict)
    interface: list[tuple[str, list[Any]]] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    flow: set[tuple[str, str, str]] = field(default_factory=set)

    def heard(self) -> set[str]:
        """The names that the sound comes from."""
        found = {"output0"}
        while more := {source for source, target, _ in self.flow if target in found} - found:
            found |= more
        return found

    def operations(self) -> int:
        """How many operations a sample takes of what is heard; each stands in parentheses."""
        heard, tick = self.heard(), self.source[self.source.index("def tick") :]
        lines = re.findall(r"^\s*(?:dsp\[')?(\w+).*? = (.*)", tick, re.MULTILINE)
        return sum(value.count("(") for target, value in lines if target in heard)


def translate(text: str) -> Translation:
    """The functions of a C text of libfaust."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).replace("RESTRICT", "")
    text = "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("#"))
    text = text[: text.rindex("}")].replace('extern "C" {', "", 1)  # the braces for C++
    found = Translation()
    writer = _Writer(found)
    for part in c_parser.CParser().parse(_GLUE + text).ext:
        writer.declare(part)
    found.source = "\n".join(writer.lines)
    return found


class _Writer(Reader):
    def __init__(self, found: Translation) -> None:
        super().__init__()
        self.found, self.structs, self.tables, self.calls = found, found.structs, found.tables, found.calls
        self.lines: list[str] = []
        self.depth = 0
        self.guards: list[Any] = []
        self.ticking = False

    # ------------------------------------------------------------------------------------------- declarations

    def declare(self, part: Any) -> None:
        if isinstance(part, c_ast.Typedef) and isinstance(struct := named(part.type), c_ast.Struct):
            self.found.structs[part.name] = {d.name: self.shape(d.type) for d in struct.decls or []}
        elif isinstance(part, c_ast.Decl) and isinstance(part.type, c_ast.ArrayDecl):
            shape, number = self.shape(part.type), int if self.shape(part.type.type) == Whole else float
            values = None if part.init is None else [number(self.literal(e)) for e in part.init.exprs]
            self.found.tables[part.name] = (shape, values)  # pyright: ignore[reportArgumentType]
        elif isinstance(part, c_ast.FuncDef):
            self.function(part)

    def function(self, part: Any) -> None:
        name, arguments = part.decl.name, [a for a in (part.decl.type.args or c_ast.ParamList([])).params if a.name]
        self.functions[name] = str(self.shape(part.decl.type.type))
        self.kinds = {a.name: str(self.shape(a.type)) for a in arguments}
        self.records = {a.name: named(a.type).names[0] for a in arguments if isinstance(a.type, c_ast.PtrDecl)}
        if name.startswith(("new", "delete", "metadata", "getNum", "getSampleRate")):
            return
        if name.startswith("buildUserInterface"):
            self.interface(part.body)
        elif name.startswith("compute"):
            self.compute(part.body)
        else:
            self.define(f"{name}({', '.join(a.name for a in arguments)})", part.body.block_items)

    def define(self, head: str, statements: Any, last: str = "pass") -> None:
        self.line(f"def {head}:")
        self.depth += 1
        for statement in statements or ():
            self.statement(statement)
        self.line(last)
        self.depth -= 1

    def interface(self, body: Any) -> None:
        for call in body.block_items or ():
            arguments = call.args.exprs[1:]
            self.found.interface.append((call.name.field.name, [self.literal(a) for a in arguments]))

    def literal(self, node: Any) -> Any:
        """A label, a number, or the name of the field that a control writes."""
        if isinstance(node, c_ast.Cast):
            return self.literal(node.expr)
        if isinstance(node, c_ast.UnaryOp):
            return node.expr.field.name if node.op == "&" else -self.literal(node.expr)
        if node.type == "string":
            return node.value[1:-1].encode("latin-1", "backslashreplace").decode("unicode_escape")
        return float(node.value.rstrip("fF"))

    def compute(self, body: Any) -> None:
        (at,) = (i for i, s in enumerate(body.block_items) if isinstance(s, c_ast.Compound))
        loop, kept = body.block_items[at].block_items[-1], body.block_items[at + 1 :]
        # What `enable` holds on to from sample to sample is a field with another name inside of the loop.
        self.aliases = {s.rvalue.name: s.lvalue for s in kept}
        before = [
            s
            for s in body.block_items[:at]
            if not (isinstance(s, c_ast.Decl) and (isinstance(s.type, c_ast.PtrDecl) or s.name in self.aliases))
        ]
        self.computing, self.split = True, set(self.splits(body))
        self.define(
            "control(dsp, count)", before, "return {k: v for k, v in locals().items() if k not in ('dsp', 'count')}"
        )
        self.ticking = True
        self.define(f"tick(dsp, {', '.join(self.controls(before))})", loop.stmt.block_items, "return output0")
        self.ticking, self.computing, self.aliases = False, False, {}

    def controls(self, before: list[Any]) -> Iterator[str]:
        for name in dict.fromkeys(s.name for s in before if isinstance(s, c_ast.Decl)):
            yield name
            if name in self.exact:
                yield f"{name}_exact"
        yield "**_"

    def follow(self, target: str, node: Any, killer: str = "") -> None:
        if self.computing:
            self.found.flow.update((source, target, end) for source, end in self.sources(node, killer))

    # --------------------------------------------------------------------------------------------- statements

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def statement(self, node: Any) -> None:
        """One statement: a declaration, an assignment, a loop, a condition, a call or a return."""
        getattr(self, f"write_{type(node).__name__}")(node)

    def write_Decl(self, node: Any) -> None:
        if isinstance(node.type, c_ast.PtrDecl):
            self.records[node.name] = named(node.type).names[0]
        kind = self.kinds[node.name] = str(self.shape(node.type))
        if node.init is not None:
            self.line(f"{node.name} = {self.expression(node.init)}")
            self.follow(node.name, node.init)
            if kind == Whole and (exact := self.exactly(node.init)):
                self.exact.add(node.name)
                self.line(f"{node.name}_exact = {exact}")

    def write_Assignment(self, node: Any) -> None:
        assert node.op == "="
        place = self.aliases.get(getattr(node.lvalue, "name", ""), node.lvalue)
        value = self.expression(node.rvalue, self.kind(place))
        if isinstance(place, c_ast.ArrayRef) and isinstance(place.name, c_ast.ID) and place.name.name == "output0":
            self.line(f"output0 = {value}")
            self.follow("output0", node.rvalue)
            return
        target = self.place(place)
        if self.ticking:
            dynamic = isinstance(place, c_ast.ArrayRef) and not isinstance(place.subscript, c_ast.Constant)
            base = place.name if isinstance(place, c_ast.ArrayRef) else place
            if isinstance(base, c_ast.StructRef):
                self.follow(base.field.name, node.rvalue)
                if dynamic:
                    self.follow(base.field.name, place.subscript)
                self.found.moved.add(base.field.name)
                if dynamic:
                    self.found.written.add(base.field.name)
        for guard, condition in reversed(self.guards):
            value = f"pick({guard}, {value}, {target})"
            self.follow(getattr(getattr(place, "field", place), "name", ""), condition, "a condition")
        self.line(f"{target} = {value}")

    def write_Compound(self, node: Any) -> None:
        for statement in node.block_items or ():
            self.statement(statement)

    def write_For(self, node: Any) -> None:
        start = node.init if isinstance(node.init, c_ast.Assignment) else node.init.decls[0]
        name, first = (
            (start.lvalue.name, start.rvalue) if isinstance(start, c_ast.Assignment) else (start.name, start.init)
        )
        self.kinds[name] = Whole
        step = node.next.rvalue
        sign = "" if step.op == "+" else "-"
        stop = self.expression(node.cond.right)
        self.line(f"for {name} in range({self.expression(first)}, {stop}, {sign}{self.expression(step.right)}):")
        self.depth += 1
        self.write_Compound(node.stmt)
        self.depth -= 1

    def write_If(self, node: Any) -> None:
        guard = f"guard{len(self.lines)}"
        self.line(f"{guard} = {self.expression(node.cond)}")
        self.guards.append((guard, node.cond))
        self.write_Compound(node.iftrue)
        self.guards[-1] = (f"flag({guard} == 0)", node.cond)
        if node.iffalse is not None:
            self.write_Compound(node.iffalse)
        self.guards.pop()

    def write_Return(self, node: Any) -> None:
        self.line(f"return {self.expression(node.expr)}")

    def write_FuncCall(self, node: Any) -> None:
        self.line(self.expression(node))
