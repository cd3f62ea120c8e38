// What a drop, a paste or a choice brings: files, and the files in folders, each with its path in them.

const JUNK = /^(\.|~\$)|^(Thumbs\.db|desktop\.ini)$/i;
const ENDS = 64 * 1024; // bytes at each end that tell two files of one name and size apart

/** {file, path} of a drop or a paste; the browser forgets what was dropped once the event is over. */
export async function filesOf(data) {
  const items = [...data.items].filter((item) => item.kind === "file");
  const dropped = items.map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }));
  const found = [];
  for (const { entry, file } of dropped) {
    if (entry?.isDirectory) await walk(entry, found);
    else if (file) found.push({ file, path: "" });
  }
  return found;
}

/** The same of a field; one for folders tells the paths itself. */
export function chosenIn(field) {
  return [...field.files]
    .filter((file) => !file.webkitRelativePath || !isJunk(file.webkitRelativePath))
    .map((file) => ({ file, path: file.webkitRelativePath }))
    .sort((one, other) => one.path.localeCompare(other.path, undefined, { numeric: true }));
}

async function walk(folder, found) {
  for (const entry of await entriesIn(folder)) {
    if (JUNK.test(entry.name)) continue;
    if (entry.isDirectory) await walk(entry, found);
    else found.push({ file: await fileOf(entry), path: entry.fullPath.replace(/^\//, "") });
  }
}

/** All entries of a folder by their names; a reader gives a hundred at a time. */
async function entriesIn(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return all.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
    all.push(...some);
  }
}

function fileOf(entry) {
  return new Promise((done, fail) => entry.file(done, fail));
}

function isJunk(path) {
  return path.split("/").some((part) => JUNK.test(part));
}

/** Whether it is one file that was chosen twice: its name, size, time and path, and how it begins and ends. */
export async function isSame(one, other) {
  if (one.path !== other.path || one.file.name !== other.file.name) return false;
  if (one.file.size !== other.file.size || one.file.lastModified !== other.file.lastModified) return false;
  const [first, second] = await Promise.all([endsOf(one.file), endsOf(other.file)]);
  return first.length === second.length && first.every((byte, place) => byte === second[place]);
}

async function endsOf(file) {
  const ends = new Blob([file.slice(0, ENDS), file.slice(Math.max(ENDS, file.size - ENDS))]);
  return new Uint8Array(await ends.arrayBuffer());
}
