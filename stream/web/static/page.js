// Adds what a page cannot do by itself: times in the reader's zone, what is seen now, the "/" key. Searching needs none of it.
"use strict";

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const calendar = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
const longAgo = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function showTimes(root) {
  const now = new Date();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const when = new Date(time.dateTime);
    if (Number.isNaN(when.getTime())) continue;
    const days = Math.abs(now - when) / 86400000;
    const format = "clock" in time.dataset || when.toDateString() === now.toDateString() ? clock : days < 180 ? calendar : longAgo;
    time.textContent = format.format(when);
    time.title = when.toISOString();
  }
}

function put(list, html, shown) {
  const template = document.createElement("template");
  template.innerHTML = html; // made and escaped by our server; the content security policy runs nothing inline
  const item = template.content.firstElementChild;
  if (!item || list.querySelector(`[data-id="${CSS.escape(item.dataset.id)}"]`)) return;
  showTimes(template.content);
  item.classList.add("new");
  list.prepend(item);
  // Whoever reads a card with the keyboard keeps it until the focus moves on.
  for (const old of [...list.children].slice(shown)) if (!old.contains(document.activeElement)) old.remove();
}

function follow(grid) {
  const alerts = document.getElementById("alerts");
  const status = document.getElementById("status");
  const pause = document.getElementById("pause");
  let last = grid.dataset.after;
  let source = null;

  const say = (state, text) => {
    status.hidden = false;
    if (status.dataset.state === state) return;
    status.dataset.state = state;
    status.textContent = text;
  };
  const open = () => {
    source = new EventSource(grid.dataset.stream + (last ? "?after=" + encodeURIComponent(last) : ""));
    source.onopen = () => say("live", "live");
    source.onerror = () => {
      say("lost", "connection lost, trying again");
      if (source.readyState === EventSource.CLOSED) setTimeout(open, 3000);
    };
    source.addEventListener("observation", (event) => {
      last = event.lastEventId;
      document.getElementById("waiting").hidden = true;
      put(grid, event.data, Number(grid.dataset.shown));
    });
    source.addEventListener("alert", (event) => {
      last = event.lastEventId;
      put(alerts, event.data, 5);
    });
  };
  pause.hidden = false;
  pause.addEventListener("click", () => {
    const paused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Continue" : "Pause";
    source.close();
    if (paused) say("paused", "paused");
    else open();
  });
  // The browser ends the stream itself, or a page that is left would hold a connection of the six it may have.
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && pause.getAttribute("aria-pressed") !== "true" && open());
  open();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  document.getElementById("q").select();
});

showTimes(document);
const grid = document.getElementById("live");
if (grid && window.EventSource) follow(grid);
