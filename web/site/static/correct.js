// Correcting a page's text in the reader: its Markdown beside its scan, saved on the server, taken back with one click.
import { element, send } from "./common.js";
import { countLooks, current, sheets } from "./reader.js";

const root = document.getElementById("job");
const texts = document.getElementById("texts");

texts?.addEventListener("click", (event) => {
  const section = event.target.closest(".sheet");
  if (event.target.matches(".correct")) edit(section);
  if (event.target.matches(".undo")) change(section, "DELETE");
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "e" || event.target.closest("input:not([type=radio]), textarea, select") || event.altKey || event.ctrlKey || event.metaKey) return;
  const section = sheets?.at(current);
  if (!section?.querySelector(".correct")?.checkVisibility()) return;
  event.preventDefault();
  edit(section);
});

/** The page's Markdown to write in, in the place of its document. */
function edit(section) {
  if (section.querySelector(".editor")) return;
  const words = section.querySelector(".words");
  const source = section.querySelector(".markdown")?.textContent || "";
  const area = element("textarea", { "aria-label": `Text of page ${section.dataset.number} as Markdown`, dir: "auto", spellcheck: "true" });
  const save = element("button", { type: "button", class: "button primary" }, "Save");
  const leave = element("button", { type: "button", class: "button" }, "Cancel");
  const said = element("p", { class: "muted", role: "status" }, "What was read is kept; one click brings it back.");
  const editor = element("div", { class: "editor" }, area, element("div", { class: "row" }, save, leave), said);
  area.value = source;
  const close = () => { editor.remove(); words.hidden = false; section.querySelector(".correct").focus({ preventScroll: true }); };
  leave.addEventListener("click", close);
  save.addEventListener("click", () => (area.value === source ? close() : change(section, "PUT", area.value, said)));
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save.click();
  });
  words.hidden = true;
  words.before(editor);
  area.style.height = `${Math.max(words.offsetHeight, area.scrollHeight + 4, 200)}px`;
  area.focus({ preventScroll: true });
}

/** Have the page corrected, or what was read stand again, and show it as it is then. */
async function change(section, method, text, said) {
  const { number } = section.dataset;
  try {
    await send(method, `${root.dataset.self}/pages/${number}/text`, text == null ? null : { text });
  } catch (error) {
    (said || section.querySelector(".edited")).append(` ${error.message}`);
    return;
  }
  section.querySelector(".editor")?.remove();
  const fresh = await sheets.renew(number);
  document.getElementById(`c${number}`).toggleAttribute("data-look", fresh.hasAttribute("data-look"));
  countLooks();
  fresh.querySelector(".correct")?.focus({ preventScroll: true });
}
