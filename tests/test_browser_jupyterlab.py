"""The elements in JupyterLab with a live kernel: the hand sets what Python sees, and Python moves the element."""

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 120  # for a start, a cell, an answer; a busy machine has cost tens of seconds

# One cell makes an element and shows beside it what Python callbacks saw; the cell after it moves the element.
NOTEBOOK = '''---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

```{code-cell} ipython3
import json, sys, time
from dataclasses import dataclass

import ipywidgets
import jax
import numpy as np
from IPython.display import display

sys.path.insert(0, TESTS)
from test_listening import SMALL, study_of

import sonimatch
from sonimatch import L1_Spec, Trajectory, hp_noise, noise_am
from sonimatch.widgets import *
from sonimatch.widgets.metric_explorer import MetricMap

def shown(element, *names):
    """The element, and under it the traits, whenever one of them changes."""
    said = ipywidgets.Label()
    def tell(_):
        said.value = json.dumps({name: getattr(element, name) for name in names})
    element.observe(tell, names)
    display(element, said)

@dataclass(frozen=True)
class Slow(L1_Spec):
    """A loss that takes a second for every batch of points."""
    def distance(self, a, b):
        jax.debug.callback(lambda: time.sleep(1))
        return super().distance(a, b)

TARGET = {"amp": 2.5, "modulator": 2}  # the middle of the cube
study = study_of(SMALL)
way = np.linspace(0, 1, 21, dtype=np.float32)
paths = {
    name: Trajectory(np.stack([0.5 + side * 0.4 * (1 - way), 0.9 - 0.4 * way], 1), (1 - way) ** 2, 1 - way + 0.01)
    for name, side in (("L1_Spec", 1), ("SIMSE_Spec", -1))
}
print(sonimatch.__file__)
```

```{code-cell} ipython3
player = SynthPlayer(noise_am, amp=1, modulator=2)
shown(player, "theta")
```

```{code-cell} ipython3
player.set(amp=4, modulator=1)
```

```{code-cell} ipython3
scrubber = LandscapeScrubber(hp_noise, [L1_Spec()], {"cut": 10_050}, num=5, targets=3)
shown(scrubber, "theta", "target", "value")
```

```{code-cell} ipython3
scrubber.set(cut=20_000)
scrubber.target = [0.0]
```

```{code-cell} ipython3
explorer = LandscapeExplorer(noise_am, [Slow()], TARGET, num=7)
shown(explorer, "theta", "value")
```

```{code-cell} ipython3
explorer.set(amp=1, modulator=3.2)
```

```{code-cell} ipython3
even = np.linspace(0.1, 0.9, 5)
points = np.stack(np.meshgrid(even, even, indexing="ij"), -1)
same = MetricMap(*(np.tile(each, (5, 5, 1, 1)) for each in (np.diag([9.0, 1.0]), np.eye(2)[::-1])), np.ones((5, 5, 2)))
ellipses = MetricExplorer(noise_am, {"JTFS": same}, points)
shown(ellipses, "theta", "value")
```

```{code-cell} ipython3
ellipses.set(amp=0.5, modulator=3.6)
```

```{code-cell} ipython3
replay = Replay(noise_am, paths, TARGET, explorer.landscapes)
shown(replay, "step", "trial", "theta")
```

```{code-cell} ipython3
replay.trial = "SIMSE_Spec"
replay.step = 7
```

```{code-cell} ipython3
descent = OwnDescent(noise_am, [L1_Spec()], TARGET, explorer.landscapes, begin={"amp": 4.5, "modulator": 3.2})
shown(descent, "theta", "rule", "learning_rate", "clip_norm", "bounded")
```

```{code-cell} ipython3
with descent.hold_sync():
    descent.theta, descent.rule, descent.clip_norm = [0.2, 0.3], "GradientDescent", None
```

```{code-cell} ipython3
duel = SideBySide(noise_am, L1_Spec(), TARGET, explorer.landscapes["L1_Spec"], begin={"amp": 4.5, "modulator": 3.2})
shown(duel, "theta", "evaluations")
```

```{code-cell} ipython3
with duel.hold_sync():
    duel.theta, duel.evaluations = [0.2, 0.3], 60
```

```{code-cell} ipython3
bench = RankingBench(study, synth="hp_noise")
shown(bench, "choice")
```

```{code-cell} ipython3
bench.choice = bench.choice | {"synth": "noise_am", "trials": 5}
```

```{code-cell} ipython3
test = ListeningTest(study, per_pair=1)
shown(test, "ratings")
```

```{code-cell} ipython3
print(test, test.key.losses)
```
'''.replace("TESTS", repr(str(Path(__file__).resolve().parent)))


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """JupyterLab with the settings of `make lab` and no others, and a notebook in `folder`: the notebook's address.

    At the end neither the server nor a kernel is left.
    """
    import psutil  # which ipykernel needs, too

    work, log, token = folder / "work", folder / "log.txt", secrets.token_hex(16)
    work.mkdir()
    (work / "elements.md").write_text(NOTEBOOK, encoding="utf-8")
    silent = folder / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    silent.parent.mkdir(parents=True)
    silent.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))  # else the server asks the network
    options = (
        *("--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", f"--IdentityProvider.token={token}"),
        *(f"--ServerApp.root_dir={work}", "--ServerApp.shutdown_no_activity_timeout=300"),
        "--LabApp.extension_manager=readonly",
    )
    own = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    own |= {f"JUPYTERLAB_{name}_DIR": str(folder / name.lower()) for name in ("SETTINGS", "WORKSPACES")}
    own |= {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_PREFER_ENV_PATH": "1"}
    own |= {"JUPYTER_CONFIG_PATH": str(ROOT / "book" / "lab"), "JUPYTER_PATH": ""}
    others = {name: value for name, value in os.environ.items() if name not in ("PYTHONSTARTUP", "SONIMATCH_SOUNDS")}
    with log.open("w") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, cwd=work, env=others | own,
        )  # fmt: skip
    try:
        record, end = folder / "runtime" / f"jpserver-{server.pid}.json", time.monotonic() + PATIENCE_S
        while not record.is_file():
            if server.poll() is not None or time.monotonic() > end:
                pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")
            time.sleep(0.1)
        address = json.loads(record.read_text())["url"]
        yield f"{address}lab/tree/elements.md?token={token}"
    finally:
        running = []
        with suppress(psutil.NoSuchProcess):
            running = psutil.Process(server.pid).children(recursive=True)
        server.terminate()  # it ends its kernels
        with suppress(subprocess.TimeoutExpired):
            server.wait(10)
        _, left = psutil.wait_procs(running, timeout=5)
        for process in left:
            process.kill()
        server.kill()
        server.wait()


@pytest.fixture
def lab(browser, tmp_path):
    pytest.importorskip("jupyterlab")
    with jupyterlab(tmp_path) as address:
        yield address


class Notebook:
    """The notebook in the browser; its cells run one after the other, and are named by their number."""

    def __init__(self, there: Any) -> None:
        self.there, self.next = there, 0
        there.set_default_timeout(1000 * PATIENCE_S)
        self.until(there.locator(".jp-Notebook .jp-CodeCell").count, NOTEBOOK.count("{code-cell}"))
        there.get_by_text(re.compile(r"Python 3.* \| Idle")).wait_for()

    def until(self, found: Callable[[], Any], wanted: Any) -> Any:
        """What is found, as soon as it is what is wanted: a value, approximate or not, or a condition."""
        fits = wanted if callable(wanted) else lambda value: value == wanted
        end = time.monotonic() + PATIENCE_S
        while (value := found()) is None or not fits(value):
            assert time.monotonic() < end, f"found {value}, wanted {wanted}"
            self.there.wait_for_timeout(50)
        return value

    def cell(self, number: int) -> Any:
        return self.there.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def begin(self) -> int:
        """Run the next cell by the keyboard, without waiting for it."""
        self.cell(self.next).locator(".jp-InputArea-editor").click()
        self.there.keyboard.press("Shift+Enter")
        self.next += 1
        return self.next - 1

    def end(self, number: int) -> None:
        self.until(self.cell(number).locator(".jp-InputArea-prompt").inner_text, f"[{number + 1}]:")

    def run(self) -> int:
        """Run the next cell, to its end; its number."""
        self.end(number := self.begin())
        return number

    def element(self) -> int:
        """Run the next cell, which shows an element; its number."""
        number = self.run()
        self.cell(number).locator(".sonimatch-panel").wait_for()
        return number

    def has(self, number: int, call: str, wanted: Any) -> None:
        """Wait for something of the element in that cell, in the browser."""
        element = self.cell(number).locator(".sonimatch")
        self.until(lambda: element.evaluate(f"(node) => node.sonimatch.{call}"), wanted)

    def told(self, number: int, **wanted: Any) -> None:
        """Wait for traits of the element in that cell, as Python callbacks see them."""
        label = self.cell(number).locator(".widget-label")
        for name, value in wanted.items():
            self.until(lambda name=name: json.loads(label.inner_text() or "{}").get(name), value)

    def click(self, number: int, label: str, x: float, y: float = 0.5) -> None:
        """By mouse, at a fraction of the width and height of what has that label."""
        found = self.cell(number).get_by_label(label, exact=True)
        box = found.bounding_box()
        found.click(position={"x": x * box["width"], "y": y * box["height"]})

    def drag(self, number: int, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """By mouse, over the first picture in that cell; fractions of its width and height."""
        picture = self.cell(number).locator("canvas").first
        picture.scroll_into_view_if_needed()
        box = picture.bounding_box()
        spots = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (begin, end)]
        self.there.mouse.move(*spots[0])
        self.there.mouse.down()
        self.there.mouse.move(*spots[1], steps=5)
        self.there.mouse.up()

    def press(self, number: int, label: str, *keys: str) -> None:
        """By keyboard, where what has that label has the focus."""
        self.cell(number).get_by_label(label, exact=True).focus()
        for key in keys:
            self.there.keyboard.press(key)


def test_the_elements_are_live_in_jupyterlab(lab, visit):
    """By keyboard and mouse every element sets its traits in Python; a cell that sets them moves the element."""
    there = visit(lab, 1200)
    book = Notebook(there)
    setup = book.run()
    assert f"{ROOT / 'sonimatch' / '__init__.py'}" in book.cell(setup).inner_text()

    player = book.element()
    book.press(player, "modulator", "ArrowRight")
    book.told(player, theta=pytest.approx([0.2, 0.51]))
    book.click(player, "modulator", 0.75)
    book.told(player, theta=lambda theta: theta[1] > 0.7)
    book.run()
    book.has(player, "theta()", pytest.approx([0.8, 0.25]))
    book.told(player, theta=pytest.approx([0.8, 0.25]))

    scrubber = book.element()
    book.press(scrubber, "cut", "ArrowRight", "ArrowRight")
    book.told(scrubber, theta=pytest.approx([0.499], abs=1e-6))  # past 0.25
    book.press(scrubber, "target", "ArrowRight")
    book.told(scrubber, target=[1], value=lambda value: value["L1_Spec"] > 0)
    book.drag(scrubber, (0.5, 0.1), (0.9, 0.1))
    book.told(scrubber, theta=lambda theta: theta[0] > 0.8)
    book.run()
    book.has(scrubber, "theta()", pytest.approx([1]))
    book.has(scrubber, "target()", pytest.approx([0]))

    explorer = book.begin()
    book.until(book.cell(explorer).inner_text, re.compile(r"noise_am, L1_Spec: +\d+%.*\d+/4").search)
    book.end(explorer)
    book.cell(explorer).locator(".sonimatch-panel").wait_for()
    assert "%" not in book.cell(explorer).inner_text(), "the progress is over"
    book.drag(explorer, (0.5, 0.5), (0.2, 0.8))
    book.told(explorer, theta=lambda theta: theta[0] < 0.3 and theta[1] < 0.3)
    book.cell(explorer).locator("canvas").focus()
    there.keyboard.press("ArrowRight")
    book.told(explorer, theta=lambda theta: theta[0] == pytest.approx(round(6 * theta[0]) / 6))
    book.told(explorer, value=lambda value: value["L1_Spec"] > 0)
    book.run()
    book.has(explorer, "theta()", pytest.approx([1 / 6, 5 / 6]))

    ellipses = book.element()
    book.drag(ellipses, (0.5, 0.5), (0.2, 0.8))
    book.told(ellipses, theta=lambda theta: theta[0] < 0.4 and theta[1] < 0.4, value={"JTFS": pytest.approx(3)})
    book.run()
    book.has(ellipses, "theta()", pytest.approx([0.1, 0.9]))

    replay = book.element()
    book.press(replay, "step", "ArrowRight")
    book.told(replay, step=1)
    book.click(replay, "gradient, scaled over the steps", 0.97)
    book.told(replay, step=20, theta=pytest.approx([0.5, 0.5]))
    book.cell(replay).get_by_label("hear SIMSE_Spec").check()
    book.told(replay, trial="SIMSE_Spec")
    book.run()
    book.has(replay, "step()", 7)
    book.has(replay, "trial()", "SIMSE_Spec")
    book.told(replay, theta=pytest.approx([0.5 - 0.4 * 13 / 20, 0.9 - 0.4 * 7 / 20]))

    descent = book.element()
    book.drag(descent, (0.5, 0.5), (0.3, 0.3))
    book.told(descent, theta=lambda theta: theta[0] < 0.4 and theta[1] > 0.6)
    book.press(descent, "learning rate", "ArrowRight")
    book.told(descent, learning_rate=lambda rate: 0.045 < rate < 0.05)
    book.cell(descent).get_by_label("stay in range").check()
    book.told(descent, bounded=True)
    book.run()
    book.has(descent, "theta()", pytest.approx([0.2, 0.3]))
    book.has(descent, "settings()", lambda found: (found["rule"], found["clip_norm"]) == ("GradientDescent", None))
    book.told(descent, rule="GradientDescent", bounded=True)

    duel = book.element()
    book.drag(duel, (0.5, 0.5), (0.3, 0.3))
    book.told(duel, theta=lambda theta: theta[0] < 0.4 and theta[1] > 0.6)
    book.press(duel, "evaluations", "ArrowLeft")
    book.told(duel, evaluations=199)
    book.run()
    book.has(duel, "theta()", pytest.approx([0.2, 0.3]))
    book.has(duel, "paid()", 60)

    bench = book.element()
    book.press(bench, "trials", "ArrowLeft")
    book.told(bench, choice=lambda choice: choice["trials"] == 11)
    book.click(bench, "trials", 0.5)
    book.told(bench, choice=lambda choice: 5 < choice["trials"] < 9)
    book.cell(bench).get_by_label("effect size").select_option("p")
    book.told(bench, choice=lambda choice: (choice["test"], choice["synth"]) == ("p", "hp_noise"))
    book.run()
    book.has(bench, "choice()", lambda choice: (choice["synth"], choice["trials"]) == ("noise_am", 5))

    test = book.element()
    for which in ("target", "match"):
        book.press(test, "listening test", which[0])  # in a notebook M makes a cell of prose
        book.cell(test).get_by_role("button", name=re.compile(f"{which} .*heard 1×")).wait_for()  # to its end
    book.press(test, "listening test", "4")
    book.told(test, ratings=lambda ratings: [*ratings.values()] == [4])
    for which in ("target", "match"):
        book.cell(test).get_by_role("button", name=which).click()
        book.cell(test).get_by_role("button", name=re.compile(f"{which} .*heard 1×")).wait_for()
    book.cell(test).get_by_role("button", name="5, near identical").click()
    book.told(test, ratings=lambda ratings: sorted(ratings.values()) == [4, 5])
    asked = book.run()
    assert "ListeningTest(2 of 4 pairs scored)" in book.cell(asked).locator(".jp-OutputArea").inner_text()

    # Keys of the notebook that an element leaves alone, and those that it keeps; again it begins where Python says.
    book.cell(player).get_by_label("loop").check()
    book.cell(player).get_by_role("button", name="play").click()
    there.wait_for_function("sonimatch.sound.playing !== null")
    book.press(player, "modulator", "b", "d", "d", "Shift+Enter")
    book.until(book.cell(player).locator(".jp-InputArea-prompt").inner_text, f"[{book.next + 1}]:")
    book.has(player, "theta()", pytest.approx([0.2, 0.5]))
    there.wait_for_function("sonimatch.sound.playing === null")
    kinds = [there.locator(f".jp-Notebook {kind}").count() for kind in (".jp-Cell", ".jp-CodeCell")]
    assert kinds == [NOTEBOOK.count("{code-cell}") + 1] * 2, "an empty one, too, after the last that was run"
    assert not there.locator("[data-mime-type='application/vnd.jupyter.error']").count()
    assert "#" not in there.url
    line = "getComputedStyle(document.querySelector('.sonimatch')).getPropertyValue('--sonimatch-line')"
    light = there.evaluate(line)
    there.evaluate("document.body.dataset.jpThemeLight = 'false'")
    assert there.evaluate(line) != light, "the dark theme has its own colours"
