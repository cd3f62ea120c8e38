// The reader on a job's page: sections that come as they are scrolled to, keys, copying, and which page one is at.
import { markBothWays } from "./marks.js";
import { Sheets } from "./sheets.js";

const EDGE_PX = 40; // below the bar that stays in sight
const root = document.getElementById("job");
const texts = document.getElementById("texts");
const strip = document.getElementById("cells");
const jump = document.getElementById("jump");
const cells = [...(strip?.children || [])].map((item) => item.firstElementChild);
const numbers = cells.map((cell) => cell.textContent);
export const sheets = texts && new Sheets(texts, cells, root.dataset.html);
export let current = numbers[0];
let held = null; // brings back what was gone to, as long as nobody has scrolled since
let isDue = false; // whether the current page is looked for with the next picture

if (sheets) start();

function start() {
  markBothWays(texts);
  document.getElementById("following")?.remove();
  document.getElementById("waiting-text")?.remove();
  document.querySelector(".jump").hidden = false;
  jump.value = current;
  jump.addEventListener("change", () => goTo(String(parseInt(jump.value, 10))));
  jump.addEventListener("focus", () => jump.select());
  strip.addEventListener("click", (event) => {
    const cell = event.target.closest(".cell");
    if (!cell || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    goTo(cell.textContent);
  });
  root.addEventListener("click", (event) => {
    const link = event.target.closest("#answer a[href*='#page-']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    goTo(link.hash.slice(6));
  });
  texts.addEventListener("click", (event) => { if (event.target.matches(".copy")) copyPage(event.target.closest(".sheet")); });
  document.addEventListener("keydown", press);
  addEventListener("scroll", soon, { passive: true });
  for (const name of ["wheel", "touchmove", "pointerdown", "keydown"]) addEventListener(name, () => { held = null; }, { passive: true, capture: true });
  new ResizeObserver(() => held?.()).observe(texts); // what comes above it must not push it away
  const bar = document.querySelector(".bar");
  new ResizeObserver(() => texts.style.setProperty("--bar", `${bar.offsetHeight}px`)).observe(bar);
  soon();
  if (/^#page-\d+$/.test(location.hash)) goTo(location.hash.slice(6));
}

/** Show a page, by its number; one that is not among the pages changes nothing. */
export function goTo(number) {
  if (!numbers.includes(number)) { jump.value = current; return; }
  hold(() => sheets.at(number).scrollIntoView({ block: "start", behavior: "instant" }));
  sheets.want(number);
  setCurrent(number);
}

/** Scroll by `align`, and again when pages that come change what stands above. */
export function hold(align) {
  held = align;
  align();
}

function soon() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => { isDue = false; findCurrent(); });
}

/** The page at the upper edge of the window, or the one that was gone to while nobody has scrolled since. */
function findCurrent() {
  if (held) return;
  const edge = document.querySelector(".bar").offsetHeight + EDGE_PX;
  let [low, high] = [0, numbers.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (texts.children[middle].getBoundingClientRect().top <= edge) low = middle;
    else high = middle - 1;
  }
  setCurrent(numbers[low]);
}

function setCurrent(number) {
  const [before, cell] = [document.getElementById(`c${current}`), document.getElementById(`c${number}`)];
  before.removeAttribute("aria-current");
  cell.setAttribute("aria-current", "true");
  if (document.activeElement !== jump) jump.value = number;
  if (number !== current) strip.scrollTop = cell.offsetTop - strip.clientHeight / 2;
  current = number;
}

function step(by) {
  const place = numbers.indexOf(current) + by;
  if (numbers[place]) goTo(numbers[place]);
}

/** The pages that people should look at, by their numbers. */
function toLookAt() {
  return cells.filter((cell) => cell.matches("[data-look], [data-state=failed], [data-state=fallback]")).map((cell) => cell.textContent);
}

/** Say on the button how many there are. */
export function countLooks() {
  const button = document.getElementById("next-look");
  if (!button) return;
  const found = toLookAt();
  button.hidden = !found.length;
  button.textContent = `${found.length} to look at ›`;
}

/** The next page that people should look at, after the last one the first; the line the engine was unsure of first. */
function nextToLookAt() {
  const found = toLookAt();
  const next = found.find((number) => Number(number) > Number(current)) ?? found[0];
  if (next) goTo(next);
}

function press(event) {
  if (event.target.closest("input:not([type=radio]), textarea, select") || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target.matches("input") && event.key.startsWith("Arrow")) return; // which chooses among radio buttons
  const act = { j: () => step(1), k: () => step(-1), ArrowRight: () => step(1), ArrowLeft: () => step(-1), n: nextToLookAt, g: () => jump.focus(), "/": () => document.getElementById("find-words").focus(), c: () => copyPage(sheets.at(current)) }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

async function copyPage(section) {
  const source = section.querySelector(".markdown")?.textContent;
  if (!source || !navigator.clipboard) return;
  await navigator.clipboard.writeText(source);
  section.querySelector(".copy").textContent = "Copied";
}

document.addEventListener("click", async (event) => {
  const look = event.target.closest("#faults li a");
  if (look && sheets && !event.ctrlKey && !event.metaKey && !event.shiftKey) { event.preventDefault(); goTo(look.parentElement.dataset.number); }
  if (event.target.id === "next-look") { event.target.blur(); nextToLookAt(); }
  if (event.target.id !== "copy-all") return;
  const response = await fetch(event.target.dataset.source);
  if (response.ok) await navigator.clipboard.writeText(await response.text());
  event.target.textContent = response.ok ? "Copied" : "Could not be copied";
});

/** Show what only a script can do; again where the server's buttons have taken the place of others. */
export function showButtons() {
  const copyAll = document.getElementById("copy-all");
  if (copyAll) copyAll.hidden = !navigator.clipboard;
  if (sheets) countLooks();
}
showButtons();
