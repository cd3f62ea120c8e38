// A list of jobs: rows follow their jobs, new jobs come in above, several are chosen at once.
import { ENDED, count, getPart, localTimes, pause } from "./common.js";

const POLL_MS = 2000;
const NEW_MS = 6000; // between two looks where nothing is under way
const list = document.querySelector("ul.jobs");
const form = document.getElementById("picked");

localTimes();
if (form) choose();
if (list) follow();

/** Look at the list as the server has it now: often while a job is under way, else for new ones. */
async function follow() {
  const isNewest = "newest" in list.dataset;
  for (let waited = 0; ; waited += POLL_MS) {
    await pause(POLL_MS);
    const isBusy = [...list.children].some((row) => !ENDED.has(row.dataset.state));
    if (document.hidden || !(isBusy || (isNewest && waited >= NEW_MS))) continue;
    waited = 0;
    const now = await getPart(location.href, "ul.jobs").catch(() => null);
    if (now) show([...now.children], isNewest);
  }
}

function show(rows, isNewest) {
  for (const row of rows) {
    const known = list.querySelector(`[data-job="${row.dataset.job}"]`);
    if (known) update(known, row);
  }
  if (isNewest) takeIn(rows);
}

/** Bring a row up to what the server says, but for its links and its mark, which somebody may be about to use. */
function update(known, row) {
  known.dataset.state = row.dataset.state;
  for (const part of row.querySelectorAll("[data-part]")) {
    const old = known.querySelector(`[data-part="${part.dataset.part}"]`);
    if (part.matches("progress")) old.value = part.value;
    else if (part.matches("img")) { if (old.getAttribute("src") !== part.getAttribute("src")) old.src = part.getAttribute("src"); }
    else if (old.innerHTML !== part.innerHTML) old.replaceChildren(...part.childNodes);
  }
}

/** Put jobs that came after the page did above the others; as many go below as the list has room for. */
function takeIn(rows) {
  const newest = list.firstElementChild?.querySelector("time")?.getAttribute("datetime") || "";
  const above = rows.filter((row) => row.querySelector("time").dateTime > newest && !list.querySelector(`[data-job="${row.dataset.job}"]`));
  list.prepend(...above);
  while (list.children.length > Number(list.dataset.newest)) list.lastElementChild.remove();
  if (above.length) { localTimes(list); form?.dispatchEvent(new Event("change")); }
}

/** Several jobs at once: all, or from one to another with the shift key; what can be done comes up with the first. */
function choose() {
  const all = document.getElementById("all");
  const boxes = () => [...form.querySelectorAll("input[name=job]")];
  let last = null;
  form.classList.add("live");
  all.closest("label").hidden = false;
  all.addEventListener("change", () => { for (const box of boxes()) box.checked = all.checked; });
  form.addEventListener("click", (event) => {
    if (!event.target.matches?.("input[name=job]")) return;
    const here = boxes();
    const [from, to] = [here.indexOf(last), here.indexOf(event.target)].sort((one, other) => one - other);
    if (event.shiftKey && from >= 0) for (const box of here.slice(from, to + 1)) box.checked = event.target.checked;
    last = event.target;
  });
  form.addEventListener("change", tell);
  window.addEventListener("pageshow", tell); // a browser that comes back keeps the marks

  function tell() {
    const chosen = boxes().filter((box) => box.checked);
    all.checked = chosen.length === boxes().length;
    all.indeterminate = chosen.length > 0 && !all.checked;
    form.querySelector(".deeds").classList.toggle("on", chosen.length > 0);
    document.getElementById("num-picked").textContent = chosen.length ? `${count(chosen.length, "job")} chosen` : "";
    const states = chosen.map((box) => box.closest("[data-job]").dataset.state);
    form.querySelector("[value=cancel]").disabled = states.every((state) => ENDED.has(state));
    form.querySelector("[value=retry]").disabled = !states.some((state) => ["partial", "failed", "cancelled"].includes(state));
    form.querySelector("[value=download]").disabled = !states.some((state) => state === "succeeded" || state === "partial");
  }
}
