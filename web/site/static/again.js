// A page read again from within the reader, with other options: the job runs once more, and the page stays as it is.
import { PAGE_ENDED, send } from "./common.js";
import { followAgain } from "./job.js";

const dialog = document.getElementById("again");
const texts = document.getElementById("texts");
const said = document.getElementById("again-said");
let number = "";

texts?.addEventListener("click", (event) => {
  if (!event.target.matches(".reread")) return;
  ({ number } = event.target.closest(".sheet").dataset);
  document.getElementById("again-title").textContent = `Read page ${number} again`;
  said.textContent = "";
  dialog.showModal();
});

dialog?.addEventListener("submit", async (event) => {
  if (event.submitter?.value !== "read") return;
  event.preventDefault();
  const fields = [...new FormData(event.target)].filter(([, value]) => value !== "");
  const options = Object.fromEntries(fields.map(([name, value]) => [name, name === "dpi" ? Number(value) : value]));
  try {
    await send("POST", dialog.dataset.api, { ...options, pages: number });
  } catch (error) {
    said.setAttribute("role", "alert");
    said.textContent = error.message;
    return;
  }
  dialog.close();
  const cell = document.getElementById(`c${number}`);
  if (PAGE_ENDED.has(cell.dataset.state)) cell.dataset.state = "queued";
  followAgain();
});
