/* What elements on landscapes share: pictures, planes, marks, ticks and tables. */

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
/* The inside of a panel with a title; a panel of two parameters, where `picture`, if there is one, fills the unit square: theta to pixels, and back. */
sonimatch.inside = (pen, width, height, colors, name, color) => {
  pen.fillStyle = color; pen.fillRect(sonimatch.LEFT, 5, 9, 9);
  pen.fillStyle = colors.text; pen.textAlign = "left"; pen.textBaseline = "middle"; pen.fillText(name, sonimatch.LEFT + 13, 10);
  return { x: sonimatch.LEFT, y: 20, width: width - sonimatch.LEFT - 8, height: height - sonimatch.BOTTOM - 20 };
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
