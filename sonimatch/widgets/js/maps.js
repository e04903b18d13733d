/* What elements on landscapes share: pictures, planes, marks, hands, ticks and tables. */

/* `grid [nx, ny]` on even steps of the unit square, at a point `(u, v)` inside it. */
sonimatch.bilinear = (grid, nx, ny, u, v) => {
  const x = u * (nx - 1), y = v * (ny - 1), i = Math.min(Math.floor(x), nx - 2), j = Math.min(Math.floor(y), ny - 2);
  const s = x - i, t = y - j, at = i * ny + j;
  return (1 - s) * ((1 - t) * grid[at] + t * grid[at + 1]) + s * ((1 - t) * grid[at + ny] + t * grid[at + ny + 1]);
};
/* A picture of `value [nx, ny]`, x to the right and y up, scaled to 0–1; what is not finite is left out. */
sonimatch.heat = (value, nx, ny) => {
  const node = sonimatch.make("canvas", { width: nx, height: ny }), image = new ImageData(nx, ny), known = value.filter(isFinite);
  const low = known.reduce((a, b) => Math.min(a, b), Infinity), scale = known.reduce((a, b) => Math.max(a, b), -Infinity) - low || 1;
  value.forEach((x, k) => {
    if (isFinite(x)) image.data.set(sonimatch.viridis((x - low) / scale), 4 * ((ny - 1 - (k % ny)) * nx + Math.floor(k / ny)));
  });
  node.getContext("2d").putImageData(image, 0, 0);
  return node;
};
sonimatch.titled = (space, i) => (space.unit[i] ? `${space.names[i]} (${space.unit[i]})` : space.names[i]);
/* Physical ticks of parameter `i`, where the unit interval has a `margin` on both sides. */
sonimatch.unitTicks = (space, i, margin, count) => {
  const low = space.low[i], high = space.high[i];
  const decades = Array.from({ length: 12 }, (_, k) => 10 ** (Math.ceil(Math.log10(low)) + k)).filter((value) => value <= high);
  const marks = decades.length > 1 ? decades : [low, Math.sqrt(low * high), high];
  const ticks = space.warp[i] === "log" ? marks.map((value) => [Math.log(value / low) / Math.log(high / low), sonimatch.number(value)]) : sonimatch.ticks(low, high, count);
  return ticks.map(([u, text]) => [(u + margin) / (1 + 2 * margin), text.replace(/(\d)000$/, "$1k")]);
};
/* The inside of a panel with a title, `right` pixels from its edge; a panel of two parameters, where `picture`, if there is one, fills the unit
   square: theta to pixels, and back. Without a `space` it has no axes. */
sonimatch.inside = (pen, width, height, colors, name, color, right = 8) => {
  pen.fillStyle = color; pen.fillRect(sonimatch.LEFT, 5, 9, 9);
  pen.fillStyle = colors.text; pen.textAlign = "left"; pen.textBaseline = "middle"; pen.fillText(name, sonimatch.LEFT + 13, 10);
  return { x: sonimatch.LEFT, y: 20, width: width - sonimatch.LEFT - right, height: height - sonimatch.BOTTOM - 20 };
};
sonimatch.plane = (pen, box, colors, space, margin, picture) => {
  const { clamp } = sonimatch, span = 1 + 2 * margin;
  const at = ([u, v]) => [box.x + (box.width * (clamp(u, -margin, 1 + margin) + margin)) / span, box.y + (box.height * (1 + margin - clamp(v, -margin, 1 + margin))) / span];
  const of = (x, y) => [clamp(((x - box.x) / box.width) * span - margin), clamp(1 + margin - ((y - box.y) / box.height) * span)];
  const [left, bottom] = at([0, 0]), [right, top] = at([1, 1]);
  if (margin) { pen.globalAlpha = 0.35; pen.fillStyle = colors.faint; pen.fillRect(box.x, box.y, box.width, box.height); pen.globalAlpha = 1; }
  pen.clearRect(left, top, right - left, bottom - top);
  if (picture) pen.drawImage(picture, 0.5, 0.5, picture.width - 1, picture.height - 1, left, top, right - left, bottom - top);
  pen.strokeStyle = colors.faint; pen.lineWidth = 1;
  pen.strokeRect(left, top, right - left, bottom - top);
  if (!space) return { at, of };
  const side = (i, count) => ({ label: sonimatch.titled(space, i), ticks: sonimatch.unitTicks(space, i, margin, count) });
  sonimatch.axes(pen, box, colors, side(0, box.width < 180 ? 2 : 4), side(1, 4));
  return { at, of };
};
/* A line through points in pixels, with a dark edge where it lies on a picture; a disc; a cross at the target. */
sonimatch.trace = (pen, points, color, width, edge) => {
  for (const [style, wide] of edge ? [["rgba(0, 0, 0, 0.55)", width + 2], [color, width]] : [[color, width]]) {
    pen.strokeStyle = style; pen.lineWidth = wide; pen.lineJoin = "round";
    pen.beginPath();
    points.forEach(([x, y], k) => (k ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.stroke();
  }
};
sonimatch.disc = (pen, [x, y], radius, fill, edge) => {
  pen.beginPath(); pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fillStyle = fill; pen.strokeStyle = edge; pen.lineWidth = 1.5;
  pen.fill(); pen.stroke();
};
sonimatch.cross = (pen, [x, y]) => {
  for (const [style, wide] of [["white", 4.5], ["#d62728", 2.2]]) {
    pen.strokeStyle = style; pen.lineWidth = wide;
    pen.beginPath();
    pen.moveTo(x - 4, y - 4); pen.lineTo(x + 4, y + 4); pen.moveTo(x - 4, y + 4); pen.lineTo(x + 4, y - 4);
    pen.stroke();
  }
};
/* An arrow from a point in pixels along `(dx, dy)`, light with a dark edge, to be seen on any colour; none where there is no way. */
sonimatch.arrow = (pen, [x, y], dx, dy, length) => {
  const size = Math.hypot(dx, dy), [ux, uy] = [dx / size, dy / size], tip = [x + ux * length, y + uy * length], head = 0.38 * length;
  if (!(size > 0) || !isFinite(size)) return;
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath(); pen.moveTo(x, y); pen.lineTo(...tip);
  for (const side of [-0.7, 0.7]) pen.moveTo(...tip), pen.lineTo(tip[0] - (ux + uy * side) * head, tip[1] - (uy - ux * side) * head);
  for (const [style, wide] of [["black", 3.8], ["white", 1.6]]) { pen.strokeStyle = style; pen.lineWidth = wide; pen.stroke(); }
  pen.lineCap = "butt";
};

/* A hand on a canvas. `pick(x, y)` says where that which would be taken lies, in CSS pixels, and `drag(x, y)` moves it. A mouse takes it from
   anywhere. A finger takes it within 24 pixels; elsewhere it taps, or scrolls the page: in every direction, or with `touch` "pan-y" up and down
   wherever it is, and what it takes moves sideways only. */
sonimatch.hand = (node, pick, drag, touch = "manipulation") => {
  const REACH = 24, off = (x, y, [px, py]) => Math.hypot(px - x, py - y);
  const at = ({ clientX, clientY }) => { const box = node.getBoundingClientRect(); return [clientX - box.left, clientY - box.top]; };
  let held = null, tapped = null; // how far from the finger the point lies; where a finger came down beside it
  node.style.touchAction = touch === "pan-y" ? "pan-y pinch-zoom" : touch;
  if (touch !== "pan-y") node.addEventListener("touchstart", (event) => {
    const place = at(event.touches[0]);
    if (event.touches.length === 1 && off(...place, pick(...place)) <= REACH) event.preventDefault();
  }, { passive: false });
  node.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const [x, y] = at(event), spot = pick(x, y), finger = event.pointerType === "touch";
    held = tapped = null;
    if (finger && off(x, y, spot) > REACH) { tapped = [x, y]; return; }
    held = finger ? [spot[0] - x, spot[1] - y] : [0, 0];
    node.setPointerCapture(event.pointerId);
    if (!finger) drag(x, y);
  });
  node.addEventListener("pointermove", (event) => {
    if (!held) return;
    const [x, y] = at(event);
    drag(x + held[0], y + held[1]);
  });
  node.addEventListener("pointerup", (event) => {
    if (tapped && off(...at(event), tapped) < 10) drag(...tapped);
    held = tapped = null;
  });
  node.addEventListener("pointercancel", () => { held = tapped = null; }); // the page scrolls
};

/* One large square map, and under it a small one for each of several losses, each with a button that makes it the large one.
   `draw(k, pen, width, height, colors, large)` draws; `chose(k)` is told; the large one's text is `label(k)`. */
sonimatch.atlas = (losses, first, label, draw, chose) => {
  const { make, canvas, beside } = sonimatch, group = `map ${Math.random()}`;
  let now = first;
  const large = canvas((width) => width - 12, label(now), (pen, width, height, colors) => draw(now, pen, width, height, colors, true)); // square inside its axes
  const small = losses.map(({ name, color }, k) => {
    const view = canvas((width) => width, "", (pen, width, height, colors) => draw(k, pen, width, height, colors, false));
    const choose = make("input", { type: "radio", name: group, checked: k === now, "aria-label": `${name} on the large map` });
    choose.addEventListener("change", () => { show(k); chose(k); });
    view.node.setAttribute("aria-hidden", "true");
    const node = make("label", { className: "sonimatch-choice" }, view.node, make("span", {}, choose, make("span", { className: "sonimatch-swatch", style: { background: color } }), name));
    return { node, choose, repaint: view.repaint };
  });
  const show = (k) => {
    now = k;
    small[k].choose.checked = true;
    large.node.setAttribute("aria-label", label(k));
    large.repaint();
  };
  const nodes = [make("div", { className: "sonimatch-large" }, large.node), ...(losses.length > 1 ? [beside(small.map((each) => each.node), 160)] : [])];
  return { large: large.node, small: small.map((each) => each.node), nodes, show, shown: () => now, repaint: () => [large, ...small].forEach((each) => each.repaint()) };
};

/* A table: the rows are a control or two, a name with its colour, and cells that are filled later. */
sonimatch.table = (heads, rows) => {
  const { make } = sonimatch, first = (k) => (k <= rows[0].controls.length ? { className: "sonimatch-first" } : {});
  const head = heads.map((text, k) => make("th", { scope: "col", ...first(k) }, text));
  const body = rows.map(({ controls, name, color, cells }) => make("tr", {}, ...controls.map((control, k) => make("td", first(k), control)),
    make("th", { scope: "row", className: "sonimatch-first" }, make("span", { className: "sonimatch-swatch", style: { background: color } }), name), ...cells));
  return make("div", { className: "sonimatch-rows" }, make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body)));
};
/* Panels side by side, two in a row where it is narrow, none wider than `most` pixels. */
sonimatch.beside = (nodes, most) => sonimatch.make("div", { style: { display: "grid", width: "100%", maxWidth: `${nodes.length * most}px`, margin: "0 auto", gap: "0.4rem", gridTemplateColumns: "repeat(auto-fit, minmax(clamp(23%, (620px - 100%) * 1000, 45%), 1fr))" } }, ...nodes);
