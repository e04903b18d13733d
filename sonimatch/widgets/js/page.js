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
  const names = {};
  const start = () => {
    for (const el of document.querySelectorAll("div.sonimatch[data-element]:not([data-started])")) {
      el.dataset.started = "";
      const traits = JSON.parse(el.querySelector("script").textContent), { data } = traits;
      const { id } = data;
      for (let twin = 2; names[data.id]; twin++) data.id = `${id}-${twin}`;  // the address tells twins apart
      names[data.id] = true;
      const place = document.createElement("div");
      Promise.resolve(sonimatch.elements[el.dataset.element](model(traits), place)).then(
        () => { el.querySelector(".sonimatch-fallback").replaceWith(place); el.dataset.ready = Math.round(performance.now()); place.dispatchEvent(new Event("shown")); },
        (error) => { el.dataset.failed = String(error); console.error(error); },
      );
    }
  };
  addEventListener("hashchange", () => { if (Object.keys(names).some((name) => location.hash.includes(`${name}=`))) location.reload(); });  // a link to a setting, within the page
  if (document.readyState === "loading") document.addEventListener("readystatechange", start, { once: true }); else start();  // before deferred scripts
})();
