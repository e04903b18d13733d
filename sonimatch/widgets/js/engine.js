"use strict";
/* What all elements share: the synthesizer, the state in the address, drawing, and controls; sound.js has the sound. */
var sonimatch = globalThis.sonimatch || (globalThis.sonimatch = { elements: {} });
(() => {
  // ------------------------------------------------------------------------------------------------ numbers
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  sonimatch.floats = (text) => new Float32Array(bytes(text).buffer);
  sonimatch.clamp = (x, low = 0, high = 1) => Math.min(high, Math.max(low, x));
  sonimatch.number = (x, digits = 4) => {
    if (x === null || !isFinite(x)) return "–";
    const y = Number(x.toPrecision(digits)), plain = y === 0 || (Math.abs(y) >= 1e-4 && Math.abs(y) < 1e6);
    const text = plain ? String(y) : y.toExponential().replace("+", "");
    return text.replace(/-/g, "−");
  };

  // A quantised parameter has the settings of its slider only; another is at one of them when rounding alone is between.
  const settled = (space, i, value) => {
    const low = space.low[i], step = space.step[i];
    const nearest = step ? low + Math.min(Math.round((value - low) / step), Math.floor((space.high[i] - low) / step + 1e-9)) * step : value;
    return space.quantised[i] || Math.abs(nearest - value) < 1e-12 * (space.high[i] - low) ? nearest : value;
  };
  sonimatch.toPhysical = (space, theta) =>
    theta.map((t, i) => {
      const u = sonimatch.clamp(t), low = space.low[i], high = space.high[i];
      const even = space.warp[i] === "exp" ? Math.log1p((Math.E - 1) * u) : u;
      return settled(space, i, space.warp[i] === "log" ? low * (high / low) ** u : low + (high - low) * even);
    });
  sonimatch.toUnit = (space, values) =>
    values.map((value, i) => {
      const low = space.low[i], high = space.high[i];
      const even = space.warp[i] === "log" ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
      return sonimatch.clamp(space.warp[i] === "exp" ? Math.expm1(even) / (Math.E - 1) : even);
    });
  sonimatch.setting = (space, theta) =>
    sonimatch.toPhysical(space, theta)
      .map((value, i) => `${space.names[i]} ${sonimatch.number(value)} ${space.unit[i]}`.trim())
      .join(", ");

  // ------------------------------------------------------------------------------------------------ the synthesizer
  /* What C's library has and a browser has not; sound to the last digits. */
  const half = (x) => { const r = Math.round(x); return Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : r; };
  const away = (x) => Math.trunc(x) + (Math.abs(x % 1) >= 0.5 ? Math.sign(x) : 0);
  const toNearest = (x, y) => {
    const size = Math.abs(y);
    let rest = Math.abs(x) % (2 * size);
    if (2 * rest > size) { rest -= size; if (2 * rest >= size) rest -= size; }
    return Math.sign(x) * rest;
  };
  /* By the tanh-sinh rule, which no end of the interval disturbs. */
  const integral = (f, a, b) => {
    let sum = 0;
    for (let k = -160; k <= 160; k++) {
      const t = k / 40, u = Math.PI / 2 * Math.sinh(t), w = Math.cosh(t) / Math.cosh(u) ** 2;
      if (w > 1e-300) sum += w * f((a + b) / 2 + (b - a) / 2 * Math.tanh(u));
    }
    return sum * (b - a) / 2 * Math.PI / 80;
  };
  const erfc = (x) => (x < 0 ? 2 - erfc(-x) : integral((t) => Math.exp(-((x + t) ** 2)), 0, 8) * 2 / Math.sqrt(Math.PI));
  const tgamma = (x) => {
    if (x < 0.5) return Math.PI / (Math.sin(Math.PI * x) * tgamma(1 - x));
    const terms = [0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7];
    const t = x + 6.5, sum = terms.reduce((all, c, k) => all + (k ? c / (x - 1 + k) : c), 0);
    return Math.sqrt(2 * Math.PI) * t ** (x - 0.5) * Math.exp(-t) * sum;
  };
  const lgamma = (x) => {
    if (x < 20) return Math.log(Math.abs(tgamma(x)));
    return (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2 + 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5);
  };
  const jn = (n, x) => integral((t) => Math.cos(n * t - x * Math.sin(t)), 0, Math.PI) / Math.PI;
  const yn = (n, x) => x < 0 ? NaN : x === 0 ? -Infinity : (integral((t) => Math.sin(x * Math.sin(t) - n * t), 0, Math.PI)
    - integral((t) => (Math.exp(n * t) + (-1) ** n * Math.exp(-n * t)) * Math.exp(-x * Math.sinh(t)), 0, 12)) / Math.PI;
  const exponent = (x) => { if (x === 0 || !Number.isFinite(x)) return Math.log(Math.abs(x)); let e = Math.floor(Math.log2(Math.abs(x))); if (2 ** (e + 1) <= Math.abs(x)) e++; if (2 ** e > Math.abs(x)) e--; return e; };
  const own = {
    fmod: (a, b) => a % b, remainder: toNearest, exp10: (x) => 10 ** x, exp2: (x) => 2 ** x, rint: half, nearbyint: half, round: away,
    erfc, erf: (x) => (x < 0 ? erfc(-x) - 1 : 1 - erfc(x)), tgamma, lgamma,
    jn: (n, x) => jn(Math.trunc(n), x), yn: (n, x) => yn(Math.trunc(n), x), j0: (x) => jn(0, x), j1: (x) => jn(1, x), y0: (x) => yn(0, x), y1: (x) => yn(1, x),
    logb: exponent, ilogb: (x) => (x === 0 || Number.isNaN(x) ? -(2 ** 31) : Math.min(exponent(x), 2 ** 31 - 1)), ldexp: (x, n) => x * 2 ** Math.trunc(n), scalbn: (x, n) => x * 2 ** Math.trunc(n),
    isnan: (x) => +Number.isNaN(x), isinf: (x) => (Math.abs(x) === Infinity ? Math.sign(x) : 0), copysign: (x, y) => Math.abs(x) * (Object.is(y, -0) || y < 0 ? -1 : 1),
  };
  const math = (name) => {
    const plain = name.replace(/^_+/, ""), short = plain.replace(/f$/, "");
    const found = own[plain] || own[short] || Math[plain] || Math[short];
    if (!found) throw new Error(`the program needs ${name}, which this page does not have`);
    return found;
  };

  /* So that an element need not wait for the other scripts of its page; some browsers refuse, and make it later. */
  const atOnce = (Kind, later, ...given) => {
    try { return new Kind(...given); } catch (error) { if (!(error instanceof RangeError)) throw error; return later(...given); }
  };
  /* A compiled Faust program: `await synth(program)` gives `{space, rate, length, loudest, render(theta)}`. */
  sonimatch.synth = async (program) => {
    const module = await atOnce(WebAssembly.Module, WebAssembly.compile, bytes(program.wasm)), imports = {};
    for (const { module: room, name } of WebAssembly.Module.imports(module)) (imports[room] ||= {})[name] = math(name);
    const { exports } = await atOnce(WebAssembly.Instance, WebAssembly.instantiate, module, imports);
    const { memory, init, instanceConstants, instanceInit, setParamValue, compute } = exports;
    const wide = program.precision === "double" ? 8 : 4, count = program.num_samples;
    const outputs = Math.ceil(program.size / 16) * 16, channel = outputs + 16;
    const pages = Math.ceil((channel + wide * count) / 65536) - memory.buffer.byteLength / 65536;
    if (pages > 0) memory.grow(pages);
    instanceConstants(0, program.sample_rate);  // `init` fills tables before it stores the rate that they look for
    init(0, program.sample_rate);
    const render = (theta) => {
      instanceInit(0, program.sample_rate);  // all but the tables, which stay
      sonimatch.toPhysical(program.space, theta).forEach((x, i) => setParamValue(0, program.indices[i], x));
      let done = 0;
      for (const [samples, switches] of program.blocks) {
        switches.forEach(([index, value]) => setParamValue(0, index, value));
        new Int32Array(memory.buffer, outputs, 1)[0] = channel + wide * done;
        compute(0, samples, 0, outputs);
        done += samples;
      }
      return Float32Array.from(new (wide === 8 ? Float64Array : Float32Array)(memory.buffer, channel, count));
    };
    return { name: program.name, sha256: program.sha256, space: program.space, rate: program.sample_rate, length: count, loudest: program.loudest, render };
  };

  // ------------------------------------------------------------------------------------------------ signals
  sonimatch.peak = (samples) => samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  sonimatch.rms = (samples) => Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);

  /* Fast Fourier transform in place, length a power of two. */
  const tables = {};
  const table = (n) => {
    const cos = Float64Array.from({ length: n / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / n));
    const sin = cos.map((_, k) => Math.sin((2 * Math.PI * k) / n)), place = new Uint32Array(n);
    for (let i = 1; i < n; i++) place[i] = (place[i >> 1] >> 1) | (i & 1 ? n >> 1 : 0);
    return { cos, sin, place };
  };
  sonimatch.fft = (re, im) => {
    const n = re.length, { cos, sin, place } = (tables[n] ||= table(n));
    for (let i = 0; i < n; i++) {
      const j = place[i];
      if (i < j) { const x = re[i], y = im[i]; re[i] = re[j]; im[i] = im[j]; re[j] = x; im[j] = y; }
    }
    for (let h = 1; h < n; h *= 2) {
      const step = n / (2 * h);
      for (let first = 0; first < n; first += 2 * h) {
        for (let k = 0; k < h; k++) {
          const i = first + k, j = i + h, c = cos[k * step], s = -sin[k * step];
          const x = re[j] * c - im[j] * s, y = re[j] * s + im[j] * c;
          re[j] = re[i] - x; im[j] = im[i] - y; re[i] += x; im[i] += y;
        }
      }
    }
  };
  /* Power `[frames][size / 2 + 1]` of Hann-windowed frames, two in one transform: one real, the other imaginary. */
  sonimatch.spectrogram = (samples, size, frames) => {
    const hann = Float64Array.from({ length: size }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / size));
    const re = new Float64Array(size), im = new Float64Array(size), power = [];
    const cut = (part, t) => {
      const first = Math.round((t / Math.max(1, frames - 1)) * Math.max(0, samples.length - size));
      for (let n = 0; n < size; n++) part[n] = first + n < samples.length ? samples[first + n] * hann[n] : 0;
    };
    for (let t = 0; t < frames; t += 2) {
      cut(re, t);
      cut(im, Math.min(t + 1, frames - 1));
      sonimatch.fft(re, im);
      const one = new Float64Array(size / 2 + 1), other = new Float64Array(size / 2 + 1);
      for (let k = 0; k <= size / 2; k++) {
        const m = k && size - k;
        one[k] = ((re[k] + re[m]) ** 2 + (im[k] - im[m]) ** 2) / 4;
        other[k] = ((im[k] + im[m]) ** 2 + (re[m] - re[k]) ** 2) / 4;
      }
      power.push(one, other);
    }
    return power.slice(0, frames);
  };

  // ------------------------------------------------------------------------------------------------ state
  /* The setting of every element in the fragment of the address: `#bp_noise=300,40&...`, physical values. Only in a page,
     which says that it is one: with a kernel an element begins where Python says, and the address is not ours. */
  const fragment = () => new URLSearchParams(sonimatch.page ? location.hash.slice(1) : "");
  /* The `count` numbers that stand there for an element, or null. */
  sonimatch.recalled = (id) => fragment().get(id);
  sonimatch.recall = (id, count) => {
    const values = (sonimatch.recalled(id) || "nothing").split(",").map(Number);
    return values.length === count && values.every(isFinite) ? values : null;
  };
  let waiting = null;
  const wanted = {};
  sonimatch.remember = (id, values) => {
    if (!sonimatch.page) return;
    delete wanted[id];  // what moved last stands last
    wanted[id] = values.map((x) => (typeof x === "number" ? Number(x.toPrecision(7)) : x)).join(",");
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const all = fragment();
      for (const [name, value] of Object.entries(wanted)) { all.delete(name); all.set(name, value); }
      try { history.replaceState(null, "", "#" + decodeURIComponent(all.toString())); } catch (error) { if (error.name !== "SecurityError") throw error; }
    }, 150);
  };

  // ------------------------------------------------------------------------------------------------ controls
  sonimatch.make = (name, properties = {}, ...children) => {
    const { style, ...rest } = properties, node = document.createElement(name);
    for (const [key, value] of Object.entries(rest)) {
      if (key in node && !key.includes("-")) node[key] = value; else node.setAttribute(key, value);
    }
    Object.assign(node.style, style);
    node.append(...children);
    return node;
  };
  const make = sonimatch.make;

  /* A labelled slider over [0, 1]; `text(x)` is what it shows and says. Arrow keys move a hundredth, with Shift a thousandth. */
  sonimatch.slider = (label, x, text, moved, steps = 1000) => {
    const output = make("output"), range = make("input", { type: "range", min: 0, max: steps, step: 1, "aria-label": label });
    const show = (x) => { range.value = Math.round(x * steps); output.value = text(x); range.setAttribute("aria-valuetext", text(x)); };
    range.addEventListener("input", () => { const x = Number(range.value) / steps; show(x); moved(x); });
    range.addEventListener("keydown", (event) => {
      const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      if (!way || steps < 1000) return;
      event.preventDefault();
      const x = sonimatch.clamp(Number(range.value) / steps + way * (event.shiftKey ? 0.001 : 0.01));
      show(x); moved(x);
    });
    show(x);
    return { node: make("label", { className: "sonimatch-slider" }, make("span", {}, label), range, output), show };
  };
  sonimatch.sliders = (space, theta, moved) =>
    space.names.map((name, i) => {
      const text = (x) => { const t = theta().slice(); t[i] = x; return `${sonimatch.number(sonimatch.toPhysical(space, t)[i])} ${space.unit[i]}`.trim(); };
      return sonimatch.slider(name, theta()[i], text, (x) => moved(i, x));
    });

  /* Which program sounds, folded. */
  sonimatch.origin = (...synths) => make("details", { className: "sonimatch-hash" }, make("summary", {}, synths.map(({ name }) => `${name}.dsp`).join(", ")),
    ...synths.map(({ sha256 }) => make("div", {}, `SHA-256 ${sha256}`)));

  /* Numbers for the eye at once, and for a screen reader when the hand rests. */
  sonimatch.numbers = () => {
    const seen = make("p", { className: "sonimatch-numbers", "aria-hidden": "true" }), said = make("p", { className: "sonimatch-said", "aria-live": "polite" });
    let timer = null;
    return {
      nodes: [seen, said],
      show(text) { seen.textContent = text; clearTimeout(timer); timer = setTimeout(() => { said.textContent = text; }, 600); },
    };
  };

  // ------------------------------------------------------------------------------------------------ drawing
  /* A canvas that fills its column, of `tall` CSS pixels or `tall(width)`; `draw(pen, width, height, colors)` in CSS pixels. */
  sonimatch.canvas = (tall, label, draw) => {
    const node = make("canvas", { role: "img", "aria-label": label });
    let waiting = false;
    const paint = () => {
      waiting = false;
      const width = node.clientWidth, height = typeof tall === "function" ? tall(width) : tall, ratio = window.devicePixelRatio || 1;
      node.style.height = `${height}px`;
      if (!width) return;
      if (node.width !== Math.round(width * ratio)) { node.width = Math.round(width * ratio); node.height = Math.round(height * ratio); }
      const pen = node.getContext("2d"), style = getComputedStyle(node);
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, width, height);
      pen.font = `11px ${style.fontFamily}`;
      draw(pen, width, height, { text: style.color, faint: style.getPropertyValue("--sonimatch-faint"), line: style.getPropertyValue("--sonimatch-line"), accent: style.getPropertyValue("--sonimatch-accent") });
    };
    const repaint = () => { if (!waiting) { waiting = true; requestAnimationFrame(paint); } };
    new ResizeObserver(repaint).observe(node);
    addEventListener("beforeprint", paint); // paper is light
    const themes = new MutationObserver(repaint); // of the book, and of JupyterLab
    themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "data-mode"] });
    themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name"] });
    return { node, repaint };
  };
  sonimatch.LEFT = 44; sonimatch.BOTTOM = 30;
  /* Axes of a panel from x0 to x1 and y0 to y1 (pixels); ticks as [position 0–1, text]. */
  sonimatch.axes = (pen, box, colors, x, y) => {
    pen.strokeStyle = colors.faint; pen.fillStyle = colors.text; pen.lineWidth = 1;
    pen.strokeRect(box.x + 0.5, box.y + 0.5, box.width - 1, box.height - 1);
    pen.textAlign = "center"; pen.textBaseline = "top";
    for (const [at, text] of x.ticks) pen.fillText(text, box.x + at * box.width, box.y + box.height + 3);
    pen.fillText(x.label, box.x + box.width / 2, box.y + box.height + 16);
    pen.textAlign = "right"; pen.textBaseline = "middle";
    for (const [at, text] of y.ticks) pen.fillText(text, box.x - 4, box.y + (1 - at) * box.height);
    pen.save();
    pen.translate(7, box.y + box.height / 2); pen.rotate(-Math.PI / 2); pen.textAlign = "center";
    pen.fillText(y.label, 0, 0);
    pen.restore();
  };
  sonimatch.ticks = (low, high, count = 4) => {
    const raw = (high - low) / count, base = 10 ** Math.floor(Math.log10(raw)), step = base * [1, 2, 5, 10].find((m) => m * base >= raw);
    const found = [];
    for (let x = Math.ceil(low / step) * step; x <= high + step * 1e-9; x += step) found.push([(x - low) / (high - low), sonimatch.number(Math.abs(x) < step * 1e-9 ? 0 : x)]);
    return found;
  };

  /* Colors of a value from 0 to 1, in 256 steps between stops of matplotlib's maps: `[r, g, b, 255]`. */
  const map = (...stops) => {
    const steps = Array.from({ length: 256 }, (_, n) => {
      const at = (n / 255) * (stops.length - 1), i = Math.min(Math.floor(at), stops.length - 2), w = at - i;
      return [16, 8, 0].map((s) => (1 - w) * ((stops[i] >> s) & 255) + w * ((stops[i + 1] >> s) & 255)).concat(255);
    });
    return (x) => steps[Math.round(255 * sonimatch.clamp(x))];
  };
  sonimatch.magma = map(0x000004, 0x1c1044, 0x4f127b, 0x812581, 0xb5367a, 0xe55064, 0xfb8761, 0xfec287, 0xfcfdbf);
  sonimatch.viridis = map(0x440154, 0x472d7b, 0x3b528b, 0x2c728e, 0x21918c, 0x28ae80, 0x5ec962, 0xaddc30, 0xfde725);

  // ------------------------------------------------------------------------------------------------ page and kernel
  /* What anywidget calls for a view; it calls what comes back at the end. In JupyterLab the keys are the element's own but
     for those that run a cell or go with Ctrl: shortcuts of one letter would change the cell around it, or delete it. */
  sonimatch.live = (name) => async ({ model, el }) => {
    const keys = ({ target, key, ctrlKey, metaKey, shiftKey, altKey }) => {
      const theirs = ctrlKey || metaKey || (key === "Enter" && (shiftKey || altKey));
      if (el.contains(target)) target.toggleAttribute("data-lm-suppress-shortcuts", !theirs);
    };
    window.addEventListener("keydown", keys, true);
    el.classList.add("sonimatch");
    await sonimatch.elements[name](model, el);
    return () => {
      window.removeEventListener("keydown", keys, true);
      if (sonimatch.sound.playing === el) sonimatch.sound.stop();
    };
  };
})();
