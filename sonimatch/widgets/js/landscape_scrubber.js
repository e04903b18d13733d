/* The losses over one parameter: a handle that moves along them, its sound, and a target that moves too. */
sonimatch.elements.LandscapeScrubber = async (model, el) => {
  const { make, canvas, axes, clamp, number, LEFT, BOTTOM } = sonimatch, data = model.get("data"), RED = "#d62728", RIGHT = 18;
  const synth = await sonimatch.synth(data.program), space = synth.space, free = data.parameter, { id, grid, rows } = data, num = grid.length;
  const name = space.names[free], unit = space.unit[free];
  const losses = data.losses.map((loss) => ({ ...loss, table: sonimatch.floats(loss.table) }));
  const audio = data.audio ? sonimatch.floats(data.audio) : null, aimed = rows.length > 0, movable = rows.length > 1;

  // ------------------------------------------------------------------------------------------------ state
  const along = (point, x) => point.map((t, i) => (i === free ? x : t));
  const physical = (x) => sonimatch.toPhysical(space, along(rest, x))[free];
  const cube = (value) => sonimatch.toUnit(space, space.low.map((least, i) => (i === free ? value : least)))[free];
  const closest = (places, x) => places.reduce((best, at, k) => (Math.abs(at - x) < Math.abs(places[best] - x) ? k : best), 0);
  const nearest = (x) => closest(rows, x);
  const rest = model.get("theta").slice(), shared = sonimatch.recall(id, aimed ? 3 : 2), linked = shared !== null;
  /* The handle stands at point `at` of the grid, where the losses are known: every number shown is a computed one. */
  let at = closest(grid, linked ? cube(shared[0]) : rest[free]), x = grid[at], raw = linked && shared[shared.length - 1] > 0;
  let row = aimed ? nearest(linked ? cube(shared[1]) : (model.get("target") || data.target)[free]) : 0;
  const theta = () => along(rest, x), target = () => along(data.target, rows[row]);
  const text = (at) => `${number(physical(at))} ${unit}`.trim();

  const look = () => losses.map(({ table }) => ({ value: table[2 * row * num + at], gradient: table[(2 * row + 1) * num + at] }));
  /* The slopes beside the target, if there the loss has a corner: then a thousandth of the range away it has risen by
     as much as the slope there says, while in a bowl it would have risen by half of that; a slope that is small for its
     curve is a ripple. Null elsewhere. */
  const corner = ({ table, steepest }) => {
    if (!aimed || x !== rows[row] || at === 0 || at === num - 1) return null;
    const [value, gradient] = [2 * row * num + at, (2 * row + 1) * num + at];
    const sharp = [-1, 1].every((k) => {
      const slope = table[gradient + k], risen = (table[value + k] - table[value]) / (grid[at + k] - grid[at]);
      return Math.abs(slope) > 0.05 * steepest && Math.abs(risen / slope - 1) < 0.2;
    });
    return sharp ? [table[gradient - 1], table[gradient + 1]] : null;
  };
  /* The curve of each loss for this target, and the range that is drawn as 0–1. */
  const measure = () => losses.forEach((loss) => {
    loss.curve = loss.table.subarray(2 * row * num, (2 * row + 1) * num);
    const finite = loss.curve.filter(isFinite), most = Math.max(...finite), least = Math.min(...finite);
    const steepest = loss.table.subarray((2 * row + 1) * num, (2 * row + 2) * num).reduce((best, slope) => Math.max(best, Math.abs(slope) || 0), 0);
    Object.assign(loss, { least: finite.length ? least : 0, span: most > least ? most - least : 1, steepest });
  });
  measure();
  /* A slope that over the whole range would not change the loss by a ten-thousandth of its span is rounding, and so is
     any at the target, where nothing is left of the loss. */
  const level = ({ value, gradient }, { least, span }) => !isFinite(gradient) || Math.abs(gradient) <= 1e-4 * span
    || (aimed && Math.abs(rows[row] - x) < 1e-6 && value - least <= 1e-6 * span);

  // ------------------------------------------------------------------------------------------------ drawing
  const amounts = (least, span) => {
    const most = Math.max(Math.abs(least), Math.abs(least + span));
    const [divisor, mark] = most >= 1e7 ? [1e6, "M"] : most >= 1e4 ? [1e3, "k"] : [1, ""];
    return sonimatch.ticks(least / divisor, (least + span) / divisor, 4).map(([at, words]) => [at, words === "0" ? words : words + mark]);
  };
  let boxes = [], begun = 0;
  const layout = (width, height) => {
    if (!raw) return [{ x: LEFT, y: 12, width: width - LEFT - RIGHT, height: height - BOTTOM - 12 }];
    const columns = Math.min(2, losses.length), lines = Math.ceil(losses.length / columns);
    return losses.map((_, k) => ({
      x: LEFT + ((k % columns) * width) / columns, y: 20 + (Math.floor(k / columns) * height) / lines,
      width: width / columns - LEFT - RIGHT, height: height / lines - BOTTOM - 20,
    }));
  };
  const grip = (pen, px, py, way, fill) => {
    pen.fillStyle = fill;
    pen.beginPath();
    pen.moveTo(px, py); pen.lineTo(px - 7, py - 9 * way); pen.lineTo(px + 7, py - 9 * way);
    pen.fill();
  };
  /* A short arrow along the tangent, downhill, that ends inside the box, or beside it inside the picture. */
  const arrow = (pen, box, px, py, slope, color) => {
    const way = -Math.sign(slope), dx = way * box.width, dy = way * -slope * box.height, size = Math.hypot(dx, dy);
    if (!way || !isFinite(size)) return;
    const room = Math.min(dy > 0 ? (box.y + box.height - py) / dy : Infinity, ((dx > 0 ? box.x + box.width - px : px - box.x) + RIGHT - 2) / Math.abs(dx));
    const length = clamp(room * size, 14, 38);
    const [ux, uy] = [dx / size, dy / size], tip = [px + ux * length, py + uy * length];
    pen.strokeStyle = pen.fillStyle = color; pen.lineWidth = 2.5;
    pen.beginPath(); pen.moveTo(px, py); pen.lineTo(tip[0] - ux * 5, tip[1] - uy * 5); pen.stroke();
    pen.beginPath(); pen.moveTo(...tip);
    for (const side of [-4.5, 4.5]) pen.lineTo(tip[0] - ux * 9 - uy * side, tip[1] - uy * 9 + ux * side);
    pen.fill();
  };
  const board = canvas(320, `the losses over ${name}`, (pen, width, height, colors) => {
    const started = performance.now(), here = look();
    boxes = layout(width, height);
    boxes.forEach((box, k) => {
      const shown = raw ? [losses[k]] : losses, bottom = box.y + box.height;
      const y = raw ? { label: "", ticks: amounts(shown[0].least, shown[0].span) } : { label: "loss, scaled to 0–1", ticks: [[0, "0"], [0.5, "0.5"], [1, "1"]] };
      axes(pen, box, colors, { label: sonimatch.titled(space, free), ticks: sonimatch.unitTicks(space, free, 0, box.width < 200 ? 2 : 5) }, y);
      if (raw) {
        pen.fillStyle = shown[0].color;
        pen.fillRect(box.x, box.y - 15, 9, 9);
        pen.fillStyle = colors.text; pen.textAlign = "left"; pen.textBaseline = "middle";
        pen.fillText(shown[0].name, box.x + 13, box.y - 10);
      }
      const line = (at, color, dash) => {
        pen.strokeStyle = color; pen.lineWidth = 1.5;
        pen.setLineDash(dash); pen.beginPath(); pen.moveTo(box.x + at * box.width, box.y); pen.lineTo(box.x + at * box.width, bottom); pen.stroke(); pen.setLineDash([]);
      };
      if (aimed) line(rows[row], RED, [5, 4]);
      line(x, colors.text, []);
      if (aimed) grip(pen, box.x + rows[row] * box.width, box.y + 9, 1, RED);
      grip(pen, box.x + x * box.width, bottom - 9, -1, colors.text);
      for (const { curve, color, least, span } of shown) {
        pen.strokeStyle = color; pen.lineWidth = 1.8; pen.lineJoin = "round";
        pen.beginPath();
        curve.forEach((value, i) => {
          const place = [box.x + grid[i] * box.width, bottom - ((value - least) / span) * box.height];
          if (!isFinite(value)) return;
          if (i && isFinite(curve[i - 1])) pen.lineTo(...place); else pen.moveTo(...place);
        });
        pen.stroke();
      }
      shown.forEach((loss) => {
        const point = here[losses.indexOf(loss)], { value, gradient } = point, px = box.x + x * box.width, py = bottom - ((value - loss.least) / loss.span) * box.height;
        if (!isFinite(value)) return;
        if (!level(point, loss)) arrow(pen, box, px, py, gradient / loss.span, loss.color);
        pen.fillStyle = loss.color;
        pen.beginPath(); pen.arc(px, py, 4.5, 0, 2 * Math.PI); pen.fill();
      });
    });
    el.dataset.paint = (begun + performance.now() - started).toFixed(2);
  });

  // ------------------------------------------------------------------------------------------------ numbers
  const heads = ["loss", "value", "gradient", "downhill"], cells = losses.map(() => heads.slice(1).map(() => make("td")));
  const table = sonimatch.table(heads, losses.map(({ name, color }, k) => ({ controls: [], name, color, cells: cells[k] })));
  const downhill = (point, loss) => {
    if (level(point, loss)) return "–";
    const way = point.gradient > 0 ? "←" : "→";
    return !aimed || rows[row] === x ? way : `${way} ${(rows[row] - x) * point.gradient < 0 ? "target" : "away"}`;
  };
  const slope = (loss, { gradient }) => { const both = corner(loss); return both ? `${number(both[0], 3)} | ${number(both[1], 3)}` : number(gradient); };
  const numbers = sonimatch.numbers();
  const update = () => {
    const started = performance.now(), here = look(), named = (key) => Object.fromEntries(losses.map((loss, k) => [loss.name, here[k][key]]));
    here.forEach((point, k) => [number(point.value), slope(losses[k], point), downhill(point, losses[k])].forEach((words, j) => { cells[k][j].textContent = words; }));
    const said = losses.map((loss, k) => `${loss.name} ${number(here[k].value)}, gradient ${slope(loss, here[k])}, downhill ${downhill(here[k], loss)}`);
    numbers.show([`${name} ${text(x)}${aimed ? `, target ${text(rows[row])}` : ""}`, ...said].join("; "));
    Object.assign(el.dataset, { theta: theta().join(","), row, value: JSON.stringify(named("value")), gradient: JSON.stringify(named("gradient")) });
    begun = performance.now() - started;
  };

  // ------------------------------------------------------------------------------------------------ the hand
  const sounds = { "this setting": () => synth.render(theta()) };
  if (aimed || audio) sounds.target = () => audio || synth.render(target());
  const transport = sonimatch.transport(el, synth, sounds);
  const tell = () => {
    model.set("theta", theta());
    if (movable) model.set("target", target());
    model.save_changes();
  };
  let pending = false;
  const moved = () => {
    if (!pending) {
      pending = true;
      requestAnimationFrame(() => {
        pending = false;
        update();
        transport.changed();
        sonimatch.remember(id, [physical(x), ...(aimed ? [physical(rows[row])] : []), Number(raw)]);
        tell();
      });
    }
    board.repaint();
  };
  const handle = sonimatch.slider(name, x, text, (to) => move(to));
  handle.node.addEventListener("keydown", (event) => { // from point to point, before the slider's own steps
    const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!way) return;
    event.preventDefault(); event.stopPropagation();
    stand(clamp(at + way, 0, num - 1));
  }, true);
  const steps = rows.length - 1;
  const goal = movable && sonimatch.slider("target", row / steps, (at) => text(rows[Math.round(at * steps)]), (at) => aim(Math.round(at * steps)), steps);
  const aim = (to) => { if (to === row) return; row = to; measure(); goal.show(row / steps); moved(); };
  const stand = (to) => { const stays = to === at; at = to; x = grid[at]; handle.show(x); if (!stays) moved(); };
  const move = (to) => stand(closest(grid, to));

  let held = null;
  const pick = (px, py) => {
    const box = boxes.find((each) => px <= each.x + each.width + RIGHT && py <= each.y + each.height + BOTTOM) || boxes[0];
    const line = (place) => box.x + place * box.width, away = (place) => Math.abs(line(place) - px), upper = py < box.y + box.height / 2;
    const lead = movable && away(rows[row]) < 16 ? away(x) - away(rows[row]) : -Infinity;
    held = { box, target: Math.abs(lead) < 6 ? upper : lead > 0 };
    return [line(held.target ? rows[row] : x), py];
  };
  sonimatch.hand(board.node, pick, (px) => {
    const to = clamp((px - held.box.x) / held.box.width);
    if (held.target) aim(nearest(to)); else move(to);
  }, "pan-y");
  board.node.style.cursor = "ew-resize";

  const scale = make("select", {}, ...["scaled to 0–1", "raw"].map((words) => make("option", { textContent: words })));
  scale.selectedIndex = Number(raw);
  scale.addEventListener("change", () => { raw = scale.selectedIndex === 1; moved(); });
  transport.node.append(make("label", {}, "curves ", scale));

  model.on("change:theta", () => {
    const now = model.get("theta")[free];
    if (Math.abs(now - x) < 1e-9) return;
    at = closest(grid, now); x = grid[at]; handle.show(x); update(); board.repaint(); transport.changed();
  });
  model.on("change:target", () => {
    const now = aimed ? nearest(model.get("target")[free]) : row;
    if (now === row) return;
    row = now; measure(); if (goal) goal.show(row / steps);
    update(); board.repaint(); transport.changed();
  });

  el.append(make("div", { className: "sonimatch-panel", role: "group", "aria-label": `${synth.name}: the losses over ${name}` },
    board.node, handle.node, ...(goal ? [goal.node] : []), table, numbers.nodes[1], transport.node,
    sonimatch.origin(synth)));
  el.sonimatch = { theta, target, look, sound: () => synth.render(theta()), synth };
  update();
  if (linked) tell();
};
