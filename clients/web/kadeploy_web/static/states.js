// The states of nodes and deployments, in the order in which they are shown.

import { h, words } from "./dom.js";

export const NODE_STATES = ["deployed", "rebooting", "deploying", "to_deploy", "operation", "error", "idle"];

const LABELS = {
  idle: "never deployed",
  to_deploy: "to deploy",
  operation: "in an operation",
  error: "failed",
};

export function label(state) {
  return LABELS[state] ?? words(state);
}

export function swatch(state) {
  return h("span", { class: `swatch s-${state}`, "aria-hidden": "true" });
}

export function nodeBadge(state) {
  return h("span", { class: "badge" }, swatch(state), label(state));
}

const DEPLOYMENT_SWATCHES = { waiting: "to_deploy", deploying: "deploying", terminated: "deployed", error: "error" };

export function deploymentBadge(state) {
  return h("span", { class: "badge" }, swatch(DEPLOYMENT_SWATCHES[state] ?? "idle"), words(state));
}

export const RUNNING = ["waiting", "deploying"];

export const STEPS = ["boot_deployment_environment", "find_disk", "preinstall", "partition", "format", "mount", "broadcast",
  "mount_image", "postinstall", "cloud_init", "keys", "boot_files", "boot_new_system"];

export function stateBar(states, total) {
  const bar = h("div", { class: "bar", "aria-hidden": "true" });
  for (const state of ["deployed", "rebooting", "deploying", "to_deploy", "error"]) {
    if (!states[state]) continue;
    const part = h("span", { class: `s-${state}` });
    part.style.setProperty("width", `${(100 * states[state]) / total}%`);
    bar.append(part);
  }
  return bar;
}

export function stateCounts(states) {
  return NODE_STATES.filter((state) => states[state]).map((state) => `${states[state]} ${label(state)}`).join(", ");
}

export function stateLegend(states) {
  return NODE_STATES.filter((state) => states[state]).map((state) => h("span", { class: "badge" }, swatch(state), `${states[state]} ${label(state)}`));
}
