/* The metric of features over two parameters: a field of ellipses, one under the hand, and the sounds at the ends of its axes. */
sonimatch.elements.MetricExplorer = async (model, el) => {
  const { make, axes, clamp, number, disc, LEFT, BOTTOM } = sonimatch, data = model.get("data");
  const synth = await sonimatch.synth(data.program), space = synth.space, { id, parameters, grid, step } = data, [FIRST, SECOND] = parameters;
  const num = grid.length, range = grid[num - 1] - grid[0], ENDS = ["long", "short"], DECADES = 4;
  const maps = data.maps.map((each) => {
    const [M, directions, distance] = [each.M, each.axes, each.distance].map(sonimatch.floats);
    const values = Array.from({ length: num * num }, (_, n) => {
      const [a, b, c] = M.subarray(3 * n, 3 * n + 3), half = Math.hypot((a - c) / 2, b);
      return [Math.max((a + c) / 2 - half, 0), (a + c) / 2 + half];
    });
    return { ...each, directions, distance, values, most: Math.max(...values.map(([, large]) => large)) };
  });

  // ------------------------------------------------------------------------------------------------ state
  /* The point stands where the metrics are known, so that every number shown is a computed one. */
  const nth = (x) => Math.round(clamp((x - grid[0]) / range) * (num - 1)), snap = (x) => grid[nth(x)];
  const along = (point, i, x) => point.map((t, k) => (k === i ? x : t));
  const cube = (i, value) => sonimatch.toUnit(space, along(space.low, i, value))[i];
  const shared = sonimatch.recall(id, 4), linked = shared !== null;
  let theta = model.get("theta").slice(), damping = linked ? clamp(shared[3]) : 0; // where the slider of λ stands, 0 to 1
  if (linked) parameters.forEach((i, k) => { theta[i] = snap(cube(i, shared[k])); });
  const title = (i) => sonimatch.titled(space, i), lambda = (map, x = damping) => (x ? map.most * 10 ** (DECADES * (x - 1)) : 0);
  const here = () => nth(theta[FIRST]) * num + nth(theta[SECOND]);
  const look = (map, at = here()) => {
    const [u, v, w, z] = map.directions.subarray(4 * at, 4 * at + 4), values = map.values[at], damped = values.map((value) => value + lambda(map));
    return { values, directions: [[u, v], [w, z]], halves: damped.map((value) => map.radius / Math.sqrt(value)), ratio: Math.sqrt(damped[1] / damped[0]), distance: [...map.distance.subarray(2 * at, 2 * at + 2)] };
  };
  /* The ellipse of a stored point, around the origin, in the unit square. */
  const ellipse = (map, at) => {
    const { directions: [long, short], halves } = look(map, at);
    return Array.from({ length: 65 }, (_, k) => {
      const [p, q] = [halves[0] * Math.cos((k * Math.PI) / 32), halves[1] * Math.sin((k * Math.PI) / 32)];
      return [p * long[0] + q * short[0], p * long[1] + q * short[1]];
    });
  };
  /* The setting a step away along an axis of the map that is shown. */
  const end = (k) => {
    const way = look(maps[atlas.shown()]).directions[k];
    return theta.map((t, i) => (parameters.includes(i) ? t + step * way[parameters.indexOf(i)] : t));
  };

  // ------------------------------------------------------------------------------------------------ drawing
  const place = (box, x, y) => [box.x + x * box.width, box.y + (1 - y) * box.height];
  const inner = (width, height) => ({ x: LEFT, y: 20, width: width - LEFT - 18, height: height - BOTTOM - 20 });
  const line = (pen, points) => { pen.beginPath(); points.forEach((point) => pen.lineTo(...point)); };
  const side = (i) => ({ label: title(i), ticks: sonimatch.unitTicks(space, i, 0, 4).map(([u, text]) => [u, isNaN(text) ? text : number(Number(text), 3)]) });
  const around = (box, x, y, points) => points.map(([u, v]) => place(box, x + u, y + v));
  const atlas = sonimatch.atlas(maps, linked && maps[shared[2]] ? shared[2] : 0, (k) => `ellipses of ${maps[k].name} over ${title(FIRST)} and ${title(SECOND)}; arrow keys move the point`, (k, pen, width, height, colors, large) => {
    const map = maps[k], every = large ? 2 : 4, box = large ? sonimatch.inside(pen, width, height, colors, map.name, map.color, 18) : { x: 0, y: 0, width, height };
    if (large) axes(pen, box, colors, side(FIRST), side(SECOND));
    else { pen.strokeStyle = colors.faint; pen.strokeRect(0.5, 0.5, width - 1, height - 1); }
    pen.save();
    pen.beginPath(); pen.rect(box.x, box.y, box.width, box.height); pen.clip();
    pen.strokeStyle = colors.faint; pen.lineWidth = 1;
    for (let i = 0; i < num; i += every) for (let j = 0; j < num; j += every) { line(pen, around(box, grid[i], grid[j], ellipse(map, i * num + j))); pen.stroke(); }
    line(pen, around(box, theta[FIRST], theta[SECOND], ellipse(map, here())));
    pen.fillStyle = pen.strokeStyle = map.color; pen.lineWidth = 2.5;
    pen.globalAlpha = 0.25; pen.fill(); pen.globalAlpha = 1; pen.stroke();
    pen.restore();
    const { directions } = look(map), point = place(box, theta[FIRST], theta[SECOND]);
    if (large) ENDS.forEach((name, n) => {
      const [u, v] = directions[n], [x, y] = place(box, theta[FIRST] + step * u, theta[SECOND] + step * v);
      line(pen, [point, [x, y]]); pen.strokeStyle = colors.text; pen.lineWidth = 1.2; pen.stroke();
      disc(pen, [x, y], 4, map.color, colors.text);
      const inwards = x < box.x + box.width / 2 ? 1 : -1;
      pen.fillStyle = colors.text; pen.textAlign = inwards > 0 ? "left" : "right"; pen.textBaseline = "middle";
      pen.fillText(name, x + 8 * inwards, Math.max(box.y + 8, y - (Math.abs(v) > 0.7 ? 0 : 8)));
    });
    disc(pen, point, large ? 6 : 4, "white", "black");
  }, (k) => { el.dataset.shown = maps[k].name; damp.show(damping); update(); keep(); transport.changed(); });
  atlas.large.setAttribute("role", "application");
  atlas.large.tabIndex = 0;

  // ------------------------------------------------------------------------------------------------ numbers
  const heads = ["feature", "eigenvalues", "axes", "heard: long", "short"], cells = maps.map(() => heads.slice(1).map(() => make("td")));
  const table = sonimatch.table(heads, maps.map(({ name, color }, k) => ({ controls: [], name, color, cells: cells[k] })));
  const numbers = sonimatch.numbers();
  const update = () => {
    const said = maps.map((map, k) => {
      const { values, ratio, distance } = look(map), [small, large] = values.map((value) => number(value, 3)), [far, near] = distance.map((value) => number(value, 3));
      [`${small}, ${large}`, `${number(ratio, 3)} : 1`, far, near].forEach((text, j) => { cells[k][j].textContent = text; });
      return `${map.name}: eigenvalues ${small} and ${large}, axes ${number(ratio, 3)} to 1, heard ${far} at the long end and ${near} at the short end`;
    });
    numbers.show([sonimatch.setting(space, theta), ...said].join("; "));
    Object.assign(el.dataset, { theta: theta.join(","), damping: String(damping) });
  };

  // ------------------------------------------------------------------------------------------------ the hand
  const transport = sonimatch.transport(el, synth, { "this setting": () => synth.render(theta), "long axis": () => synth.render(end(0)), "short axis": () => synth.render(end(1)) });
  const tell = () => { model.set("theta", theta.slice()); model.save_changes(); };
  const keep = () => sonimatch.remember(id, [...parameters.map((i) => sonimatch.toPhysical(space, theta)[i]), atlas.shown(), damping]);
  let pending = false;
  const moved = () => {
    if (!pending) {
      pending = true;
      requestAnimationFrame(() => { pending = false; update(); transport.changed(); keep(); tell(); });
    }
    atlas.repaint();
  };
  const sliders = parameters.map((i) => {
    const at = (u) => grid[Math.round(u * (num - 1))], text = (u) => `${number(sonimatch.toPhysical(space, along(theta, i, at(u)))[i])} ${space.unit[i]}`.trim();
    const { node, show } = sonimatch.slider(space.names[i], nth(theta[i]) / (num - 1), text, (u) => { theta[i] = at(u); moved(); }, num - 1);
    return { node, show: () => show(nth(theta[i]) / (num - 1)) };
  });
  const damp = sonimatch.slider("damping λ", damping, (x) => number(lambda(maps[atlas.shown()], x), 3), (x) => { damping = x; moved(); }, 100);
  const move = (x, y) => {
    const to = [x, y].map(snap);
    if (to.every((each, k) => each === theta[parameters[k]])) return;
    to.forEach((each, k) => { theta[parameters[k]] = each; sliders[k].show(); });
    moved();
  };
  const large = () => inner(atlas.large.clientWidth, atlas.large.clientHeight), KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
  sonimatch.hand(atlas.large, () => place(large(), theta[FIRST], theta[SECOND]), (px, py) => {
    const box = large();
    move((px - box.x) / box.width, 1 - (py - box.y) / box.height);
  });
  atlas.large.addEventListener("keydown", (event) => {
    const way = KEYS[event.key];
    if (!way) return;
    event.preventDefault();
    move(...parameters.map((i, k) => theta[i] + (way[k] * range) / (num - 1)));
  });
  atlas.large.style.cursor = "crosshair";
  model.on("change:theta", () => {
    const now = model.get("theta");
    if (now.every((x, i) => Math.abs(x - theta[i]) < 1e-9)) return;
    theta = now.slice();
    sliders.forEach((slider) => slider.show());
    update(); atlas.repaint(); transport.changed();
  });

  el.append(make("div", { className: "sonimatch-panel", role: "group", "aria-label": `${synth.name}: the metric over ${space.names[FIRST]} and ${space.names[SECOND]}` },
    ...atlas.nodes, ...sliders.map((slider) => slider.node), damp.node, table, numbers.nodes[1], transport.node,
    sonimatch.origin(synth)));
  el.sonimatch = { theta: () => theta, end, sound: () => synth.render(theta), synth, look: () => maps.map((map) => ({ ...look(map), lambda: lambda(map), ellipse: ellipse(map, here()) })) };
  el.dataset.shown = maps[atlas.shown()].name;
  update();
  if (linked) tell();
};
