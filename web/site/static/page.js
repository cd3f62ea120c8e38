// One page: lines light up on the image and in the text together; keys turn pages; the text can be copied.
// The text of a page that is being read grows in place.
import { PAGE_ENDED, PAGE_WORDS, getJson, localTimes, pause } from "./common.js";

const text = document.getElementById("text");
const lines = [...document.querySelectorAll(".line")];
const boxes = [...document.querySelectorAll(".frame rect")];
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

function light(index) {
  for (const node of document.querySelectorAll(".lit")) node.classList.remove("lit");
  lines[index]?.classList.add("lit");
  boxes[index]?.classList.add("lit");
  lit = index;
}

for (const node of [...lines, ...boxes]) {
  node.addEventListener("pointerenter", () => light(Number(node.dataset.line)));
  node.addEventListener("pointerleave", () => light(-1));
}
for (const box of boxes) {
  box.addEventListener("click", () => lines[Number(box.dataset.line)]?.scrollIntoView({ block: "center" }));
}

text?.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !lines.length) return;
  event.preventDefault();
  light(Math.min(lines.length - 1, Math.max(0, lit + step)));
  lines[lit].scrollIntoView({ block: "nearest" });
});

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select") || event.altKey || event.ctrlKey || event.metaKey) return;
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  if (rel) document.querySelector(`a[rel=${rel}]`)?.click();
});

const copy = document.getElementById("copy");
if (text && !text.dataset.self && navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    const source = document.getElementById("source") || text;
    await navigator.clipboard.writeText(lines.length ? lines.map((line) => line.textContent).join("\n") : source.textContent);
    copy.textContent = "Copied";
  });
}
