"""Sound matching: find the synthesizer parameters that reproduce a target sound.

Importing the package sets one global option, before JAX starts its backend: XLA's CPU compiler then turns the body
of a sample-by-sample recursion into one native loop, about ten times faster.
Set `XLA_FLAGS` to a value of your own for `xla_cpu_small_while_loop_byte_threshold` to override it.
"""

import os as _os

_OPTION = "xla_cpu_small_while_loop_byte_threshold"
_flags = _os.environ.get("XLA_FLAGS", "")
if _OPTION not in _flags and "xla_backend_extra_options" not in _flags:
    _os.environ["XLA_FLAGS"] = f"{_flags} --xla_backend_extra_options={_OPTION}=100000000".strip()
