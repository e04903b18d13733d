/* A target and sounds that are meant to be like it: one is heard, another takes its place where it is; their spectrograms
   in two colours over each other, or side by side, on one scale; and each as a file. */
sonimatch.elements.SoundComparison = async (model, el) => {
  const { make, canvas, axes, number, LEFT, BOTTOM } = sonimatch, { rate, sounds } = model.get("data");
  const LIMIT = 0.7, SIZE = 2048, FRAMES = 128, ROWS = 160, LOW = 20, HIGH = rate / 2, RANGE = 80;
  const given = sounds.map(({ pcm, peak }) => {
    const whole = new Int16Array(Uint8Array.from(atob(pcm), (c) => c.charCodeAt(0)).buffer);
    return Float32Array.from(whole, (x) => (x / 32767) * peak);
  });
  let current = 0, shown = Math.min(1, sounds.length - 1), playing = false, heard = [], powers = [], most = 1;

  /* At one level all have the same root mean square; the loudest peak of all is the limit either way. */
  const level = (even) => {
    const scaled = given.map((samples) => { const rms = even ? sonimatch.rms(samples) : 1; return samples.map((x) => x / (rms || 1)); });
    const peak = Math.max(1e-9, ...scaled.map(sonimatch.peak));
    heard = scaled.map((samples) => samples.map((x) => (x * LIMIT) / peak));
    powers = heard.map((samples) => sonimatch.spectrogram(samples, SIZE, FRAMES));
    most = Math.max(1e-30, ...powers.flat().map((frame) => frame.reduce((a, b) => Math.max(a, b), 0)));
    pictures.clear();
  };

  // ------------------------------------------------------------------------------------------ pictures
  const pictures = new Map();
  const bright = (which, row, t) => {
    const f = LOW * (HIGH / LOW) ** (1 - (row + 0.5) / ROWS), at = (f * SIZE) / rate, k = Math.floor(at), w = at - k, frame = powers[which][t];
    return sonimatch.clamp(1 + (10 * Math.log10(((1 - w) * frame[k] + w * frame[Math.min(k + 1, SIZE / 2)]) / most + 1e-30)) / RANGE);
  };
  const picture = (key, color) => {
    if (!pictures.has(key)) {
      const image = new ImageData(FRAMES, ROWS), node = make("canvas", { width: FRAMES, height: ROWS });
      for (let row = 0; row < ROWS; row++) for (let t = 0; t < FRAMES; t++) image.data.set(color(row, t), 4 * (row * FRAMES + t));
      node.getContext("2d").putImageData(image, 0, 0);
      pictures.set(key, node);
    }
    return pictures.get(key);
  };
  const alone = (which) => picture(`${which}`, (row, t) => sonimatch.magma(bright(which, row, t)));
  const both = () => picture(`0+${shown}`, (row, t) => {  // orange and blue, which make white
    const a = bright(0, row, t), b = bright(shown, row, t);
    return [255 * a, 140 * a + 115 * b, 255 * b, 255];
  });
  const octaves = [50, 200, 1000, 5000].filter((f) => f < HIGH).map((f) => [Math.log(f / LOW) / Math.log(HIGH / LOW), f < 1000 ? `${f}` : `${f / 1000}k`]);
  const length = given[0].length / rate, seconds = [[0, "0"], [0.5, number(length / 2)], [1, number(length)]];
  const panel = (label, image) => canvas(220, label, (pen, width, height, colors) => {
    const box = { x: LEFT, y: 6, width: width - LEFT - 8, height: height - BOTTOM - 6 };
    pen.drawImage(image(), box.x, box.y, box.width, box.height);
    axes(pen, box, colors, { label: "time (s)", ticks: seconds }, { label: "frequency (Hz)", ticks: octaves });
    if (playing && sonimatch.sound.at !== null) {
      pen.fillStyle = "#ffffff";
      pen.fillRect(box.x + sonimatch.sound.at * box.width - 0.5, box.y + 1, 1, box.height - 2);
    }
  });
  const over = panel("spectrograms of the target and of the chosen sound over each other", both);
  const left = panel("spectrogram of the target", () => alone(0)), right = panel("spectrogram of the chosen sound", () => alone(shown));
  const panels = [over, left, right];
  const heads = [make("p"), make("p"), make("p")];
  const figures = panels.map((each, i) => make("figure", { className: "sonimatch-picture" }, heads[i], each.node));
  const swatch = (color) => make("span", { className: "sonimatch-swatch", style: { background: color, outline: "1px solid var(--sonimatch-faint)" } });
  const name = `sonimatch-view-${Math.round(performance.now() * 1000)}`;
  const view = (label, checked) => {
    const input = make("input", { type: "radio", name, checked });
    input.addEventListener("change", () => look());
    return { input, node: make("label", {}, input, ` ${label}`) };
  };
  const overlaid = view("over each other", true), beside = view("side by side", false);
  const look = () => {
    figures.forEach((figure, i) => { figure.hidden = (i === 0) !== overlaid.input.checked; });
    heads[0].replaceChildren(swatch("rgb(255,140,0)"), "target alone  ", swatch("rgb(0,115,255)"), `${sounds[shown].label} alone  `, swatch("white"), "both");
    heads[1].textContent = "target";
    heads[2].textContent = sounds[shown].label;
    panels.forEach((each) => each.repaint());
  };

  // ------------------------------------------------------------------------------------------ sound
  const loop = make("input", { type: "checkbox", checked: true }), even = make("input", { type: "checkbox", checked: true });
  const run = () => { if (!playing) return; panels.forEach((each) => each.repaint()); requestAnimationFrame(run); };
  const mark = () => buttons.forEach((button, i) => {
    const on = playing && i === current;
    button.textContent = `${on ? "■" : "▶"} ${sounds[i].label}`;
    button.setAttribute("aria-pressed", on);
    rows[i].classList.toggle("sonimatch-chosen", i === current);
  });
  const choose = (i) => {
    if (playing && i === current) return sonimatch.sound.stop();
    current = i;
    if (i) shown = i;
    if (playing) sonimatch.sound.change(heard[i]);
    else {
      sonimatch.sound.play(el, heard[i], rate, { loop: loop.checked, ended: () => { playing = false; mark(); look(); } });
      playing = true;
      requestAnimationFrame(run);
    }
    mark(); look();
  };
  loop.addEventListener("change", () => { if (playing) sonimatch.sound.loop(loop.checked); });
  even.addEventListener("change", () => { level(even.checked); if (playing) sonimatch.sound.change(heard[current]); look(); });

  /* 32-bit float, so that nothing clips. */
  const file = (samples) => {
    const view = new DataView(new ArrayBuffer(44 + 4 * samples.length));
    const write = (at, text) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
    write(0, "RIFF"); write(8, "WAVEfmt "); write(36, "data");
    for (const [at, value] of [[4, 36 + 4 * samples.length], [16, 16], [24, rate], [28, 4 * rate], [40, 4 * samples.length]]) view.setUint32(at, value, true);
    for (const [at, value] of [[20, 3], [22, 1], [32, 4], [34, 32]]) view.setUint16(at, value, true);
    samples.forEach((x, i) => view.setFloat32(44 + 4 * i, x, true));
    return new Blob([view], { type: "audio/wav" });
  };
  const save = (i) => {
    const address = URL.createObjectURL(file(given[i])), link = make("a", { href: address, download: sounds[i].file });
    document.body.append(link); link.click(); link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  };

  const buttons = sounds.map((_, i) => { const button = make("button", { type: "button" }); button.addEventListener("click", () => choose(i)); return button; });
  const rows = sounds.map(({ label, note, file: called }, i) => {
    const down = make("button", { type: "button", title: called, "aria-label": `save ${label} as ${called}` }, "save");
    down.addEventListener("click", () => save(i));
    return make("div", { className: "sonimatch-sound" }, buttons[i], make("span", {}, note), down);
  });
  const whole = make("div", { className: "sonimatch-panel", role: "group", tabIndex: 0, "aria-label": "target and candidates: a digit chooses, the space bar plays and stops" },
    ...rows,
    make("div", { className: "sonimatch-transport" }, make("label", {}, loop, " loop"), make("label", {}, even, " at one level"), sonimatch.volume()),
    make("div", { className: "sonimatch-transport", role: "radiogroup", "aria-label": "spectrograms" }, make("span", {}, "spectrograms"), overlaid.node, beside.node),
    make("div", { className: "sonimatch-pictures" }, ...figures),
    make("p", { className: "sonimatch-hash" }, `${number(RANGE)} dB from black to bright, one scale for all. Keys: 0 is the target, 1 to 9 the others, the space bar plays and stops.`));
  whole.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const digit = /^[0-9]$/.test(event.key) ? Number(event.key) : null;
    if (digit !== null && digit < sounds.length) { if (!(playing && digit === current)) choose(digit); } else if (event.key === " " && event.target === whole) choose(current); else return;
    event.preventDefault();
  });
  el.append(whole);
  level(true); mark(); look();
  el.sonimatch = { sound: () => heard[current], current: () => current, shown: () => shown, heard: () => heard, given };
};
