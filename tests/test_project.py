"""The project keeps its own rules: chapters, dependencies, import order, texts, versions."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent

# Left to right is the import order: nothing imports rightwards.
ROOMS = [
    *("types", "space", "audio", "faust", "synths", "features", "scattering", "losses", "search", "match"),
    *("atlas", "assessment", "landscape", "metrics", "home", "answers", "stats", "study", "listening", "learn"),
    *("plots", "widgets", "cli", "__main__"),
]

# What every chapter says somewhere in a heading or in the title of an admonition.
FRAME = ("objectives", "limits", "exercises", "summary", "further reading")
NO_CHAPTERS = {"index", "status", "what_we_met"}  # computed pages that are no chapters

TEXT_SUFFIXES = {
    *("", ".bib", ".cff", ".css", ".csv", ".dsp", ".html", ".js", ".json", ".lib", ".md", ".mjs", ".py"),
    *(".toml", ".txt", ".yml", ".yaml"),
}


def tracked_files() -> list[Path]:
    """Return the files under version control, or all that are not built when there is none."""
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
        names = [name for name in listing.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        built = {".git", ".venv", ".tools", "build", "dist", "__pycache__", ".pytest_cache", ".ruff_cache"}
        names = [
            path.relative_to(ROOT).as_posix()
            for path in ROOT.rglob("*")
            if path.is_file() and not built & set(path.relative_to(ROOT).parts)
        ]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def tracked_texts() -> list[Path]:
    return [path for path in tracked_files() if path.suffix in TEXT_SUFFIXES and path.name != "uv.lock"]


def notebooks() -> list[Path]:
    return sorted((ROOT / "notebooks").glob("*.md"))


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


# ---------------------------------------------------------------- chapters


def toc_files(toc: dict) -> list[str]:
    """Return every document of a table of contents, the root first."""
    found = [toc["root"]] if "root" in toc else []
    found += [toc["file"]] if "file" in toc else []
    for key in ("parts", "chapters", "sections"):
        for entry in toc.get(key, []):
            found += toc_files(entry)
    return found


def test_the_table_of_contents_lists_every_notebook_once():
    listed = toc_files(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))
    assert len(listed) == len(set(listed))
    chapters = sorted(name for name in listed if name.startswith("notebooks/"))
    assert chapters == sorted(f"notebooks/{path.stem}" for path in notebooks())
    assert chapters, "no notebooks"
    for name in set(listed) - set(chapters):
        assert (ROOT / f"{name}.md").is_file(), name


def frame_titles(text: str) -> list[str]:
    """Return headings and admonition titles, in lower case, code left out."""
    prose = re.sub(r"^(`{3,})\{code-cell\}.*?^\1\s*$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [
        title.strip().lower()
        for title in re.findall(r"^(?:#{1,4} |[:`]{3,}\{[\w-]+\}[ ]?)(.*)$", prose, flags=re.MULTILINE)
    ]


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_chapter_has_the_frame(path):
    text = path.read_text(encoding="utf-8")
    header = yaml.safe_load(text.split("---")[1])
    assert header["kernelspec"]["name"] == "python3"
    assert header["jupytext"]["text_representation"]["format_name"] == "myst"
    prose = re.sub(r"^(`{3,}).*?^\1\s*$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"^# ", prose, flags=re.MULTILINE)) == 1, "one title"
    titles = frame_titles(text)
    missing = [word for word in FRAME if not any(word in title for title in titles)]
    assert not missing or path.stem in NO_CHAPTERS


def test_the_frame_can_be_missed():
    code = "```{code-cell}\n# Summary\n```"
    titles = frame_titles(f"# A\n\n{code}\n\n:::{{admonition}} Objectives\n:::\n\n## Limits\n")
    assert titles == ["a", "objectives", "limits"]


# ---------------------------------------------------------------- dependencies and versions


def test_conda_environment_follows_pyproject():
    project = pyproject()["project"]
    entries = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    python = [entry for entry in entries if isinstance(entry, str) and entry.startswith("python")]
    assert python == ["python" + project["requires-python"]]
    pip = [entry["pip"] for entry in entries if isinstance(entry, dict)]
    assert pip == [["-e .[book,test]"]], "everything else comes from pyproject.toml"
    assert {"book", "test"} <= set(project["optional-dependencies"])


def test_lock_file_follows_pyproject():
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    (own,) = (package for package in lock["package"] if package["name"] == "sonimatch")
    project = pyproject()["project"]
    wanted = {re.split(r"[^\w.-]", text)[0].lower() for text in project["dependencies"]}
    assert {entry["name"] for entry in own["dependencies"]} == wanted
    assert set(own["optional-dependencies"]) == set(project["optional-dependencies"])


def test_versions_agree():
    version = pyproject()["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == version
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d[^\]]*)\]", changes, flags=re.MULTILINE)
    assert released[0] == version


# ---------------------------------------------------------------- import order


def imported_rooms(source: str, module: str) -> set[str]:
    """Return the rooms that a module's source imports, wherever the import stands.

    `module` is the dotted name inside the package: `losses.spectral`, or `losses.__init__` for a folder.
    A name taken from the package itself that is not a room counts as `__init__`.
    """
    package = ["sonimatch", *module.split(".")[:-1]]
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            paths = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            paths = [[*base, alias.name] for alias in node.names]
        else:
            continue
        for path in paths:
            if path[0] == "sonimatch":
                found.add(path[1] if len(path) > 1 and path[1] in ROOMS else "__init__")
    return found


def rightward(source: str, module: str) -> set[str]:
    """Return the rooms right of `module`'s own that it imports."""
    room = module.split(".")[0]
    order = [*ROOMS[:-2], "__init__", *ROOMS[-2:]]  # the package's public names come after all rooms
    return {other for other in imported_rooms(source, module) if order.index(other) > order.index(room)}


def modules() -> list[str]:
    package = ROOT / "sonimatch"
    names = [".".join(path.relative_to(package).with_suffix("").parts) for path in package.rglob("*.py")]
    return sorted(name for name in names if name != "__init__")


@pytest.mark.parametrize("module", modules())
def test_nothing_imports_rightwards(module):
    assert module.split(".")[0] in ROOMS, "a room that the order does not know"
    source = (ROOT / "sonimatch" / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")
    assert not rightward(source, module)


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("space", "import sonimatch.audio", {"audio"}),
        ("space", "from sonimatch import match", {"match"}),
        ("space", "from . import audio as a", {"audio"}),
        ("space", "from .synths.chirp import Chirp", {"synths"}),
        ("losses.spectral", "from ..match import match", {"match"}),
        ("losses.spectral", "def f():\n    from sonimatch.plots import show", {"plots"}),
        ("losses.spectral", "from sonimatch import __version__", {"__init__"}),
        ("match", "import sonimatch", {"__init__"}),
        ("losses.spectral", "from .dtw import x\nfrom . import scattering\nfrom ..features import f", set()),
        ("losses.__init__", "from .spectral import L1\nfrom ..types import Loss", set()),
        ("__main__", "import sonimatch\nfrom .widgets import player", set()),
        ("space", "import jax\nfrom os import path", set()),
    ],
)
def test_rightward_imports_are_seen(module, source, found):
    assert rightward(source, module) == found


# ---------------------------------------------------------------- texts

MACHINE_PATH = re.compile(r"(?<![\w.~<}*-])/(?:home|root|mnt|tmp|Users)/\w")
UNFINISHED = re.compile(r"\bTODO\b|\bFIXME\b|(?i:coming[ ]soon)")
STORED_OUTPUT = re.compile(r"data:(?:image/png|audio/[\w-]+);base64,\w{100}|\"output_type\"\s*:")
RULES = {"machine path": MACHINE_PATH, "unfinished": UNFINISHED, "stored output": STORED_OUTPUT}


def offences(rule: str) -> list[str]:
    own = Path(__file__).resolve()
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in tracked_texts()
        if path != own
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if RULES[rule].search(line)
    ]


@pytest.mark.parametrize("rule", RULES)
def test_no_tracked_text_breaks_a_rule(rule):
    assert len(tracked_texts()) > 10
    assert not offences(rule)


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        ("machine path", "open('/home/me/x.wav')", "https://example.org/home/me"),
        ("machine path", "cd /mnt/disk", "notebooks/mnt/disk"),
        ("machine path", "x = /Users/a", "$HOME/Users/a"),
        ("unfinished", "# TODO: more", "mastodon, TODOS"),
        ("unfinished", "Coming soon!", "soon it is coming"),
        ("stored output", '<img src="data:image/png;base64,' + "A" * 100, "data:image/png;base64, in words"),
        ("stored output", ' "output_type": "stream"', "the output type"),
    ],
)
def test_the_rules_can_be_broken(rule, bad, good):
    assert RULES[rule].search(bad)
    assert not RULES[rule].search(good)


def test_no_built_file_is_tracked():
    for path in tracked_files():
        assert path.suffix not in {".ipynb", ".pyc", ".so"}, path
        assert not {"build", ".venv", ".tools"} & set(path.relative_to(ROOT).parts), path


@pytest.mark.parametrize("name", ["LICENSE", "LICENSE-text", "README.md", "CITATION.cff", "CHANGELOG.md"])
def test_the_project_has_its_papers(name):
    assert (ROOT / name).stat().st_size > 200
