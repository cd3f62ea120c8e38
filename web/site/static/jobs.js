// The list of jobs: rows of unfinished jobs follow their progress.
import { ENDED, STATE_WORDS, count, getJson, localTimes, pause } from "./common.js";

const POLL_MS = 2000;

localTimes();
follow();

async function follow() {
  for (;;) {
    const rows = [...document.querySelectorAll("[data-job]")].filter((row) => !ENDED.has(row.dataset.state));
    if (!rows.length) return;
    if (!document.hidden) await Promise.all(rows.slice(0, 10).map(update));
    await pause(POLL_MS);
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
