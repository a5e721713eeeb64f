// A sentence, its place in the picture and its row among the findings share one data-finding.
// Pointing at one of them, or reaching it with the keyboard, lights all of them; pressing it keeps them lit.
"use strict";
(() => {
  let pressed = null; // the finding that stays lit until it is pressed again or Escape is hit

  const findingOf = (node) => node?.closest?.("[data-finding]")?.dataset.finding ?? null;

  // A sentence may speak of several findings: their names stand in it with spaces between.
  const share = (node, finding) =>
    finding !== null && node.dataset.finding?.split(" ").some((name) => finding.split(" ").includes(name)) === true;

  function light(finding) {
    for (const node of document.querySelectorAll("[data-finding]")) {
      node.classList.toggle("lit", share(node, finding));
    }
    document.body.classList.toggle("lighting", finding !== null);
  }

  function press(finding) {
    pressed = finding;
    for (const node of document.querySelectorAll("[aria-pressed]")) {
      node.setAttribute("aria-pressed", String(share(node, finding)));
    }
    light(finding);
  }

  for (const [arrives, leaves] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
    document.addEventListener(arrives, (event) => {
      const finding = findingOf(event.target);
      if (finding !== null) light(finding);
    });
    document.addEventListener(leaves, (event) => {
      if (findingOf(event.target) !== null) light(findingOf(event.relatedTarget) ?? pressed);
    });
  }

  document.addEventListener("click", (event) => {
    const finding = findingOf(event.target);
    if (finding === null) return;
    press(pressed === finding ? null : finding);
    if (event.target.closest(".place")) {
      document.querySelector(`.sentence[data-finding~="${finding}"]`)?.scrollIntoView({ block: "nearest" });
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") press(null);
    const place = event.target.closest?.(".place[role=button]");
    if (place && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault(); // the space bar would scroll the page
      press(pressed === place.dataset.finding ? null : place.dataset.finding);
    }
  });

  const fade = document.getElementById("fade");
  fade?.addEventListener("input", () => {
    document.documentElement.style.setProperty("--heat", String(fade.value / 100));
  });

  // Paper cannot be unfolded: print everything, then fold what was folded.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const details of folded) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of folded) details.open = false;
  });

  document.documentElement.classList.add("scripted"); // what only works with script shows now
})();
