/* What `sonimatch.stats` computes, in the page, to the same numbers; NumPy's random rows among them. */
(() => {
  const refuse = (message) => { throw new Error(message); };
  const total = (x) => x.reduce((sum, y) => sum + y, 0), mean = (x) => total(x) / x.length;
  const finite = (name, x, least = 1) => {
    if (x.length < least) refuse(`${name} must have ${least} or more values, not ${x.length}`);
    for (const y of x) if (!Number.isFinite(y)) refuse(`${name} must be finite, not ${y}`);
    return x;
  };

  // ------------------------------------------------------------------------------------------------ random rows
  const hash = (state, factor) => (x) => {
    x ^= state; state = Math.imul(state, factor); x = Math.imul(x, state);
    return (x ^ (x >>> 16)) >>> 0;
  };
  const LIMBS = [0xf645, 0x9fcc, 0xdf64, 0x4385, 0x5da4, 0x1fc6, 0xed05, 0x2360];
  /* The 32-bit words of NumPy's `default_rng(seed)`, PCG64 seeded by SeedSequence, 128-bit numbers in limbs of 16: a
     function that gives at least so many of them. */
  const words = (seed) => {
    const mix = hash(0x43b0d7e5, 0x931e8875), spread = hash(0x8b51f9dd, 0x58f38ded);
    const pool = [seed, 0, 0, 0].map(mix);
    for (let from = 0; from < 4; from++) {
      for (let to = 0; to < 4; to++) {
        if (from === to) continue;
        const x = Math.imul(0xca01f9dd, pool[to]) - Math.imul(0x4973f715, mix(pool[from])) | 0;
        pool[to] = (x ^ (x >>> 16)) >>> 0;
      }
    }
    const drawn = Array.from({ length: 8 }, (_, i) => spread(pool[i % 4]));
    const limbs = (high, low) => [low, low + 1, high, high + 1].flatMap((i) => [drawn[i] & 0xffff, drawn[i] >>> 16]);
    const step = limbs(4, 6), first = limbs(0, 2);
    for (let i = 7; i >= 0; i--) step[i] = ((step[i] << 1) | (i ? step[i - 1] >>> 15 : 1)) & 0xffff;
    let state = new Float64Array(8), next = new Float64Array(8);
    const turn = () => {
      let carry = 0;
      for (let k = 0; k < 8; k++) {
        let sum = carry + step[k];
        for (let i = 0; i <= k; i++) sum += state[i] * LIMBS[k - i];
        next[k] = sum & 0xffff;
        carry = (sum - next[k]) / 65536;
      }
      [state, next] = [next, state];
    };
    turn();
    for (let k = 0, carry = 0; k < 8; k++) {
      const sum = state[k] + first[k] + carry;
      state[k] = sum & 0xffff; carry = sum >>> 16;
    }
    turn();
    let known = new Uint32Array(0);
    const word = (i) => (state[2 * i] | (state[2 * i + 1] << 16)) >>> 0;
    return (count) => {
      if (known.length >= count) return known;
      const longer = new Uint32Array(2 * Math.ceil(Math.max(count, 1.25 * known.length) / 2));
      longer.set(known);
      for (let i = known.length; i < longer.length; i += 2) {
        turn();
        const low = word(0) ^ word(2), high = word(1) ^ word(3), turns = state[7] >>> 10, by = turns & 31;
        const [a, b] = turns & 32 ? [high, low] : [low, high];
        longer[i] = by ? (a >>> by) | (b << (32 - by)) : a;
        longer[i + 1] = by ? (b >>> by) | (a << (32 - by)) : b;
      }
      return (known = longer);
    };
  };
  const streams = new Map();
  const stream = (seed) => {
    if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) refuse(`seed must be a whole number from 0 to 4294967295, not ${seed}`);
    if (!streams.has(seed)) streams.set(seed, words(seed));
    return streams.get(seed);
  };
  /* `default_rng(seed).integers(n, size=count)`, by Lemire's method. */
  const integers = (seed, n, count) => {
    const take = stream(seed), rows = new Uint32Array(count), least = (2 ** 32 - n) % n;
    let known = take(count);
    for (let i = 0, at = 0; n > 1 && i < count; i++) {
      for (;;) {
        if (at === known.length) known = take(at + 1);
        const product = known[at++] * n, row = Math.floor(product / 2 ** 32);
        if (product - row * 2 ** 32 >= least) { rows[i] = row; break; }
      }
    }
    return rows;
  };
  const bootstrapMeans = (x, resamples = 1000, seed = 0, reciprocal = false) => {
    finite("x", x);
    const n = x.length, rows = integers(seed, n, resamples * n), values = Float64Array.from(x), means = new Float64Array(resamples);
    for (let r = 0; r < resamples; r++) {
      let sum = 0;
      for (let i = r * n; i < (r + 1) * n; i++) sum += values[rows[i]];
      if (reciprocal && !(sum > 0)) refuse(`reciprocal needs positive means, not ${sum / n}`);
      means[r] = reciprocal ? 1 / (sum / n) : sum / n;
    }
    return means;
  };

  // ------------------------------------------------------------------------------------------------ distributions
  const LANCZOS = [0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7];
  const logGamma = (x) => {
    const t = x + 6.5, series = LANCZOS.reduce((sum, c, i) => sum + (i ? c / (x - 1 + i) : c), 0);
    return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(series);
  };
  /* The chance that chi-square with `df` degrees of freedom exceeds x. */
  const chiSquareTail = (x, df) => {
    const a = df / 2, y = x / 2;
    if (!(y > 0)) return 1;
    const scale = Math.exp(a * Math.log(y) - y - logGamma(a));
    if (y < a + 1) {
      let term = 1 / a, sum = term;
      for (let k = 1; term > sum * 1e-17; k++) { term *= y / (a + k); sum += term; }
      return 1 - scale * sum;
    }
    let b = y + 1 - a, c = 1e300, d = 1 / b, h = d;
    for (let k = 1; k < 10000; k++) {
      const factor = k * (a - k);
      b += 2; d = 1 / (factor * d + b); c = b + factor / c; h *= c * d;
      if (Math.abs(c * d - 1) < 1e-16) break;
    }
    return scale * h;
  };
  const Z = 1.959963984540054; // 95 %

  // ------------------------------------------------------------------------------------------------ ranks and tests
  /* Places from 1 on; equal values share the mean of theirs. */
  const midranks = (x) => {
    const order = Uint32Array.from(x, (_, i) => i).sort((i, j) => x[i] - x[j]), ranks = new Float64Array(x.length);
    for (let i = 0, j; i < order.length; i = j) {
      for (j = i; j < order.length && x[order[j]] === x[order[i]];) j++;
      for (let k = i; k < j; k++) ranks[order[k]] = (i + j + 1) / 2;
    }
    return ranks;
  };
  const kruskalWallis = (groups) => {
    if (groups.length < 2) refuse(`two groups or more are compared, not ${groups.length}`);
    const ranks = midranks(groups.flatMap((group) => [...finite("group", group)])), middle = (ranks.length + 1) / 2;
    const all = ranks.reduce((sum, rank) => sum + (rank - middle) ** 2, 0);
    if (!all) return { H: 0, p: 1 };
    let between = 0, first = 0;
    for (const group of groups) {
      between += group.length * (mean(ranks.subarray(first, first + group.length)) - middle) ** 2;
      first += group.length;
    }
    const H = ((ranks.length - 1) * between) / all;
    return { H, p: chiSquareTail(H, groups.length - 1) };
  };
  /* Cliff's delta of two samples in ascending order. */
  const cliffsDelta = (a, b) => {
    let below = 0, most = 0, count = 0;
    for (const x of a) {
      while (below < b.length && b[below] < x) below++;
      while (most < b.length && b[most] <= x) most++;
      count += below + most;
    }
    return (count - a.length * b.length) / (a.length * b.length);
  };

  const bits = new DataView(new ArrayBuffer(8));
  const split = (x) => {
    bits.setFloat64(0, x);
    const high = bits.getUint32(0), exponent = (high >>> 20) & 2047;
    const whole = (BigInt((high & 0xfffff) + (exponent ? 0x100000 : 0)) << 32n) + BigInt(bits.getUint32(4));
    return [high >>> 31 ? -whole : whole, Math.max(exponent, 1)];
  };
  /* The columns times one power of two, as integers: nothing is rounded. */
  const integral = (columns) => {
    const parts = columns.map((x) => Array.from(x, split));
    const least = parts.flat().reduce((low, [whole, exponent]) => (whole ? Math.min(low, exponent) : low), 2047);
    return parts.map((x) => x.map(([whole, exponent]) => (whole ? whole << BigInt(exponent - least) : 0n)));
  };
  const sum = (x) => x.reduce((all, y) => all + y, 0n);
  /* Scott–Knott effect size difference ranks of the columns `[k][n]`; 1 has the highest values. */
  const scottKnott = (columns, test = "np", negligible = "all") => {
    const n = columns[0].length, k = columns.length;
    if (columns.some((x) => x.length !== n)) refuse(`columns must have one length, not ${columns.map((x) => x.length).join(", ")}`);
    columns.forEach((x) => finite("X", x, 2));
    if (test !== "np" && test !== "p") refuse(`test must be 'np' or 'p', not '${test}'`);
    if (negligible !== "all" && negligible !== "ends") refuse(`negligible must be 'all' or 'ends', not '${negligible}'`);
    let level, weight, close, lastFirst;
    if (test === "np") {
      const sorted = columns.map((x) => Float64Array.from(x).sort());
      level = integral(sorted.map((x) => [x[(n - 1) >> 1], x[n >> 1]])).map(sum);
      const ranks = midranks(columns.flatMap((x) => [...x]));
      weight = columns.map((_, j) => BigInt(2 * total(ranks.subarray(j * n, (j + 1) * n))));
      close = (a, b) => Math.abs(cliffsDelta(sorted[a], sorted[b])) < 0.147;
      lastFirst = -1;
    } else {
      const whole = integral(columns), many = BigInt(n);
      level = weight = whole.map(sum);
      const square = whole.map((x, j) => many * sum(x.map((y) => y * y)) - level[j] ** 2n);
      close = (a, b) => level[a] === level[b] || 50n * (many - 1n) * (level[a] - level[b]) ** 2n < many * (square[a] + square[b]);
      lastFirst = 1;
    }
    const order = columns.map((_, j) => j).sort((a, b) => (level[a] === level[b] ? lastFirst * (a - b) : level[a] > level[b] ? -1 : 1));
    const w = order.map((j) => weight[j]), ranks = new Array(k);
    const segments = (low, high) => {
      const some = order.slice(low, high);
      const one = negligible === "all" ? some.every((a, i) => some.slice(i + 1).every((b) => close(a, b))) : close(some[0], some[some.length - 1]);
      if (one) return [some];
      let cut = 0, top = -1n, under = 1n;
      for (let c = low + 1; c < high; c++) {
        const left = BigInt(c - low), right = BigInt(high - c);
        const above = sum(w.slice(low, c)) ** 2n * right + sum(w.slice(c, high)) ** 2n * left, below = left * right;
        if (above * under > top * below) { cut = c; top = above; under = below; }
      }
      return [...segments(low, cut), ...segments(cut, high)];
    };
    segments(0, k).forEach((some, rank) => some.forEach((j) => { ranks[j] = rank + 1; }));
    return ranks;
  };
  /* Ranks of losses from the scores `[k][n]` of each, where lower is better; what was ranked stands in `drawn`. */
  const rankLosses = (scores, { resamples = 1000, seed = 0, test = "np", negligible = "all" } = {}) => {
    const drawn = scores.map((x, i) => (resamples ? bootstrapMeans(x, resamples, seed + i, true) : Float64Array.from(x, (y) => -y)));
    return { ranks: scottKnott(drawn, test, negligible), drawn };
  };

  // ------------------------------------------------------------------------------------------------ agreement
  const spearman = (a, b) => {
    finite("a", a, 4);
    finite("b", b, 4);
    if (a.length !== b.length) refuse(`a and b have ${a.length} and ${b.length} values; they must be pairs`);
    const middle = (a.length + 1) / 2, [x, y] = [a, b].map((values) => midranks(values).map((rank) => rank - middle));
    const product = (u, v) => u.reduce((all, z, i) => all + z * v[i], 0);
    const spread = Math.sqrt(product(x, x) * product(y, y));
    if (!spread) refuse(`a constant has no rank correlation: ${product(x, x) ? b[0] : a[0]}`);
    const value = sonimatch.clamp(product(x, y) / spread, -1, 1), width = Z * Math.sqrt((1 + value ** 2 / 2) / (a.length - 3));
    return { value, low: Math.tanh(Math.atanh(value) - width), high: Math.tanh(Math.atanh(value) + width) };
  };
  /* Kendall's W of raters `[m][n]`, n items scored by each. */
  const kendallW = (raters) => {
    const m = raters.length, n = m ? raters[0].length : 0;
    if (n < 2 || m < 2) refuse(`agreement needs two items and two raters or more, not ${n} and ${m}`);
    const ranks = raters.map((scores) => midranks(finite("scores", scores)).map((rank) => rank - (n + 1) / 2));
    const squares = m * total(ranks.map((x) => x.reduce((all, rank) => all + rank * rank, 0)));
    if (!squares) refuse("every rater is constant; agreement is undefined");
    let between = 0;
    for (let i = 0; i < n; i++) between += total(ranks.map((x) => x[i])) ** 2;
    const value = between / squares;
    return { value, p: chiSquareTail(m * (n - 1) * value, n - 1) };
  };

  /* A table that scrolls when it is wide; the first cell of a row is its head, and words stand to the left. */
  const table = (caption, header, rows) => {
    const { make } = sonimatch, text = (x) => (typeof x === "number" ? sonimatch.number(x) : x);
    const side = (i) => ({ style: rows.some((row) => /^[A-Za-z]/.test(row[i])) ? { textAlign: "start" } : {} });
    const line = (cells) => make("tr", {}, ...cells.map((cell, i) => make(i ? "td" : "th", i ? side(i) : { scope: "row" }, text(cell))));
    return make("div", { className: "sonimatch-table", tabIndex: 0, role: "region", "aria-label": caption }, make("table", {},
      make("caption", {}, caption), make("thead", {}, make("tr", {}, ...header.map((each, i) => make("th", { scope: "col", ...side(i) }, each)))),
      make("tbody", {}, ...rows.map(line))));
  };

  sonimatch.statistics = { mean, integers, bootstrapMeans, chiSquareTail, midranks, kruskalWallis, scottKnott, rankLosses, spearman, kendallW, table };
})();
