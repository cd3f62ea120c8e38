// One page: lines light up on the image and in the text together; keys turn pages; the text can be copied.
import { localTimes } from "./common.js";

const text = document.getElementById("text");
const lines = [...document.querySelectorAll(".line")];
const boxes = [...document.querySelectorAll(".frame rect")];
let lit = -1;

localTimes();

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
if (text && navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    const source = document.getElementById("source") || text;
    await navigator.clipboard.writeText(lines.length ? lines.map((line) => line.textContent).join("\n") : source.textContent);
    copy.textContent = "Copied";
  });
}
