/* A synthesizer under the hand: sliders, sound, and what it looks like; beside a target, if there is one. The axes are those
   of the loudest sound of the element, and stay. */
sonimatch.elements.SynthPlayer = async (model, el) => {
  const { make, canvas, axes, LEFT, BOTTOM, number } = sonimatch, data = model.get("data");
  const synth = await sonimatch.synth(data.program), space = synth.space, id = data.id;
  const shared = sonimatch.recall(id, space.names.length);
  let theta = shared ? sonimatch.toUnit(space, shared) : model.get("theta").slice();
  let sound = null, power = null;
  const target = data.target ? synth.render(data.target) : data.audio ? sonimatch.floats(data.audio) : null;
  const SIZE = 2048, FRAMES = 64, LOW = 20, HIGH = synth.rate / 2;
  const analyse = (samples) => sonimatch.spectrogram(samples, SIZE, FRAMES);
  const spectrum = (frames) => frames.reduce((sum, frame) => frame.map((x, k) => sum[k] + x), new Float64Array(SIZE / 2 + 1));
  const targetSpectrum = target && spectrum(analyse(target)), { loudest } = synth;

  const log = (f) => Math.log(f / LOW) / Math.log(HIGH / LOW);
  const hertz = [[log(50), "50"], [log(200), "200"], [log(1000), "1k"], [log(5000), "5k"]];
  const seconds = [[0, "0"], [0.5, number(synth.length / synth.rate / 2)], [1, number(synth.length / synth.rate)]];
  const inner = (width, height) => ({ x: LEFT, y: 6, width: width - LEFT - 8, height: height - BOTTOM - 6 });

  const wave = canvas(120, "waveform", (pen, width, height, colors) => {
    const box = inner(width, height), { peak } = loudest, round = (x) => Number(x.toPrecision(2));
    axes(pen, box, colors, { label: "time (s)", ticks: seconds }, { label: "amplitude", ticks: [[0, number(-round(peak))], [0.5, "0"], [1, number(round(peak))]] });
    const trace = (samples, color) => {
      pen.strokeStyle = color;
      pen.beginPath();
      for (let px = 0; px < box.width; px++) {
        const a = Math.floor((px / box.width) * samples.length), b = Math.max(a + 1, Math.floor(((px + 1) / box.width) * samples.length));
        let low = Infinity, high = -Infinity;
        for (let n = a; n < b; n++) { if (samples[n] < low) low = samples[n]; if (samples[n] > high) high = samples[n]; }
        const y = (v) => box.y + box.height * (0.5 - (0.5 * v) / peak);
        pen.moveTo(box.x + px + 0.5, y(low) + 0.5);
        pen.lineTo(box.x + px + 0.5, y(high) - 0.5);
      }
      pen.stroke();
    };
    if (target) trace(target, colors.faint);
    trace(sound, colors.accent);
  });

  const bands = canvas(140, "spectrum", (pen, width, height, colors) => {
    const box = inner(width, height), FLOOR = -80, mine = spectrum(power), most = loudest.spectrum;
    axes(pen, box, colors, { label: "frequency (Hz)", ticks: hertz }, { label: "level (dB)", ticks: [[0, "−80"], [0.5, "−40"], [1, "0"]] });
    const trace = (values, color) => {
      pen.strokeStyle = color;
      pen.beginPath();
      for (let k = 2; k < values.length; k++) {
        const db = sonimatch.clamp(10 * Math.log10(values[k] / most + 1e-30), FLOOR, 0);
        const x = box.x + log((k * synth.rate) / SIZE) * box.width, y = box.y + (db / FLOOR) * box.height;
        if (k === 2) pen.moveTo(x, y); else pen.lineTo(x, y);
      }
      pen.stroke();
    };
    if (target) trace(targetSpectrum, colors.text);
    trace(mine, colors.accent);
  });

  const picture = document.createElement("canvas");
  picture.width = FRAMES; picture.height = 160;
  const gram = canvas(190, "spectrogram", (pen, width, height, colors) => {
    const box = inner(width, height), image = new ImageData(FRAMES, 160), most = loudest.frame;
    for (let row = 0; row < 160; row++) {
      const f = LOW * (HIGH / LOW) ** (1 - (row + 0.5) / 160), at = (f * SIZE) / synth.rate, k = Math.floor(at), w = at - k;
      for (let t = 0; t < FRAMES; t++) {
        const p = (1 - w) * power[t][k] + w * power[t][Math.min(k + 1, SIZE / 2)];
        image.data.set(sonimatch.magma(1 + (10 * Math.log10(p / most + 1e-30)) / 80), 4 * (row * FRAMES + t));
      }
    }
    picture.getContext("2d").putImageData(image, 0, 0);
    pen.drawImage(picture, box.x, box.y, box.width, box.height);
    axes(pen, box, colors, { label: "time (s)", ticks: seconds }, { label: "frequency (Hz)", ticks: hertz });
  });

  const views = data.views.map((name) => ({ waveform: wave, spectrum: bands, spectrogram: gram })[name]);
  const sounds = target ? { "this setting": () => sound, target: () => target } : { play: () => sound };
  const transport = sonimatch.transport(el, synth, sounds), numbers = sonimatch.numbers();
  const update = () => {
    let stopped = "";
    try { sound = synth.render(theta); } catch (error) {  // where processors go on, WebAssembly stops: no whole number is that large
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      sound = new Float32Array(synth.length); stopped = `; the program stops at this setting: ${error.message}`;
    }
    power = analyse(sound);
    views.forEach((each) => each.repaint());
    transport.changed();
    const peak = sonimatch.peak(sound), level = (x) => (x > 0 ? `${number(20 * Math.log10(x))} dB` : "silence");
    numbers.show(`${sonimatch.setting(space, theta)}; peak ${number(peak)}, level ${level(sonimatch.rms(sound))}${stopped}`);
    el.dataset.theta = theta.join(",");
  };
  let pending = false;
  const moved = (i, x) => {
    theta[i] = x;
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      update();
      sonimatch.remember(id, sonimatch.toPhysical(space, theta));
      model.set("theta", theta.slice());
      model.save_changes();
    });
  };
  const sliders = sonimatch.sliders(space, () => theta, moved);
  model.on("change:theta", () => {
    const now = model.get("theta");
    if (now.every((x, i) => Math.abs(x - theta[i]) < 1e-9)) return;
    theta = now.slice();
    sliders.forEach((slider, i) => slider.show(theta[i]));
    update();
  });

  el.append(make("div", { className: "sonimatch-panel", role: "group", "aria-label": `${synth.name}: parameters and sound` },
    ...sliders.map((slider) => slider.node), transport.node, ...numbers.nodes,
    ...views.map((each) => each.node),
    sonimatch.origin(synth)));
  el.sonimatch = { sound: () => sound, theta: () => theta, synth, views };
  update();
};
