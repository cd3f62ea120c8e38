// A notification of the browser when the job has ended, for those who ask for one.
import { STATE_WORDS } from "./common.js";

const root = document.getElementById("job");
const button = document.getElementById("tell");
let isWanted = false;

if (button && "Notification" in window && isSecureContext && document.getElementById("live") && Notification.permission !== "denied") {
  button.hidden = false;
  button.addEventListener("click", async () => {
    isWanted = (await Notification.requestPermission()) === "granted";
    button.disabled = true;
    button.textContent = isWanted ? "You will be told" : "The browser does not allow it";
  });
}

root.addEventListener("jobended", (event) => {
  if (!isWanted) return;
  isWanted = false;
  const note = new Notification(root.dataset.name, { body: STATE_WORDS[event.detail], tag: root.dataset.self });
  note.addEventListener("click", () => { window.focus(); note.close(); });
});
