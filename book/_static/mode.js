/* The reader's theme before the page is drawn: what was chosen last, else what the system prefers. */
{
  const { dataset } = document.documentElement;
  dataset.mode ||= "auto";
  dataset.theme ||= matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  /* Paper is light, and what is folded lies open but for the code. */
  addEventListener("beforeprint", () => {
    const { theme } = dataset, folded = [...document.querySelectorAll("details:not(.hide, [open])")];
    const lay = (theme, open) => { dataset.theme = theme; folded.forEach((each) => { each.open = open; }); };
    lay("light", true);
    addEventListener("afterprint", () => lay(theme, false), { once: true });
  });
}
