// One page: blocks and lines light up on the image and in the text together; keys turn pages; the text can be copied.
// The text of a page that is being read grows in place.
import { light, marksIn, markBothWays, stepOf } from "./marks.js";
import { PAGE_ENDED, PAGE_WORDS, getJson, localTimes, pause } from "./common.js";

const text = document.getElementById("text");
const marks = marksIn(text);
const GROW_MS = 800;
let lit = -1;

localTimes();
if (text?.dataset.self) grow(text.dataset.self);

/** Follow a page until it has ended, and then show it as it is. */
async function grow(self) {
  const badge = document.querySelector("#badge .badge");
  for (;;) {
    await pause(GROW_MS);
    if (document.hidden) continue;
    const page = await getJson(self).catch((error) => (error.status === 404 ? { state: "cancelled" } : null));
    if (!page) continue;
    const hasNewImage = page.links?.image && !document.querySelector(".frame");
    if (PAGE_ENDED.has(page.state) || hasNewImage) return location.reload();
    badge.dataset.pageState = page.state;
    badge.textContent = PAGE_WORDS[page.state];
    text.textContent = page.text;
    text.hidden = !page.text;
    document.getElementById("nothing-yet").hidden = Boolean(page.text);
  }
}

markBothWays(document);

text?.addEventListener("keydown", (event) => {
  const step = stepOf(event);
  if (!step || !marks.length) return;
  event.preventDefault();
  lit = Math.min(marks.length - 1, Math.max(0, lit + step));
  light(document.querySelector(".spread"), marks[lit]);
  marks[lit].scrollIntoView({ block: "nearest" });
});

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select") || event.altKey || event.ctrlKey || event.metaKey) return;
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  if (rel) document.querySelector(`a[rel=${rel}]`)?.click();
});

const copy = document.getElementById("copy");
const source = document.getElementById("source");
if (source && navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(source.textContent);
    copy.textContent = "Copied";
  });
}
