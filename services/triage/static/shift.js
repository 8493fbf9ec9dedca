// The shift summary: printing, and Escape back to the list.

const print = document.getElementById("print");
print.hidden = false;
print.addEventListener("click", () => window.print());
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.target.closest?.("select")) document.getElementById("back").click();
});
