"""The expressions of libfaust's C text as Python text, with what they are and where they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pycparser import c_ast

Whole, Real = "whole", "real"
_WHOLE_FUNCTIONS = {
    "faustmaxi",
    "faustmini",
    "abs",
    "isnan",
    "isinf",
    "isnanf",
    "isinff",
    "ilogb",
    "ilogbf",
}
_STEPS = {"floor", "ceil", "rint", "round", "trunc", "nearbyint", "logb"}
_COMPARISONS = ("<", ">", "<=", ">=", "==", "!=")


class Array(NamedTuple):
    """An array of the state or a table: its length and what it holds."""

    length: int
    kind: str


def named(node: Any) -> Any:
    """The type under pointers and arrays."""
    while not isinstance(node, c_ast.TypeDecl):
        node = node.type
    return node.type


class Reader:
    """What is known while the text is read, from top to bottom, and expressions in its light."""

    def __init__(self) -> None:
        self.structs: dict[str, dict[str, str | Array]] = {}
        self.tables: dict[str, tuple[Array, list[float] | None]] = {}
        self.calls: set[str] = set()
        self.kinds: dict[str, str] = {}  # of local names
        self.records: dict[str, str] = {}  # local names of records
        self.functions: dict[str, str] = {}  # of the text, with what they return
        self.aliases: dict[str, Any] = {}  # local names of fields
        self.exact: set[str] = set()  # whole numbers that came from real ones, which are kept beside them
        self.split: set[str] = set()  # what is cut to a whole number and whose rest is used as well
        self.computing = False

    def shape(self, node: Any) -> str | Array:
        kind = Whole if "int" in getattr(named(node), "names", ()) else Real
        return Array(int(node.dim.value), kind) if isinstance(node, c_ast.ArrayDecl) else kind

    def kind(self, node: Any) -> str:
        """Whether the value of an expression is a whole or a real number."""
        match node:
            case c_ast.Constant():
                return Whole if node.type == "int" else Real
            case c_ast.ID() if node.name in self.aliases:
                return self.kind(self.aliases[node.name])
            case c_ast.ID():
                return self.kinds.get(node.name, Whole if node.name == "count" else Real)
            case c_ast.StructRef():
                shape = self.structs[self.records[node.name.name]][node.field.name]
                return shape.kind if isinstance(shape, Array) else shape
            case c_ast.ArrayRef():
                if isinstance(node.name, c_ast.ID) and node.name.name in self.tables:
                    return self.tables[node.name.name][0].kind
                return self.kind(node.name)
            case c_ast.Cast():
                return str(self.shape(node.to_type.type))
            case c_ast.UnaryOp():
                return self.kind(node.expr)
            case c_ast.TernaryOp():
                return Real if Real in (self.kind(node.iftrue), self.kind(node.iffalse)) else Whole
            case c_ast.FuncCall():
                name = node.name.name
                return self.functions.get(name, Whole if name in _WHOLE_FUNCTIONS else Real)
            case c_ast.BinaryOp():
                if node.op in (*_COMPARISONS, "&", "|", "^", "<<", ">>"):
                    return Whole
                return Real if Real in (self.kind(node.left), self.kind(node.right)) else Whole
        raise NotImplementedError(type(node).__name__)

    def expression(self, node: Any, wanted: str | None = None) -> str:
        """The Python text of an expression, converted where C converts it silently."""
        text = getattr(self, f"read_{type(node).__name__}")(node)
        if wanted is None or wanted == self.kind(node):
            return text
        return f"real({text})" if wanted == Real else f"whole({text})"

    def read_Constant(self, node: Any) -> str:
        return node.value if node.type == "int" else repr(float(node.value.rstrip("fF")))

    def read_ID(self, node: Any) -> str:
        return self.expression(self.aliases[node.name]) if node.name in self.aliases else node.name

    def read_StructRef(self, node: Any) -> str:
        return f"{node.name.name}[{node.field.name!r}]"

    def place(self, node: Any) -> str:
        """What is written, or read at exactly this place."""
        is_array = isinstance(node, c_ast.ArrayRef)
        return f"{self.place(node.name)}[{self.expression(node.subscript)}]" if is_array else self.expression(node)

    def read_ArrayRef(self, node: Any) -> str:
        if self.computing and (exact := self.exactly(node.subscript)):
            return f"{self.expression(node.name)}.near({self.expression(node.subscript)}, {exact})"
        return self.place(node)

    def read_Cast(self, node: Any) -> str:
        return f"{self.shape(node.to_type.type)}({self.expression(node.expr)})"

    def read_UnaryOp(self, node: Any) -> str:
        assert node.op == "-"
        text = f"(-{self.expression(node.expr)})"
        return f"wrap{text}" if self.kind(node.expr) == Whole else text

    def read_TernaryOp(self, node: Any) -> str:
        kind = self.kind(node)
        yes, no = self.expression(node.iftrue, kind), self.expression(node.iffalse, kind)
        return f"pick({self.expression(node.cond)}, {yes}, {no})"

    def read_FuncCall(self, node: Any) -> str:
        arguments = [self.expression(a) for a in (node.args.exprs if node.args else ())]
        if node.name.name not in self.functions:
            self.calls.add(node.name.name)
        return f"{node.name.name}({', '.join(arguments)})"

    def read_BinaryOp(self, node: Any) -> str:
        sides = self.kind(node.left), self.kind(node.right)
        shared = Real if Real in sides else Whole
        left, right = self.expression(node.left, shared), self.expression(node.right, shared)
        match node.op:
            case op if op in _COMPARISONS:
                return f"flag({left} {node.op} {right})"
            case "&" | "|" | "^":
                return f"({left} {node.op} {right})"
            case "<<" | ">>":  # by what the low five bits say, as processors and WebAssembly have it
                return f"wrap({left} {node.op} ({right} & 31))"
            case "/" if shared == Real:
                return f"divide({left}, {right})"
            case "/" | "%":
                return f"{'int_quotient' if node.op == '/' else 'int_remainder'}({left}, {right})"
            case _:
                text = f"({left} {node.op} {right})"
                return f"wrap{text}" if shared == Whole else text

    # ------------------------------------------------------------------------------------------ exact indices

    def exactly(self, node: Any) -> str | None:
        """A real number that moves as the whole one would if it were not cut; None where it comes from whole ones."""
        match node:
            case c_ast.Cast() if self.kind(node) == Whole and self.kind(node.expr) == Real:
                text = self.expression(node.expr)
                return None if text in self.split else text
            case c_ast.ID() if node.name in self.exact and node.name not in self.split:
                return f"{node.name}_exact"
            case c_ast.FuncCall() if node.name.name in ("faustmaxi", "faustmini"):
                if any(self.exactly(a) for a in node.args.exprs):
                    whole = [self.expression(a) for a in node.args.exprs]
                    real = [self.exactly(a) or f"real({each})" for a, each in zip(node.args.exprs, whole, strict=True)]
                    op = ">=" if node.name.name == "faustmaxi" else "<="  # of whole ones: the last cell is in
                    return f"pick(flag({whole[0]} {op} {whole[1]}), {real[0]}, {real[1]})"
            case c_ast.BinaryOp() if node.op in "+-*":
                if self.exactly(node.left) or self.exactly(node.right):
                    left, right = (self.exactly(n) or f"real({self.expression(n)})" for n in (node.left, node.right))
                    return f"({left} {node.op} {right})"
            case c_ast.BinaryOp() if node.op in "%&":
                return self.exactly(node.left)
            case _:
                return None
        return None

    def splits(self, node: Any) -> Iterator[str]:
        """What is cut and compared with what was cut off: such a program itself draws between entries of a table."""
        match node:
            case c_ast.FuncCall() if node.name.name in _STEPS:
                yield self.expression(node.args.exprs[0])
            case c_ast.Cast() if isinstance(node.expr, c_ast.ID) and node.expr.name.startswith("i"):
                yield node.expr.name
            case c_ast.Cast() if isinstance(node.expr, c_ast.Cast) and self.shape(node.expr.to_type.type) == Whole:
                yield self.expression(node.expr.expr)
            case c_ast.Decl():
                self.kinds.setdefault(node.name, str(self.shape(node.type)))
        for _, child in node.children():
            yield from self.splits(child)

    def sources(self, node: Any, killer: str = "") -> Iterator[tuple[str, str]]:
        """The names in an expression, each with what takes its derivative away, if anything does."""
        match node:
            case c_ast.ID():
                yield getattr(getattr(self.aliases.get(node.name), "field", node), "name", node.name), killer
                return
            case c_ast.StructRef():
                yield node.field.name, killer
                return
            case c_ast.ArrayRef():
                table = isinstance(node.name, c_ast.ID)
                yield from self.sources(node.name, killer)
                slope = self.exactly(node.subscript) is not None and table
                yield from self.sources(
                    node.subscript, killer or ("" if slope else "a table" if table else "a whole delay")
                )
                return
            case c_ast.TernaryOp():
                yield from self.sources(node.cond, killer or "a condition")
                yield from self.sources(node.iftrue, killer)
                yield from self.sources(node.iffalse, killer)
                return
            case c_ast.Cast() if self.kind(node) == Whole and self.kind(node.expr) == Real:
                killer = killer or "a whole number"
            case c_ast.BinaryOp() if node.op in _COMPARISONS:
                killer = killer or "a comparison"
            case c_ast.FuncCall() if node.name.name in _STEPS:
                killer = killer or node.name.name
        for _, child in node.children():
            yield from self.sources(child, killer)
