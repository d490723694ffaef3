// Who has logged in, and changes in their name.

import { Refusal, answered, sent } from "./api.js";
import { clock, h } from "./dom.js";

let session = { user: "", may_change: false, csrf: "", end: null };
const listeners = new Set();

export function who() {
  return session;
}

export function onSession(listener) {
  listeners.add(listener);
}

function take(found) {
  session = found;
  showTools();
  for (const listener of listeners) listener(found);
}

export async function post(path, body) {
  try {
    return await answered(await sent(path, { method: "POST", headers: { "Content-Type": "application/json", "X-Kadeploy-CSRF": session.csrf }, body: JSON.stringify(body) }));
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) await refresh();
    throw error;
  }
}

export async function refresh() {
  take(await answered(await sent("/session", {})));
}

// A login that stands in the address is used once, and taken out of the address first.
export async function start() {
  const token = new URLSearchParams(location.hash.slice(1)).get("login");
  if (token) {
    history.replaceState(null, "", location.pathname + location.search);
    try {
      take(await post("/login", { token }));
      return;
    } catch (error) {
      openLogin(error.message);
    }
  }
  await refresh();
}

function showTools() {
  const tools = document.getElementById("tools");
  tools.querySelector(".who")?.remove();
  const place = session.user
    ? h("span", { class: "who row" }, h("span", { class: "small", title: `until ${clock(session.end)}` }, session.user, session.may_change ? "" : " (read only)"),
      h("button", { type: "button", onclick: async () => take(await post("/logout", {})) }, "Log out"))
    : h("span", { class: "who" }, h("button", { type: "button", onclick: () => openLogin("") }, "Log in"));
  tools.prepend(place);
  for (const link of document.querySelectorAll("[data-needs=change]")) link.hidden = !session.may_change;
}

export function openLogin(text) {
  const field = h("textarea", { rows: 4, cols: 48, required: true, autocomplete: "off", spellcheck: "false", class: "mono", id: "token" });
  const message = h("p", { class: "message", role: "alert", hidden: !text }, text);
  const dialog = h("dialog", { "aria-labelledby": "login-title" },
    h("form", { onsubmit: async (event) => {
      event.preventDefault();
      const token = field.value.trim();
      try {
        take(await post("/login", { token: new URLSearchParams(token.split("#")[1] ?? "").get("login") ?? token }));
        dialog.close();
      } catch (error) {
        message.textContent = error.message;
        message.hidden = false;
      }
    } },
    h("h2", { id: "login-title" }, "Log in"),
    h("p", {}, "Run this where your certificate is, and open what it prints, or paste it here:"),
    h("pre", { tabindex: 0 }, `ka web login ${location.origin}`),
    h("label", { for: "token" }, "What it printed"), h("div", {}, field), message,
    h("p", { class: "small faint" }, "It is signed with your own key. For some hours the page can then plan, start and cancel deployments with your rights, and nothing else."),
    h("div", { class: "actions" }, h("button", { type: "button", onclick: () => dialog.close() }, "Not now"), h("button", { type: "submit", class: "primary" }, "Log in"))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  field.focus();
}
