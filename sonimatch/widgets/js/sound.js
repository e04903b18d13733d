/* Sound: one context and one voice for the page, which begins with a gesture; what plays it, and plays files. */
(() => {
  const { make } = sonimatch, LIMIT = 0.7, FADE = 0.02, AHEAD = 0.02, EVERY = 60; // seconds, and milliseconds
  let context = null, out = null, holder = null, volume = 0.8;
  const open = (rate) => {
    if (!context) {
      context = new AudioContext({ sampleRate: rate });
      out = context.createGain();
      out.gain.value = volume;
      out.connect(context.destination);
    }
    context.resume();
  };
  const release = (mine, whole) => { if (holder === mine) { holder = null; mine.ended(whole); } };
  const filled = ({ gain, rate }, samples) => {
    const buffer = context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples.map((x) => (isFinite(x) ? sonimatch.clamp(x * gain, -LIMIT, LIMIT) : 0)), 0);
    return buffer;
  };
  /* A buffer of a voice from `when` on, where the voice then is; what sounds gives way to it. Two sounds of one program
     share phase and noise, so that their gains, not their powers, add up to 1. */
  const place = (mine, buffer, when) => {
    const source = context.createBufferSource(), fade = context.createGain(), old = mine.now;
    Object.assign(source, { buffer, loop: mine.loop });
    fade.gain.value = old ? 0 : 1;
    source.connect(fade).connect(mine.bus);
    source.onended = () => { if (mine.now?.source === source) release(mine, true); };
    mine.now = { source, fade };
    mine.length = buffer.duration;
    source.start(when, (Math.round((when - mine.since) * mine.rate) % buffer.length) / mine.rate);
    if (!old) return;
    for (const [{ gain }, from] of [[old.fade, 1], [fade, 0]]) { gain.setValueAtTime(from, when); gain.linearRampToValueAtTime(1 - from, when + FADE); }
    old.source.stop(when + FADE);
    mine.free = when + FADE;
  };
  const frame = (seconds) => Math.ceil(seconds * context.sampleRate) / context.sampleRate;

  if (!sonimatch.sound) { // of all scripts that a kernel sends, the first has the sound
    sonimatch.sound = {
      get volume() { return volume; },
      set volume(x) { volume = x; if (out) out.gain.setTargetAtTime(x, context.currentTime, 0.01); },
      get playing() { return holder ? holder.owner : null; },
      /* Where in its length what plays is, from 0 to 1; null while nothing does. */
      get at() { return holder?.now ? sonimatch.clamp(((context.currentTime - holder.since) / holder.length) % 1) : null; },
      /* Whoever sounds by other means says how it stops; what comes back tells that it has, and whether at its end. */
      take(owner, silence, ended = () => {}) {
        this.stop();
        const mine = holder = { owner, silence, ended };
        return (whole) => release(mine, whole);
      },
      play(owner, samples, rate, { loop = false, gain = 1, ended = () => {} } = {}) {
        this.stop();
        open(rate);
        const mine = { owner, rate, loop, gain, ended, bus: context.createGain(), now: null, free: 0 }, buffer = filled(mine, samples);
        mine.bus.connect(out);
        mine.silence = () => {
          const { now, bus } = mine, at = context.currentTime;
          mine.now = null;
          bus.gain.setValueAtTime(1, at);
          bus.gain.linearRampToValueAtTime(0, at + FADE / 2);
          now.source.stop(at + FADE / 2);
        };
        mine.since = frame(context.currentTime + AHEAD / 4);
        place(mine, buffer, mine.since);
        holder = mine;
      },
      /* Another sound in the place of that which plays, from where it is. */
      change(samples) {
        if (!holder?.now) return;
        const buffer = filled(holder, samples), when = frame(Math.max(context.currentTime + AHEAD, holder.free));
        if (holder.loop || when + FADE < holder.since + holder.length) place(holder, buffer, when);
      },
      /* Whether what plays begins again at its end. */
      loop(on) {
        if (!holder?.now) return;
        const { since, length, now } = holder;
        if (holder.loop) holder.since += length * Math.max(0, Math.floor((context.currentTime - since) / length));
        now.source.loop = holder.loop = on;
      },
      stop() {
        const mine = holder;
        if (!mine) return;
        holder = null;
        mine.silence();
        mine.ended(false);
      },
    };
    /* The players of a page, whoever made them, take the sound like everybody else. */
    document.addEventListener("play", ({ target }) => {
      if (holder?.owner === target) return;
      const over = sonimatch.sound.take(target, () => target.pause());
      for (const end of ["pause", "emptied"]) target.addEventListener(end, () => over(target.ended), { once: true });
    }, true);
  }

  // ------------------------------------------------------------------------------------------------ elements
  sonimatch.volume = () => {
    const range = make("input", { type: "range", min: 0, max: 1, step: 0.01, value: sonimatch.sound.volume, "aria-label": "volume" });
    range.addEventListener("input", () => { sonimatch.sound.volume = Number(range.value); });
    return make("label", {}, "volume ", range);
  };

  /* Play, loop and volume; `sounds` maps labels to functions that give samples. All have the one gain with which the
     loudest sound of the element peaks at the limit, so that what is louder is heard as louder. */
  sonimatch.transport = (owner, synth, sounds) => {
    const names = Object.keys(sounds), buttons = {}, loop = make("input", { type: "checkbox" }), gain = LIMIT / synth.loudest.peak;
    let current = null, held = false, waiting = null, last = -Infinity;
    const mark = () => names.forEach((name) => {
      const on = current === name;
      buttons[name].textContent = (on ? "■ " : "▶ ") + name;
      buttons[name].setAttribute("aria-pressed", on);
    });
    const start = (name) => {
      sonimatch.sound.play(owner, sounds[name](), synth.rate, { loop: loop.checked || held, gain, ended: () => { current = null; mark(); } });
      current = name; mark();
    };
    for (const name of names) {
      buttons[name] = make("button", { type: "button" });
      buttons[name].addEventListener("click", () => (current === name ? sonimatch.sound.stop() : start(name)));
    }
    const repeat = () => { if (current) sonimatch.sound.loop(loop.checked || held); };
    loop.addEventListener("change", repeat);
    mark();
    const node = make("div", { className: "sonimatch-transport" }, ...Object.values(buttons), make("label", {}, loop, " loop"), sonimatch.volume());
    /* What sounds follows what changes, at most every `EVERY` milliseconds. */
    const changed = () => {
      if (!current || waiting) return;
      waiting = setTimeout(() => {
        waiting = null;
        last = performance.now();
        if (current) sonimatch.sound.change(sounds[current]());
      }, Math.max(0, last + EVERY - performance.now()));
    };
    /* While it is held a sound repeats; let go, it plays to its end. */
    const hold = (name) => { held = true; if (current === name) repeat(); else start(name); };
    const letGo = () => { held = false; repeat(); };
    return { node, changed, hold, letGo };
  };

  // ------------------------------------------------------------------------------------------------ files
  /* The players of files: a button and a bar each in the place of the browser's own, and one tab stop for a group. */
  sonimatch.players = () => {
    for (const group of document.querySelectorAll(".players:not([role])")) {
      const several = group.querySelectorAll("audio").length > 1, buttons = Array.from(group.querySelectorAll("audio"), (audio, k) => {
        const name = audio.getAttribute("aria-label"), button = make("button", { type: "button", tabIndex: k ? -1 : 0 });
        const bar = make("input", { type: "range", min: 0, max: 1, step: "any", value: 0, tabIndex: -1, "aria-label": `position in ${name}` });
        const mark = () => { button.textContent = audio.paused ? "▶" : "■"; button.setAttribute("aria-label", `${audio.paused ? "play" : "stop"} ${name}`); };
        const run = () => { bar.value = audio.currentTime / audio.duration || 0; if (!audio.paused) requestAnimationFrame(run); };
        button.addEventListener("click", () => {
          if (!audio.paused) return audio.pause();
          Object.assign(audio, { volume: sonimatch.sound.volume, currentTime: 0 });
          audio.play().catch((error) => { if (error.name !== "AbortError") fail(); });
        });
        const fail = () => { button.disabled = true; button.textContent = "does not play"; };
        bar.addEventListener("input", () => { if (isFinite(audio.duration)) audio.currentTime = bar.value * audio.duration; });
        for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, () => { mark(); run(); });
        audio.addEventListener("error", fail);
        audio.controls = false;
        audio.after(make("div", { className: "sonimatch-file" }, button, bar));
        mark();
        return button;
      });
      group.setAttribute("role", several ? "toolbar" : "group");
      group.setAttribute("aria-label", several ? "sounds; arrow keys go from one to the next" : "a sound");
      group.addEventListener("keydown", (event) => {
        const at = buttons.indexOf(event.target), way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (at < 0 || !way) return;
        event.preventDefault();
        const next = buttons[(at + way + buttons.length) % buttons.length];
        buttons.forEach((each) => { each.tabIndex = each === next ? 0 : -1; });
        next.focus();
      });
    }
  };
})();
