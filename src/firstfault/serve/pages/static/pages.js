// What pages do beyond links and forms: wait for a job, move through lists with j and k, fill forms by key.
"use strict";

const waiting = document.querySelector("[data-wait]");
if (waiting) {
  const look = async () => {
    try {
      const response = await fetch(waiting.dataset.wait, { headers: { accept: "application/json" } });
      if (response.ok) {
        const job = await response.json();
        const bar = waiting.querySelector("progress");
        const said = waiting.querySelector("[data-said]");
        if (job.total > 0) {
          bar.max = job.total;
          bar.value = job.done;
        }
        said.textContent = job.total > 0 ? `${job.state}: ${job.done} of ${job.total}` : job.state;
        if (job.finished) {
          location.reload();
          return;
        }
      }
    } catch {
      waiting.querySelector("[data-said]").textContent = "The server does not answer; still trying.";
    }
    setTimeout(look, 1000);
  };
  setTimeout(look, 500);
}

const typing = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (event.key === "j" || event.key === "k") {
    const links = [...document.querySelectorAll("[data-list] [data-item]")];
    if (links.length === 0) return;
    const now = links.indexOf(document.activeElement);
    const next = event.key === "j" ? Math.min(now + 1, links.length - 1) : Math.max(now - 1, 0);
    links[next].focus();
    event.preventDefault();
    return;
  }
  if (event.key === "/") {
    const search = document.querySelector("[data-search]");
    if (search) {
      search.focus();
      event.preventDefault();
    }
    return;
  }
  const button = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (button) {
    button.click();
    event.preventDefault();
  }
});
