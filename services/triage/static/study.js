// A study's page: the waiting time ticks, and Escape goes back to the list.
import { setServerNow, tick } from "./clock.js";

setServerNow(document.getElementById("main").dataset.now);
setInterval(tick, 1000);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault(); // a browser's own Escape stops the page that is on its way
  document.getElementById("back").click();
});
