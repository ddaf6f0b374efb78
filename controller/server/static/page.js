"use strict";
// The page is whole without this script. With it, the content is fetched anew when the controller tells of a change, and
// often enough that ages stay true.
(() => {
  const settle = 1000, stale = 30000;
  let timer = 0, busy = false, took = 0, words = "";

  const say = (text) => {
    words = text;
    const place = document.getElementById("live");
    if (place) place.textContent = text ? "· " + text : "";
  };

  async function refresh() {
    if (busy || document.hidden) return;
    busy = true;
    const began = performance.now();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const content = next.querySelector("main");
      for (const open of document.querySelectorAll("details[open][id]")) {
        const same = content.querySelector("#" + CSS.escape(open.id));
        if (same) same.open = true;
      }
      const focused = document.activeElement && document.activeElement.getAttribute("href");
      document.querySelector("main").replaceWith(content);
      if (focused && document.activeElement === document.body) {
        const link = content.querySelector('a[href="' + CSS.escape(focused) + '"]');
        if (link) link.focus({ preventScroll: true });
      }
      document.title = next.title;
      say(words);
    } catch {
      say("the controller does not answer");
    } finally {
      busy = false;
      took = performance.now() - began;
    }
  }

  // Events that go on and on put nothing off, and a page of thousands is not fetched so often that its reader's machine does nothing else.
  const soon = () => {
    if (!timer) timer = setTimeout(() => {
      timer = 0;
      if (busy) soon(); else refresh();
    }, Math.max(settle, 5 * took));
  };

  const events = new EventSource("/api/v1/events");
  for (const kind of ["service", "removed", "rollout", "repository", "lease", "ledger", "reset"]) events.addEventListener(kind, soon);
  events.addEventListener("open", () => say("live"));
  events.addEventListener("error", () => say(events.readyState === EventSource.CLOSED ? "not live, looks every 30 s" : "connection lost, trying again"));
  document.addEventListener("visibilitychange", soon);
  setInterval(refresh, stale);

  // What is counted down moves between two looks; the server's clock and this one may differ by what they did when it was fetched.
  const span = (s) => s < 60 ? s + "s" : s < 3600 ? Math.floor(s / 60) + "m " + s % 60 + "s" : Math.floor(s / 3600) + "h " + Math.floor(s / 60) % 60 + "m";
  setInterval(() => {
    for (const t of document.querySelectorAll("time[data-until]")) {
      const left = Math.round((Date.parse(t.dateTime) - Date.now()) / 1000);
      t.textContent = left > 0 ? "in " + span(left) : "now";
    }
  }, 1000);
})();
