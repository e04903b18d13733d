/* The losses over two parameters, side by side, with one point on all of them, and its sound. */
sonimatch.elements.LandscapeExplorer = async (model, el) => {
  const { make, canvas, axes, clamp, number, LEFT, BOTTOM } = sonimatch, data = model.get("data");
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
  const shared = sonimatch.recall(id, 2), linked = shared !== null;
  let theta = model.get("theta").slice();
  if (linked) parameters.forEach((i, k) => { theta[i] = cube(i, shared[k]); });
  const title = (i) => sonimatch.titled(space, i);

  /* Linear interpolation between the points of the grid, and on them the stored numbers. */
  const split = (x) => {
    const place = x * (num - 1), close = Math.round(place), on = Math.abs(place - close) < 1e-5;
    return on ? [close, 0] : [Math.floor(place), place - Math.floor(place)];
  };
  const mix = (a, b, w) => (w === 0 ? a : (1 - w) * a + w * b);
  const read = (table, x, y) => {
    const [i, u] = split(x), [j, v] = split(y), inner = (row) => mix(table[row * num + j], table[row * num + j + 1], v);
    return mix(inner(i), inner(i + 1), u);
  };
  const look = (x = theta[FIRST], y = theta[SECOND]) =>
    losses.map(({ value, gradient }) => ({ value: read(value, x, y), gradient: gradient.map((part) => read(part, x, y)) }));

  // ------------------------------------------------------------------------------------------------ drawing
  const ticks = (i, count) => sonimatch.unitTicks(space, i, 0, count);
  const arrow = (pen, px, py, dx, dy, length) => {
    const size = Math.hypot(dx, dy), [ux, uy] = [dx / size, dy / size], tip = [px + ux * length, py + uy * length];
    if (!(size > 0) || !isFinite(size)) return;
    pen.beginPath(); pen.moveTo(px, py); pen.lineTo(...tip);
    for (const side of [-1, 1]) pen.moveTo(...tip), pen.lineTo(tip[0] - (ux + uy * side * 0.7) * length * 0.35, tip[1] - (uy - ux * side * 0.7) * length * 0.35);
    for (const [width, color] of [[3.5, "rgba(0,0,0,0.45)"], [1.4, "white"]]) { pen.lineWidth = width; pen.strokeStyle = color; pen.stroke(); }
  };
  /* Downhill in the square, as it lies on the panel. */
  const downhill = (gradient, box) => [-gradient[0] * box.width, gradient[1] * box.height];
  const place = (box, x, y) => [box.x + x * box.width, box.y + (1 - y) * box.height];
  const inner = (width, height) => ({ x: LEFT, y: 20, width: width - LEFT - 18, height: height - BOTTOM - 20 });

  /* All that stays while the point moves. */
  const still = (loss, map, width, height, ratio, font, colors) => {
    const node = make("canvas", { width: Math.round(width * ratio), height: Math.round(height * ratio) }), pen = node.getContext("2d"), box = inner(width, height);
    pen.scale(ratio, ratio);
    pen.font = font;
    pen.drawImage(map, 0.5, 0.5, num - 1, num - 1, box.x, box.y, box.width, box.height);
    axes(pen, box, colors, { label: title(FIRST), ticks: ticks(FIRST, box.width < 180 ? 2 : 4) }, { label: title(SECOND), ticks: ticks(SECOND, 4) });
    pen.fillStyle = loss.color;
    pen.fillRect(box.x, box.y - 15, 9, 9);
    pen.fillStyle = colors.text; pen.textAlign = "left"; pen.textBaseline = "middle";
    pen.fillText(loss.name, box.x + 13, box.y - 10);
    const columns = Math.max(3, Math.round(box.width / 34)), lines = Math.max(3, Math.round(box.height / 34));
    pen.globalAlpha = 0.8;
    for (let i = 0; i < columns; i++) for (let j = 0; j < lines; j++) {
      const x = (i + 0.5) / columns, y = (j + 0.5) / lines, gradient = loss.gradient.map((part) => read(part, x, y));
      const [dx, dy] = downhill(gradient, box), size = Math.hypot(dx, dy) || 1, [px, py] = place(box, x, y);
      if (!level(loss, gradient)) arrow(pen, px - (dx / size) * 6, py - (dy / size) * 6, dx, dy, 12);
    }
    pen.globalAlpha = 1;
    if (!target) return node;
    sonimatch.cross(pen, place(box, target[FIRST], target[SECOND]));
    return node;
  };
  let spent = 0;
  const panels = losses.map((loss, k) => {
    const map = sonimatch.heat(loss.value, num, num); // a value is at the middle of its pixel
    let layer = null, key = "";
    const panel = canvas(210, `${loss.name} over ${title(FIRST)} and ${title(SECOND)}; arrow keys move the point`, (pen, width, height, colors) => {
      const started = performance.now(), ratio = window.devicePixelRatio || 1, now = [width, ratio, colors.text, colors.faint].join();
      if (now !== key) { layer = still(loss, map, width, height, ratio, pen.font, colors); key = now; }
      const box = inner(width, height), [px, py] = place(box, theta[FIRST], theta[SECOND]), { gradient, value } = look()[k];
      pen.drawImage(layer, 0, 0, width, height);
      if (!level(loss, gradient) && !done(loss, value)) arrow(pen, px, py, ...downhill(gradient, box), 26);
      sonimatch.disc(pen, [px, py], 5, "white", "black");
      spent += performance.now() - started;
      el.dataset.paint = spent.toFixed(2);
    });
    panel.node.setAttribute("role", "application");
    panel.node.tabIndex = k ? -1 : 0;
    return panel;
  });

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
  const repaint = () => panels.forEach((panel) => panel.repaint());
  let pending = false;
  const moved = () => {
    if (!pending) {
      pending = true;
      requestAnimationFrame(() => {
        pending = false;
        update();
        transport.changed();
        sonimatch.remember(id, parameters.map((i) => sonimatch.toPhysical(space, theta)[i]));
        tell();
      });
    }
    repaint();
  };
  const sliders = parameters.map((i) => {
    const text = (x) => `${number(sonimatch.toPhysical(space, along(theta, i, x))[i])} ${space.unit[i]}`.trim();
    return sonimatch.slider(space.names[i], theta[i], text, (x) => { theta[i] = x; moved(); });
  });
  const move = (x, y) => {
    [x, y].forEach((to, k) => { theta[parameters[k]] = to; sliders[k].show(to); });
    moved();
  };

  let held = false;
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
  panels.forEach(({ node }) => {
    const drag = (event) => {
      const box = inner(node.clientWidth, node.clientHeight);
      move(clamp((event.offsetX - box.x) / box.width), clamp(1 - (event.offsetY - box.y) / box.height));
    };
    node.addEventListener("pointerdown", (event) => { if (event.button) return; held = true; node.setPointerCapture(event.pointerId); drag(event); });
    node.addEventListener("pointermove", (event) => { if (held) drag(event); });
    for (const end of ["pointerup", "pointercancel"]) node.addEventListener(end, () => { held = false; });
    /* From point to point of the grid; with Shift a tenth of that. */
    node.addEventListener("keydown", (event) => {
      const way = KEYS[event.key], step = event.shiftKey ? 10 * (num - 1) : num - 1;
      if (!way) return;
      event.preventDefault();
      const [x, y] = parameters.map((i, k) => (way[k] ? clamp((Math.round(theta[i] * step) + way[k]) / step) : theta[i]));
      move(x, y);
    });
    node.style.cursor = "crosshair";
  });

  model.on("change:theta", () => {
    const now = model.get("theta");
    if (now.every((x, i) => Math.abs(x - theta[i]) < 1e-9)) return;
    theta = now.slice();
    sliders.forEach((slider, k) => slider.show(theta[parameters[k]]));
    update(); repaint(); transport.changed();
  });

  el.append(make("div", { className: "sonimatch-panel", role: "group", "aria-label": `${synth.name}: the losses over ${space.names[FIRST]} and ${space.names[SECOND]}` },
    sonimatch.beside(panels.map((panel) => panel.node), 320),
    ...sliders.map((slider) => slider.node), table, numbers.nodes[1], transport.node,
    sonimatch.origin(synth)));
  el.sonimatch = { theta: () => theta, look, sound: () => synth.render(theta), synth };
  update();
  if (linked) tell();
};
