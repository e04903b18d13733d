/* The losses over two parameters: one large map, a small one for each, one point on all of them, and its sound. */
sonimatch.elements.LandscapeExplorer = async (model, el) => {
  const { make, axes, clamp, number, arrow, LEFT, BOTTOM } = sonimatch, data = model.get("data");
  const synth = await sonimatch.synth(data.program), space = synth.space, { id, num, parameters } = data, [FIRST, SECOND] = parameters;
  const losses = data.losses.map((loss) => {
    const value = sonimatch.floats(loss.value), finite = value.filter(isFinite), least = Math.min(...finite);
    return { ...loss, value, gradient: loss.gradient.map(sonimatch.floats), least, span: Math.max(...finite) - least || 1 };
  });
  /* A slope that over the whole square would not change the loss by a ten-thousandth of its span is rounding, and so is
     any at the target, where nothing is left of the loss. */
  const level = (loss, gradient) => !(Math.hypot(...gradient) > 1e-4 * loss.span);
  const done = (loss, value) => target !== null && parameters.every((i) => Math.abs(theta[i] - target[i]) < 1e-6) && value - loss.least <= 1e-6 * loss.span;
  const audio = data.audio ? sonimatch.floats(data.audio) : null, target = data.target.length ? data.target : null;

  // ------------------------------------------------------------------------------------------------ state
  const along = (point, i, x) => point.map((t, k) => (k === i ? x : t));
  const cube = (i, value) => sonimatch.toUnit(space, along(space.low, i, value))[i];
  /* The point stands where the losses are known, so that every number shown is a computed one. */
  const snap = (x) => Math.round(clamp(x) * (num - 1)) / (num - 1);
  const shared = sonimatch.recall(id, 3) || sonimatch.recall(id, 2), linked = shared !== null;
  let theta = model.get("theta").slice();
  if (linked) parameters.forEach((i, k) => { theta[i] = snap(cube(i, shared[k])); });
  const begun = linked && losses[shared[2]] ? shared[2] : 0;
  const title = (i) => sonimatch.titled(space, i);
  const look = () => {
    const at = parameters.reduce((row, i) => row * num + Math.round(theta[i] * (num - 1)), 0);
    return losses.map(({ value, gradient }) => ({ value: value[at], gradient: gradient.map((part) => part[at]) }));
  };

  // ------------------------------------------------------------------------------------------------ drawing
  const ticks = (i, count) => sonimatch.unitTicks(space, i, 0, count);
  /* Downhill in the square, as it lies on the map, which is square, too. */
  const downhill = ([u, v]) => [-u, v];
  const place = (box, x, y) => [box.x + x * box.width, box.y + (1 - y) * box.height];
  const inner = (width, height) => ({ x: LEFT, y: 20, width: width - LEFT - 18, height: height - BOTTOM - 20 });
  const pictures = losses.map(({ value }) => sonimatch.heat(value, num, num));
  const picture = (pen, k, box) => pen.drawImage(pictures[k], 0.5, 0.5, num - 1, num - 1, box.x, box.y, box.width, box.height); // a value is at the middle of its pixel

  /* All that stays of the large map while the point moves: arrows at points of the grid, not too close together. */
  const still = (k, width, height, ratio, font, colors) => {
    const node = make("canvas", { width: Math.round(width * ratio), height: Math.round(height * ratio) }), pen = node.getContext("2d"), loss = losses[k];
    pen.scale(ratio, ratio);
    pen.font = font;
    const box = sonimatch.inside(pen, width, height, colors, loss.name, loss.color, 18), every = Math.ceil((26 * (num - 1)) / box.width);
    picture(pen, k, box);
    axes(pen, box, colors, { label: title(FIRST), ticks: ticks(FIRST, box.width < 180 ? 2 : 4) }, { label: title(SECOND), ticks: ticks(SECOND, 4) });
    pen.save();
    pen.beginPath(); pen.rect(box.x, box.y, box.width, box.height); pen.clip();
    for (let i = 0; i < num; i += every) for (let j = 0; j < num; j += every) {
      const gradient = loss.gradient.map((part) => part[i * num + j]), [dx, dy] = downhill(gradient), size = Math.hypot(dx, dy) || 1, [px, py] = place(box, i / (num - 1), j / (num - 1));
      if (!level(loss, gradient)) arrow(pen, [px - (dx / size) * 8, py - (dy / size) * 8], dx, dy, 16);
    }
    pen.restore();
    if (target) sonimatch.cross(pen, place(box, target[FIRST], target[SECOND]));
    return node;
  };
  let spent = 0, layer = null, key = "";
  const atlas = sonimatch.atlas(losses, begun, (k) => `${losses[k].name} over ${title(FIRST)} and ${title(SECOND)}; arrow keys move the point`, (k, pen, width, height, colors, large) => {
    const started = performance.now(), ratio = window.devicePixelRatio || 1, now = [k, width, ratio, colors.text, colors.faint].join();
    const box = large ? inner(width, height) : { x: 0, y: 0, width, height }, point = place(box, theta[FIRST], theta[SECOND]), { gradient, value } = look()[k];
    if (large && now !== key) { layer = still(k, width, height, ratio, pen.font, colors); key = now; }
    if (large) pen.drawImage(layer, 0, 0, width, height); else picture(pen, k, box);
    if (!large && target) sonimatch.cross(pen, place(box, target[FIRST], target[SECOND]));
    if (!level(losses[k], gradient) && !done(losses[k], value)) arrow(pen, point, ...downhill(gradient), large ? 34 : 22);
    sonimatch.disc(pen, point, large ? 6 : 4, "white", "black");
    spent += performance.now() - started;
    el.dataset.paint = spent.toFixed(2);
  }, (k) => { el.dataset.loss = losses[k].name; keep(); });
  atlas.large.setAttribute("role", "application");
  atlas.large.tabIndex = 0;

  // ------------------------------------------------------------------------------------------------ numbers
  const heads = ["loss", "value", ...parameters.map((i) => `∂ ${space.names[i]}`), ...(target ? ["off target"] : [])], cells = losses.map(() => heads.slice(1).map(() => make("td")));
  const table = sonimatch.table(heads, losses.map(({ name, color }, k) => ({ controls: [], name, color, cells: cells[k] })));
  /* The angle between downhill and the way to the target, in the unit square. */
  const angle = (loss, gradient) => {
    const way = parameters.map((i) => target[i] - theta[i]), size = Math.hypot(...way) * Math.hypot(...gradient);
    if (level(loss, gradient) || Math.hypot(...way) < 1e-6) return "–";
    return isFinite(size) ? `${Math.round((Math.acos(clamp(-(way[0] * gradient[0] + way[1] * gradient[1]) / size, -1, 1)) * 180) / Math.PI)}°` : "–";
  };
  const numbers = sonimatch.numbers();
  const update = () => {
    const started = performance.now(), here = look(), named = (key) => Object.fromEntries(losses.map((loss, k) => [loss.name, here[k][key]]));
    const words = here.map(({ value, gradient }, k) => [number(value), ...gradient.map((part) => number(part, 3)), ...(target ? [angle(losses[k], gradient)] : [])]);
    words.forEach((row, k) => row.forEach((text, j) => { cells[k][j].textContent = text; }));
    const said = losses.map((loss, k) => `${loss.name} ${words[k][0]}, gradient ${words[k][1]} and ${words[k][2]}${target ? `, ${words[k][3]} off the target` : ""}`);
    numbers.show([sonimatch.setting(space, theta), ...said].join("; "));
    Object.assign(el.dataset, { theta: theta.join(","), value: JSON.stringify(named("value")), gradient: JSON.stringify(named("gradient")) });
    spent = performance.now() - started;
  };

  // ------------------------------------------------------------------------------------------------ the hand
  const sounds = { "this setting": () => synth.render(theta) };
  if (target || audio) sounds.target = () => audio || synth.render(target);
  const transport = sonimatch.transport(el, synth, sounds);
  const tell = () => { model.set("theta", theta.slice()); model.save_changes(); };
  const keep = () => sonimatch.remember(id, [...parameters.map((i) => sonimatch.toPhysical(space, theta)[i]), atlas.shown()]);
  let pending = false;
  const moved = () => {
    if (!pending) {
      pending = true;
      requestAnimationFrame(() => {
        pending = false;
        update();
        transport.changed();
        keep();
        tell();
      });
    }
    atlas.repaint();
  };
  const sliders = parameters.map((i) => {
    const text = (x) => `${number(sonimatch.toPhysical(space, along(theta, i, x))[i])} ${space.unit[i]}`.trim();
    return sonimatch.slider(space.names[i], theta[i], text, (x) => { theta[i] = x; moved(); }, num - 1);
  });
  const move = (x, y) => {
    const to = [x, y].map(snap);
    if (to.every((each, k) => each === theta[parameters[k]])) return;
    to.forEach((each, k) => { theta[parameters[k]] = each; sliders[k].show(each); });
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
    move(...parameters.map((i, k) => theta[i] + way[k] / (num - 1)));
  });
  atlas.large.style.cursor = "crosshair";

  model.on("change:theta", () => {
    const now = model.get("theta");
    if (now.every((x, i) => Math.abs(x - theta[i]) < 1e-9)) return;
    theta = now.slice();
    sliders.forEach((slider, k) => slider.show(theta[parameters[k]]));
    update(); atlas.repaint(); transport.changed();
  });

  el.append(make("div", { className: "sonimatch-panel", role: "group", "aria-label": `${synth.name}: the losses over ${space.names[FIRST]} and ${space.names[SECOND]}` },
    ...atlas.nodes, ...sliders.map((slider) => slider.node), table, numbers.nodes[1], transport.node,
    sonimatch.origin(synth)));
  el.sonimatch = { theta: () => theta, look, sound: () => synth.render(theta), synth };
  el.dataset.loss = losses[begun].name;
  update();
  if (linked) tell();
};
