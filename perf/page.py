"""How soon a page can be used: seconds until a browser has read it, its style and its script, on the loopback.

    python perf/page.py [--loads 20]            the goal: at most 1 s

`facewitness serve` in a process of its own, a Chromium that is installed (`CHROMIUM`, or on the path) by Playwright, an
empty cache for each load. Interactive is the browser's own `domInteractive`, or the end of the script's first run where
that is later; shown is when the largest picture stands there. Start page, history with 30 rows, an analysed photograph.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics

from playwright.sync_api import Browser, sync_playwright
from serve import RAW, WAIT, photos, served

_TIMES = """() => new Promise((done) => {
  let shown = 0;
  new PerformanceObserver((list) => { for (const entry of list.getEntries()) shown = entry.startTime; })
    .observe({ type: "largest-contentful-paint", buffered: true });
  const [timing] = performance.getEntriesByType("navigation");
  setTimeout(() => done([Math.max(timing.domInteractive, timing.domContentLoadedEventEnd), shown]), 50);
})"""


def loaded(browser: Browser, address: str, loads: int) -> dict[str, float]:
    """Median and largest milliseconds of so many loads of one page."""
    interactive, shown = [], []
    for _ in range(loads):
        context = browser.new_context(viewport={"width": 1600, "height": 900})
        page = context.new_page()
        page.goto(address, wait_until="load")
        first, largest = page.evaluate(_TIMES)
        interactive.append(first)
        shown.append(largest)
        context.close()
    return {
        "interactive_p50_ms": round(statistics.median(interactive)),
        "interactive_most_ms": round(max(interactive)),
        "shown_p50_ms": round(statistics.median(shown)),
    }


def main() -> None:
    """Print the numbers of three pages."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--loads", type=int, default=20)
    loads = parser.parse_args().loads
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:  # the other numbers need none
        print("Not measured: this needs a Chromium. Install one, or set CHROMIUM to its path.")
        return
    with served() as server, sync_playwright() as playwright:
        number = server.client.post("/v1/analyses", content=photos(1, 1024)[0], headers=WAIT).json()["id"]
        for content in photos(30, 64):
            server.client.post("/v1/analyses", content=content, headers=RAW)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, path in (("start", "/"), ("history", "/analyses"), ("analysis", f"/analyses/{number}")):
            print("page", name, json.dumps(loaded(browser, server.url + path, loads)), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
