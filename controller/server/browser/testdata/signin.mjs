// What the page shows to who was signed in and is not any more, where a proxy asks for a login.

// signedOut holds the page to this, whatever the proxy answers instead of it: it keeps what it showed, says that nobody is signed in, and
// goes on by itself once somebody is.
export async function signedOut({ browser, check, sound, url, patience, picture }) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  page.on("pageerror", (e) => check(false, `signed out: ${e}`)); // the console tells of answers that the browser does not like: they are the proxy's
  const door = (how) => fetch(`${url}/door?how=${how}`);
  const look = () => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange"))); // as who comes back to the tab
  const until = async (is, what) => { // asked by hand: what Playwright waits with in the page is forbidden by the page's policy
    const end = Date.now() + patience / 4;
    for (; !await is(); await page.waitForTimeout(100)) if (Date.now() > end) return check(false, what);
  };
  const words = () => page.locator("body").innerText();
  await door("");
  await page.goto(url + "/");
  for (const how of ["sent", "asked", "posed"]) {
    const before = await page.locator(".services tbody th").allInnerTexts();
    check(before.length > 0, `${how}: no service is there to be kept`);
    await door(how);
    await look();
    await until(async () => (await words()).includes("signed out"), `${how}: the page does not say that nobody is signed in: “${(await words()).slice(-200)}”`);
    await look(); // and does not say it twice
    await page.waitForTimeout(1500);
    check(await page.locator("[role=alert]", { hasText: "signed out" }).count() === 1, `${how}: the page does not say once that nobody is signed in`);
    check((await page.locator(".services tbody th").allInnerTexts()).join() === before.join(), `${how}: what the page showed is gone: “${(await words()).slice(0, 200)}”`);
    await sound(page, "signed out, " + how);
    if (how === "sent") await page.screenshot({ path: picture });
    await door("");
    await look();
    await until(async () => !(await words()).includes("signed out"), `${how}: signed in again, and the page still says otherwise`);
    check((await page.locator(".services tbody th").allInnerTexts()).join() === before.join(), `${how}: signed in again, and the page does not come back`);
  }
  await context.close();
}

// liveAgain holds the page to hear of changes again where its stream, too, was answered by a login.
export async function liveAgain({ browser, check, url, patience }) {
  const page = await browser.newPage();
  page.setDefaultTimeout(patience);
  await page.addInitScript(() => { window.setInterval = () => 0; });
  await fetch(url + "/door?how=");
  await page.route("**/api/v1/events", (route) => route.fulfill({ status: 403, contentType: "text/html", body: "Sign in" }), { times: 1 });
  await page.goto(url + "/");
  await page.locator("#live", { hasText: "not live" }).waitFor();
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await page.locator("#live", { hasText: "· live" }).waitFor({ timeout: patience / 4 }).catch(() => check(false, "a stream that a login has ended is not asked for again"));
  await page.close();
}
