"""C's arithmetic, twice: with Python's numbers for tables and constants, and with what JAX traces for the sound."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax.scipy import special

_INT = 1 << 31

# ----------------------------------------------------------------------------------------------- Python's numbers


def _wrap(x: int) -> int:
    """The 32 bits of an integer."""
    return (x + _INT) % (2 * _INT) - _INT


def _whole(x: float) -> int:
    """Towards zero; what no integer holds becomes the smallest one, as processors have it."""
    return cut if math.isfinite(x) and -_INT <= (cut := math.trunc(x)) < _INT else -_INT


def _int_quotient(a: int, b: int) -> int:
    """Towards zero."""
    return _wrap(abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1))


def _or_numpy(function: Callable[..., Any], numpy: Callable[..., Any]) -> Callable[..., Any]:
    """`function`; where it raises, what NumPy says, which knows infinity and NaN."""

    def safe(*x: Any) -> Any:
        try:
            return function(*x)
        except (ValueError, OverflowError, ZeroDivisionError):
            with np.errstate(all="ignore"):
                return float(numpy(*(np.float64(v) if isinstance(v, float) else v for v in x)))

    return safe


def _real(function: Callable[..., Any]) -> Callable[..., float]:
    return lambda *x: float(function(*x))


def _round(x: float) -> float:
    """Halves away from zero."""
    return float(np.trunc(x)) + (math.copysign(1.0, x) if abs(x - np.trunc(x)) >= 0.5 else 0.0)


_SAME = "sin cos tan exp exp2 expm1 log log2 log10 log1p sqrt cbrt sinh cosh tanh copysign hypot fmod"
_OTHER = {"pow": "power", "atan2": "arctan2"} | {
    f"a{n}": f"arc{n}" for n in ["sin", "cos", "tan", "sinh", "cosh", "tanh"]
}
_SPECIAL = {"tgamma": "gamma", "lgamma": "gammaln", "exp10": "exp10"} | {
    n: n for n in ["erf", "erfc", "j0", "j1", "y0", "y1"]
}

NUMBERS: dict[str, Any] = {
    **{name: _or_numpy(getattr(math, name), getattr(np, name)) for name in _SAME.split()},
    **{name: _or_numpy(getattr(math, name), getattr(np, numpy)) for name, numpy in _OTHER.items()},
    **{name: _real(getattr(scipy.special, alias)) for name, alias in _SPECIAL.items()},
    **{name: _real(getattr(np, name)) for name in ("floor", "ceil", "trunc", "rint")},
    "round": lambda x: _round(x) if math.isfinite(x) else x,
    "logb": lambda x: float(math.frexp(x)[1] - 1) if math.isfinite(x) and x else abs(x) if x else -math.inf,
    "ilogb": lambda x: math.frexp(x)[1] - 1 if math.isfinite(x) and x else _INT - 1 if math.isinf(x) else -_INT,
    # Modules hand over whole numbers as real ones, not cut.
    "jn": lambda n, x: float(scipy.special.jn(int(n), x)),
    "yn": lambda n, x: float(scipy.special.yn(int(n), x)),
    **{name: _or_numpy(lambda x, n: math.ldexp(x, int(n)), np.ldexp) for name in ("ldexp", "scalbn")},
    "remainder": _or_numpy(math.remainder, lambda *_: np.nan),
    "fabs": abs,
    "abs": lambda x: _wrap(abs(x)),
    "fmax": lambda a, b: b if a != a or b > a else a,
    "fmin": lambda a, b: b if a != a or b < a else a,
    "faustmaxi": max,
    "faustmini": min,
    "isnan": lambda x: int(math.isnan(x)),
    "isinf": lambda x: int(math.copysign(1, x)) if math.isinf(x) else 0,  # as the GNU library has it
    "INFINITY": math.inf,
    "NAN": math.nan,
    "wrap": _wrap,
    "whole": _whole,
    "real": float,
    "flag": int,
    "pick": lambda c, yes, no: yes if c else no,
    "divide": _or_numpy(lambda a, b: a / b, np.divide),
    "int_quotient": _int_quotient,
    "int_remainder": lambda a, b: _wrap(a - b * _int_quotient(a, b)),
}
"""What the functions of a C text call, on Python's numbers."""
NUMBERS |= {f"{name}f": NUMBERS[name] for name in NUMBERS if name.islower()}  # as single precision calls them

# --------------------------------------------------------------------------------------------------------- JAX


def _traced_whole(x: jax.Array) -> jax.Array:
    inside = (x >= -_INT) & (x < _INT)
    return jnp.where(inside, jnp.trunc(jnp.where(inside, x, 0)), -_INT).astype(jnp.int32)


def _traced_round(x: jax.Array) -> jax.Array:
    whole = jnp.trunc(x)
    return whole + jnp.where(jnp.abs(x - whole) >= 0.5, jnp.sign(x), 0)


def _traced_remainder(x: jax.Array, y: jax.Array) -> jax.Array:
    """The distance to the nearest multiple, halves to even ones: exact, as the quotient is never rounded."""
    size = jnp.abs(y)
    rest = jnp.fmod(jnp.abs(x), 2 * size)
    over = rest - size
    over = jnp.where(2 * over >= size, over - size, over)
    return jnp.sign(x) * jnp.where(2 * rest > size, over, rest)


def _ints(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, b: function(*jnp.broadcast_arrays(jnp.asarray(a, jnp.int32), jnp.asarray(b, jnp.int32)))


def _by_scipy(name: str) -> Callable[..., jax.Array]:
    """A Bessel function of real x, or of the order n and x, computed by SciPy while JAX waits."""
    function = getattr(scipy.special, name)

    def call(*x: Any) -> jax.Array:
        # Numbers travel as bits: where double precision is on in the program only, JAX would halve them on the way.
        *orders, last = (jnp.asarray(v) for v in x)
        kind, bits = last.dtype, jax.lax.bitcast_convert_type(last, jnp.int32)

        def host(bits: Any, *orders: Any) -> np.ndarray:
            bits = np.ascontiguousarray(bits)
            real = bits.view(kind)[..., 0] if kind == np.float64 else bits.view(kind)
            return np.ascontiguousarray(function(*orders, real), kind)[..., None].view(np.int32).reshape(bits.shape)

        shape = jax.ShapeDtypeStruct(bits.shape, jnp.int32)
        found = jax.pure_callback(host, shape, bits, *orders, vmap_method="sequential")
        return jax.lax.bitcast_convert_type(found, kind)

    return call


def _traced_ends(x: jax.Array) -> jax.Array:
    """What stands for the exponent of infinity, of 0 and of NaN."""
    return jnp.where(jnp.isinf(x), _INT - 1, -_INT)


def _traced_gamma(x: jax.Array) -> jax.Array:
    """`exp(log|gamma|)`, negative between each other pair of whole numbers below 0."""
    below = jnp.floor(x)
    return jnp.where((x < 0) & (below != 2 * jnp.floor(below / 2)), -1, 1) * jnp.exp(special.gammaln(x))


def _bessel_slope(order: Callable[..., Any]) -> Callable[..., Any]:
    """`2 Z_n' = Z_(n-1) - Z_(n+1)`."""
    return lambda v, n, x: (0.0, (order(n - 1, x) - order(n + 1, x)) / 2)


_jn, _yn = _by_scipy("jn"), _by_scipy("yn")

# The function and its partial derivatives, given its value and its arguments.
_WITH_SLOPES: dict[str, tuple[Callable[..., Any], Callable[..., Sequence[Any]]]] = {
    # At 0 the slope from below, as beside `select2(gain > 0, ...)`, by which equalizers tell boost from cut.
    "fabs": (jnp.abs, lambda v, x: (jnp.where(x > 0, 1.0, -1.0),)),
    "sqrt": (jnp.sqrt, lambda v, x: (0.5 / v,)),
    "cbrt": (jnp.cbrt, lambda v, x: (1 / (3 * v * v),)),
    "log": (jnp.log, lambda v, x: (1 / x,)),
    "log2": (jnp.log2, lambda v, x: (1 / (x * math.log(2)),)),
    "log10": (jnp.log10, lambda v, x: (1 / (x * math.log(10)),)),
    "log1p": (jnp.log1p, lambda v, x: (1 / (1 + x),)),
    "asin": (jnp.arcsin, lambda v, x: (jax.lax.rsqrt(1 - x * x),)),
    "acos": (jnp.arccos, lambda v, x: (-jax.lax.rsqrt(1 - x * x),)),
    "acosh": (jnp.arccosh, lambda v, x: (jax.lax.rsqrt(x * x - 1),)),
    "atanh": (jnp.arctanh, lambda v, x: (1 / (1 - x * x),)),
    "atan2": (jnp.arctan2, lambda v, y, x: (x / (x * x + y * y), -y / (x * x + y * y))),
    "hypot": (jnp.hypot, lambda v, x, y: (x / v, y / v)),
    "pow": (jnp.power, lambda v, x, y: (y * jnp.power(x, y - 1), v * jnp.log(x))),
    "remainder": (_traced_remainder, lambda v, x, y: (1.0, jnp.rint((v - x) / y))),
    "j0": (_by_scipy("j0"), lambda v, x: (-_jn(1, x),)),
    "y0": (_by_scipy("y0"), lambda v, x: (-_yn(1, x),)),
    "j1": (_by_scipy("j1"), lambda v, x: _bessel_slope(_jn)(v, 1, x)[1:]),
    "y1": (_by_scipy("y1"), lambda v, x: _bessel_slope(_yn)(v, 1, x)[1:]),
    "jn": (_jn, _bessel_slope(_jn)),
    "yn": (_yn, _bessel_slope(_yn)),
}


def _bounded(function: Callable[..., Any], slopes: Callable[..., Sequence[Any]]) -> Callable[..., Any]:
    """`function`, whose derivative counts as 0 where it is not finite: the root of silence has no slope to follow."""

    def call(*x: Any) -> Any:
        places = [i for i, v in enumerate(x) if isinstance(v, jax.Array) and jnp.issubdtype(v.dtype, jnp.floating)]

        def filled(traced: Sequence[Any]) -> list[Any]:
            given = dict(zip(places, traced, strict=True))
            return [given.get(i, v) for i, v in enumerate(x)]

        guarded = jax.custom_jvp(lambda *traced: function(*filled(traced)))

        @guarded.defjvp
        def _(traced: Any, tangents: Any) -> tuple[Any, Any]:
            value = guarded(*traced)
            partials = slopes(value, *filled(traced))
            moves = (
                jnp.where(jnp.isfinite(partials[i]), partials[i], 0) * d for i, d in zip(places, tangents, strict=True)
            )
            return value, sum(moves)

        return guarded(*(x[i] for i in places)) if places else function(*x)

    return call


_TRACED: dict[str, Callable[..., Any]] = {
    **{name: _bounded(*pair) for name, pair in _WITH_SLOPES.items()},
    **{
        n: getattr(jnp, n)
        for n in [
            "sin",
            "cos",
            "tan",
            "exp",
            "exp2",
            "expm1",
            "sinh",
            "cosh",
            "tanh",
            "fmod",
            "floor",
            "ceil",
            "trunc",
            "rint",
        ]
    },
    "asinh": jnp.arcsinh,
    "atan": jnp.arctan,
    "copysign": lambda x, y: jnp.where(jnp.signbit(x) == jnp.signbit(y), x, -x),
    "exp10": lambda x: jnp.exp(x * math.log(10)),
    "erf": special.erf,
    "erfc": special.erfc,
    "lgamma": special.gammaln,
    "tgamma": _traced_gamma,
    "round": _traced_round,
    "logb": lambda x: jnp.where(jnp.isfinite(x) & (x != 0), jnp.frexp(x)[1] - 1.0, jnp.log(jnp.abs(x))),
    "ilogb": lambda x: jnp.where(jnp.isfinite(x) & (x != 0), jnp.frexp(x)[1] - 1, _traced_ends(x)),
    "scalbn": lambda x, n: jnp.ldexp(x, n),
    "ldexp": lambda x, n: jnp.ldexp(x, n),
    "abs": jnp.abs,
    "fmax": lambda a, b: jnp.where((a != a) | (b > a), b, a),
    "fmin": lambda a, b: jnp.where((a != a) | (b < a), b, a),
    "faustmaxi": jnp.maximum,
    "faustmini": jnp.minimum,
    "isnan": lambda x: jnp.isnan(x).astype(jnp.int32),
    "isinf": lambda x: jnp.where(jnp.isinf(x), jnp.sign(x), 0).astype(jnp.int32),
    "wrap": lambda x: x,
    "whole": _traced_whole,
    "real": lambda x: jnp.asarray(x, float),
    "flag": lambda x: x.astype(jnp.int32),
    "pick": lambda c, yes, no: jnp.where(c != 0, yes, no),
    "divide": lambda a, b: a / b,
    "int_quotient": _ints(jax.lax.div),
    "int_remainder": _ints(jax.lax.rem),
}


def _either(numbers: Callable[..., Any], traced: Callable[..., Any]) -> Callable[..., Any]:
    """What is a number stays one, and costs nothing when the sound runs."""
    return lambda *x: (traced if any(isinstance(v, jax.Array) for v in x) else numbers)(*x)


TRACED: dict[str, Any] = NUMBERS | {
    name + suffix: _either(NUMBERS[name], f) for name, f in _TRACED.items() for suffix in ("", "f")
}
"""The same names, on what JAX traces or on numbers; derivatives are finite where the sound is."""
