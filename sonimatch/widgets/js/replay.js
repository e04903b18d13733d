/* A stored match, step by step: where each search is, what it sees, and how it sounds. */

sonimatch.elements.Replay = async (model, el) => {
  const { make, canvas, axes, number, trace, disc, cross, LEFT, BOTTOM } = sonimatch, data = model.get("data");
  const synth = await sonimatch.synth(data.program), space = synth.space, P = space.names.length, { id, every, target } = data;
  const last = Math.max(...data.trials.map((trial) => trial.last));
  const trials = data.trials.map((trial) => {
    const flat = sonimatch.floats(trial.theta), value = sonimatch.floats(trial.value), norm = sonimatch.floats(trial.grad_norm);
    const theta = Array.from(value, (_, k) => Array.from(flat.subarray(k * P, (k + 1) * P)));
    const steps = theta.map((_, k) => Math.min(k * every, trial.last));
    const index = (step) => (step >= trial.last ? steps.length - 1 : Math.floor(step / every));
    /* Where the marker is between two entries. */
    const between = (series, place) => {
      const k = index(place), next = Math.min(k + 1, steps.length - 1), w = next > k ? (place - steps[k]) / (steps[next] - steps[k]) : 0;
      return Array.isArray(series[k]) ? series[k].map((x, i) => (1 - w) * x + w * series[next][i]) : w ? (1 - w) * series[k] + w * series[next] : series[k];
    };
    const map = data.maps[trial.name], surface = map && sonimatch.floats(map.value);
    return { ...trial, theta, value, norm, steps, index, between, surface, picture: surface && P === 2 ? sonimatch.heat(surface, ...map.shape) : null };
  });
  const out = Math.max(0, ...trials.flatMap((trial) => trial.theta.flat().map((x) => Math.max(-x, x - 1))));
  const margin = out > 0 ? Math.min(0.25, out + 0.03) : 0;
  const snap = (step) => (step >= last ? last : Math.floor(Math.max(0, step) / every) * every);

  const shared = sonimatch.recall(id, 2), known = shared !== null;
  let place = snap(known ? Math.round(shared[0]) : model.get("step") ?? 0), step = place;
  let heard = known ? trials[Math.round(shared[1])] : trials.find((trial) => trial.name === model.get("trial"));
  heard ||= trials[0];
  const here = (trial = heard) => trial.theta[trial.index(step)];
  const distance = (trial) => here(trial).reduce((sum, x, i) => sum + Math.abs(x - target[i]), 0) / P;
  const named = (i) => sonimatch.titled(space, i);

  // ---------------------------------------------------------------------------------------------- where it is
  const scaled = (series) => {
    const known = series.filter(isFinite), low = known.reduce((a, b) => Math.min(a, b), Infinity), high = known.reduce((a, b) => Math.max(a, b), -Infinity);
    return (x) => (x - low) / (high - low || 1);
  };
  const tall = trials.length > 2 ? 210 : 260;
  const maps = P > 2 ? [] : trials.map((trial) => {
    const scale = scaled(trial.surface && P === 1 ? Float32Array.of(...trial.surface, ...trial.value) : trial.value);
    const node = canvas(tall, `path of ${trial.name}`, (pen, width, height, colors) => {
      const picture = Boolean(trial.picture), line = picture ? "white" : trial.color, box = sonimatch.inside(pen, width, height, colors, trial.name, trial.color);
      let at, points;
      if (P === 2) {
        ({ at } = sonimatch.plane(pen, box, colors, space, margin, trial.picture));
        points = trial.theta.map(at);
      } else {
        at = ([u, y]) => [box.x + (box.width * (sonimatch.clamp(u, -margin, 1 + margin) + margin)) / (1 + 2 * margin), box.y + box.height * (0.96 - 0.92 * y)];
        axes(pen, box, colors, { label: named(0), ticks: sonimatch.unitTicks(space, 0, margin, 3) }, { label: "loss, scaled", ticks: [] });
        if (trial.surface) trace(pen, Array.from(trial.surface, (x, k) => at([k / (trial.surface.length - 1), scale(x)])), colors.faint, 1);
        trace(pen, [at([target[0], 0]), at([target[0], 1])], "#d62728", 1);
        points = trial.theta.map(([u], k) => at([u, scale(trial.value[k])]));
      }
      const now = trial.between(points, place);
      pen.globalAlpha = 0.5;
      trace(pen, points, line, 1);
      pen.globalAlpha = 1;
      trace(pen, [...points.slice(0, trial.index(place) + 1), now], line, trial === heard ? 2.2 : 1.5, picture);
      disc(pen, points[0], 3.5, "transparent", line);
      if (P === 2) cross(pen, at(target));
      disc(pen, now, 5, trial.color, picture ? "white" : colors.text);
    });
    return node;
  });

  // ---------------------------------------------------------------------------------------------- what it sees
  const RIGHT = 12; // half of the last tick's text
  const panel = (label, ticks, level, goal, short = label) => {
    const view = canvas(120, `${label} over the steps`, (pen, width, height, colors) => {
      const box = { x: LEFT, y: 6, width: width - LEFT - RIGHT, height: height - BOTTOM - 6 };
      const at = (s, y) => [box.x + (box.width * s) / last, box.y + box.height * (1 - sonimatch.clamp(y))];
      axes(pen, box, colors, { label: "step", ticks: sonimatch.ticks(0, last, 3) }, { label: short, ticks: ticks() });
      if (goal !== undefined) { pen.setLineDash([4, 3]); trace(pen, [at(0, goal), at(last, goal)], "#d62728", 1); pen.setLineDash([]); }
      trace(pen, [at(place, 0), at(place, 1)], colors.faint, 1);
      for (const trial of [...trials.filter((each) => each !== heard), heard]) {
        const levels = trial.theta.map((_, k) => level(trial, k));
        trace(pen, levels.map((y, k) => at(trial.steps[k], y)), trial.color, trial === heard ? 2 : 1);
        disc(pen, at(Math.min(place, trial.last), trial.between(levels, place)), 3, trial.color, colors.text);
      }
    });
    const wide = () => view.node.clientWidth - LEFT - RIGHT;
    sonimatch.hand(view.node, (x, y) => [LEFT + (wide() * place) / last, y], (x) => go(Math.round(sonimatch.clamp((x - LEFT) / wide()) * last)), "pan-y");
    return view;
  };
  const scales = new Map(trials.map((trial) => [trial, scaled(trial.value)]));
  /* The gradient norms in powers of ten below the largest of the search: losses have units of their own. */
  const powers = new Map(trials.map((trial) => {
    const known = trial.norm.filter((x) => isFinite(x) && x > 0), most = known.reduce((a, b) => Math.max(a, b), known[0] ?? 1);
    return [trial, Array.from(trial.norm, (x) => Math.log10(Math.max(x, 1e-30) / most))];
  }));
  const bottom = Math.min(-1, Math.floor([...powers.values()].flat().filter((p) => p > -8).reduce((a, b) => Math.min(a, b), 0)));
  const panels = [
    panel("loss, scaled", () => [[0, "0"], [1, "1"]], (trial, k) => scales.get(trial)(trial.value[k])),
    panel("gradient, scaled", () => [[0, `1e−${-bottom}`], [1, "1"]], (trial, k) => 1 - powers.get(trial)[k] / bottom, undefined, "∇, scaled"),
    ...space.names.map((_, i) => panel(named(i), () => sonimatch.unitTicks(space, i, margin, 3),
      (trial, k) => (trial.theta[k][i] + margin) / (1 + 2 * margin), (target[i] + margin) / (1 + 2 * margin))),
  ];

  // ---------------------------------------------------------------------------------------------- the table
  const group = `${id} ${Math.random()}`;
  const rows = trials.map((trial) => {
    const choose = make("input", { type: "radio", name: group, "aria-label": `hear ${trial.name}` });
    choose.addEventListener("change", () => { heard = trial; changed(); });
    return { trial, choose, controls: [choose], name: trial.name, color: trial.color, cells: ["", "", ""].map(() => make("td")) };
  });
  const table = sonimatch.table(["hear", "search", "loss", "gradient norm", "P-loss"], rows);
  const transport = sonimatch.transport(el, synth, { "this step": () => synth.render(here()), target: () => synth.render(target) });
  const numbers = sonimatch.numbers(), positions = Math.ceil(last / every);
  const slider = sonimatch.slider("step", 0, (x) => `${snap(Math.round(x * positions) * every)} of ${last}`, (x) => go(Math.round(x * positions) * every), positions);

  // ---------------------------------------------------------------------------------------------- how it moves
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)"), SECONDS = 8;
  const button = make("button", { type: "button" });
  let walk = null;
  const mark = () => { button.textContent = walk ? "❚❚ pause" : "▶ walk through the steps"; button.setAttribute("aria-pressed", Boolean(walk)); };
  const rest = () => { if (walk) transport.letGo(); walk = null; mark(); };
  const frame = (now) => {
    if (!walk) return;
    walk.began ??= now;
    const stride = calm.matches ? last / (2 * SECONDS) : 0, raw = walk.from + ((now - walk.began) / 1000 / SECONDS) * last;
    const at = Math.min(last, stride ? snap(Math.floor(raw / stride) * stride) : raw);
    if (at !== place) show(at);
    if (raw >= last) { show(last); rest(); } else requestAnimationFrame(frame);
  };
  button.addEventListener("click", () => {
    if (walk) return rest();
    walk = { from: place >= last ? 0 : place };
    show(walk.from);
    transport.hold("this step");
    mark();
    requestAnimationFrame(frame);
  });

  const write = () => {
    for (const { trial, choose, cells } of rows) {
      const k = trial.index(step);
      choose.checked = trial === heard;
      [trial.value[k], trial.norm[k], distance(trial)].forEach((x, i) => { cells[i].textContent = number(x, 3); });
    }
    const k = heard.index(step), outside = here().some((x) => x < 0 || x > 1) ? ", out of range" : "";
    numbers.show(`step ${step} of ${last}, ${heard.name}: ${sonimatch.setting(space, here())}${outside}; loss ${number(heard.value[k])}, gradient norm ${number(heard.norm[k])}, P-loss ${number(distance(heard))}`);
    Object.assign(el.dataset, { step, trial: heard.name, theta: here().join(",") });
  };
  let pending = false;
  const tell = () => {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      sonimatch.remember(id, [step, trials.indexOf(heard)]);
      for (const [name, now] of [["step", step], ["trial", heard.name], ["theta", here().slice()]]) model.set(name, now);
      model.save_changes();
    });
  };
  const repaint = () => [...maps, ...panels].forEach((each) => each.repaint());
  const changed = () => { write(); repaint(); tell(); transport.changed(); };
  const show = (at) => {
    place = at;
    const now = snap(Math.floor(at));
    if (now === step) return repaint();
    step = now;
    slider.show(Math.ceil(step / every) / positions);
    changed();
  };
  const go = (at) => { rest(); show(snap(at)); };

  // ---------------------------------------------------------------------------------------------- with a kernel
  model.on("change:step", () => { if (model.get("step") !== step) go(model.get("step")); });
  model.on("change:trial", () => {
    const found = trials.find((trial) => trial.name === model.get("trial"));
    if (found && found !== heard) { heard = found; changed(); }
  });
  model.on("change:theta", () => {
    const now = model.get("theta"), far = (theta) => theta.reduce((sum, x, i) => sum + (x - now[i]) ** 2, 0);
    if (far(here()) < 1e-12) return;
    const nearest = heard.theta.reduce((best, theta, k) => (far(theta) < far(heard.theta[best]) ? k : best), 0);
    go(Math.ceil(heard.steps[nearest] / every) * every);
  });

  el.append(make("div", { className: "sonimatch-panel", role: "group", "aria-label": `${synth.name}: a search, step by step` },
    ...(maps.length ? [sonimatch.beside(maps.map((each) => each.node), 420)] : []), slider.node, transport.node,
    ...numbers.nodes, table, sonimatch.beside(panels.map((each) => each.node), 420),
    sonimatch.origin(synth)));
  transport.node.prepend(button);
  slider.show(Math.ceil(step / every) / positions);
  mark(); write();
  el.sonimatch = { synth, trials, step: () => step, place: () => place, trial: () => heard.name, theta: () => here().slice(), sound: () => synth.render(here()), walking: () => Boolean(walk) };
};
