// Asks for the page again when something has changed, and puts the new in the place of the old.
"use strict";

let busy = false;
let again = false;

async function renew() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const open = new Set(Array.from(document.querySelectorAll("details[open]"), (it) => it.id));
      for (const details of page.querySelectorAll("details")) {
        details.open = open.has(details.id) || details.open;
      }
      const focused = document.activeElement?.id;
      document.querySelector("main").replaceWith(page.querySelector("main"));
      if (focused) {
        document.getElementById(focused)?.focus({ preventScroll: true });
      }
      document.title = page.title;
    }
  } finally {
    busy = false;
    if (again) {
      again = false;
      renew();
    }
  }
}

const live = document.getElementById("live");
const source = new EventSource("/changes");
source.onopen = () => {
  live.textContent = "live";
  renew();
};
source.onmessage = renew;
source.onerror = () => {
  live.textContent = "not connected";
};
