/* Searches side by side on an interpolated landscape: where each looks, and what it has found when so much is paid. */

sonimatch.elements.SideBySide = async (model, el) => {
  const { make, canvas, number, clamp, trace, disc, cross, LEFT, BOTTOM } = sonimatch, data = model.get("data");
  const synth = await sonimatch.synth(data.program), space = synth.space, { id, target, most, shape } = data;
  const grid = sonimatch.floats(data.value), gradient = data.gradient.map(sonimatch.floats), picture = sonimatch.heat(grid, ...shape);
  const pairs = (text) => { const flat = sonimatch.floats(text); return Array.from({ length: flat.length / 2 }, (_, k) => [flat[2 * k], flat[2 * k + 1]]); };
  const screen = pairs(data.screen), draws = pairs(data.draws);
  const searches = data.searches.map((search) => ({ ...search, shown: true, points: [], values: [], gaps: [] }));
  const shared = sonimatch.recall(id, 4);
  let theta = shared ? sonimatch.toUnit(space, shared.slice(0, 2)) : model.get("theta").slice();
  let paid = shared ? clamp(Math.round(shared[2]), 1, most) : model.get("evaluations") ?? most;
  let heard = searches[shared ? Math.round(shared[3]) : 0] ?? searches[0];

  // ---------------------------------------------------------------------------------------------- the searches
  const value = (point) => { const x = sonimatch.bilinear(grid, ...shape, ...point.map((u) => clamp(u))); return isFinite(x) ? x : Infinity; };
  const far = (a, b) => Math.max(...a.map((x, i) => Math.abs(x - b[i])));
  /* Nelder and Mead's simplex, as in nelder_mead.py: it asks for `point`, and is told its value. */
  const simplex = (begin, level, edge) => {
    const own = { best: begin, value: level };
    function* walk(edge, tolerance) {
      let points = [own.best, ...own.best.map((x, i) => own.best.map((y, k) => (k === i ? (x + edge <= 1 ? x + edge : x - edge) : y)))];
      let values = [own.value];
      for (const corner of [1, 2]) values[corner] = yield points[corner];
      const size = () => Math.max(...[0, 1].map((i) => Math.max(...points.map((p) => p[i])) - Math.min(...points.map((p) => p[i]))));
      while (size() >= tolerance) {
        const order = [0, 1, 2].sort((a, b) => values[a] - values[b] || a - b);
        points = order.map((k) => points[k]); values = order.map((k) => values[k]);
        const centre = [0, 1].map((i) => (points[0][i] + points[1][i]) / 2), away = centre.map((x, i) => x - points[2][i]);
        const reflected = centre.map((x, i) => clamp(x + away[i])), level = yield reflected;
        if (level < values[0]) {
          const stretched = centre.map((x, i) => clamp(x + 2 * away[i])), further = yield stretched;
          [points[2], values[2]] = further < level ? [stretched, further] : [reflected, level];
        } else if (level < values[1]) [points[2], values[2]] = [reflected, level];
        else {
          const way = level < values[2] ? reflected.map((x, i) => x - centre[i]) : away.map((x) => -x);
          const contracted = centre.map((x, i) => x + 0.5 * way[i]), nearer = yield contracted;
          if (nearer < Math.min(level, values[2])) [points[2], values[2]] = [contracted, nearer];
          else for (const corner of [1, 2]) {
            points[corner] = points[corner].map((x, i) => 0.5 * points[0][i] + 0.5 * x);
            values[corner] = yield points[corner];
          }
        }
      }
    }
    function* walks() {
      for (let side = edge, tolerance = 4e-3; ; side = Math.max(side / 4, 1e-4), tolerance /= 10) yield* walk(side, tolerance);
    }
    const asking = walks();
    own.point = asking.next().value;
    own.tell = (level) => {
      if (level < own.value) [own.best, own.value] = [own.point, level];
      own.point = asking.next(level).value;
    };
    return own;
  };
  /* Race, as in race.py. */
  function* race(begin) {
    const apart = (points, values, count, gap) => {
      const found = [];
      for (const k of points.map((_, i) => i).sort((a, b) => values[a] - values[b] || a - b)) {
        if (found.length < count && found.every((j) => far(points[k], points[j]) >= gap)) found.push(k);
      }
      return found;
    };
    const better = (racers) => [...racers].sort((a, b) => a.value - b.value);
    function* run(racers, rounds) {
      for (const [count, steps] of rounds) {
        racers = better(racers).slice(0, count);
        for (let k = 0; k < steps; k++) {
          const values = yield racers.map((racer) => racer.point);
          racers.forEach((racer, i) => racer.tell(values[i]));
        }
      }
      return better(racers);
    }
    let points = [begin, ...screen], values = yield points;
    let racers = yield* run(apart(points, values, 3, 0.1).map((k) => simplex(points[k], values[k], 0.06)), [[3, 5], [2, 5], [1, 6]]);
    for (;;) {
      for (const [count, width] of [[16, 1], [8, 0.2]]) {
        const [winner] = racers, gap = width / count, all = width === 1;
        points = [0, 1].flatMap((axis) => Array.from({ length: count }, (_, k) => {
          const at = (k + 0.5) * gap - (all ? 0 : width / 2);
          return winner.best.map((x, i) => (i === axis ? (all ? at : at + x) : x));
        })).filter((point) => point.every((x) => x >= 0 && x <= 1));
        values = yield points;
        const away = points.map((_, k) => k).filter((k) => far(points[k], winner.best) >= gap / 2);
        const others = apart(away.map((k) => points[k]), away.map((k) => values[k]), 2, gap).map((k) => away[k]);
        racers = yield* run([winner, ...others.map((k) => simplex(points[k], values[k], Math.min(0.7 * 0.06, gap / 2)))], [[3, 5], [2, 5]]);
      }
      racers = yield* run(racers, [[1, 20]]);
    }
  }
  const asked = (begin) => {
    const heard = [], asking = race(begin);
    for (let batch = asking.next().value; heard.length < most; batch = asking.next(batch.map(value)).value) heard.push(...batch);
    return heard.slice(0, most);
  };
  const descend = (begin, adam) => {
    let nu = begin.map((x) => 2 * x - 1), first = [0, 0], second = [0, 0];
    const path = [begin];
    for (let step = 1; step < Math.floor(most / 3); step++) {
      const inside = nu.map((x) => clamp((x + 1) / 2));
      let g = gradient.map((each, i) => (Math.abs(nu[i]) <= 1 ? sonimatch.bilinear(each, ...shape, ...inside) / 2 : 0));
      if (!g.every(isFinite) || !isFinite(value(inside))) g = [0, 0];
      const over = Math.max(1, Math.sqrt(g[0] * g[0] + g[1] * g[1]));
      g = g.map((x) => x / over);
      let move;
      if (adam) {
        first = first.map((m, i) => 0.9 * m + 0.1 * g[i]); second = second.map((m, i) => 0.999 * m + 0.001 * (g[i] * g[i]));
        move = first.map((m, i) => m / (1 - 0.9 ** step) / (Math.sqrt(second[i] / (1 - 0.999 ** step)) + 1e-8));
      } else {
        second = second.map((m, i) => 0.9 * m + 0.1 * (g[i] * g[i]));
        move = g.map((x, i) => x / Math.sqrt(second[i] + 1e-8));
      }
      nu = nu.map((x, i) => x - 0.045 * move[i]);
      path.push(nu.map((x) => (x + 1) / 2));
    }
    return path;
  };
  const RULES = { Race: asked, RandomSearch: (begin) => [begin, ...draws], RMSProp: (begin) => descend(begin, false), Adam: (begin) => descend(begin, true) };
  const distance = (point) => point.reduce((sum, x, i) => sum + Math.abs(clamp(x) - target[i]), 0) / 2;
  const run = () => {
    for (const search of searches) {
      search.points = RULES[search.name](theta);
      let low = Infinity, best = theta;
      search.best = search.points.map((point) => { const level = value(point); if (level < low) [low, best] = [level, point]; return best; });
      search.gaps = search.best.map(distance);
    }
  };
  const entries = (search) => clamp(Math.floor(paid / search.cost), 1, search.points.length);
  const found = (search) => search.best[entries(search) - 1].map((x) => clamp(x)), gap = (search) => search.gaps[entries(search) - 1];

  // ---------------------------------------------------------------------------------------------- map and curves
  let plane = null;
  const map = canvas((width) => Math.min(width - 12, 460), `${data.loss}: where the searches look; the sliders below move the start`, (pen, width, height, colors) => {
    const box = sonimatch.inside(pen, width, height, colors, data.loss, colors.faint, 18);
    plane = sonimatch.plane(pen, box, colors, space, 0.1, picture);
    for (const search of searches.filter((each) => each.shown)) {
      const points = search.points.slice(0, entries(search)).map(plane.at);
      if (search.cost > 1) trace(pen, points, search.color, 2, true);
      else for (const point of points) disc(pen, point, 2.6, search.color, "rgba(0, 0, 0, 0.5)");
    }
    cross(pen, plane.at(target));
    disc(pen, plane.at(theta), 6, "transparent", "black"); disc(pen, plane.at(theta), 5, "transparent", "white");
    for (const search of searches.filter((each) => each.shown)) disc(pen, plane.at(found(search)), 6, search.color, "black");
  });
  sonimatch.hand(map.node, (x, y) => (plane ? plane.at(theta) : [x, y]), (x, y) => { if (plane) moved(plane.of(x, y)); });
  map.node.style.cursor = "crosshair";
  const BOTTOM_GAP = 1e-4, level = (x) => 1 - Math.log(clamp(x, BOTTOM_GAP, 1)) / Math.log(BOTTOM_GAP);
  const curve = canvas(170, "P-loss of the best so far, over the evaluations", (pen, width, height, colors) => {
    const box = { x: LEFT, y: 6, width: width - LEFT - 12, height: height - BOTTOM - 6 };
    const at = (k, x) => [box.x + (box.width * k) / most, box.y + box.height * (1 - level(x))];
    sonimatch.axes(pen, box, colors, { label: "evaluations", ticks: sonimatch.ticks(0, most, 4) }, { label: "P-loss", ticks: [1e-4, 1e-3, 0.01, 0.1, 1].map((x) => [level(x), number(x)]) });
    pen.setLineDash([4, 3]); trace(pen, [at(0, data.solved), at(most, data.solved)], "#d62728", 1); pen.setLineDash([]);
    trace(pen, [at(paid, 1), at(paid, BOTTOM_GAP)], colors.faint, 1);
    for (const search of searches.filter((each) => each.shown)) {
      trace(pen, search.gaps.flatMap((x, k) => [at((k + 1) * search.cost, x), at(Math.min((k + 2) * search.cost, most), x)]), search.color, search === heard ? 2.4 : 1.4);
      disc(pen, at(paid, gap(search)), 3.5, search.color, colors.text);
    }
  });
  const wide = () => curve.node.clientWidth - LEFT - 12;
  sonimatch.hand(curve.node, (x, y) => [LEFT + (wide() * paid) / most, y], (x) => pay(Math.round(clamp((x - LEFT) / wide()) * most)), "pan-y");

  // ---------------------------------------------------------------------------------------------- controls
  const counter = sonimatch.slider("evaluations", 0, (x) => `${Math.max(1, Math.round(x * most))} of ${most}`, (x) => pay(Math.round(x * most)), most);
  const sliders = sonimatch.sliders(space, () => theta, (i, x) => moved(theta.map((old, k) => (k === i ? x : old))));
  const group = `${id} ${Math.random()}`;
  const rows = searches.map((search) => {
    const show = make("input", { type: "checkbox", checked: true, "aria-label": `show ${search.name}` }), hear = make("input", { type: "radio", name: group, "aria-label": `hear ${search.name}` });
    show.addEventListener("change", () => { search.shown = show.checked; repaint(); });
    hear.addEventListener("change", () => { heard = search; changed(); });
    return { search, hear, controls: [show, hear], name: search.name, color: search.color, cells: ["", "", "", ""].map(() => make("td")) };
  });
  const table = sonimatch.table(["show", "hear", "search", "a step costs", "loss", "P-loss", "solved"], rows);
  const transport = sonimatch.transport(el, synth, { "best so far": () => synth.render(found(heard)), start: () => synth.render(theta), target: () => synth.render(target) });
  const numbers = sonimatch.numbers(), button = make("button", { type: "button" });
  let walk = null;
  const mark = () => { button.textContent = walk ? "❚❚ pause" : "▶ count up"; button.setAttribute("aria-pressed", Boolean(walk)); };
  const frame = (now) => {
    if (!walk) return;
    walk.began ??= now;
    paid = Math.max(1, Math.min(most, Math.floor(walk.from + ((now - walk.began) / 8000) * most)));
    if (paid >= most) walk = null;
    mark(); changed();
    if (walk) requestAnimationFrame(frame);
  };
  button.addEventListener("click", () => {
    walk = walk ? null : { from: paid >= most ? 0 : paid };
    mark();
    if (walk) requestAnimationFrame(frame);
  });
  const write = () => {
    counter.show(paid / most);
    sliders.forEach((slider, i) => slider.show(theta[i]));
    for (const { search, hear, cells } of rows) {
      hear.checked = search === heard;
      [String(search.cost), number(value(found(search)), 3), number(gap(search), 3), gap(search) <= data.solved ? "yes" : "no"].forEach((text, i) => { cells[i].textContent = text; });
    }
    numbers.show(`from ${sonimatch.setting(space, theta)}, ${paid} evaluations: ${searches.map((search) => `${search.name} ${gap(search) <= data.solved ? "has solved it" : "has not"}, P-loss ${number(gap(search), 3)}`).join("; ")}`);
    Object.assign(el.dataset, { theta: theta.join(","), evaluations: paid, solved: searches.filter((search) => gap(search) <= data.solved).map((search) => search.name).join(",") });
  };
  const repaint = () => [map, curve].forEach((each) => each.repaint());
  let pending = false, telling = false;
  const changed = () => {
    write(); repaint(); transport.changed();
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      sonimatch.remember(id, [...sonimatch.toPhysical(space, theta), paid, searches.indexOf(heard)]);
      telling = true;
      model.set("theta", theta.slice()); model.set("evaluations", paid);
      telling = false;
      model.save_changes();
    });
  };
  const pay = (number) => { walk = null; mark(); paid = clamp(number, 1, most); changed(); };
  const moved = (to) => { theta = to.map((x) => clamp(x)); run(); changed(); };

  // ---------------------------------------------------------------------------------------------- with a kernel
  for (const name of ["theta", "evaluations"]) model.on(`change:${name}`, () => {
    if (telling) return;
    const to = model.get("theta"), count = model.get("evaluations");
    if (far(to, theta) > 1e-9) { theta = to.slice(); run(); }
    paid = count; write(); repaint(); transport.changed();
  });

  run();
  el.append(make("div", { className: "sonimatch-panel", role: "group", "aria-label": `${synth.name}: searches side by side` },
    counter.node, make("div", { style: { display: "grid", gap: "0.4rem", alignItems: "end", gridTemplateColumns: "repeat(auto-fit, minmax(min(100%, 300px), 1fr))" } }, map.node, curve.node), transport.node, ...sliders.map((slider) => slider.node), table, ...numbers.nodes, sonimatch.origin(synth)));
  transport.node.prepend(button);
  mark(); write();
  el.sonimatch = { synth, theta: () => theta.slice(), paid: () => paid, sound: () => synth.render(theta),
    paths: () => Object.fromEntries(searches.map((search) => [search.name, search.points])), found: () => Object.fromEntries(searches.map((search) => [search.name, found(search)])) };
};
