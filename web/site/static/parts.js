// Large files in parts: a break costs one part, and a page that was closed goes on where it was, when the file is sent again.
import { Refused, pause } from "./common.js";

export const LARGE = 16 * 1024 * 1024; // bytes from which a file is sent in parts
const PART = 8 * 1024 * 1024;
const MOST_BREAKS = 8; // one after the other
const LONGEST_PAUSE_MS = 30_000;
const KEPT = "pagefan.upload:";
const TUS = { "Tus-Resumable": "1.0.0" };

/** Send the file and return its job. `tell` is called with the share that is there, and whether the line is down. */
export async function sendInParts(api, entry, options, tell) {
  let { address, offset } = await whereItIs(api, entry);
  for (let breaks = 0; offset < entry.file.size;) {
    try {
      offset = await sendPart(address, entry.file, offset, (there) => tell(there / entry.file.size, false));
      breaks = 0;
    } catch (error) {
      if (!isPassing(error) || ++breaks > MOST_BREAKS) throw forget(entry, error);
      tell(offset / entry.file.size, true);
      await pause(Math.min(LONGEST_PAUSE_MS, 500 * 2 ** breaks));
      offset = await askOffset(address).catch(() => offset) ?? offset;
    }
  }
  const answer = await fetch(`${address}/job`, { method: "POST", headers: { "Content-Type": "application/json" }, body: options });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, body, 5); // the parts stay, for when the options are mended
  keep(entry, "");
  return body.jobs[0];
}

/** The upload of this file that was begun before, or a new one. */
async function whereItIs(api, entry) {
  const known = kept(entry);
  const offset = known && await askOffset(known).catch(() => null);
  if (offset != null) return { address: known, offset };
  const headers = { ...TUS, "Upload-Length": entry.file.size, "Upload-Metadata": `filename ${inBase64(entry.file.name)}` };
  const answer = await fetch(api, { method: "POST", headers });
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})), 5);
  const address = new URL(answer.headers.get("Location"), location).pathname;
  keep(entry, address);
  return { address, offset: 0 };
}

async function askOffset(address) {
  const answer = await fetch(address, { method: "HEAD", headers: TUS });
  return answer.ok ? Number(answer.headers.get("Upload-Offset")) : null;
}

/** Send the part that begins at `offset`; resolves to where it ends. */
function sendPart(address, file, offset, tell) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("PATCH", address);
    request.responseType = "json";
    for (const [name, value] of Object.entries({ ...TUS, "Upload-Offset": offset })) request.setRequestHeader(name, value);
    request.setRequestHeader("Content-Type", "application/offset+octet-stream");
    request.upload.onprogress = (event) => tell(offset + event.loaded);
    request.onerror = () => fail(new Error("The server cannot be reached. What was sent is kept for a day: send the file again to go on."));
    request.onload = () => {
      if (request.status === 204) done(Number(request.getResponseHeader("Upload-Offset")));
      else fail(new Refused(request.status, request.response || {}, 5));
    };
    request.send(file.slice(offset, offset + PART));
  });
}

/** A line that is down, a server that starts anew or is busy, a part that another page has sent meanwhile. */
function isPassing(error) {
  return !(error instanceof Refused) || error.status >= 500 || [408, 409, 429].includes(error.status);
}

/** Begin anew the next time where the server does not want this upload any more. */
function forget(entry, error) {
  if (error instanceof Refused && error.status < 500 && error.status !== 401) keep(entry, "");
  return error;
}

function keyOf({ file, path }) {
  return `${KEPT}${path || file.name}:${file.size}:${file.lastModified}`;
}

function kept(entry) {
  try { return localStorage.getItem(keyOf(entry)); } catch { return null; }
}

function keep(entry, address) {
  try {
    if (address) localStorage.setItem(keyOf(entry), address);
    else localStorage.removeItem(keyOf(entry));
  } catch { /* a browser that keeps nothing */ }
}

function inBase64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
