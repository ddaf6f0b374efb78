// How soon a page is painted, as the browser measures it: what it asked, what came, and when there was something to see.

// painted opens a page of its own context, so that nothing of it is remembered, and returns its times in milliseconds from the
// click on, and its bytes.
export async function painted(browser, url) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  try {
    const page = await context.newPage();
    await page.goto(url, { waitUntil: "load" });
    return await page.evaluate(async () => {
      const paint = await new Promise((done) => new PerformanceObserver((list) => {
        for (const e of list.getEntriesByName("first-contentful-paint")) done(e.startTime);
      }).observe({ type: "paint", buffered: true }));
      const n = performance.getEntriesByType("navigation")[0];
      return {
        paint, first: n.responseStart, answer: n.responseEnd, whole: n.loadEventEnd, bytes: n.decodedBodySize, sent: n.transferSize,
        rows: document.querySelectorAll(".services tbody tr").length,
      };
    });
  } finally {
    await context.close();
  }
}
