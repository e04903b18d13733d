/* A page without a kernel: every element finds its data beside it, and keeps its traits to itself. */
(() => {
  sonimatch.page = true;
  const model = (traits) => {
    const listeners = {};
    return {
      get: (name) => traits[name],
      set(name, value) { traits[name] = value; (listeners["change:" + name] || []).forEach((each) => each()); },
      on(event, listener) { (listeners[event] ||= []).push(listener); },
      save_changes() {},
    };
  };
  const seen = {};
  const start = () => {
    for (const el of document.querySelectorAll("div.sonimatch[data-element]:not([data-started])")) {
      el.dataset.started = "";
      const traits = JSON.parse(el.querySelector("script").textContent), { data } = traits;
      seen[data.id] = (seen[data.id] || 0) + 1;
      if (seen[data.id] > 1) data.id += `-${seen[data.id]}`;  // the address tells twins apart
      const place = document.createElement("div");
      Promise.resolve(sonimatch.elements[el.dataset.element](model(traits), place)).then(
        () => { el.querySelector(".sonimatch-fallback").replaceWith(place); el.dataset.ready = Math.round(performance.now()); place.dispatchEvent(new Event("shown")); },
        (error) => { el.dataset.failed = String(error); console.error(error); },
      );
    }
  };
  if (document.readyState === "loading") document.addEventListener("readystatechange", start, { once: true }); else start();  // before deferred scripts
})();
