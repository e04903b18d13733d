"""The sound of a program in JAX: its translated C text in one scan over the samples."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from sonimatch.faust.arithmetic import NUMBERS, TRACED
from sonimatch.faust.c_text import Array, Translation, translate
from sonimatch.faust.compiler import FaustError, generate

_UNROLL, _STATES = 3, range(9, 33)  # filters run faster three samples at a time; oscillators not, banks compile long
OPERATIONS, BYTES = 15_000, 1 << 30
"""What JAX is asked to compile at most: operations a sample, three times as many with derivatives, which it compiles in
about five minutes of one core; and bytes that are kept between samples."""
_SHORT = 32  # a line up to this length is kept as scalars, in registers


class _Line(list[Any]):
    """A short delay line as separate scalars, which stay in registers; an array where it is read at any place."""

    def __getitem__(self, place: Any) -> Any:
        return super().__getitem__(place) if isinstance(place, int) else jnp.stack(self)[place]

    def near(self, place: Any, exact: Any) -> Any:
        return self[place]


class _Long:
    """A long delay line, or a table: an array, which is read and written in place.

    What a sample writes, `late`, a place and a value, enters the array when the next sample begins, before anything is
    read. So nothing reads the array as it was, and XLA, which repeats a read wherever its value is used, copies none.
    """

    def __init__(self, values: Any, late: tuple[Any, Any] | None = None) -> None:
        self.values, self.late = values, None
        if late is not None:
            self._write(*late)

    def _write(self, place: Any, value: Any) -> None:
        self.values = jax.lax.dynamic_update_index_in_dim(self.values, value, place, 0)

    def __getitem__(self, place: Any) -> Any:
        found = jax.lax.dynamic_index_in_dim(self.values, place, keepdims=False)
        return found if self.late is None else jnp.where(place == self.late[0], self.late[1], found)

    def __setitem__(self, place: Any, value: Any) -> None:
        if self.late is not None:
            self._write(*self.late)
        self.late = jnp.asarray(place, jnp.int32), jnp.asarray(value, self.values.dtype)

    def near(self, place: Any, exact: Any) -> Any:
        return self[place]


class _Smooth(_Long):
    """A table read at a real number that was cut: between its entries the derivative is that of the line."""

    def near(self, place: Any, exact: Any) -> Any:
        if self.values.dtype != jnp.result_type(float) or not isinstance(exact, jax.Array) or len(self.values) < 2:
            return self[place]
        below = jnp.minimum(place, len(self.values) - 2)
        slope = jax.lax.stop_gradient(self[below + 1] - self[below])
        return self[place] + slope * (exact - jax.lax.stop_gradient(exact))


def _zeros(struct: dict[str, str | Array]) -> dict[str, Any]:
    zero = {"whole": 0, "real": 0.0}
    return {
        name: [zero[shape.kind]] * shape.length if isinstance(shape, Array) else zero[shape]
        for name, shape in struct.items()
    }


def _is_table(name: str) -> bool:
    return re.match(r"[fi]tbl\d|\w*Wave\d", name) is not None


class JaxProgram:
    """What the C text of a program says, ready to be traced by JAX, in one precision.

    `interface` are the calls that build its page, `whole` the sliders that are only used as integers.
    """

    def __init__(self, name: str, source: str, precision: str) -> None:
        self.name = name
        text = generate(name, source, "c", precision)
        if sounds := re.findall(r'addSoundfile\(\S+ "([^"]*)"', text):
            raise FaustError(
                f"{name}: soundfile({sounds[0]!r}) is not supported: a synthesizer here makes its own sound"
            )
        if "INFINITY" in text:  # this text of libfaust has lost the sign, that for LLVM has it
            signs = {sign for sign in "7F" if f"0x{sign}FF0000000000000" in generate(name, source, "llvm", precision)}
            if len(signs) > 1:
                raise FaustError(
                    f"{name}: constants of infinity and of minus infinity, which Faust does not tell apart"
                )
            text = text.replace("INFINITY", "(-INFINITY)" if "F" in signs else "INFINITY")
        self.translation: Translation = translate(text)
        self.interface = self.translation.interface
        noises = re.findall(
            r"dsp->(\w+)\[0\] = (?:1103515245 \* dsp->\1\[1\] \+ 12345|12345 \+ 1103515245 \* dsp->\1\[1\]);", text
        )
        self.noises = [name for name in noises if name in self.translation.structs["Dsp"]]  # not those of a table
        if foreign := sorted(self.translation.calls - NUMBERS.keys()):
            raise FaustError(f"{name}: the foreign function {foreign[0]} is not supported")
        used = text[text.index("void compute") :]
        self.whole = frozenset(
            name
            for name in set(re.findall(r"dsp->(f(?:[HV]slider|Entry)\d+)\b", used))
            if len(re.findall(rf"\(int\)\((?:\((?:double|float)\)\()?dsp->{name}\)", used))
            == len(re.findall(rf"dsp->{name}\b", used))
        )
        self._code = compile(self.translation.source, f"<{name}>", "exec")
        self._start = lru_cache(maxsize=4)(self._initial)

    def refuse_too_large(self, tangents: int) -> None:
        """Raise FaustError where the sound with `tangents` derivatives would take too long, or too much, to compile."""
        fields, tables = self.translation.structs["Dsp"], {n: a for n, (a, _) in self.translation.tables.items()}
        entries = {name: shape.length for name, shape in (fields | tables).items() if isinstance(shape, Array)}
        longest = max(entries, key=lambda name: entries[name], default="")
        size = 8 * sum(entries.values()) * (1 + tangents)
        operations = self.translation.operations() * (3 if tangents else 1)
        beside = f" with {tangents} derivatives" if tangents else ""
        if size > BYTES:
            raise FaustError(
                f"{self.name}: too large for JAX{beside}: {size:,} bytes of delay lines and tables, of at most "
                f"{BYTES:,}; the longest has {entries[longest]:,} entries"
            )
        if operations > OPERATIONS:
            raise FaustError(
                f"{self.name}: too large for JAX{beside}: {operations:,} operations a sample, of at most "
                f"{OPERATIONS:,}; native code and pages have no such limit"
            )

    def _initial(self, sample_rate: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The state at rest and the tables, by Python's numbers."""
        tables = {
            name: [0] * a.length if given is None else given for name, (a, given) in self.translation.tables.items()
        }
        records = {f"new{name}": lambda s=s: _zeros(s) for name, s in self.translation.structs.items()}
        erasers = {f"delete{name}": lambda _: None for name in self.translation.structs}
        names: dict[str, Any] = NUMBERS | tables | records | erasers
        exec(self._code, names)
        state = names["newDsp"]()
        names["initDsp"](state, sample_rate)
        numbers = {
            name: (np.int32 if a.kind == "whole" else np.float64) for name, (a, _) in self.translation.tables.items()
        }
        return state, {name: np.asarray(values, numbers[name]) for name, values in tables.items()}

    def render(
        self,
        blocks: Sequence[tuple[int, Mapping[str, Any]]],
        sample_rate: int,
        seed: ArrayLike = 0,
        table_slopes: bool = True,
    ) -> jax.Array:
        """The sound of blocks of samples, one after the other, each with the fields that are set before it."""
        fields, tables = self._start(sample_rate)
        shapes = self.translation.structs["Dsp"]
        kinds = {"whole": jnp.int32, "real": jnp.result_type(float)}
        table_kind = _Smooth if table_slopes else _Long
        constants = {
            name: table_kind(jnp.asarray(table, kinds["whole" if table.dtype == np.int32 else "real"]))
            for name, table in tables.items()
        }
        names: dict[str, Any] = TRACED | constants | {"count": blocks[0][0]}
        exec(self._code, names)

        def wrapped(name: str, value: Any) -> Any:
            if not isinstance(shapes[name], Array):
                return value
            kind = table_kind if _is_table(name) else _Long
            if isinstance(value, tuple):
                return kind(*value)
            return _Line(value) if isinstance(value, list) else kind(value)

        def plain(value: Any) -> Any:
            if isinstance(value, _Long):
                return (value.values, value.late) if value.late else value.values
            return list(value) if isinstance(value, _Line) else value

        def leaf(name: str, value: Any) -> Any:
            shape = shapes[name]
            if not isinstance(shape, Array):
                return value
            if shape.length > _SHORT or name in self.translation.written or _is_table(name):
                values = jnp.asarray(np.asarray(value), kinds[shape.kind])
                return (values, (jnp.int32(0), values[0])) if name in self.translation.written else values
            return [jnp.asarray(v, kinds[shape.kind]) for v in value]

        state = {name: leaf(name, value) for name, value in fields.items()}
        for name in self.noises:
            state[name] = [jnp.asarray(seed, jnp.int32) for _ in state[name]]
        moved = sorted(self.translation.moved)

        def scalar(name: str) -> Any:
            return (
                state[name] if isinstance(shapes[name], Array) else jnp.asarray(state[name], kinds[str(shapes[name])])
            )

        def block(carry: Any, count: int, values: Mapping[str, Any]) -> tuple[Any, jax.Array]:
            state.update(values)
            rest = {name: wrapped(name, value) for name, value in state.items()}
            control = names["control"](rest, count)

            def step(carry: dict[str, Any], _: None) -> tuple[dict[str, Any], jax.Array]:
                here = rest | {name: wrapped(name, value) for name, value in carry.items()}
                sample = names["tick"](here, **control)
                after = {name: plain(here[name]) for name in moved}
                return jax.tree.map(lambda a, old: jnp.asarray(a, old.dtype), after, carry), jnp.asarray(sample, float)

            leaves = jax.tree.leaves(carry)
            at_once = _UNROLL if len(leaves) in _STATES and all(leaf.ndim == 0 for leaf in leaves) else 1
            return jax.lax.scan(step, carry, None, length=count, unroll=at_once)

        carry, sounds = {name: scalar(name) for name in moved}, []
        for count, values in blocks:
            carry, sound = block(carry, count, values)
            sounds.append(sound)
        return jnp.concatenate(sounds) if len(sounds) > 1 else sounds[0]
