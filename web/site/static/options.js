// The form's options: what they are for, those of last time, and what is wrong with one, told at its field.

const KEPT = "pagefan.options";
const NOT_KEPT = new Set(["csrf_token", "file", "url", "password", "pages", "scope"]); // of one document, a secret, or set below

/** Set the options up; `question` and `schema` are asked for where the task needs them. */
export function setUp(form) {
  const task = form.elements.task;
  document.querySelector(".presets").after(document.getElementById("question-field"));
  form.elements.scope.value = "document";
  recall(form);
  task.addEventListener("change", () => { form.elements.preset.value = task.value === "ask" ? "ask" : form.elements.preset.value === "ask" ? "md" : form.elements.preset.value; show(form); });
  for (const preset of form.querySelectorAll("[name=preset]")) preset.addEventListener("change", () => choose(form, preset.value));
  document.getElementById("defaults").addEventListener("click", () => forget(form));
  show(form);
}

/** A preset sets the task; all else stays as it is. */
function choose(form, preset) {
  form.elements.task.value = preset === "ask" ? "ask" : "transcribe";
  show(form);
  if (preset === "ask") form.elements.question.focus();
}

/** Show the field that the chosen task needs; one that is hidden is not sent. */
function show(form) {
  const task = form.elements.task.value;
  for (const [name, of] of [["question", "ask"], ["schema", "extract"]]) {
    const field = form.elements[name];
    document.getElementById(`${name}-field`).hidden = task !== of;
    field.required = task === of;
    field.disabled = task !== of;
  }
  const { scope } = form.elements;
  document.getElementById("scope-field").hidden = scope.disabled = !["ask", "extract"].includes(task);
}

/** Keep what differs from the form as it came. */
export function remember(form) {
  const changed = {};
  for (const field of fieldsOf(form)) if (valueOf(field) !== defaultOf(field)) changed[keyOf(field)] = valueOf(field);
  try {
    if (Object.keys(changed).length) localStorage.setItem(KEPT, JSON.stringify(changed));
    else localStorage.removeItem(KEPT);
  } catch { /* a browser that keeps nothing */ }
}

function recall(form) {
  let kept = {};
  try { kept = JSON.parse(localStorage.getItem(KEPT) || "{}"); } catch { /* nothing that can be read */ }
  let isOther = false;
  for (const field of fieldsOf(form)) {
    if (!(keyOf(field) in kept)) continue;
    const before = valueOf(field);
    if (typeof before === "boolean") field.checked = kept[keyOf(field)] === true;
    else field.value = kept[keyOf(field)];
    if (field.tagName === "SELECT" && field.selectedIndex < 0) field.value = before; // it is no choice any more
    isOther ||= field.name !== "preset" && valueOf(field) !== before;
  }
  document.getElementById("remembered").hidden = !isOther;
}

function forget(form) {
  for (const field of fieldsOf(form)) {
    if (typeof defaultOf(field) === "boolean") field.checked = field.defaultChecked;
    else field.value = defaultOf(field);
  }
  document.getElementById("remembered").hidden = true;
  remember(form);
  show(form);
}

function fieldsOf(form) {
  return [...form.elements].filter((field) => field.name && !NOT_KEPT.has(field.name) && field.tagName !== "BUTTON");
}

function keyOf(field) {
  return field.type === "radio" ? `${field.name}=${field.value}` : field.name;
}

function valueOf(field) {
  return ["checkbox", "radio"].includes(field.type) ? field.checked : field.value;
}

function defaultOf(field) {
  if (["checkbox", "radio"].includes(field.type)) return field.defaultChecked;
  if (field.tagName !== "SELECT") return field.defaultValue;
  return ([...field.options].find((option) => option.defaultSelected) || field.options[0]).value;
}

/** Say at each field what is wrong with it; returns the names that people know of those fields. */
export function tellAtFields(form, errors) {
  const names = [];
  for (const { option, message } of errors) {
    const field = form.elements[option];
    const place = field?.closest?.(".field");
    if (!place || field.type === "file" || option === "url") continue;
    const id = `wrong-${option}`;
    if (!document.getElementById(id)) {
      const words = document.createElement("small");
      Object.assign(words, { id, className: "wrong", textContent: sentence(message) });
      place.append(words);
      field.setAttribute("aria-describedby", `${field.getAttribute("aria-describedby") || ""} ${id}`.trim());
    }
    field.setAttribute("aria-invalid", "true");
    const options = field.closest(".options");
    if (options) options.open = true;
    names.push(field.labels[0]?.textContent.trim() || option);
  }
  return names;
}

export function clearFields(form) {
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    const others = (field.getAttribute("aria-describedby") || "").split(" ").filter((id) => !id.startsWith("wrong-"));
    if (others.join("")) field.setAttribute("aria-describedby", others.join(" "));
    else field.removeAttribute("aria-describedby");
  }
  for (const words of form.querySelectorAll(".wrong")) words.remove();
}

export function sentence(words) {
  const text = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
