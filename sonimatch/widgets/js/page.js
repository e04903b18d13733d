/* A page without a kernel: every element finds its data beside it, and keeps its traits to itself. */
(() => {
  const model = (traits) => {
    const listeners = {};
    return {
      get: (name) => traits[name],
      set(name, value) { traits[name] = value; (listeners["change:" + name] || []).forEach((each) => each()); },
      on(event, listener) { (listeners[event] ||= []).push(listener); },
      save_changes() {},
    };
  };
  const start = () => {
    for (const el of document.querySelectorAll("div.sonimatch[data-element]:not([data-started])")) {
      el.dataset.started = "";
      const traits = JSON.parse(el.querySelector("script").textContent);
      const place = document.createElement("div");
      Promise.resolve(sonimatch.elements[el.dataset.element](model(traits), place)).then(
        () => { el.querySelector(".sonimatch-fallback").replaceWith(place); el.dataset.ready = ""; place.dispatchEvent(new Event("shown")); },
        (error) => { el.dataset.failed = String(error); console.error(error); },
      );
    }
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})();
