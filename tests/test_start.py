"""What an import of the package loads, which is little, and that the public names are there all the same."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import sonimatch

HEAVY = {"jax", "numpy", "scipy", "matplotlib", "dawdreamer", "soundfile", "optax"}
OPTION = "xla_cpu_small_while_loop_byte_threshold"


def fresh(code: str) -> str:
    """The output of a new process; what it prints last is what we ask."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(code: str) -> set[str]:
    """Which of the heavy packages a piece of code loads."""
    return HEAVY & set(fresh(f"{code}\nimport sys\nprint(' '.join(sys.modules))").splitlines()[-1].split())


def test_the_package_alone_loads_nothing():
    assert not loaded("import sonimatch; dir(sonimatch)")
    assert {"jax", "numpy"} <= loaded("import sonimatch; sonimatch.bp_noise")


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ("--help", 0, "examples:"),
        ("study run --help", 0, "examples:"),
        ("--version", 0, "sonimatch "),
        ("", 2, "COMMAND"),
        ("rendr", 2, "invalid choice: 'rendr'"),
        ("list --step5", 2, "unrecognized arguments: --step5"),
        ("landscape --synth hp_noise --loss all --num 1", 2, "--num: 1 is out of range"),
        ("render bp_niose -o x.wav", 2, "no synth 'bp_niose'; did you mean 'bp_noise'? (there are: bp_noise, add_"),
        ("landscape --synth hp_niose --loss all", 2, "no synth 'hp_niose'; did you mean 'hp_noise'?"),
        ("render bp_noise -o x.mp3", 2, "must end in .wav"),
        ("landscape --synth hp_noise --loss simse", 2, "no loss 'simse'; did you mean 'SIMSE_Spec'? (there are: L1_"),
    ],
)
def test_words_are_read_before_anything_is_loaded(words, status, told):
    code = f"""
import sys
sys.argv[1:] = {words.split()}
from sonimatch.__main__ import main
try:
    status = main()
except SystemExit as stop:
    status = stop.code
print(status, *sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    found, *modules = done.stdout.splitlines()[-1].split()
    assert int(found) == status
    assert told in done.stdout + done.stderr
    assert not HEAVY & {*modules}


def test_the_option_is_set_before_jax_starts():
    ask = "import os, sys; print(os.environ['XLA_FLAGS'], 'jax' in sys.modules)"
    assert fresh(f"import sonimatch; {ask}").split()[-2:] == [
        f"--xla_backend_extra_options={OPTION}=100000000",
        "False",
    ]
    own = f"--xla_backend_extra_options={OPTION}=7"
    assert fresh(f"import os; os.environ['XLA_FLAGS'] = '{own}'; import sonimatch; {ask}").split() == [own, "False"]


def test_a_synth_is_compiled_when_it_is_named():
    count = "from sonimatch.faust.synth import _page_of; print(_page_of.cache_info().currsize)"
    assert fresh(f"import sonimatch.synths; sonimatch.kick; sonimatch.kick; {count}").split() == ["1"]
    same = "a = [getattr(synths, name) for name in ('SYNTHS', 'kick', 'SYNTHS')]; print(a[0] is a[2], a[1] in a[0])"
    assert fresh(f"from sonimatch import synths; {same}").split() == ["True"] * 2
    module = "import sonimatch.synths.drum; from sonimatch.synths import drum, arpeggiator"
    assert fresh(f"{module}; print(drum.name, arpeggiator.name)").split() == ["drum", "arpeggiator"]
    with pytest.raises(AttributeError, match=r"module 'sonimatch.synths' has no attribute 'gong'"):
        _ = sonimatch.synths.gong


@pytest.mark.parametrize(
    "imports",
    [
        "import sonimatch.match, sonimatch.landscape",
        "from sonimatch import match, landscape; import sonimatch.match, sonimatch.landscape",
        "import sonimatch; sonimatch.match_all; sonimatch.Landscape; from sonimatch import study",
        "import sonimatch; sonimatch.match; import sonimatch.match; from importlib import import_module, reload; "
        "reload(import_module('sonimatch.match')); reload(import_module('sonimatch.landscape'))",
    ],
)
def test_match_and_landscape_are_the_functions(imports):
    """Whatever was imported before: they are names of modules too."""
    check = "import sonimatch as s; from sonimatch import match as m, landscape as l; from inspect import isfunction"
    names = "s.match, s.landscape, m, l, getattr(s, 'match'), vars(s)['match'], vars(s)['landscape']"
    assert fresh(f"{imports}; {check}; print(*map(isfunction, ({names})))").split() == ["True"] * 7


def test_the_public_names_are_complete_and_explicit():
    source = Path(inspect.getfile(sonimatch)).read_text(encoding="utf-8")
    seen = {}  # by a type checker
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sonimatch."):
            seen |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
    assert sorted(seen) == sonimatch.__all__
    assert len(seen) == 59
    for name, (module, attribute) in seen.items():
        __import__(module)
        assert getattr(sonimatch, name) is getattr(sys.modules[module], attribute), name
    assert {*seen} <= {*dir(sonimatch)}
    star: dict = {}
    exec("from sonimatch import *", star)
    assert {*star} - {"__builtins__"} == {*seen}
    with pytest.raises(AttributeError, match="has no attribute 'mtach'"):
        _ = sonimatch.mtach
    assert not hasattr(sonimatch, "mtach")
    assert sonimatch.scattering.TimeScattering(6, 64).J == 6  # a room, without an import of its own


@pytest.mark.parametrize(("room", "table"), [("synths", "SYNTHS"), ("losses", "LOSSES"), ("search", "SEARCHES")])
def test_the_command_line_knows_every_name(room, table):
    from sonimatch.cli import words

    also = sonimatch.PNP_SYNTHS if room == "synths" else ()
    assert words._public(room) == tuple(thing.name for thing in (*getattr(sonimatch, table), *also))
