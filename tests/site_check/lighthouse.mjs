// Measures addresses with Lighthouse as a phone on a slow network (simulated, so that a busy machine matters less):
// node lighthouse.mjs RUNS ADDRESS…   prints one line of JSON for each run.
import lighthouse from "lighthouse";
import { launch } from "chrome-launcher";

const [runs, ...addresses] = process.argv.slice(2);
const categories = ["performance", "accessibility", "best-practices", "seo"];
const chrome = await launch({ chromeFlags: ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic"] });
try {
  for (const address of addresses) {
    for (let run = 0; run < Number(runs); run += 1) {
      const options = { port: chrome.port, onlyCategories: categories, throttlingMethod: "simulate" };
      const { lhr } = await lighthouse(address, options);
      const scores = Object.fromEntries(categories.map((name) => [name, Math.round(100 * (lhr.categories[name].score ?? 0))]));
      const requests = lhr.audits["network-requests"].details.items;
      const failed = Object.values(lhr.audits)
        .filter((audit) => audit.score !== null && audit.score < 0.9 && audit.scoreDisplayMode !== "informative")
        .map((audit) => audit.id);
      console.log(JSON.stringify({
        address,
        scores,
        failed,
        requests: requests.length,
        bytes: requests.reduce((sum, request) => sum + request.transferSize, 0),
        shift: lhr.audits["cumulative-layout-shift"].numericValue ?? null,
        paint: Math.round(lhr.audits["largest-contentful-paint"].numericValue ?? 0),
        error: lhr.runtimeError?.message ?? "",
      }));
    }
  }
} finally {
  await chrome.kill();
}
