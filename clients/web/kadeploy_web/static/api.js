// Calls of this server. An answer that is no success throws a Refusal with the server's sentence.

import { trouble } from "./dom.js";

const API = "/api/v1";

export class Refusal extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.reason = error.reason;
    this.fields = error.fields ?? {};
  }
}

export async function answered(response) {
  let content;
  try {
    content = await response.json();
  } catch {
    throw new Refusal(response.status, { message: `the server answered with status ${response.status}` });
  }
  if (!response.ok) throw new Refusal(response.status, content.error ?? { message: `status ${response.status}` });
  return content;
}

export async function sent(path, options) {
  try {
    return await fetch(API + path, { credentials: "same-origin", ...options });
  } catch {
    throw new Refusal(0, { message: "the server of this page does not answer" });
  }
}

export async function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== "" && one !== undefined && one !== null) query.append(name, one);
    }
  }
  const text = query.toString();
  return answered(await sent(text ? `${path}?${text}` : path, { signal }));
}

// Follows events; returns what ends it. A broken connection is opened again by the browser.
export function follow(path, handlers) {
  const source = new EventSource(API + path);
  let lost = false;
  for (const [name, handle] of Object.entries(handlers)) {
    source.addEventListener(name, (message) => {
      if (message instanceof MessageEvent) handle(JSON.parse(message.data));
    });
  }
  source.onopen = () => {
    trouble("");
    if (lost && handlers.reload) handlers.reload();
    lost = false;
  };
  source.onerror = () => {
    lost = true;
    trouble("The connection to the server is lost; what you see is what was last known. Trying again …");
  };
  return () => {
    source.onopen = source.onerror = null;
    source.close();
    trouble("");
  };
}
