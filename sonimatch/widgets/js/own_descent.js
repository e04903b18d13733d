/* A descent of one's own on interpolated landscapes: where it starts, by which rule, and where it ends. */

sonimatch.elements.OwnDescent = async (model, el) => {
  const { make, number, clamp, trace, disc, cross } = sonimatch, data = model.get("data");
  const synth = await sonimatch.synth(data.program), space = synth.space, { id, target, steps } = data, MARGIN = 0.15;
  const losses = data.losses.map((loss) => {
    const value = sonimatch.floats(loss.value), gradient = loss.gradient.map(sonimatch.floats);
    return { ...loss, value, gradient, picture: sonimatch.heat(value, ...loss.shape), shown: true, path: [], arrives: null, paths: [], key: "" };
  });
  const flat = sonimatch.floats(data.starts), starts = Array.from({ length: flat.length / 2 }, (_, k) => [flat[2 * k], flat[2 * k + 1]]);
  const RULES = ["GradientDescent", "RMSProp"], trait = (name, otherwise) => { const x = model.get(name); return x === undefined ? otherwise : x; };
  const read = () => ({
    rule: trait("rule", "RMSProp"), learning_rate: trait("learning_rate", 0.045), clip_norm: trait("clip_norm", 1),
    momentum: trait("momentum", 0), bounded: trait("bounded", false),
  });
  let theta = model.get("theta").slice(), set = read(), norm = set.clip_norm ?? 1, many = false, heard = losses[0];
  const shared = sonimatch.recall(id, 9);
  if (shared) {
    theta = sonimatch.toUnit(space, shared.slice(0, 2));
    const [rule, rate, clip, momentum, bounded, mask, random] = shared.slice(2);
    set = { rule: RULES[rule] ?? set.rule, learning_rate: clamp(rate, 0.001, 0.5), clip_norm: clip > 0 ? clamp(clip, 0.01, 10) : null, momentum: clamp(momentum, 0, 0.99), bounded: bounded > 0 };
    norm = set.clip_norm ?? norm; many = random > 0;
    losses.forEach((loss, i) => { loss.shown = Boolean((mask >> i) & 1); });
  }

  // ---------------------------------------------------------------------------------------------- the descent
  const DECAY = 0.9, EPS = 1e-8;
  const slope = ({ gradient, value, shape }, theta) => {
    const inside = theta.map((x) => clamp(x)), at = (grid) => sonimatch.bilinear(grid, ...shape, ...inside);
    const g = gradient.map((grid, i) => (inside[i] === theta[i] ? at(grid) / 2 : 0));
    return isFinite(at(value)) && g.every(isFinite) ? g : [0, 0];
  };
  const descend = (loss, start) => {
    let nu = start.map((x) => 2 * x - 1), mean = [0, 0], move = [0, 0];
    const path = [start.slice()];
    for (let k = 0; k < steps; k++) {
      let g = slope(loss, nu.map((x) => (x + 1) / 2));
      if (set.clip_norm !== null) { const over = Math.max(1, Math.sqrt(g[0] * g[0] + g[1] * g[1]) / set.clip_norm); g = g.map((x) => x / over); }
      if (set.rule === "RMSProp") {
        mean = mean.map((m, i) => DECAY * m + (1 - DECAY) * (g[i] * g[i]));
        g = g.map((x, i) => x / Math.sqrt(mean[i] + EPS));
      }
      move = move.map((m, i) => g[i] + set.momentum * m);
      nu = nu.map((x, i) => (set.bounded ? clamp(x - set.learning_rate * move[i], -1, 1) : x - set.learning_rate * move[i]));
      path.push(nu.map((x) => (x + 1) / 2));
    }
    return path;
  };
  const distance = (theta) => theta.reduce((sum, x, i) => sum + Math.abs(x - target[i]), 0) / theta.length;
  const end = (path) => path[path.length - 1], arrives = (path) => distance(end(path)) <= data.arrived;
  const run = () => losses.forEach((loss) => {
    loss.path = descend(loss, theta);
    loss.arrives = arrives(loss.path);
    const key = many && loss.shown ? JSON.stringify(set) : "";
    if (key !== loss.key) Object.assign(loss, { key, paths: key ? starts.map((start) => descend(loss, start)) : [] });
  });

  // ---------------------------------------------------------------------------------------------- the maps
  let plane = null; // of the large map
  const atlas = sonimatch.atlas(losses, 0, (k) => `${losses[k].name}: the path from the start; the sliders below move the start`, (k, pen, width, height, colors, large) => {
    const loss = losses[k], box = large ? sonimatch.inside(pen, width, height, colors, loss.name, loss.color, 18) : { x: 0, y: 0, width, height };
    const here = sonimatch.plane(pen, box, colors, large && space, MARGIN, loss.picture);
    if (large) plane = here;
    for (const path of loss.paths) {
      pen.globalAlpha = 0.45;
      trace(pen, path.map(here.at), "white", 0.7);
      pen.globalAlpha = 1;
      disc(pen, here.at(end(path)), 2.5, arrives(path) ? "white" : "black", "white");
    }
    const points = loss.path.map(here.at);
    trace(pen, points, "white", 2, true);
    cross(pen, here.at(target));
    disc(pen, points[0], 6, "transparent", "black"); disc(pen, points[0], 5, "transparent", "white");
    disc(pen, end(points), 5, loss.color, "white");
  }, (k) => { el.dataset.loss = losses[k].name; });
  sonimatch.hand(atlas.large, (x, y) => (plane ? plane.at(theta) : [x, y]), (x, y) => { if (plane) moved(plane.of(x, y)); });
  atlas.large.style.cursor = "crosshair";

  // ---------------------------------------------------------------------------------------------- the settings
  const log = (low, high) => ({ to: (x) => low * (high / low) ** x, from: (value) => Math.log(value / low) / Math.log(high / low) });
  const rates = log(0.001, 0.5), norms = log(0.01, 10);
  const choose = (name, x) => { set = { ...set, [name]: x }; changed(); };
  const tick = (label, changes) => {
    const input = make("input", { type: "checkbox" });
    input.addEventListener("change", () => changes(input.checked));
    return { input, node: make("label", {}, input, ` ${label}`) };
  };
  const rule = make("select", { "aria-label": "rule" }, make("option", { value: RULES[0] }, "gradient descent"), make("option", { value: RULES[1] }, "RMSProp"));
  rule.addEventListener("change", () => choose("rule", rule.value));
  const rate = sonimatch.slider("learning rate", 0, (x) => number(rates.to(x)), (x) => choose("learning_rate", rates.to(x)));
  const clip = tick("clip the gradient", (on) => choose("clip_norm", on ? norm : null));
  const length = sonimatch.slider("longest gradient", 0, (x) => number(norms.to(x)), (x) => { norm = norms.to(x); choose("clip_norm", norm); });
  const momentum = sonimatch.slider("momentum", 0, (x) => number(0.99 * x), (x) => choose("momentum", 0.99 * x));
  const bounded = tick("stay in range", (on) => choose("bounded", on));
  const sliders = sonimatch.sliders(space, () => theta, (i, x) => moved(theta.map((old, k) => (k === i ? x : old))));
  const random = make("button", { type: "button", textContent: `from ${starts.length} random starts` });
  random.addEventListener("click", () => { many = !many; changed(); });

  // ---------------------------------------------------------------------------------------------- the outcome
  const group = `${id} ${Math.random()}`;
  const rows = losses.map((loss) => {
    const show = make("input", { type: "checkbox", "aria-label": `show ${loss.name}` }), hear = make("input", { type: "radio", name: group, "aria-label": `hear ${loss.name}` });
    show.addEventListener("change", () => { loss.shown = show.checked; changed(); });
    hear.addEventListener("change", () => { heard = loss; transport.changed(); });
    return { loss, show, hear, controls: [show, hear], name: loss.name, color: loss.color, cells: ["", "", ""].map(() => make("td")) };
  });
  const table = sonimatch.table(["show", "hear", "loss", "P-loss", "arrives", `of ${starts.length}`], rows);
  const transport = sonimatch.transport(el, synth, { start: () => synth.render(theta), end: () => synth.render(end(heard.path)), target: () => synth.render(target) });
  const numbers = sonimatch.numbers(), share = (loss) => loss.paths.filter(arrives).length;
  const write = () => {
    rule.value = set.rule; clip.input.checked = set.clip_norm !== null; bounded.input.checked = set.bounded;
    rate.show(rates.from(set.learning_rate)); length.show(norms.from(norm)); momentum.show(set.momentum / 0.99);
    sliders.forEach((slider, i) => slider.show(theta[i]));
    length.node.querySelector("input").disabled = set.clip_norm === null;
    random.setAttribute("aria-pressed", many);
    rows.forEach(({ loss, show, hear, cells }, i) => {
      show.checked = loss.shown; hear.checked = loss === heard;
      atlas.small[i].style.display = loss.shown ? "" : "none";
      const texts = [number(distance(end(loss.path)), 3), loss.arrives ? "yes" : "no", loss.paths.length ? String(share(loss)) : "–"];
      cells.forEach((cell, k) => { cell.textContent = loss.shown ? texts[k] : "–"; });
    });
    const told = losses.filter((loss) => loss.shown).map((loss) =>
      `${loss.name} ${loss.arrives ? "arrives" : "does not arrive"}, P-loss ${number(distance(end(loss.path)))}${loss.paths.length ? `, from ${share(loss)} of ${starts.length} random starts` : ""}`);
    numbers.show(`from ${sonimatch.setting(space, theta)}: ${told.join("; ") || "no loss is shown"}${many ? "; white dots arrive, black ones do not" : ""}`);
    Object.assign(el.dataset, { theta: theta.join(","), arrives: losses.filter((loss) => loss.shown && loss.arrives).map((loss) => loss.name).join(",") });
  };
  const update = () => { run(); write(); atlas.repaint(); transport.changed(); };
  let pending = false, telling = false;
  const changed = () => {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      update();
      const mask = losses.reduce((sum, loss, i) => sum + (loss.shown ? 1 << i : 0), 0);
      sonimatch.remember(id, [...sonimatch.toPhysical(space, theta), RULES.indexOf(set.rule), set.learning_rate, set.clip_norm ?? 0, set.momentum, Number(set.bounded), mask, Number(many)]);
      telling = true;
      for (const [name, now] of Object.entries({ theta: theta.slice(), ...set })) model.set(name, now);
      telling = false;
      model.save_changes();
    });
  };
  const moved = (to) => { theta = to; changed(); };

  // ---------------------------------------------------------------------------------------------- with a kernel
  const follow = () => {
    if (pending || telling) return;
    const now = model.get("theta"), wanted = read();
    if (now.every((x, i) => Math.abs(x - theta[i]) < 1e-9) && Object.keys(wanted).every((name) => wanted[name] === set[name])) return;
    theta = now.slice(); set = wanted; norm = set.clip_norm ?? norm;
    update();
  };
  for (const name of ["theta", ...Object.keys(set)]) model.on(`change:${name}`, follow);

  el.append(make("div", { className: "sonimatch-panel", role: "group", "aria-label": `${synth.name}: a descent of your own` },
    ...atlas.nodes, ...sliders.map((slider) => slider.node),
    make("div", { className: "sonimatch-transport" }, make("label", {}, "rule ", rule), clip.node, bounded.node, random),
    rate.node, length.node, momentum.node, transport.node, table, ...numbers.nodes,
    sonimatch.origin(synth)));
  update();
  el.sonimatch = {
    synth, losses, theta: () => theta.slice(), settings: () => ({ ...set }), descend, sound: () => synth.render(theta),
    paths: () => Object.fromEntries(losses.map((loss) => [loss.name, loss.path])), share: () => Object.fromEntries(losses.map((loss) => [loss.name, share(loss)])),
  };
};
