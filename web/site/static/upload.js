// The upload form: choose, drop, paste or photograph files, or give URLs. Each document is sent on its own, so that one
// refusal does not stop the others.
import { Refused, count, element, localTimes } from "./common.js";

const form = document.getElementById("upload");
const input = document.getElementById("file");
const drop = document.getElementById("drop");
const list = document.getElementById("chosen");
const status = document.getElementById("status");
const send = document.getElementById("send");
const camera = document.getElementById("camera");
const url = document.getElementById("url");
const addUrl = document.getElementById("add-url");
const AT_ONCE = 3;
let chosen = []; // {file} or {url}, each with its row in the list

form.classList.add("live");
localTimes();
render();

for (const picker of [input, camera]) {
  picker.addEventListener("change", () => { addFiles(picker.files); picker.value = ""; });
}
addUrl.hidden = false;
addUrl.addEventListener("click", () => { takeUrl(); url.focus(); });
document.addEventListener("paste", (event) => {
  const isTyping = event.target.closest?.("input:not([type=file]), textarea");
  if (!isTyping || !event.clipboardData.types.includes("text/plain")) addAll(event.clipboardData, "text/plain");
});
for (const type of ["dragenter", "dragover"]) {
  document.addEventListener(type, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const type of ["dragleave", "drop"]) {
  document.addEventListener(type, (event) => {
    event.preventDefault();
    if (type === "drop" || event.relatedTarget === null) drop.classList.remove("over");
  });
}
document.addEventListener("drop", (event) => addAll(event.dataTransfer, "text/uri-list"));

document.getElementById("scope").value = "document";
document.getElementById("task").addEventListener("change", showNeeded);
showNeeded();

/** Show the field that the chosen task needs; one that is hidden is not sent. */
function showNeeded() {
  const task = document.getElementById("task").value;
  for (const [name, of] of [["question", "ask"], ["schema", "extract"]]) {
    const field = document.getElementById(name);
    document.getElementById(`${name}-field`).hidden = task !== of;
    field.required = task === of;
    field.disabled = task !== of;
  }
  const scope = document.getElementById("scope");
  document.getElementById("scope-field").hidden = scope.disabled = !["ask", "extract"].includes(task);
}

/** The files of a paste or a drop, or the URLs in its text. */
function addAll(data, type) {
  if (data.files.length) addFiles(data.files);
  else for (const word of data.getData(type).split(/\s+/)) if (/^https?:\/\/\S+$/i.test(word)) addLink(word);
}

function addFiles(files) {
  const limit = Number(form.dataset.maxMb);
  for (const file of files) {
    if (chosen.some((entry) => isSame(entry.file, file))) continue;
    const row = add({ file }, file.name, size(file.size));
    if (file.size > limit * 1024 * 1024) say(row, `Larger than ${limit} MB, the most this server takes.`);
  }
}

/** Whether it is one file that was chosen twice; files of other folders may have its name and size. */
function isSame(one, two) {
  return one?.name === two.name && one.size === two.size && one.lastModified === two.lastModified && one.webkitRelativePath === two.webkitRelativePath;
}

function addLink(address) {
  if (!chosen.some((entry) => entry.url === address)) add({ url: address }, address, "URL");
}

function add(entry, name, about) {
  const remove = element("button", { type: "button", class: "plain", "aria-label": `Remove ${name}` }, "Remove");
  const row = element("li", {}, element("span", { class: "name" }, name), element("span", { class: "muted" }, about), remove);
  remove.addEventListener("click", () => { chosen = chosen.filter((other) => other.row !== row); render(); input.focus(); });
  chosen.push({ ...entry, name, row, remove });
  status.textContent = "";
  render();
  return row;
}

/** Put what stands in the URL field into the list; false where it is no URL. */
function takeUrl() {
  if (!url.reportValidity()) return false;
  if (url.value.trim()) addLink(url.value.trim());
  url.value = "";
  return true;
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function render() {
  list.replaceChildren(...chosen.map((entry) => entry.row));
  list.hidden = !chosen.length;
  send.textContent = chosen.length > 1 ? `Read ${chosen.length} documents` : "Read";
}

function say(node, text, ...more) {
  node.querySelector(".what")?.remove();
  node.append(element("span", { class: "what" }, text, ...more));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!takeUrl()) return;
  if (!chosen.length) {
    status.textContent = "Choose a file or give an address first.";
    return;
  }
  send.disabled = true;
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  const batch = crypto.getRandomValues(new Uint32Array(3)).join("-");
  const waiting = [...chosen];
  const jobs = [];
  status.textContent = `Sending ${count(chosen.length, "document")}`;
  const worker = async () => {
    for (let entry = waiting.shift(); entry; entry = waiting.shift()) {
      const job = await sendOne(entry, batch).catch((error) => explain(entry, error));
      if (job) { jobs.push(job); chosen = chosen.filter((other) => other !== entry); }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  send.disabled = false;
  finish(jobs, batch);
});

function finish(jobs, batch) {
  const refused = chosen.length;
  render();
  if (!refused && jobs.length === 1) return location.assign(jobs[0].links.html);
  if (!refused && jobs.length) return location.assign(`${form.dataset.list}?batch=${batch}`);
  status.textContent = `${count(refused, "document")} not taken; see above.`;
  if (jobs.length) status.append(" ", element("a", { href: `${form.dataset.list}?batch=${batch}` }, `See the ${count(jobs.length, "job")} that ${jobs.length === 1 ? "was" : "were"}.`));
  return undefined;
}

function explain(entry, error) {
  const problem = error instanceof Refused ? error.problem : {};
  entry.row.querySelector("progress")?.replaceWith(entry.remove);
  const errors = problem.errors || [];
  for (const { option } of errors) form.elements[option]?.setAttribute?.("aria-invalid", "true");
  if (errors.some(({ option }) => form.elements[option]?.closest?.(".options"))) form.querySelector(".options").open = true;
  say(entry.row, errors.map(inWords).join(" ") || [error.message, problem.advice].filter(Boolean).join(" "));
}

/** What is wrong with a field, by the name that people see of it. */
function inWords({ option, message }) {
  const label = form.elements[option]?.closest?.(".options") ? form.elements[option].labels[0]?.textContent.trim() : "";
  return label ? `${label}: ${message}.` : `${message}.`;
}

/** The form's options with one document: multipart for a file, JSON for a URL. */
function bodyOf(entry, batch) {
  const body = new FormData(form);
  for (const name of ["file", "csrf_token", "url"]) body.delete(name);
  body.append("batch_id", batch);
  if (entry.url) return JSON.stringify({ ...Object.fromEntries(body), url: entry.url });
  body.append("file", entry.file, entry.file.name);
  return body;
}

/** Send one document; resolves to its job. */
function sendOne(entry, batch) {
  const bar = element("progress", { max: 1, value: 0, "aria-label": `Sending ${entry.name}` });
  entry.row.querySelector("button, progress").replaceWith(bar);
  entry.row.querySelector(".what")?.remove();
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.dataset.api);
    request.responseType = "json";
    request.upload.onprogress = (event) => { bar.value = event.loaded / event.total; };
    request.onerror = () => fail(new Error("The server could not be reached. Check the connection and send again."));
    request.onload = () => {
      const answer = request.response || {};
      if (request.status === 202) done(answer.jobs[0]);
      else fail(new Refused(request.status, answer, 5));
    };
    if (entry.url) request.setRequestHeader("Content-Type", "application/json");
    request.send(bodyOf(entry, batch));
  });
}
