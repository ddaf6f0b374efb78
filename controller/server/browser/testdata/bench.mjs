// Opens a page so many times, and prints the times of each as JSON.
import { chromium } from "playwright-core";
import { painted } from "./paint.mjs";

const { PAGE, TIMES } = process.env;
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
await painted(browser, PAGE + "/?q=none"); // the browser's own start is not the page's
const all = [];
for (let i = 0; i < Number(TIMES); i++) all.push(await painted(browser, PAGE + "/"));
await browser.close();
console.log(JSON.stringify(all));
