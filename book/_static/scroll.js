/* What is wider than its place scrolls sideways: by keyboard as well, and faded where there is more. */
{
  const places = "mjx-container[display], .highlight pre, .pst-scrollable-table-container, .cell_output figure, .cell_output > .image_png, .cell_output div[style*='overflow-x']";
  const look = (place) => {
    const hidden = place.scrollWidth - place.clientWidth;
    place.classList.toggle("more", hidden > 1 && place.scrollLeft < hidden - 1);
    if (hidden > 1) place.tabIndex = 0;
  };
  const all = () => document.querySelectorAll(places).forEach(look);
  addEventListener("load", () => {
    all();
    window.MathJax?.startup?.promise?.then(all);
    addEventListener("resize", all);
    addEventListener("scroll", ({ target }) => { if (target.matches?.(places)) look(target); }, true);
  });
}
