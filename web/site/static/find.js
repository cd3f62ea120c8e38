// Finding words in all pages of a document: the server says on which pages they stand, the strip shows them, and the
// places themselves are marked as their pages come.
import { getJson, count } from "./common.js";
import { current, goTo, hold, sheets } from "./reader.js";

const form = document.getElementById("find");
const input = document.getElementById("find-words");
const said = document.getElementById("found");
const texts = document.getElementById("texts");
const AT_ONCE_MS = 60; // between two looks for places in pages that have come
let words = "";
let hits = []; // {page_number, count}, in page order
let at = { hit: -1, place: 0 };
let isDue = false;
let stepping = Promise.resolve();

if (form) start();

function start() {
  document.getElementById("hits")?.remove();
  for (const button of form.querySelectorAll("button")) button.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.value.trim() === words && hits.length) step(1);
    else find();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.shiftKey) { event.preventDefault(); step(-1); }
    if (event.key === "Escape") { input.value = ""; find(); input.blur(); }
  });
  input.addEventListener("search", () => { if (!input.value) find(); });
  form.querySelector("#find-before").addEventListener("click", () => step(-1));
  texts.addEventListener("sheet", soon);
  if (input.value) find();
}

async function find() {
  words = input.value.trim();
  const asked = words;
  const found = words ? await getJson(`${form.action}/find?q=${encodeURIComponent(words)}`).catch(() => null) : { pages: [] };
  if (asked !== words) return;
  hits = found?.pages || [];
  at = { hit: -1, place: 0 };
  const numbers = new Map(hits.map((hit) => [String(hit.page_number), hit.count]));
  for (const cell of document.querySelectorAll(".cell")) cell.toggleAttribute("data-hit", numbers.has(cell.textContent));
  said.textContent = !words ? "" : found ? "Nothing found" : "Could not be looked for";
  mark();
  const first = hits.findIndex((hit) => hit.page_number >= Number(current)); // from where one is
  at = { hit: first < 0 ? -1 : first - 1, place: Infinity };
  if (hits.length) step(1);
}

/** One step after the other: each begins where the one before has come to. */
function step(by) {
  stepping = stepping.then(() => go(by)).catch(() => null); // one that fails keeps no other
}

/** Go to the next place, or the one before; after the last one comes the first. */
async function go(by) {
  if (!hits.length) return;
  const place = at.place + by;
  const isHere = at.hit >= 0 && place >= 0 && place < rangesOf(at.hit).length;
  const hit = isHere ? at.hit : (Math.max(at.hit, by > 0 ? -1 : 0) + by + hits.length) % hits.length;
  const section = await sheets.fetch(String(hits[hit].page_number));
  const ranges = rangesIn(section);
  at = { hit, place: isHere ? place : by > 0 ? 0 : Math.max(0, ranges.length - 1) };
  goTo(section.dataset.number);
  const node = ranges[at.place]?.startContainer.parentElement;
  if (node) hold(() => node.scrollIntoView({ block: "center", behavior: "instant" }));
  const before = hits.slice(0, hit).reduce((sum, one) => sum + one.count, 0);
  const all = hits.reduce((sum, one) => sum + one.count, 0);
  said.textContent = `${Math.min(before + at.place + 1, all)} of ${all} on ${count(hits.length, "page")}`;
  mark();
}

function rangesOf(hit) {
  return rangesIn(sheets.at(hits[hit].page_number));
}

function soon() {
  if (isDue || !words) return;
  isDue = true;
  setTimeout(() => { isDue = false; mark(); }, AT_ONCE_MS);
}

/** Mark the places in all pages that are here; browsers without highlights go to the pages all the same. */
function mark() {
  if (!CSS.highlights) return;
  const ranges = words ? [...texts.querySelectorAll(".sheet:not(.far)")].flatMap(rangesIn) : [];
  CSS.highlights.set("found", new Highlight(...ranges));
  const here = at.hit >= 0 ? rangesOf(at.hit)[at.place] : null;
  CSS.highlights.set("found-here", here ? new Highlight(here) : new Highlight());
}

/** The places of the words in a section, as ranges: a word may go over several elements. */
function rangesIn(section) {
  const root = section?.querySelector(".words");
  if (!root || !words) return [];
  const nodes = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  let text = "";
  while (walker.nextNode()) {
    nodes.push([text.length, walker.currentNode]);
    text += walker.currentNode.data;
  }
  const pattern = new RegExp(words.split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("\\s+"), "gi");
  return [...text.matchAll(pattern)].map((match) => rangeOf(nodes, match.index, match.index + match[0].length));
}

function rangeOf(nodes, start, end) {
  const range = new Range();
  const at = (place) => nodes.findLast(([offset]) => offset <= place);
  const [from, first] = at(start);
  const [to, last] = at(end - 1);
  range.setStart(first, start - from);
  range.setEnd(last, end - to);
  return range;
}
