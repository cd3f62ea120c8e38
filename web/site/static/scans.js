// The scans of the reader: larger and smaller, turned, and small ones where the strip is pointed at.
import { element } from "./common.js";
import { current, goTo, sheets } from "./reader.js";

const ZOOMS = [["Fit", 0], ["Width", 1], ["150 %", 1.5], ["200 %", 2], ["300 %", 3]]; // times the width there is
const THUMB_MS = 120;
const root = document.getElementById("job");
const texts = document.getElementById("texts");
const strip = document.getElementById("cells");
const turns = new Map(); // degrees, by page number
let step = 0;

if (sheets) start();

function start() {
  const group = document.querySelector(".zoom");
  group.hidden = false;
  group.addEventListener("click", (event) => {
    const by = event.target.dataset.zoom;
    if (by) zoom(Number(by));
    if (event.target.matches("[data-turn]")) turn(current);
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input:not([type=radio]), textarea, select") || event.altKey || event.ctrlKey || event.metaKey) return;
    ({ "+": () => zoom(1), "=": () => zoom(1), "-": () => zoom(-1), r: () => turn(current) })[event.key]?.();
  });
  texts.addEventListener("sheet", (event) => showTurn(event.target));
  texts.addEventListener("load", (event) => showTurn(event.target.closest(".sheet")), true);
  if (matchMedia("(hover: hover)").matches) showThumbs();
}

/** The next larger or smaller size, with the page that is read in its place. */
function zoom(by) {
  step = Math.min(ZOOMS.length - 1, Math.max(0, step + by));
  const [words, factor] = ZOOMS[step];
  document.getElementById("zoom").textContent = words;
  texts.toggleAttribute("data-zoomed", step > 0);
  texts.style.setProperty("--zoom", factor);
  for (const number of turns.keys()) showTurn(sheets.at(number));
  goTo(current);
}

function turn(number) {
  turns.set(number, ((turns.get(number) || 0) + 90) % 360);
  showTurn(sheets.at(number));
}

/** Turn a section's scan as it was turned before; one that lies on its side is made to fit again. */
function showTurn(section) {
  const degrees = turns.get(section?.dataset.number);
  const frame = section?.querySelector(".frame");
  if (degrees == null || !frame) return;
  frame.style.transform = "";
  frame.style.marginBlock = "";
  const { offsetWidth: width, offsetHeight: height } = frame;
  const scale = degrees % 180 ? Math.min(1, frame.parentElement.clientWidth / height) : 1;
  frame.style.transform = degrees ? `rotate(${degrees}deg) scale(${scale})` : "";
  if (degrees % 180) frame.style.marginBlock = `${(width * scale - height) / 2}px`;
}

/** A page as a small picture beside its cell, for those that have one. */
function showThumbs() {
  const thumb = element("img", { class: "thumb", alt: "", hidden: "" });
  let timer = 0;
  root.append(thumb);
  const hide = () => { clearTimeout(timer); thumb.hidden = true; };
  const show = (event) => {
    hide();
    const cell = event.target.closest(".cell[data-image]");
    if (!cell) return;
    timer = setTimeout(() => {
      const box = cell.getBoundingClientRect();
      thumb.onload = () => { thumb.hidden = false; place(thumb, box); };
      thumb.onerror = hide;
      thumb.src = `${root.dataset.self}/pages/${cell.textContent}/image`;
    }, THUMB_MS);
  };
  strip.addEventListener("pointerover", show);
  strip.addEventListener("focusin", show);
  for (const name of ["pointerleave", "focusout", "scroll"]) strip.addEventListener(name, hide);
}

/** Beside the strip, where it covers no cell, at the height of the cell. */
function place(thumb, box) {
  const { offsetWidth: width, offsetHeight: height } = thumb;
  thumb.style.left = `${Math.max(8, Math.min(strip.getBoundingClientRect().right + 10, innerWidth - width - 8))}px`;
  thumb.style.top = `${Math.max(8, Math.min(box.top - height / 3, innerHeight - height - 8))}px`;
}
