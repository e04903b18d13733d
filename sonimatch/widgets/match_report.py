"""The report of a match: one page that needs nothing beside it, to hear and see what was found."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sonimatch.answers import APART, TOLERANCE, Around, Candidate, Intervals, Ranking
from sonimatch.assessment import NEAR_END
from sonimatch.faust import FaustSynth
from sonimatch.faust.preset import Preset
from sonimatch.widgets import page

_SCRIPTS = (*page.FIRST, "synth_player.js", "sound_comparison.js", "page.js")
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="sonimatch match">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
<script>
{theme}
</script>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
<script>
{script}
for (const button of document.querySelectorAll("button[data-does]")) {{
  const text = document.getElementById("program").textContent;
  button.addEventListener("click", () => {{
    if (button.dataset.does === "copy") return navigator.clipboard.writeText(text).then(() => {{ button.textContent = "copied"; }});
    const address = URL.createObjectURL(new Blob([text])), link = document.createElement("a");
    Object.assign(link, {{ href: address, download: "match.dsp" }});
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }});
}}
</script>
</body>
</html>
"""  # noqa: E501


def match_report(
    name: str,
    target: np.ndarray,
    ranking: Ranking,
    loss: str,
    near: Around,
    written: Preset,
    facts: Mapping[str, str],
) -> str:
    """A page about the match of a target `[num_samples]` called `name`: the ranking of the synths under the loss of
    this name, what is `near` the best of the first, its program with that written in, and `facts` about the making.

    The page is whole: no network, no file beside it; its sounds are 16-bit. Shown in notebooks/your_own_sound.md.
    """
    found, around = near.candidates, near.intervals
    best, synth = ranking.answers[0], ranking.answers[0].synth
    assert isinstance(synth, FaustSynth)
    assert best.worth
    theta = np.clip(found[0].theta, 0, 1)
    sounds = [_sound("target", "as prepared, peak 1", target, "target")]
    for number, each in enumerate(found, 1):
        label = f"{synth.name}, answer" if number == 1 else f"{synth.name}, candidate {number}"
        sounds.append(_sound(label, _settings(synth, each.theta), each.sound, f"match-{number}".removesuffix("-1")))
    for other in ranking.answers[1:]:
        if other.sounds and other.worth:
            note = _settings(other.synth, other.worth.kept.theta_best)
            sounds.append(_sound(f"{other.synth.name}, its best", note, other.sound, other.synth.name))
    level = np.sqrt(np.mean(np.square(found[0].sound)) / np.mean(np.square(target)))
    aim = (level * target).astype(np.float32)
    comparison = {"id": "sounds", "rate": synth.sample_rate, "sounds": sounds}
    player = {
        "id": synth.name,
        "views": ["waveform", "spectrum", "spectrogram"],
        "audio": page.compact(aim),
        "program": page.program(synth, aim),
    }
    without = "<p>This part needs a browser that runs scripts.</p>"
    first, *more = map(html.escape, ranking.verdict)
    body = [
        f'<p class="verdict"><strong>{first[:1].upper()}{first[1:]}.</strong> '
        f"{' '.join(f'{sentence[:1].upper()}{sentence[1:]}.' for sentence in more)}</p>",
        "<h2>Hear and compare</h2>",
        page.placed("SoundComparison", {"data": comparison, "theta": []}, without),
        "<h2>The answer</h2>",
        _parameters(synth, theta, around, best.worth.remarks),
        '<p class="note">The interval is the profile of a parameter: how far it can go, the others moved along to make '
        f"up for it, while the loss stays at {around.within:.4g} or below. That is the loss of the answer, "
        f"{found[0].loss:.4g}, and {100 * TOLERANCE:g} % of the way from there to {ranking.typical:.4g}, the median of "
        f"the random draws. It was walked in {around.evaluations} evaluations and is at least as wide as told. The bar "
        "is the range of the slider, with the answer and the interval.</p>",
        "<h2>Play it</h2>",
        f"<p>{html.escape(synth.name)} itself, from the answer on; the target beside it has the level of the answer."
        "</p>",
        page.placed("SynthPlayer", {"data": player, "theta": [float(x) for x in theta]}, without),
    ]
    if len(found) > 1:
        body += ["<h2>Other answers</h2>", _candidates(synth, ranking, found)]
        body.append(
            '<p class="note">Candidates are distinct settings: in some parameter each is at least '
            f"{100 * APART:g} % of the range away from every one before it. Each is the best that the search and the "
            "random draws have heard there, walked downhill as long as it stays apart. Those within "
            f"{around.within:.4g} are as near as the answer.</p>"
        )
    if near.better:
        body.append(
            f"<p>Candidate {near.better} is nearer than the answer: the search has ended too early, and goes on from "
            "there with the command below.</p>"
        )
    body += ["<h2>Which synthesizer</h2>", _ranking(ranking), _explained(ranking, loss)]
    body += ["<h2>The program with these values</h2>", _program(synth, written)]
    rows = "".join(f"<dt>{html.escape(title)}</dt><dd>{html.escape(text)}</dd>" for title, text in facts.items())
    body += ["<h2>How it was made</h2>", f"<dl>{rows}</dl>"]
    style = f"{(page.JS / 'match_report.css').read_text()}\n{page.page_style()}"
    title = html.escape(f"{name}, matched by {synth.name}")
    script = page.scripts(*_SCRIPTS)
    return _PAGE.format(title=title, theme=page.THEME, style=style, body="\n".join(body), script=script)


def _sound(label: str, note: str, samples: np.ndarray, file: str) -> dict[str, Any]:
    peak = float(np.abs(samples).max())
    whole = np.round(np.asarray(samples, float) / (peak or 1.0) * 32_767).astype("<i2")
    return {
        "label": label,
        "note": note,
        "file": f"{file}.wav",
        "peak": peak,
        "pcm": base64.b64encode(whole.tobytes()).decode(),
    }


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], text: Sequence[int] = (0,)) -> str:
    """Cells are HTML; columns `text` begin at the left."""

    def line(kind: str, cells: Sequence[str]) -> str:
        marked = (f"<{kind}{' class=text' if i in text else ''}>{cell}</{kind}>" for i, cell in enumerate(cells))
        return f"<tr>{''.join(marked)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f'<div class="wide" tabindex="0"><table><thead>{line("th", head)}</thead><tbody>{body}</tbody></table></div>'


def _way(ranking: Ranking, loss: float) -> str:
    return f"{100 * ranking.way(loss):.0f} %".replace("-", "−")


def _settings(synth: Any, theta: Any) -> str:
    values = zip(synth.space.names, synth.space.to_physical(theta), synth.space.unit, strict=True)
    return ", ".join(f"{name} {_number(value)} {unit}".strip() for name, value, unit in values)


def _number(value: float) -> str:
    short = float(f"{value:.4g}")
    return f"{short:.6g}".replace("-", "−")


def _parameters(synth: FaustSynth, theta: np.ndarray, around: Intervals, remarks: Any) -> str:
    space, rows = synth.space, []
    value, low, high = (np.asarray(space.to_physical(x)) for x in (theta, around.low, around.high))
    for i, (name, unit) in enumerate(zip(space.names, space.unit, strict=True)):
        walls = (around.low[i] <= NEAR_END, around.high[i] >= 1 - NEAR_END)
        note = "any value will do" if all(walls) else "; ".join(remarks(name))
        bar = (
            f'<span class="bar" aria-hidden="true"><i style="left:{100 * around.low[i]:.2f}%;'
            f'width:{100 * (around.high[i] - around.low[i]):.2f}%"></i><b style="left:{100 * theta[i]:.2f}%"></b>'
            "</span>"
        )
        rows.append((
            html.escape(name), _number(value[i]), html.escape(unit), f"{_number(low[i])} to {_number(high[i])}",
            f"{bar}<small>{_number(space.low[i])} to {_number(space.high[i])}</small>", html.escape(note),
        ))  # fmt: skip
    head = ("parameter", "value", "unit", "interval", "in its range", "remarks")
    return _table(head, rows, text=(0, 2, 5))


def _candidates(synth: FaustSynth, ranking: Ranking, found: Sequence[Candidate]) -> str:
    space, rows = synth.space, []
    for number, each in enumerate(found, 1):
        values = np.asarray(space.to_physical(np.clip(each.theta, 0, 1)))
        address = f"#{synth.name}={','.join(f'{x:.7g}' for x in values)}"
        link = f'<a href="{html.escape(address)}">{"answer" if number == 1 else f"candidate {number}"}</a>'
        rows.append((link, _number(each.loss), _way(ranking, each.loss), *map(_number, values)))
    names = [f"{name} ({unit})" if unit else name for name, unit in zip(space.names, space.unit, strict=True)]
    return _table(("in the player", "loss", "of the way", *map(html.escape, names)), rows)


def _ranking(ranking: Ranking) -> str:
    rows = []
    for each in ranking.answers:
        name, said = html.escape(each.synth.name), html.escape("; ".join(each.objections) or "yes")
        if each.sounds:
            rows.append((name, _number(each.loss), _way(ranking, each.loss), _number(each.mss), said))
        else:
            rows.append((name, "–", "–", "–", said))
    return _table(("synthesizer", "loss", "of the way", "MSS", "beats chance and silence"), rows, text=(0, 4))


def _explained(ranking: Ranking, loss: str) -> str:
    scale = (
        f"One loss, {loss}, and one target: the values compare, and the lowest wins. Of the way from "
        f"{_number(ranking.typical)}, the median of all random draws, to {_number(ranking.equal)}, the target beside "
        "itself, each has gone the part in the third column: 100 % is the target, 0 % no better than a typical setting "
        "drawn at random, less is worse. MSS is a multi-scale spectral distance that no search has minimised, lower is "
        "nearer: a second opinion. The last column is about a synthesizer alone: whether its answer is nearer than the "
        "best of its random draws, and than silence."
    )
    if len(ranking.answers) > 1:
        scale += (
            f" The first is clearly nearer than the second when it leads by more than {100 * TOLERANCE:g} % of its way "
            "back to a random draw and has no higher MSS."
        )
    return f'<p class="note">{html.escape(scale)}</p>'


def _program(synth: FaustSynth, written: Preset) -> str:
    said = (
        f"{synth.name}.dsp, which starts at the answer in any tool that opens Faust; it is match.dsp beside this page."
    )
    if written.left:
        told = ", ".join(written.left)
        said += (
            f" Not written: {told}. A default stands where it cannot be changed alone, in a library or in a text that "
            "makes several sliders; set it by hand."
        )
    return (
        f'<p>{html.escape(said)}</p><div class="tools"><button type="button" data-does="save">save match.dsp</button>'
        f'<button type="button" data-does="copy">copy</button></div>'
        f'<pre tabindex="0" id="program">{html.escape(written.text)}</pre>'
    )
