// Opens the status page in Chromium: in light and dark, wide and narrow, with and without scripts. What axe finds
// serious, what is asked of elsewhere, what the console complains of and what is wider than a phone is a failure.
//
//   node look.mjs BASE_URL MANIFESTS SCREENSHOTS
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import puppeteer from "puppeteer-core";

const [base, manifests, shots] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const pages = {
  objects: "/",
  graph: "/graph",
  object: "/objects/Server/default/auto-dep-blog",
  missing: "/objects/Server/default/no-such",
};
const failures = [];
let checks = 0;
function check(holds, what) {
  checks += 1;
  if (!holds) {
    failures.push(what);
    console.log(`FAIL ${what}`);
  }
}

mkdirSync(shots, { recursive: true });
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});

async function open(path, { width = 1280, scheme = "light", scripts = true } = {}) {
  const page = await browser.newPage();
  await page.setViewport({ width, height: 900 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.setJavaScriptEnabled(scripts);
  page.on("console", (it) => {
    // A page that is not there is an error to Chromium.
    const known = path === pages.missing && it.text().includes("404");
    check(it.type() !== "error" || known, `${path}: the console says ${it.text()}`);
  });
  page.on("request", (it) => check(it.url().startsWith(base), `${path}: asks ${it.url()}`));
  await page.goto(base + path, { waitUntil: "load" });
  return page;
}

for (const [name, path] of Object.entries(pages)) {
  for (const scheme of ["light", "dark"]) {
    for (const width of [1280, 390]) {
      const page = await open(path, { width, scheme });
      await page.screenshot({ path: `${shots}/${name}-${scheme}-${width}.png`, fullPage: true });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(overflow <= 0, `${name} at ${width}: ${overflow} pixels too wide`);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      for (const it of violations) {
        const where = it.nodes.slice(0, 3).map((node) => node.html).join(" ");
        console.log(`${it.impact}: ${name} ${scheme} ${width}: ${it.help}: ${where}`);
        check(!["serious", "critical"].includes(it.impact), `${name} ${scheme} ${width}: ${it.help}`);
      }
      checks += 1;
      await page.close();
    }
  }
  const plain = await open(path, { scripts: false });
  const heading = await plain.$eval("h1", (it) => it.textContent);
  check(heading.length > 0, `${name}: no heading without scripts`);
  await plain.close();
}

// A new manifest shows up without a reload, and what was opened stays open.
const page = await open("/");
await page.waitForFunction(() => document.getElementById("live").textContent === "live");
const marked = await page.evaluate(() => (document.body.dataset.same = "yes"));
writeFileSync(
  `${manifests}/later.yaml`,
  "apiVersion: stackward.dev/v1alpha1\nkind: Network\nmetadata: {name: later}\nspec: {resource: {}}\n",
);
const row = await page
  .waitForFunction(() => document.querySelector("main").textContent.includes("later"), { timeout: 60_000 })
  .catch(() => null);
check(row !== null, "a new manifest does not show up by itself");
check((await page.evaluate(() => document.body.dataset.same)) === marked, "the page was loaded anew");
await browser.close();
console.log(`${checks} checks, ${failures.length} failures; screenshots in ${shots}`);
process.exit(failures.length === 0 ? 0 : 1);
