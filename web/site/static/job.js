// A job page that follows its job: cells change colour, pages fill in, the pace is kept up to date, and nothing reloads
// when the job has ended.
import { ENDED, PAGE_WORDS, Refused, STATE_WORDS, element, getJson, getPart, localTimes, pace, pause } from "./common.js";
import { countLooks, sheets, showButtons } from "./reader.js";

const root = document.getElementById("job");
const { self, pages, events, html, name } = root.dataset;
const POLL_MS = 1000;
const FAULTY = new Set(["failed", "fallback"]);
const AT_END = ["badge", "meter", "notices", "actions", "answer", "faults"]; // parts that the server writes anew
const title = document.title;
let seq = Number(root.dataset.seq);
let spoken = 0;
const live = document.getElementById("live");
const liveText = document.getElementById("live-text");
const reading = new Map(); // what has been read so far, by page number
if (Number(liveText?.dataset.number)) reading.set(Number(liveText.dataset.number), liveText.textContent);

localTimes();
if (!ENDED.has(root.dataset.state)) follow();

/** Listen to the server's events; poll where that cannot be had. */
function follow() {
  const source = new EventSource(`${events}?text=0&since=${seq}:0`);
  const changed = [];
  source.addEventListener("page", (event) => changed.push(JSON.parse(event.data)));
  source.addEventListener("job", (event) => {
    if (show(JSON.parse(event.data), changed.splice(0))) renew(source);
  });
  source.addEventListener("partial", (event) => {
    const page = JSON.parse(event.data);
    reading.set(page.page_number, page.text);
    showReading();
  });
  source.addEventListener("end", () => renew(source));
  source.addEventListener("error", () => { if (source.readyState === EventSource.CLOSED) poll(); });
}

/** Where the job has ended: what the server has to say of it takes the place of what stood there. */
async function renew(source) {
  source?.close();
  const page = await getPart(location.href).catch(() => null);
  if (!page?.getElementById("cells") || !sheets) return location.reload();
  for (const id of AT_END) document.getElementById(id).replaceWith(document.adoptNode(page.getElementById(id)));
  for (const cell of page.querySelectorAll(".cell")) settle(cell);
  if (live) live.hidden = true;
  const { state } = page.getElementById("job").dataset;
  root.dataset.state = state;
  seq = Number(page.getElementById("job").dataset.seq);
  document.title = title;
  sheets.refresh();
  localTimes();
  countCells();
  showButtons();
  if (ENDED.has(state)) root.dispatchEvent(new CustomEvent("jobended", { detail: state }));
  else follow();
}

/** The job runs once more: its outline changes, and what it does from now on is followed. */
export function followAgain() {
  return renew();
}

/** A page as it is at the end, should its last change not have been heard of. */
function settle(cell) {
  const own = document.getElementById(cell.id);
  const isNew = own.dataset.state !== cell.dataset.state;
  if (isNew) sheets.change(cell.textContent, cell.dataset.state);
  own.dataset.state = cell.dataset.state;
  own.toggleAttribute("data-look", "look" in cell.dataset);
  own.setAttribute("aria-label", cell.getAttribute("aria-label"));
}

async function poll() {
  for (;;) {
    let wait = POLL_MS;
    try {
      if (!document.hidden) {
        const [job, changes] = await Promise.all([getJson(self), getJson(`${pages}?since=${seq}`)]);
        seq = changes.seq;
        if (show(job, changes.pages)) return renew();
      }
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return renew();
      say(`${error.message} Trying again.`);
      wait = error instanceof Refused ? error.retryAfterS * 1000 : 3000;
    }
    await pause(wait);
  }
}

/** Bring the page up to date; true when its outline has changed, so that it must be loaded anew. */
function show(job, changed) {
  if (ENDED.has(job.state) || (job.pages.total && !document.getElementById("cells"))) return true;
  for (const page of changed) updateCell(page);
  const badge = root.querySelector("#badge .badge");
  badge.dataset.state = job.state;
  badge.textContent = STATE_WORDS[job.state];
  document.getElementById("progress").value = job.progress;
  document.title = `(${Math.floor(100 * job.progress)} %) ${name}`;
  document.getElementById("pace").textContent = pace(job);
  const soFar = document.getElementById("so-far");
  if (soFar) soFar.hidden = !(job.pages.ok || job.pages.fallback);
  speak(job);
  if (changed.length) { countCells(); showReading(); }
  return false;
}

function updateCell(page) {
  const cell = document.getElementById(`c${page.page_number}`);
  if (!cell) return;
  cell.dataset.state = page.state;
  const isLook = ["ok", "blank"].includes(page.state) && Boolean(page.notice);
  cell.toggleAttribute("data-look", isLook);
  cell.toggleAttribute("data-image", Boolean(page.links.image));
  cell.setAttribute("aria-label", `Page ${page.page_number}, ${PAGE_WORDS[page.state]}${isLook ? ", to be looked at" : ""}`);
  sheets.change(page.page_number, page.state);
  cell.title = page.fault?.detail || page.notice;
  if (page.state !== "generating") reading.delete(page.page_number);
  if (FAULTY.has(page.state) || page.notice) addFault(page);
}

function addFault(page) {
  const section = document.getElementById("faults");
  const list = section.querySelector("ul");
  section.hidden = false;
  list.querySelector(`[data-number="${page.page_number}"]`)?.remove();
  list.append(element("li", { "data-number": page.page_number },
    element("a", { href: `${html}/pages/${page.page_number}` }, `Page ${page.page_number}`),
    element("span", { class: "badge", "data-page-state": page.state }, PAGE_WORDS[page.state]),
    element("span", {}, page.fault?.detail || page.notice)));
}

/** The page that is shown stays until it has ended; then the first one that has some text takes its place. */
function showReading() {
  if (!live) return;
  const before = Number(liveText.dataset.number);
  const begun = [...reading.keys()].filter((number) => reading.get(number));
  const number = reading.has(before) ? before : Math.min(...begun);
  live.hidden = !reading.has(number);
  if (live.hidden) return;
  const follows = liveText.scrollHeight - liveText.scrollTop - liveText.clientHeight < 40;
  if (number !== before) {
    const link = live.querySelector("a");
    link.href = `${html}/pages/${number}`;
    link.textContent = `page ${number}`;
    liveText.dataset.number = number;
  }
  liveText.textContent = reading.get(number);
  if (follows || number !== before) liveText.scrollTop = liveText.scrollHeight;
}

function countCells() {
  const counts = {};
  for (const cell of document.querySelectorAll(".cell")) counts[cell.dataset.state] = (counts[cell.dataset.state] || 0) + 1;
  for (const entry of document.querySelectorAll("[data-legend]")) {
    const number = counts[entry.dataset.legend] || 0;
    entry.hidden = !number;
    entry.querySelector("b").textContent = number;
  }
  countLooks();
}

/** Tell screen readers at every tenth of the way, not at every page. */
function speak(job) {
  const tenth = Math.floor(job.progress * 10);
  if (tenth > spoken) say(pace(job));
  spoken = Math.max(spoken, tenth);
}

function say(text) {
  document.getElementById("spoken").textContent = text;
}
