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
  const names = {}, waiting = [], address = [...new URLSearchParams(location.hash.slice(1)).keys()];
  /* Who comes by the address of a spot sees it: the last element that the address names. */
  const show = () => {
    const named = address.findLast((name) => names[name]);
    if (named) names[named].scrollIntoView({ block: "center" });
  };
  const start = () => {
    for (const el of document.querySelectorAll("div.sonimatch[data-element]:not([data-started])")) {
      el.dataset.started = "";
      const traits = JSON.parse(el.querySelector("script").textContent), { data } = traits;
      const { id } = data;
      for (let twin = 2; names[data.id]; twin++) data.id = `${id}-${twin}`;  // the address tells twins apart
      names[data.id] = el;
      const place = document.createElement("div");
      waiting.push(Promise.resolve(sonimatch.elements[el.dataset.element](model(traits), place)).then(
        () => { el.querySelector(".sonimatch-fallback").replaceWith(place); el.dataset.ready = Math.round(performance.now()); place.dispatchEvent(new Event("shown")); },
        (error) => { el.dataset.failed = String(error); console.error(error); },
      ));
    }
    Promise.all(waiting).then(show);
  };
  addEventListener("load", show);  // pictures above it have moved it
  addEventListener("hashchange", () => { if (Object.keys(names).some((name) => location.hash.includes(`${name}=`))) location.reload(); });  // a link to a setting, within the page
  sonimatch.start = start;  // called behind each element, before the rest of the page is read
  start();
  document.addEventListener("DOMContentLoaded", sonimatch.players);
})();
