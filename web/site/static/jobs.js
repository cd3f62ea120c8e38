// A list of jobs: rows of unfinished jobs follow their progress, and new jobs come in above.
import { ENDED, STATE_WORDS, count, getJson, getPart, localTimes, pause } from "./common.js";

const POLL_MS = 2000;
const NEW_MS = 6000;
const list = document.querySelector("ul.jobs[data-newest]");

localTimes();
follow();
if (list) lookForNew();

async function follow() {
  for (;;) {
    const rows = [...document.querySelectorAll("[data-job]")].filter((row) => !ENDED.has(row.dataset.state));
    if (!document.hidden) await Promise.all(rows.slice(0, 10).map(update));
    await pause(POLL_MS);
  }
}

/** Put jobs that came after the page did above the others; as many go below as the list has room for. */
async function lookForNew() {
  const most = Number(list.dataset.newest);
  for (;;) {
    await pause(NEW_MS);
    const now = document.hidden ? null : await getPart(location.href, "ul.jobs").catch(() => null);
    const fresh = [...(now?.children || [])].filter((row) => !list.querySelector(`[data-job="${row.dataset.job}"]`));
    const newest = list.firstElementChild?.querySelector("time")?.dateTime || "";
    const above = fresh.filter((row) => row.querySelector("time").dateTime > newest);
    list.prepend(...above);
    while (list.children.length > most) list.lastElementChild.remove();
    if (above.length) localTimes(list);
  }
}

async function update(row) {
  const job = await getJson(row.dataset.self).catch(() => null);
  if (!job) return;
  row.dataset.state = job.state;
  row.querySelector("progress").value = job.progress;
  row.querySelector("[data-part=pages]").textContent = job.pages.total ? count(job.pages.total, "page") : "";
  const badge = row.querySelector(".badge");
  badge.dataset.state = job.state;
  badge.textContent = STATE_WORDS[job.state];
}
