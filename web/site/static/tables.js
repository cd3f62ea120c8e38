// A table of the reader taken along as CSV or Markdown, as it is seen.
import { element } from "./common.js";

const texts = document.getElementById("texts");
const WRITERS = { CSV: toCsv, Markdown: toMarkdown };
const SHOWN_MS = 2000;

if (texts && navigator.clipboard) {
  addButtons(texts);
  texts.addEventListener("sheet", (event) => addButtons(event.target));
}

/** Buttons before each table; their words are the style sheet's, so that no text stands among the page's. */
function addButtons(root) {
  for (const table of root.querySelectorAll(".words .table:not([data-tools])")) {
    table.dataset.tools = "";
    const buttons = Object.keys(WRITERS).map((name) => element("button", { type: "button", class: "button quiet", "aria-label": `Copy the table as ${name}`, "data-says": `Copy as ${name}`, "data-as": name }));
    const tools = element("div", { class: "table-tools" }, ...buttons);
    tools.addEventListener("click", (event) => copy(event.target, table.querySelector("table")));
    table.before(tools);
  }
}

async function copy(button, table) {
  const write = WRITERS[button.dataset.as];
  if (!write) return;
  await navigator.clipboard.writeText(write(rowsOf(table)));
  button.dataset.says = "Copied";
  setTimeout(() => { button.dataset.says = `Copy as ${button.dataset.as}`; }, SHOWN_MS);
}

/** The table's fields by rows; what a cell covers beside its first field is empty. */
function rowsOf(table) {
  const rows = [...table.rows].map(() => []);
  [...table.rows].forEach((row, at) => {
    let column = 0;
    for (const cell of row.cells) {
      while (rows[at][column] != null) column += 1;
      for (let down = 0; down < cell.rowSpan && rows[at + down]; down += 1)
        for (let right = 0; right < cell.colSpan; right += 1) rows[at + down][column + right] = "";
      rows[at][column] = cell.innerText.trim();
    }
  });
  const width = Math.max(...rows.map((row) => row.length));
  return rows.map((row) => Array.from({ length: width }, (_, column) => row[column] ?? ""));
}

/** RFC 4180. */
function toCsv(rows) {
  return rows.map((row) => row.map((field) => (/[",\n\r]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(",") + "\r\n").join("");
}

function toMarkdown(rows) {
  const [head, ...rest] = rows.map((row) => `| ${row.map((field) => field.replaceAll("|", "\\|").replace(/(?<!\s)[^\S\n]*\n\s*/g, "<br>")).join(" | ")} |`);
  return [head, `|${" --- |".repeat(rows[0].length)}`, ...rest].join("\n") + "\n";
}
