// The sections of a reader, one a page: fetched as they come near and let go when they are far away, so that a document
// of thousands of pages is as light as one of ten.
import { PAGE_WORDS, element, getPart } from "./common.js";

const NEAR = "1500px 0px";
const KEPT = "9000px 0px";
const AT_ONCE = 3; // fragments on their way
const AGAIN_MS = 3000;
const READABLE = new Set(["ok", "blank", "fallback", "failed"]);

export class Sheets {
  /** `texts` has the sections that came with the page; `cells` name all pages, in their order. */
  constructor(texts, cells, html) {
    this.texts = texts;
    this.html = html;
    this.near = new Set();
    this.loading = new Map(); // number -> what will be its section
    this.coming = new IntersectionObserver((entries) => this.come(entries), { rootMargin: NEAR });
    this.going = new IntersectionObserver((entries) => this.go(entries), { rootMargin: KEPT });
    const sections = cells.map((cell) => this.at(cell.textContent) || placeholder(cell.textContent, cell.dataset.state));
    texts.replaceChildren(...sections);
    sections.forEach((section) => this.watch(section));
  }

  at(number) {
    return document.getElementById(`page-${number}`);
  }

  watch(section) {
    for (const button of section.querySelectorAll(".head [hidden]")) button.hidden = button.matches(".copy") && !navigator.clipboard;
    this.coming.observe(section);
    this.going.observe(section);
  }

  come(entries) {
    for (const { target, isIntersecting } of entries) this.near[isIntersecting ? "add" : "delete"](target);
    this.load();
  }

  go(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting || target.matches(".far") || isInUse(target)) continue;
      const height = target.offsetHeight;
      const empty = placeholder(target.dataset.number, target.dataset.state);
      empty.style.minHeight = `${height}px`;
      this.replace(target, empty);
    }
  }

  /** The page has changed on the server. */
  change(number, state) {
    const section = this.at(number);
    if (!section) return;
    section.dataset.state = state;
    if (section.matches(".far")) section.dataset.word = PAGE_WORDS[state];
    section.classList.add("stale");
    this.load();
  }

  /** The page as the server has it now, whatever is chosen in it. */
  async renew(number) {
    getSelection().removeAllRanges();
    this.at(number).classList.add("stale");
    return this.fetch(number);
  }

  /** Pages whose layout was not known when they were fetched. */
  refresh() {
    for (const section of this.texts.querySelectorAll("[data-early]")) section.classList.add("stale");
    this.load();
  }

  load() {
    for (const section of this.near) {
      if (this.loading.size >= AT_ONCE) return;
      if (section.isConnected && section.matches(".far, .stale") && READABLE.has(section.dataset.state)) this.fetch(section.dataset.number);
    }
  }

  /** Fetch this page before others that are near. */
  want(number) {
    if (READABLE.has(this.at(number).dataset.state)) this.fetch(number);
  }

  /** The section with its text; the one that is there already where it is as it should be. */
  async fetch(number) {
    const old = this.at(number);
    if (this.loading.has(number)) return this.loading.get(number);
    if (!old.matches(".far, .stale") || (isInUse(old) && !old.matches(".far"))) return old;
    const coming = this.bring(number, old);
    this.loading.set(number, coming);
    return coming;
  }

  async bring(number, old) {
    old.classList.remove("stale");
    const fresh = await getPart(`${this.html}/pages/${number}/fragment`, ".sheet").catch(() => null);
    this.loading.delete(number);
    if (!fresh) {
      setTimeout(() => { old.classList.add("stale"); this.load(); }, AGAIN_MS);
      return old;
    }
    if (old.isConnected) this.replace(old, fresh);
    this.load();
    return fresh;
  }

  replace(old, fresh) {
    this.coming.unobserve(old);
    this.going.unobserve(old);
    if (this.near.delete(old)) this.near.add(fresh);
    if (old.matches(".stale")) { // it changed while this was on its way, which knows an earlier state
      fresh.classList.add("stale");
      fresh.dataset.state = old.dataset.state;
    }
    fresh.classList.toggle("current", old.matches(".current"));
    old.replaceWith(fresh);
    this.watch(fresh);
    fresh.dispatchEvent(new CustomEvent("sheet", { bubbles: true }));
  }
}

/** One node for a page that is not here: what it says comes from the style sheet. */
function placeholder(number, state) {
  return element("section", { class: "sheet far", id: `page-${number}`, "data-number": number, "data-state": state, "data-word": PAGE_WORDS[state] });
}

/** Whether something is chosen in a section, or being written. */
function isInUse(section) {
  if (section.querySelector(".editor")) return true;
  const selection = getSelection();
  return !selection.isCollapsed && (section.contains(selection.anchorNode) || section.contains(selection.focusNode));
}
