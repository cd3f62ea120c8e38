// A JSON schema built of fields: what is filled in here is written into the text below, and a schema that is pasted
// there is shown as fields where it has nothing more than these can say.
import { element } from "./common.js";

const TYPES = { string: "text", number: "number", integer: "whole number", boolean: "yes or no", date: "date", object: "group of fields" };
const MOST_DEEP = 3; // groups within groups
const text = document.getElementById("schema");
const builder = document.getElementById("builder");
const note = document.getElementById("builder-note");
const list = element("ul", { class: "rows" });

note.before(list);
builder.hidden = false;
document.getElementById("add-value").addEventListener("click", () => addRow(list, 1).querySelector("input").focus());
builder.addEventListener("input", write);
text.addEventListener("change", read);
read();

/** A row for one field, the last of `rows`; `depth` counts from 1. */
function addRow(rows, depth, { name = "", type = "string", description = "", isList = false, fields = [] } = {}) {
  const types = Object.entries(TYPES).filter(([key]) => key !== "object" || depth < MOST_DEEP);
  const options = types.map(([key, words]) => element("option", { value: key, selected: key === type }, words));
  const [kind, inner, remove] = [
    element("select", { "aria-label": "Type" }, ...options),
    element("ul", { class: "rows" }),
    element("button", { type: "button", class: "plain", "aria-label": "Remove this value" }, "Remove"),
  ];
  const more = element("button", { type: "button", class: "plain more" }, "Add to this group");
  const row = element("li", {},
    element("input", { "aria-label": "Name", placeholder: "Name, such as total", value: name, maxlength: 100, autocomplete: "off" }),
    kind,
    element("label", { class: "check" }, element("input", { type: "checkbox", checked: isList }), " list"),
    element("input", { "aria-label": "Description", class: "about", placeholder: "What it is, in words (helps the model)", value: description, maxlength: 500, autocomplete: "off" }),
    remove, inner, more);
  const showGroup = () => { inner.hidden = more.hidden = kind.value !== "object"; };
  kind.addEventListener("change", () => { showGroup(); if (!more.hidden && !inner.children.length) addRow(inner, depth + 1); write(); });
  more.addEventListener("click", () => addRow(inner, depth + 1).querySelector("input").focus());
  remove.addEventListener("click", () => { row.remove(); write(); document.getElementById("add-value").focus(); });
  for (const field of fields) addRow(inner, depth + 1, field);
  showGroup();
  rows.append(row);
  return row;
}

/** The schema of the rows that have a name. */
function schemaOf(rows) {
  const properties = {};
  for (const row of rows.children) {
    const [name, kind, isList, about] = row.querySelectorAll(":scope > input, :scope > select, :scope > label > input");
    if (!name.value.trim()) continue;
    const one = kind.value === "object" ? schemaOf(row.querySelector(":scope > ul")) : kind.value === "date" ? { type: "string", format: "date" } : { type: kind.value };
    const said = about.value.trim() ? { description: about.value.trim() } : {};
    properties[name.value.trim()] = { ...(isList.checked ? { type: "array", items: one } : one), ...said };
  }
  return { type: "object", properties };
}

function write() {
  const schema = schemaOf(list);
  text.value = Object.keys(schema.properties).length ? JSON.stringify(schema, null, 2) : "";
}

/** Show the schema that is in the text as fields; one that says more stays as it is, and has no fields. */
function read() {
  let fields = [{}];
  if (text.value.trim()) {
    try { fields = fieldsOf(JSON.parse(text.value), 1); } catch { fields = null; }
  }
  list.replaceChildren();
  for (const field of fields || []) addRow(list, 1, field);
  note.hidden = fields !== null;
  list.hidden = document.getElementById("add-value").hidden = fields === null;
}

/** The fields of an object's schema; null where they cannot say all of it. */
function fieldsOf(schema, depth) {
  if (schema?.type !== "object" || depth > MOST_DEEP || !hasOnly(schema, "type", "properties")) return null;
  const fields = Object.entries(schema.properties || {}).map(([name, part]) => fieldOf(name, part, depth));
  return fields.includes(null) ? null : fields;
}

function fieldOf(name, { description = "", ...part }, depth) {
  const isList = part.type === "array";
  if (isList && !hasOnly(part, "type", "items")) return null;
  const one = isList ? part.items : part;
  const about = { name, description, isList };
  if (one?.type === "object") {
    const fields = fieldsOf(one, depth + 1);
    return fields && { ...about, type: "object", fields };
  }
  const isDate = one?.type === "string" && one.format === "date";
  if (!(one?.type in TYPES) || one.type === "date" || !hasOnly(one, "type", ...(isDate ? ["format"] : []))) return null;
  return { ...about, type: isDate ? "date" : one.type };
}

function hasOnly(schema, ...names) {
  return Object.keys(schema).every((name) => names.includes(name));
}
