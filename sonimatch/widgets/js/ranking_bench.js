/* Ranks under the hand: distributions, ranks and a test of stored scores, for a choice of record, synth, score and trials. */
sonimatch.elements.RankingBench = async (model, el) => {
  const { make, canvas, axes, ticks, number, statistics, LEFT } = sonimatch, { table } = statistics, data = model.get("data"), BOTTOM = 46;
  const KINDS = { means: "bootstrapped means", trials: "the trials themselves" }, TESTS = { np: "Cliff's δ (np)", p: "Cohen's d (p)" };
  const legal = {
    record: () => Object.fromEntries(Object.keys(data.records).map((name) => [name, name])),
    synth: ({ record }) => Object.fromEntries(data.records[record].synths.map((name) => [name, name])),
    metric: () => data.metrics, shown: () => KINDS, test: () => TESTS,
  };
  const FIELDS = Object.keys(legal), LEAST = 2;
  /* What is chosen, made legal: a record may lack a synth, or have fewer trials. */
  const settle = (wanted) => {
    const found = {};
    for (const field of FIELDS) { const names = Object.keys(legal[field](found)); found[field] = names.includes(wanted[field]) ? wanted[field] : names[0]; }
    return { ...found, trials: sonimatch.clamp(Math.round(wanted.trials) || 0, LEAST, data.records[found.record].trials) };
  };
  const shared = sonimatch.recall(data.id, FIELDS.length + 1);
  let choice = settle(model.get("choice")), found = null;
  if (shared) {
    const wanted = { trials: shared[FIELDS.length] };
    FIELDS.forEach((field, i) => { wanted[field] = Object.keys(legal[field]({ ...wanted }))[shared[i]]; if (wanted[field] === undefined) wanted[field] = choice[field]; });
    choice = settle(wanted);
  }

  /* The scores of the choice, `[losses][trials]`. */
  const scores = () => {
    const { losses, trials, scores } = data.records[choice.record], all = sonimatch.floats(scores[choice.synth][choice.metric]);
    return losses.map((_, i) => all.subarray(i * trials, i * trials + choice.trials));
  };
  const median = (x) => { const y = Float64Array.from(x).sort(), n = y.length; return (y[(n - 1) >> 1] + y[n >> 1]) / 2; };
  const compute = () => {
    const x = scores(), { test } = choice;
    const kinds = { means: statistics.rankLosses(x, { test }), trials: statistics.rankLosses(x, { test, resamples: 0 }) };
    const drawn = choice.shown === "means" ? kinds.means.drawn : x;
    found = { losses: data.records[choice.record].losses, scores: x, drawn, ranks: kinds[choice.shown].ranks, means: kinds.means.ranks, trials: kinds.trials.ranks, kruskalWallis: statistics.kruskalWallis(x) };
  };

  /* The density of x at points of its range, by Scott's rule as matplotlib has it; the widest is 1. */
  const density = (x, points) => {
    const n = x.length, center = statistics.mean(x), spread = Math.sqrt(x.reduce((sum, y) => sum + (y - center) ** 2, 0) / Math.max(1, n - 1));
    if (!spread) return points.map(() => 1);
    const width = spread * n ** -0.2, height = points.map((at) => x.reduce((sum, y) => sum + Math.exp(-0.5 * ((y - at) / width) ** 2), 0));
    const top = Math.max(...height);
    return height.map((y) => y / top);
  };
  const label = () => (choice.shown === "means" ? `1 / mean ${data.metrics[choice.metric]}` : data.metrics[choice.metric]);
  const picture = canvas(270, "distributions by loss", (pen, width, height, colors) => {
    if (!found) return;
    const { drawn, ranks, losses } = found, extent = drawn.map((x) => [x.reduce((a, b) => Math.min(a, b)), x.reduce((a, b) => Math.max(a, b))]);
    let low = Math.min(...extent.map((x) => x[0])), high = Math.max(...extent.map((x) => x[1]));
    const room = 0.08 * (high - low) || 0.05 * Math.abs(high) || 1;
    low -= room; high += 1.6 * room;
    const box = { x: LEFT + 12, y: 6, width: width - LEFT - 20, height: height - BOTTOM - 6 }, column = box.width / losses.length;
    const y = (v) => box.y + (1 - (v - low) / (high - low)) * box.height;
    axes(pen, box, colors, { label: "", ticks: [] }, { label: label(), ticks: ticks(low, high) });
    drawn.forEach((x, i) => {
      const middle = box.x + (i + 0.5) * column, [least, most] = extent[i], half = 0.38 * column;
      const points = Array.from({ length: 61 }, (_, k) => least + ((most - least) * k) / 60), wide = density(x, points);
      pen.beginPath();
      points.forEach((at, k) => pen.lineTo(middle - half * wide[k], y(at)));
      for (let k = 60; k >= 0; k--) pen.lineTo(middle + half * wide[k], y(points[k]));
      pen.closePath();
      pen.fillStyle = data.colors[losses[i]] || colors.faint;
      pen.strokeStyle = colors.text; pen.lineWidth = 0.8;
      pen.fill(); pen.stroke();
      if (choice.shown === "trials") {
        pen.fillStyle = "black"; pen.globalAlpha = 0.5;
        const near = (v) => wide[most > least ? Math.round((60 * (v - least)) / (most - least)) : 0];
        x.forEach((v, k) => pen.fillRect(middle + half * 0.9 * near(v) * (((k * 0.618034) % 1) * 2 - 1) - 0.75, y(v) - 0.75, 1.5, 1.5));
        pen.globalAlpha = 1;
      }
      pen.fillStyle = colors.text; pen.textAlign = "center"; pen.textBaseline = "bottom";
      pen.font = pen.font.replace("11px", "bold 13px");
      pen.fillText(String(ranks[i]), middle, y(most) - 3);
      pen.font = pen.font.replace("bold 13px", "11px");
      pen.textBaseline = "top";
      const words = pen.measureText(losses[i]).width > column - 4 ? losses[i].split("_") : [losses[i]];
      words.forEach((word, line) => pen.fillText(word, middle, box.y + box.height + 8 + 13 * line, column - 2));
    });
  });

  const numbers = sonimatch.numbers(), place = make("div");
  const update = () => {
    try { compute(); } catch (error) { found = null; picture.repaint(); place.replaceChildren(); numbers.show(`No ranks: ${error.message}.`); return; }
    const { losses, kruskalWallis: { H, p } } = found;
    picture.repaint();
    place.replaceChildren(table("Scores, lower is better, and ranks, 1 is best", ["loss", "mean", "median", "rank, means", "rank, trials"],
      losses.map((loss, i) => [loss, statistics.mean(found.scores[i]), median(found.scores[i]), found.means[i], found.trials[i]])));
    const record = Object.keys(data.records).length > 1 ? `${choice.record}, ` : "";
    numbers.show(`${record}${choice.synth}, ${data.metrics[choice.metric]}, ${choice.trials} trials; ranks of ${KINDS[choice.shown]} by ${TESTS[choice.test]}: ${losses.map((loss, i) => `${loss} ${found.ranks[i]}`).join(", ")}; Kruskal–Wallis H ${number(H)}, p ${number(p)}`);
    el.dataset.ranks = found.ranks.join(",");
  };
  let pending = false;
  const choose = (change) => {
    choice = settle({ ...choice, ...change });
    controls();
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      update();
      sonimatch.remember(data.id, [...FIELDS.map((field) => Object.keys(legal[field](choice)).indexOf(choice[field])), choice.trials]);
      model.set("choice", { ...choice });
      model.save_changes();
    });
  };

  const titles = { record: "record", synth: "synth", metric: "score", shown: "ranks of", test: "effect size" };
  const menus = Object.fromEntries(FIELDS.map((field) => {
    const menu = make("select", { "aria-label": titles[field] });
    menu.addEventListener("change", () => choose({ [field]: menu.value }));
    return [field, menu];
  }));
  const most = () => data.records[choice.record].trials, count = (x) => LEAST + Math.round(x * (most() - LEAST));
  const at = () => (most() > LEAST ? (choice.trials - LEAST) / (most() - LEAST) : 1);
  const slider = sonimatch.slider("trials", at(), (x) => String(count(x)), (x) => choose({ trials: count(x) }), Math.max(1, most() - LEAST));
  const controls = () => {
    for (const field of FIELDS) {
      const options = Object.entries(legal[field](choice)), menu = menus[field];
      if (options.map(([value]) => value).join() !== Array.from(menu.options, (each) => each.value).join()) menu.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
      menu.value = choice[field];
    }
    slider.show(at());
  };
  model.on("change:choice", () => {
    const now = settle(model.get("choice"));
    if (JSON.stringify(now) === JSON.stringify(choice)) return;
    choice = now;
    controls();
    update();
  });
  const shownFields = FIELDS.filter((field) => field !== "record" || Object.keys(data.records).length > 1);
  el.append(make("div", { className: "sonimatch-panel", role: "group", "aria-label": "ranks of the losses" },
    make("div", { className: "sonimatch-transport" }, ...shownFields.map((field) => make("label", {}, `${titles[field]} `, menus[field]))),
    slider.node, picture.node, ...numbers.nodes, place));
  el.sonimatch = { choice: () => choice, found: () => found, choose };
  controls();
  requestAnimationFrame(update); // the bootstraps take longer than the menus
};
