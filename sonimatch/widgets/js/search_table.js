/* Rows that can be searched and sorted: a word finds rows, a head sorts them, a second click the other way round. */
sonimatch.elements.SearchTable = async (model, el) => {
  const { make, number } = sonimatch, data = model.get("data"), { id, columns, rows } = data, FEW = 20;
  const texts = rows.map((row) => row.join(" ").toLowerCase());
  let words = model.get("words"), order = model.get("order"), some = FEW, found = [];
  const legal = (wanted) => (Number.isInteger(wanted) && Math.abs(wanted) <= columns.length ? wanted : 0);
  const shared = /^(-?\d+)(?:,(.*))?$/.exec(sonimatch.recalled(id) || "");
  if (shared) { order = legal(Number(shared[1])); words = shared[2] || ""; }

  /* Numbers before words, and what is missing last, either way. */
  const before = (a, b) => {
    const [x, y] = [a, b].map((i) => rows[i][Math.abs(order) - 1]), blank = (z) => z === null || z === "";
    if (blank(x) || blank(y)) return blank(x) - blank(y) || a - b;
    const number = typeof x === "number" && typeof y === "number";
    return Math.sign(order) * (number ? x - y : typeof x === "number" ? -1 : typeof y === "number" ? 1 : x.localeCompare(y)) || a - b;
  };
  const find = () => {
    const parts = words.toLowerCase().split(/\s+/).filter(Boolean);
    found = rows.map((_, i) => i).filter((i) => parts.every((part) => texts[i].includes(part)));
    if (order) found.sort(before);
  };

  const field = make("input", { type: "text", value: words, "aria-label": "search", placeholder: data.hint, spellcheck: false });
  const heads = columns.map((name, i) => {
    const button = make("button", { type: "button" }, name);
    button.addEventListener("click", () => choose({ order: order === i + 1 ? -(i + 1) : i + 1 }));
    return make("th", { scope: "col" }, button);
  });
  const body = make("tbody"), told = make("p", { className: "sonimatch-numbers", role: "status" });
  const more = make("button", { type: "button" }, "more");
  more.addEventListener("click", () => { some *= 4; draw(); });
  const starts = columns.map((_, i) => rows.some((row) => typeof row[i] === "string" && row[i]));
  const draw = () => {
    find();
    heads.forEach((head, i) => {
      head.setAttribute("aria-sort", order === i + 1 ? "ascending" : order === -(i + 1) ? "descending" : "none");
      head.className = starts[i] ? "sonimatch-first" : "";
    });
    body.replaceChildren(...found.slice(0, some).map((i) => make("tr", {}, ...rows[i].map((cell, k) =>
      make("td", { className: starts[k] ? "sonimatch-first" : "" }, cell === null ? "" : typeof cell === "number" ? number(cell) : cell)))));
    more.hidden = found.length <= some;
    told.textContent = `${Math.min(some, found.length)} of ${found.length} rows shown; ${rows.length} in all.`;
    el.dataset.found = found.length;
  };
  const choose = (change) => {
    ({ words, order } = { words, order, ...change });
    if (field.value !== words) field.value = words;
    some = FEW;
    draw();
    sonimatch.remember(id, [order, words.replace(/[,#&=]/g, " ")]);
    model.set("words", words);
    model.set("order", order);
    model.save_changes();
  };
  field.addEventListener("input", () => choose({ words: field.value }));
  for (const trait of ["words", "order"]) {
    model.on(`change:${trait}`, () => { if (model.get(trait) !== { words, order }[trait]) choose({ [trait]: model.get(trait) }); });
  }
  el.append(make("div", { className: "sonimatch-panel", role: "group", "aria-label": data.title },
    make("div", { className: "sonimatch-transport" }, make("label", {}, "search ", field)), told,
    make("div", { className: "sonimatch-rows sonimatch-search", tabIndex: 0, role: "region", "aria-label": data.title },
      make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body)), make("div", {}, more)));
  el.sonimatch = { found: () => found, choose };
  draw();
};
