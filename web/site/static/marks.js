// The scan and the text of a page mark each other: what is pointed at in one lights up in the other, a line within its block.

/** Follow the pointer over `root`, which has a page's image with its marks and the page's text. */
export function markBothWays(root) {
  root?.addEventListener("pointerover", (event) => light(root, event.target));
  root?.addEventListener("pointerleave", () => light(root, null));
  root?.querySelector(".frame svg")?.addEventListener("click", (event) => {
    light(root, event.target);
    root.querySelector(".words .line.lit, .words .block.lit")?.scrollIntoView({ block: "center" });
  });
}

/** Mark the line and the block that `node` stands in, on both sides; nothing where it stands in none. */
export function light(root, node) {
  for (const old of root.querySelectorAll(".lit")) old.classList.remove("lit");
  const line = node?.closest("[data-line]")?.dataset.line;
  const block = node?.closest("[data-block]")?.dataset.block;
  if (line != null) mark(root, `[data-line="${line}"]`);
  if (block != null) mark(root, `[data-block="${block}"]`);
}

function mark(root, selector) {
  for (const node of root.querySelectorAll(selector)) node.classList.add("lit");
}

/** What the arrow keys go through: the lines of a text in its order, and the blocks that have none. */
export function marksIn(text) {
  const found = [...(text?.querySelectorAll("[data-line], [data-block]") || [])];
  return found.filter((node) => node.dataset.line != null || !node.querySelector("[data-line]"));
}

export function stepOf(event) {
  return { ArrowDown: 1, ArrowUp: -1 }[event.key] || 0;
}
