/* The reader's theme before the page is drawn: what was chosen last, else what the system prefers. */
{
  const { dataset } = document.documentElement;
  dataset.mode ||= "auto";
  dataset.theme ||= matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}
