/* A listening test: pairs of sounds in random order, a score from 1 to 5 each; and what the scores of several raters say. */
sonimatch.elements.ListeningTest = async (model, el) => {
  const { make, statistics, number } = sonimatch, { table } = statistics, data = model.get("data"), ids = data.ids;
  const KEY = "sonimatch listening key", RATINGS = "sonimatch listening ratings", SCALE = [1, 2, 3, 4, 5];
  const synths = await Promise.all((data.programs || []).map(sonimatch.synth)), live = sonimatch.numbers();
  const say = (text) => { live.show(text); };

  // ------------------------------------------------------------------------------------------------ what is kept
  const place = `sonimatch:${data.id}`;
  let kept = true;
  const stored = (() => {
    try { return JSON.parse(localStorage.getItem(place)); } catch (error) { kept = false; console.warn(error); return null; }
  })();
  const fresh = () => ({ rater: "", seed: Math.floor(Math.random() * 2 ** 32), at: 0, plays: {}, ratings: {}, failed: {} });
  let state = { ...fresh(), ...stored }, order = [];
  const shuffle = () => {
    const lots = statistics.integers(state.seed, 2 ** 20, ids.length);
    order = ids.map((id, i) => [lots[i], id]).sort(([a], [b]) => a - b).map(([, id]) => id);
  };
  const keep = () => {
    try { localStorage.setItem(place, JSON.stringify(state)); } catch (error) { kept = false; console.warn(error); }
    model.set("ratings", Object.fromEntries(Object.entries(state.ratings).map(([id, { score }]) => [id, score])));
    model.save_changes();
  };
  /* How often each of a pair was played to its end; and why one cannot be, if it cannot. */
  const plays = (id) => (state.plays[id] ||= { target: 0, match: 0 });
  const failed = (id) => Object.values(state.failed[id] || {})[0];
  const rated = () => Object.keys(state.ratings).length;

  // ------------------------------------------------------------------------------------------------ sound
  /* Both at one level, as `listening.level` has it. */
  const level = (sounds) => {
    const heard = sounds.map((sound) => sound.map((x) => (isFinite(x) ? x : 0)));
    const loud = heard.map((x) => { const gain = sonimatch.peak(x) > data.silence ? data.rms / sonimatch.rms(x) : 1; return x.map((y) => y * gain); });
    const scale = Math.min(1, data.peak / Math.max(1e-9, ...loud.map(sonimatch.peak)));
    return loud.map((x) => x.map((y) => y * scale));
  };
  const rendered = (id) => {
    const [which, ...points] = data.sounds[id], synth = synths[which];
    const [target, match] = level(points.map((point) => (point ? synth.render(point) : new Float32Array(synth.length))));
    return { target, match, rate: synth.rate };
  };
  const address = (id, which) => `${data.folder}/${id}-${which}.${data.kind}`;
  let voice = null, gap = null, pair = null, waiting = {};
  const load = (id, which) => {
    const audio = new Audio(address(id, which));
    audio.onerror = () => fail(id, which, audio.error.code === MediaError.MEDIA_ERR_DECODE ? "cannot be decoded" : "is missing or is no sound");
    return audio;
  };
  /* A sound that does not play stops its pair, which then takes no score, and the file says why. */
  const fail = (id, which, why) => {
    (state.failed[id] ||= {})[which] = `${address(id, which)} ${why}`;
    if (order[state.at] === id) { stop(); say(`${failed(id)}. This pair cannot be scored; go on with the next.`); }
    keep();
    mark();
  };
  /* At the end of a file that began at `[clock, position]`: a browser jumps over what is cut off, and says nothing. */
  const whole = (id, which, { duration }, [clock, position]) => {
    const played = performance.now() / 1000 - clock, cut = duration - position - played > 0.15;
    if (cut) fail(id, which, `ends after ${number(position + played, 2)} of ${number(duration, 3)} seconds`);
    return !cut;
  };
  const stop = () => {
    const old = voice;
    clearTimeout(gap);
    voice = null;
    if (old) old.stop();
    mark();
  };
  const play = (which, then = null) => {
    stop();
    if (!data.folder) pair ||= rendered(order[state.at]);
    const id = order[state.at], mine = { which, stop: () => sonimatch.sound.stop() };
    const ended = (finished) => {
      if (finished) { plays(id)[which]++; delete state.failed[id]?.[which]; keep(); }
      if (voice !== mine) return;
      voice = null;
      if (then && finished) gap = setTimeout(then, 300);
      mark();
    };
    voice = mine;
    if (data.folder) {
      const src = address(id, which), audio = waiting[src].error ? (waiting[src] = load(id, which)) : waiting[src];
      const done = sonimatch.sound.take(el, () => audio.pause(), ended);
      let begun = null;
      Object.assign(audio, {
        volume: sonimatch.sound.volume, currentTime: 0, onplaying: () => { begun ||= [performance.now() / 1000, audio.currentTime]; },
        onpause: () => { if (!audio.ended) done(false); }, onended: () => done(whole(id, which, audio, begun)),
      });
      audio.play().catch((error) => { if (error.name === "NotAllowedError") { done(false); say(`The browser does not play: ${error.message}`); } });
    } else {
      sonimatch.sound.play(el, pair[which], pair.rate, { ended });
    }
    mark();
  };
  const both = () => play("target", () => play("match"));

  // ------------------------------------------------------------------------------------------------ the pair
  const button = (text, click, more = {}) => {
    const node = make("button", { type: "button", ...more }, text);
    node.addEventListener("click", (event) => { click(); if (event.detail) panel.focus({ preventScroll: true }); });
    return node;
  };
  const status = make("p", { className: "sonimatch-numbers" }), bar = make("progress", { max: ids.length, "aria-label": "pairs scored" });
  const sounds = { target: button("", () => toggle("target")), match: button("", () => toggle("match")) };
  const toggle = (which) => (voice && voice.which === which ? stop() : play(which));
  const QUESTION = "How similar is the match to the target?", ends = { 1: "no similarity", 5: "near identical" };
  const scores = SCALE.map((score) => button(String(score), () => rate(score), { "aria-label": `${score}${ends[score] ? `, ${ends[score]}` : ""}` }));
  const mark = () => {
    const id = order[state.at], score = state.ratings[id]?.score;
    for (const [which, node] of Object.entries(sounds)) {
      const on = voice !== null && voice.which === which, times = plays(id)[which];
      node.textContent = `${on ? "■" : "▶"} ${which} (${which[0].toUpperCase()})${times ? `, heard ${times}×` : ""}`;
      node.setAttribute("aria-pressed", on);
    }
    scores.forEach((node, i) => node.setAttribute("aria-pressed", score === SCALE[i]));
    status.textContent = `Pair ${state.at + 1} of ${ids.length}; ${rated()} scored${failed(id) ? "; this one does not play" : ""}`;
    bar.value = rated();
    el.dataset.at = state.at; el.dataset.item = id; el.dataset.rated = rated();
    reveal.hidden = !data.key || rated() < ids.length;
  };
  const show = (at) => {
    stop();
    state.at = sonimatch.clamp(at, 0, ids.length - 1);
    const id = order[state.at], near = order.slice(state.at, state.at + 2);
    if (data.folder) waiting = Object.fromEntries(near.flatMap((one) => ["target", "match"].map((which) => [address(one, which), waiting[address(one, which)] || load(one, which)])));
    else pair = null;
    keep();
    mark();
  };
  const move = (at) => { show(at); sonimatch.remember(data.id, [state.at + 1]); };
  const go = (at) => {
    move(at);
    const given = state.ratings[order[state.at]];
    say(`Pair ${state.at + 1}${given ? `, ${given.score} given` : ""}.${failed(order[state.at]) ? ` ${failed(order[state.at])}.` : ""}`);
  };
  const rate = (score) => {
    const id = order[state.at], { target, match } = plays(id);
    if (failed(id)) { say(`${failed(id)}. This pair cannot be scored; go on with the next.`); return; }
    if (!target || !match) { say("Listen to both sounds first, each to its end: space plays them."); return; }
    state.ratings[id] = { score, position: state.at + 1, target_plays: target, match_plays: match, time: new Date().toISOString() };
    const left = [...order.slice(state.at + 1), ...order].find((one) => !state.ratings[one] && !failed(one));
    move(left === undefined ? state.at : order.indexOf(left));
    say(left === undefined ? `${score} given. ${rated() < ids.length ? `All pairs that play are` : `All ${ids.length} pairs are`} scored: save the file.` : `${score} given. Pair ${state.at + 1}.`);
  };

  // ------------------------------------------------------------------------------------------------ files
  const rows = () => order.map((item, i) => ({ item, ...(state.ratings[item] || { position: i + 1, failed: failed(item) }) })).filter(({ score, failed }) => score || failed);
  const download = (name, type, text) => {
    const url = URL.createObjectURL(new Blob([text], { type }));
    make("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };
  const save = (kind) => {
    if (!state.rater) { rater.focus(); say("Your name or initials first: they tell the files of several raters apart."); return; }
    const name = `ratings-${state.rater.replace(/[^\p{L}\p{N}]+/gu, "_")}-${data.id}.${kind}`;
    if (kind === "json") {
      download(name, "application/json", `${JSON.stringify({ kind: RATINGS, test: data.id, rater: state.rater, seed: state.seed, ratings: rows() }, null, 1)}\n`);
    } else {
      const columns = ["item", "score", "position", "target_plays", "match_plays", "time", "failed"], quoted = `"${state.rater.replaceAll('"', '""')}"`;
      download(name, "text/csv", [["rater", ...columns], ...rows().map((row) => [quoted, ...columns.map((column) => row[column] ?? "")])].map((line) => `${line.join(",")}\n`).join(""));
    }
    say(`${name} saved: ${rated()} of ${ids.length} pairs scored.`);
  };
  const rater = make("input", { type: "text", value: state.rater, autocomplete: "off", size: 14 });
  rater.addEventListener("input", () => { state.rater = rater.value.trim(); keep(); });
  const again = () => {
    if (!confirm("Forget all scores given here?")) return;
    const { rater: who } = state;
    state = { ...fresh(), rater: who };
    shuffle(); move(0); say("All scores are forgotten.");
  };

  // ------------------------------------------------------------------------------------------------ several raters
  const refuse = (message) => { throw new Error(message); };
  const check = (name, file) => {
    if (!file || !(file.kind === KEY || (file.kind === RATINGS && Array.isArray(file.ratings)))) refuse(`${name} is neither a key nor ratings`);
    if (file.kind === KEY) return file;
    if (!file.ratings.length) refuse(`${name} has no ratings`);
    const scored = file.ratings.filter(({ failed }) => !failed), given = new Map(scored.map(({ item, score }) => [item, score]));
    if (given.size < scored.length) refuse(`${name} scores a pair twice`);
    for (const [item, score] of given) if (!SCALE.includes(score)) refuse(`${name} gives ${item} the score ${score}; it must be one of ${SCALE.join(", ")}`);
    return { kind: RATINGS, test: file.test, rater: file.rater, scores: given };
  };
  const attempt = (compute) => { try { return compute(); } catch (error) { return { value: NaN, low: NaN, high: NaN, p: NaN, why: error.message }; } };
  /* As `listening.analyse`: agreement of the raters, and with a key also by synth, tests and ranks of the losses. */
  const analyse = (raters, key) => {
    if (!raters.length) refuse("there are no ratings");
    raters.forEach((one, i) => {
      const test = key ? key.test : raters[0].test, unknown = key && [...one.scores.keys()].find((id) => !key.items[id]);
      if (one.test !== test) refuse(`${one.rater} rated the test ${one.test}, not ${test}`);
      if (unknown) refuse(`${one.rater} scored ${unknown}, which the key does not know`);
      if (raters.some((other, j) => j < i && other.rater === one.rater)) refuse(`there are two files of the rater ${one.rater}`);
    });
    const any = [...new Set(raters.flatMap((one) => [...one.scores.keys()]))].sort(), names = any.filter((id) => raters.every((one) => one.scores.has(id)));
    const some = (synth, loss) => names.filter((id) => (!synth || key.items[id].synth === synth) && (!loss || key.items[id].loss === loss));
    const found = { agreement: [], tests: [], ranks: [], left_out: any.length - names.length };
    for (const synth of raters.length > 1 ? [null, ...(key ? key.synths : [])] : []) {
      const chosen = some(synth), columns = raters.map((one) => chosen.map((id) => one.scores.get(id))), row = { synth: synth || "all", sounds: chosen.length };
      raters.forEach((a, i) => raters.slice(i + 1).forEach((b, j) => found.agreement.push({ ...row, raters: `${a.rater}, ${b.rater}`, measure: "Spearman", ...attempt(() => statistics.spearman(columns[i], columns[i + 1 + j])) })));
      found.agreement.push({ ...row, raters: "all", measure: "Kendall's W", ...attempt(() => statistics.kendallW(columns)) });
    }
    for (const synth of key ? key.synths : []) {
      const losses = key.losses.filter((loss) => some(synth, loss).length), heard = losses.map((loss) => some(synth, loss));
      if (losses.length < 2) continue;
      const pooled = heard.map((chosen) => chosen.flatMap((id) => raters.map((one) => one.scores.get(id))));
      const sums = heard.map((chosen) => chosen.map((id) => raters.reduce((sum, one) => sum + one.scores.get(id), 0)));
      const own = attempt(() => statistics.scottKnott(sums)), ranks = statistics.scottKnott(pooled.map((x, i) => statistics.bootstrapMeans(x, 1000, i)));
      found.tests.push({ synth, pooled: statistics.kruskalWallis(pooled), sums: statistics.kruskalWallis(sums) });
      losses.forEach((loss, i) => found.ranks.push({ synth, loss, sounds: heard[i].length, mean: statistics.mean(pooled[i]), pooled: ranks[i], sums: own.why ? NaN : own[i] }));
    }
    return found;
  };
  const results = make("div", { "aria-live": "polite" });
  const present = (raters, key) => {
    const found = analyse(raters, key), range = ({ low, high }) => (isFinite(low) ? `${number(low)} to ${number(high)}` : "–");
    results.replaceChildren(make("p", {}, `Raters: ${raters.map((one) => `${one.rater} (${one.scores.size})`).join(", ")}. ${found.left_out ? `${found.left_out} pairs that not everybody scored are left out. ` : ""}${key ? "" : "Without the file of the key, nothing is known of synths and losses."}`));
    if (found.agreement.length) results.append(table("Agreement of the raters", ["synth", "measure", "raters", "sounds", "value", "95 % interval", "p"],
      found.agreement.map((row) => [row.synth, row.measure, row.raters, row.sounds, row.value, range(row), row.p ?? "–"])));
    if (found.ranks.length) results.append(
      table("Do the losses differ? Kruskal–Wallis", ["synth", "H, pooled", "p, pooled", "H, per sound", "p, per sound"], found.tests.map(({ synth, pooled, sums }) => [synth, pooled.H, pooled.p, sums.H, sums.p])),
      table("Mean score and rank, 1 is best", ["synth", "loss", "sounds", "mean", "rank, pooled", "rank, per sound"], found.ranks.map((row) => [row.synth, row.loss, row.sounds, row.mean, row.pooled, row.sums])));
    el.sonimatch.results = found;
  };
  const files = make("input", { type: "file", multiple: true, accept: ".json,application/json" });
  files.addEventListener("change", async () => {
    try {
      const read = await Promise.all(Array.from(files.files, async (file) => {
        const text = await file.text();
        return check(file.name, attempt(() => JSON.parse(text)));
      }));
      present(read.filter((file) => file.kind === RATINGS), read.find((file) => file.kind === KEY) || data.key);
    } catch (error) {
      results.replaceChildren(make("p", { role: "alert" }, `${error.message}.`));
    }
  });
  const reveal = button("Which was which?", () => {
    present([{ test: data.id, rater: state.rater || "you", scores: new Map(Object.entries(state.ratings).map(([id, { score }]) => [id, score])) }], data.key);
    const was = order.map((id, i) => { const { synth, loss, trial } = data.key.items[id]; return [i + 1, synth, loss, String(trial), state.ratings[id].score]; });
    results.prepend(table("What each pair was", ["pair", "synth", "loss", "trial", "score"], was));
    compare.open = true;
  });

  // ------------------------------------------------------------------------------------------------ the panel
  const row = (...nodes) => make("div", { className: "sonimatch-transport" }, ...nodes);
  const compare = make("details", {}, make("summary", {}, "Compare raters"),
    make("label", {}, "Files that raters saved, and the key if you have it: ", files), results);
  const panel = make("div", { className: "sonimatch-panel", role: "group", tabIndex: 0, "aria-label": "listening test" },
    status, bar, row(button("▶ both (space)", both), ...Object.values(sounds), sonimatch.volume()),
    make("div", {}, QUESTION), make("div", { className: "sonimatch-scale", role: "group", "aria-label": QUESTION }, ...scores, make("span", {}, ends[1]), make("span", {}, ends[5])),
    row(button("← back", () => go(state.at - 1)), button("next →", () => go(state.at + 1))), ...live.nodes,
    row(make("label", {}, "your name ", rater), button("save JSON", () => save("json")), button("save CSV", () => save("csv")), button("start over", again), reveal),
    compare, make("p", { className: "sonimatch-hash" }, `Keys: space plays both, T the target, M the match; 1 to 5 score; ← and → move. Test ${data.id}.`), ...(synths.length ? [sonimatch.origin(...synths)] : []));
  const keys = { " ": both, t: () => play("target"), m: () => play("match"), ArrowLeft: () => go(state.at - 1), ArrowRight: () => go(state.at + 1) };
  SCALE.forEach((score) => { keys[score] = () => rate(score); });
  panel.addEventListener("keydown", (event) => {
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key], { tagName } = event.target;
    if (!act || event.ctrlKey || event.metaKey || event.altKey || tagName === "INPUT" || (event.key === " " && event.target !== panel)) return;
    event.preventDefault();
    if (!event.repeat) act();
  });
  el.sonimatch = { state: () => state, order: () => order, rendered, analyse, results: null };
  el.append(panel);
  if (data.folder) el.addEventListener("shown", () => panel.focus()); // the page has nothing else
  shuffle();
  if (!order[state.at]) state.at = 0;
  const linked = sonimatch.recall(data.id, 1);
  show(linked ? Math.round(linked[0]) - 1 : state.at);
  say(!kept ? "This browser keeps nothing: save the file before you leave the page." : rated() ? `Welcome back: ${rated()} of ${ids.length} pairs are scored.` : "Press space to hear the first pair.");
};
