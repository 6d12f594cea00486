// Copies commands, and follows links out of a frame. All else on the pages works without JavaScript.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});

// In Airflow the page is a frame that must not navigate its window: a link of Airflow's own document may.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-parent]");
  if (!link || window.parent === window) return;
  event.preventDefault();
  const outer = window.parent.document.createElement("a");
  outer.href = link.getAttribute("href");
  outer.click();
});
