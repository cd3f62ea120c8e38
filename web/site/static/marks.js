// The scan and the text of a page mark each other: what is pointed at in one lights up in the other, a line within its block.

/** Follow the pointer over `root`, in which each `.spread` has a page's image with its marks and the page's text. */
export function markBothWays(root) {
  let last = null;
  root?.addEventListener("pointerover", (event) => {
    const spread = event.target.closest(".spread");
    if (last && last !== spread) light(last, null);
    if (spread) light(spread, event.target);
    last = spread;
  });
  root?.addEventListener("click", (event) => {
    const spread = event.target.closest(".frame svg") && event.target.closest(".spread");
    spread?.querySelector(".words .line.lit, .words .block.lit")?.scrollIntoView({ block: "center" });
  });
}

/** Mark the line and the block that `node` stands in, on both sides of the spread; nothing where it stands in none. */
export function light(spread, node) {
  for (const old of spread.querySelectorAll(".lit")) old.classList.remove("lit");
  const line = node?.closest("[data-line]")?.dataset.line;
  const block = node?.closest("[data-block]")?.dataset.block;
  if (line != null) mark(spread, `[data-line="${line}"]`);
  if (block != null) mark(spread, `[data-block="${block}"]`);
}

function mark(spread, selector) {
  for (const node of spread.querySelectorAll(selector)) node.classList.add("lit");
}

/** What the arrow keys go through: the lines of a text in its order, and the blocks that have none. */
export function marksIn(text) {
  const found = [...(text?.querySelectorAll("[data-line], [data-block]") || [])];
  return found.filter((node) => node.dataset.line != null || !node.querySelector("[data-line]"));
}

export function stepOf(event) {
  return { ArrowDown: 1, ArrowUp: -1 }[event.key] || 0;
}
