// The upload form: choose, drop, paste or photograph files and folders, or give URLs. Each document is sent on its own, so
// that one refusal does not stop the others.
import { Refused, count, element, localTimes } from "./common.js";
import { chosenIn, filesOf, isSame } from "./folders.js";
import { clearFields, remember, sentence, setUp, tellAtFields } from "./options.js";
import { LARGE, sendInParts } from "./parts.js";

const form = document.getElementById("upload");
const input = document.getElementById("file");
const drop = document.getElementById("drop");
const list = document.getElementById("chosen");
const status = document.getElementById("status");
const send = document.getElementById("send");
const camera = document.getElementById("camera");
const url = document.getElementById("url");
const addUrl = document.getElementById("add-url");
const folder = document.getElementById("folder");
const AT_ONCE = 3;
const MOST = 1000; // documents at once
const MOST_FOLDER = 512; // characters of a value of metadata
const SUFFIXES = input.accept.split(",");
let adding = Promise.resolve();
let chosen = []; // {file, path} or {url}, each with its row in the list

form.classList.add("live");
localTimes();
render();

for (const picker of [input, camera, folder]) {
  picker.addEventListener("change", async () => { const found = chosenIn(picker); picker.value = ""; await addFiles(found); });
}
if ("webkitdirectory" in folder && matchMedia("(hover: hover)").matches) folder.closest("p").hidden = false;
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

setUp(form);

/** The files of a paste or a drop, or the URLs in its text. */
async function addAll(data, type) {
  if ([...data.items].some((item) => item.kind === "file")) return addFiles(await filesOf(data));
  for (const word of data.getData(type).split(/\s+/)) if (/^https?:\/\/\S+$/i.test(word)) addLink(word);
  return undefined;
}

/** Put files into the list, one choice after the other. */
function addFiles(found) {
  adding = adding.then(() => takeIn(found));
  return adding;
}

/** Each file once, and of folders only what can be read. Says what was left out, and why. */
async function takeIn(found) {
  const limit = Number(form.dataset.maxMb);
  const others = found.filter(({ file, path }) => path && !isKnown(file.name));
  const again = [];
  let over = 0;
  for (const entry of found.filter((one) => !others.includes(one))) {
    if (await isChosen(entry)) { again.push(entry.file.name); continue; }
    if (chosen.length >= MOST) { over += 1; continue; }
    const row = add(entry, entry.path || entry.file.name, size(entry.file.size));
    if (entry.file.size > limit * 1024 * 1024) say(row, `Larger than ${limit} MB, the most this server takes.`);
  }
  status.textContent = [
    others.length && `${count(others.length, "file")} of other kinds left out: ${some(others.map(({ file }) => file.name))}.`,
    again.length && `${some(again)} ${again.length === 1 ? "is" : "are"} in the list already.`,
    over && `${count(over, "file")} left out: ${MOST} can be sent at once.`,
  ].filter(Boolean).join(" ");
}

async function isChosen(entry) {
  for (const other of chosen) if (other.file && await isSame(other, entry)) return true;
  return false;
}

function isKnown(name) {
  return SUFFIXES.some((suffix) => name.toLowerCase().endsWith(suffix));
}

function some(names) {
  return names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");
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
  clearFields(form);
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
  if (jobs.length) remember(form);
  if (!refused && jobs.length === 1) return location.assign(`${jobs[0].links.html}?for=${form.elements.preset.value}`);
  if (!refused && jobs.length) return location.assign(`${form.dataset.list}?batch=${batch}`);
  status.textContent = `${count(refused, "document")} not taken; see above.`;
  if (jobs.length) status.append(" ", element("a", { href: `${form.dataset.list}?batch=${batch}` }, `See the ${count(jobs.length, "job")} that ${jobs.length === 1 ? "was" : "were"}.`));
  return undefined;
}

/** Say at the document why it was not taken; what is wrong with an option, once, at its field. */
function explain(entry, error) {
  const problem = error instanceof Refused ? error.problem : {};
  entry.row.querySelector("progress")?.replaceWith(entry.remove);
  const errors = problem.errors || [];
  const fields = tellAtFields(form, errors);
  const rest = errors.filter(({ option }) => !form.querySelector(`#wrong-${CSS.escape(option)}`));
  const words = rest.map(({ message }) => sentence(message));
  if (fields.length) words.push(`Not sent: mend ${fields.map((name) => `“${name}”`).join(" and ")} in the options.`);
  say(entry.row, errors.length ? words.join(" ") : inWords(error, problem));
  if (problem.type?.endsWith(":unauthorized")) entry.row.querySelector(".what").append(" ", element("a", { href: "/login?next=/" }, "Sign in"));
}

/** Why, and what to do, without the words of the API. */
function inWords(error, { type = "", advice = "", detail = "" }) {
  const kinds = form.dataset.kinds;
  const words = {
    "unsupported-format": `${detail} ${kinds} can be read.`,
    "too-large": `Larger than ${form.dataset.maxMb} MB, the most this server takes.`,
    "queue-full": "The server has as much to do as it takes. Send it again in half a minute.",
    "quota-exceeded": `${detail} Send it again later.`,
    "too-many-requests": "That was too much at once. Send it again in a minute.",
    unauthorized: "You are no longer signed in, so nothing was sent.",
  }[type.split(":").pop()];
  return words || [error.message, advice].filter(Boolean).join(" ");
}

/** The form's options for one document, as JSON has them. */
function optionsOf(entry, batch) {
  const options = new FormData(form);
  for (const name of ["file", "csrf_token", "url", "preset"]) options.delete(name);
  options.append("batch_id", batch);
  const folderOf = (entry.path || "").split("/").slice(0, -1).join("/");
  return { ...Object.fromEntries(options), ...(folderOf ? { metadata: { folder: folderOf.slice(-MOST_FOLDER) } } : {}) };
}

/** The options with one document: multipart for a file, JSON for a URL. */
function bodyOf(entry, batch) {
  const options = optionsOf(entry, batch);
  if (entry.url) return JSON.stringify({ ...options, url: entry.url });
  const body = new FormData();
  for (const [name, value] of Object.entries(options)) body.append(name, name === "metadata" ? JSON.stringify(value) : value);
  body.append("file", entry.file, entry.file.name);
  return body;
}

/** Send one document; resolves to its job. */
function sendOne(entry, batch) {
  const bar = element("progress", { max: 1, value: 0, "aria-label": `Sending ${entry.name}` });
  entry.row.querySelector("button, progress").replaceWith(bar);
  entry.row.querySelector(".what")?.remove();
  if (entry.file?.size <= LARGE || entry.url) return sendWhole(entry, batch, bar);
  return sendInParts(form.dataset.parts, entry, JSON.stringify(optionsOf(entry, batch)), (share, isDown) => {
    bar.value = share;
    if (isDown) say(entry.row, "The line is down; it goes on by itself.");
    else entry.row.querySelector(".what")?.remove();
  });
}

function sendWhole(entry, batch, bar) {
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
