// What the pages share. Texts from documents are only ever put in as text, or as HTML that our server has cleaned.

export const ENDED = new Set(["succeeded", "partial", "failed", "cancelled"]);

export const PAGE_ENDED = new Set(["ok", "blank", "fallback", "failed", "cancelled"]);

export const STATE_WORDS = {
  queued: "waiting", splitting: "opening", running: "reading", assembling: "putting together",
  succeeded: "complete", partial: "partly read", failed: "failed", cancelled: "cancelled",
};

export const PAGE_WORDS = {
  queued: "waiting", preparing: "being prepared", ready: "ready to be read", generating: "being read",
  ok: "read", blank: "blank", fallback: "second best", failed: "failed", cancelled: "cancelled",
};

export class Refused extends Error {
  constructor(status, problem, retryAfterS) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.problem = problem;
    this.retryAfterS = retryAfterS;
  }
}

/** JSON from our API; throws Refused with the server's words. */
export async function getJson(url, signal) {
  const response = await fetch(url, { headers: { Accept: "application/json" }, signal });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body, Number(response.headers.get("Retry-After")) || 5);
  return body;
}

/** Send JSON to our API; throws Refused with the server's words. */
export async function send(method, url, body) {
  const headers = { Accept: "application/json", ...(body ? { "Content-Type": "application/json" } : {}) };
  const response = await fetch(url, { method, headers, body: body ? JSON.stringify(body) : undefined });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, answer, Number(response.headers.get("Retry-After")) || 5);
  return answer;
}

/** An element of a page of ours, as the server makes it now. */
export async function getPart(url, selector) {
  const response = await fetch(url, { headers: { Accept: "text/html" } });
  if (!response.ok) throw new Refused(response.status, {}, 5);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return selector ? document.adoptNode(page.querySelector(selector)) : page;
}

export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") node.className = value;
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

export function pause(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

/** "about 3 min" from seconds. */
export function duration(seconds) {
  if (seconds < 10) return "a few seconds";
  if (seconds < 90) return `about ${Math.round(seconds / 5) * 5} s`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min`;
  return `about ${(seconds / 3600).toFixed(1)} h`;
}

/** What is going on, in a sentence; the same words as `pace` in web/site/wording.py. */
export function pace(job) {
  const { total } = job.pages;
  const ended = Math.round(job.progress * total);
  if (job.state === "queued") return job.queue_position ? `Waiting; ${count(job.queue_position, "job")} ahead` : "Waiting to be opened";
  if (job.state === "splitting") return "Opening the document";
  if (job.state === "assembling") return `All ${count(total, "page")} read, putting the text together`;
  const parts = [`${ended} of ${count(total, "page")}`];
  if (job.queue_position) parts.push(`${count(job.queue_position, "job")} ahead`);
  if (job.eta_s != null) parts.push(`${duration(job.eta_s)} left`);
  if (job.eta_s > 0) parts.push(speed((total - ended) / job.eta_s));
  return parts.join(" · ");
}

function speed(perSecond) {
  return perSecond >= 1 ? `${perSecond.toFixed(1)} pages/s` : `${(perSecond * 60).toFixed(0)} pages/min`;
}

export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

export function localTimes(root = document) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const node of root.querySelectorAll("time[datetime]")) node.textContent = format.format(new Date(node.dateTime));
}
