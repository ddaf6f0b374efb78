"use strict";
// The page is whole without this script. With it, the content is fetched anew when the controller tells of a change, and
// often enough that ages stay true.
(() => {
  const settle = 1000, stale = 30000;
  let timer = 0, busy = false, took = 0, stream, heard = "", trouble = "";

  // What keeps the page from being true is said before how it hears of changes.
  const say = () => {
    const place = document.getElementById("live"), text = trouble || heard;
    if (place) place.textContent = text ? "· " + text : "";
  };

  // Only what the controller made has this; a page on which one signs in may have a main, too.
  const own = (page) => {
    const live = page.querySelector("main #live");
    return live && live.closest("main");
  };

  // What was shown stays: it is as true as its time says. The notice is part of it and goes with it.
  function signedOut() {
    trouble = "signed out";
    if (document.getElementById("signed-out")) return;
    const notice = document.createElement("p"), link = document.createElement("a");
    notice.id = "signed-out";
    notice.className = "alert";
    notice.setAttribute("role", "alert");
    link.href = location.pathname + location.search;
    link.textContent = "Reload the page";
    notice.append("You are signed out: what answers now is not the controller, and nothing here changes. ", link, " to sign in.");
    own(document).prepend(notice);
  }

  async function refresh() {
    if (busy || document.hidden) return;
    busy = true;
    const began = performance.now();
    try {
      // The controller sends nobody on and refuses nobody: who does asks for a login.
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
      const login = answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403;
      if (!login && !answer.ok) throw new Error(String(answer.status));
      const next = login ? null : new DOMParser().parseFromString(await answer.text(), "text/html");
      const content = next && own(next);
      if (content) replace(content, next.title); else signedOut();
    } catch {
      trouble = "the controller does not answer";
    } finally {
      say();
      busy = false;
      took = performance.now() - began;
    }
  }

  function replace(content, title) {
    for (const open of document.querySelectorAll("details[open][id]")) {
      const same = content.querySelector("#" + CSS.escape(open.id));
      if (same) same.open = true;
    }
    const focused = document.activeElement && document.activeElement.getAttribute("href");
    own(document).replaceWith(content);
    if (focused && document.activeElement === document.body) {
      const link = content.querySelector('a[href="' + CSS.escape(focused) + '"]');
      if (link) link.focus({ preventScroll: true });
    }
    document.title = title;
    trouble = "";
    if (stream.readyState === EventSource.CLOSED) listen(); // a login, or too many listeners, ended it for good
  }

  // Events that go on and on put nothing off, and a page of thousands is not fetched so often that its reader's machine does nothing else.
  const soon = () => {
    if (!timer) timer = setTimeout(() => {
      timer = 0;
      if (busy) soon(); else refresh();
    }, Math.max(settle, 5 * took));
  };

  function listen() {
    stream = new EventSource("/api/v1/events");
    for (const kind of ["service", "removed", "rollout", "repository", "lease", "ledger", "reset"]) stream.addEventListener(kind, soon);
    stream.addEventListener("open", () => { heard = "live"; say(); });
    stream.addEventListener("error", () => { heard = stream.readyState === EventSource.CLOSED ? "not live, looks every 30 s" : "connection lost, trying again"; say(); });
  }
  listen();
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
