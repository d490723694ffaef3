// Which view an address shows, and the colours.

import { h, trouble } from "./dom.js";
import { showCluster } from "./view_cluster.js";
import { showDeployments } from "./view_deployments.js";
import { showDeployment } from "./view_deployment.js";
import { showNode } from "./view_node.js";
import { openLogin, start, onSession } from "./session.js";
import { showDeploy } from "./view_deploy.js";
import { showOperation, showOperations } from "./view_operations.js";
import { showStatistics } from "./view_statistics.js";

const VIEWS = [
  [/^\/$/, "cluster", showCluster],
  [/^\/deployments$/, "deployments", showDeployments],
  [/^\/deployments\/([^/]+)$/, "deployments", showDeployment],
  [/^\/nodes\/([^/]+)$/, "cluster", showNode],
  [/^\/operations$/, "operations", showOperations],
  [/^\/operations\/([^/]+)$/, "operations", showOperation],
  [/^\/statistics$/, "statistics", showStatistics],
  [/^\/deploy$/, "deploy", showDeploy],
];
const main = document.getElementById("main");
let end = () => {};
let number = 0;

async function show(first = false) {
  end();
  end = () => {};
  number += 1;
  const mine = number;
  const found = VIEWS.find(([pattern]) => pattern.test(location.pathname));
  for (const link of document.querySelectorAll("nav a")) {
    if (found && link.dataset.view === found[1]) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const place = h("div", { class: "view" });
  place.style.setProperty("display", "contents");
  main.replaceChildren(place);
  if (!found) {
    place.append(h("h1", {}, "There is no such view"));
    return;
  }
  const parts = found[0].exec(location.pathname).slice(1).map(decodeURIComponent);
  try {
    const stop = await found[2](place, ...parts);
    if (mine === number) end = stop ?? (() => {});
    else stop?.();
  } catch (error) {
    if (mine !== number) return;
    place.replaceChildren(h("h1", {}, "This cannot be shown"), h("p", { class: "panel failure", role: "alert" }, error.message));
    if (error.status === 401) openLogin("");
  }
  const title = place.querySelector("h1");
  document.title = title ? `${title.textContent} · Kadeploy` : "Kadeploy";
  if (!first && title && mine === number) {
    title.tabIndex = -1;
    title.focus({ preventScroll: true });
  }
}

export function go(address) {
  history.pushState(null, "", address);
  scrollTo(0, 0);
  show();
}

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.origin !== location.origin || link.hash || link.target || link.hasAttribute("download") || link.pathname.startsWith("/api/")) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
addEventListener("popstate", () => show());

const THEMES = ["", "light", "dark"];
const THEME_NAMES = { "": "as the system", light: "light", dark: "dark" };
const button = document.getElementById("theme");

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  button.setAttribute("aria-label", `Colours: ${THEME_NAMES[theme]}`);
  button.title = `Colours: ${THEME_NAMES[theme]}`;
  try {
    localStorage.setItem("theme", theme);
  } catch { /* a browser that keeps nothing */ }
}

let stored = "";
try {
  stored = localStorage.getItem("theme") ?? "";
} catch { /* a browser that keeps nothing */ }
setTheme(THEMES.includes(stored) ? stored : "");
button.addEventListener("click", () => {
  const now = document.documentElement.dataset.theme ?? "";
  setTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
});
try {
  await start();
} catch (error) {
  trouble(error.message);
}
// Who has logged in sees more, and somebody else less.
onSession(() => show());
show(true);
