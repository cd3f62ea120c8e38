// The system page keeps up with what it shows.
import { getPart, localTimes, pause } from "./common.js";

const LOOK_MS = 3000;

localTimes();
follow();

async function follow() {
  for (;;) {
    await pause(LOOK_MS);
    const shown = document.getElementById("system");
    if (document.hidden || shown.contains(document.activeElement)) continue;
    const now = await getPart(location.href, "#system").catch(() => null);
    if (!now) continue;
    localTimes(now);
    shown.replaceWith(now);
  }
}
