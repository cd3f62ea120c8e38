// The upload form: drop, paste or choose files; each is sent on its own, so that one refusal does not stop the others.
import { Refused, count, element, localTimes } from "./common.js";

const form = document.getElementById("upload");
const input = document.getElementById("file");
const drop = document.getElementById("drop");
const list = document.getElementById("chosen");
const status = document.getElementById("status");
const send = document.getElementById("send");
const AT_ONCE = 3;
let files = [];

form.classList.add("live");
localTimes();
render();

input.addEventListener("change", () => add(input.files));
document.addEventListener("paste", (event) => event.clipboardData?.files.length && add(event.clipboardData.files));
for (const type of ["dragenter", "dragover"]) {
  document.addEventListener(type, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const type of ["dragleave", "drop"]) {
  document.addEventListener(type, (event) => {
    event.preventDefault();
    if (type === "drop" || event.relatedTarget === null) drop.classList.remove("over");
  });
}
document.addEventListener("drop", (event) => add(event.dataTransfer.files));

document.getElementById("task").addEventListener("change", showQuestion);
showQuestion();

function showQuestion() {
  const asks = document.getElementById("task").value === "ask";
  document.getElementById("question-field").hidden = !asks;
  document.getElementById("question").required = asks;
}

function add(more) {
  for (const file of more) {
    const known = files.some((entry) => entry.file.name === file.name && entry.file.size === file.size);
    if (!known) files.push({ file, row: row(file) });
  }
  input.value = "";
  render();
}

function row(file) {
  const remove = element("button", { type: "button", class: "plain", "aria-label": `Remove ${file.name}` }, "Remove");
  const node = element("li", {}, element("span", { class: "name" }, file.name), element("span", { class: "muted" }, size(file.size)), remove);
  remove.addEventListener("click", () => { files = files.filter((entry) => entry.row !== node); render(); });
  const limit = Number(form.dataset.maxMb);
  if (file.size > limit * 1024 * 1024) say(node, `Larger than ${limit} MB, the most this server takes.`);
  return node;
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function render() {
  list.replaceChildren(...files.map((entry) => entry.row));
  list.hidden = !files.length;
  input.required = !files.length;
  send.textContent = files.length > 1 ? `Read ${files.length} documents` : "Read";
}

function say(node, text, ...more) {
  node.querySelector(".what")?.remove();
  node.append(element("span", { class: "what" }, text, ...more));
}

form.addEventListener("submit", async (event) => {
  if (!files.length) return;
  event.preventDefault();
  send.disabled = true;
  const batch = crypto.getRandomValues(new Uint32Array(3)).join("-");
  const waiting = [...files];
  const jobs = [];
  status.textContent = `Sending ${count(files.length, "file")}`;
  const worker = async () => {
    for (let entry = waiting.shift(); entry; entry = waiting.shift()) {
      const job = await sendOne(entry, batch).catch((error) => explain(entry, error));
      if (job) { jobs.push(job); files = files.filter((other) => other !== entry); }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  send.disabled = false;
  finish(jobs, batch);
});

function finish(jobs, batch) {
  const refused = files.length;
  render();
  if (!refused && jobs.length === 1) return location.assign(jobs[0].links.html);
  if (!refused && jobs.length) return location.assign(`${form.dataset.list}?batch=${batch}`);
  status.textContent = `${count(refused, "file")} not taken; see above.`;
  if (jobs.length) status.append(" ", element("a", { href: `${form.dataset.list}?batch=${batch}` }, `See the ${count(jobs.length, "job")} that ${jobs.length === 1 ? "was" : "were"}.`));
  return undefined;
}

function explain(entry, error) {
  const problem = error instanceof Refused ? error.problem : {};
  say(entry.row, [error.message, problem.advice].filter(Boolean).join(" "));
}

/** Send one file with the form's options; resolves to its job. */
function sendOne(entry, batch) {
  const body = new FormData(form);
  body.delete("file");
  body.delete("csrf_token");
  body.append("file", entry.file, entry.file.name);
  body.append("batch_id", batch);
  const bar = element("progress", { max: 1, value: 0, "aria-label": `Sending ${entry.file.name}` });
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
    request.send(body);
  });
}
