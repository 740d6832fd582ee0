// The request as a command for a POSIX shell, and into the clipboard.

import { element, setText } from "./dom.js";
import { say } from "./words.js";

/** The request as a command; a sample is fetched first. */
export function asCurl(picture, address) {
  const send = `curl --data-binary @${quote(picture.name)} ${quote(absolute(address), true)}`;
  if (!picture.address) return send;
  return `curl -o ${quote(picture.name)} ${quote(absolute(picture.address), true)}\n${send}`;
}

export async function copyCommand() {
  let word = "curl.copied";
  try {
    await navigator.clipboard.writeText(element("curl").textContent);
  } catch {
    // Browsers have no clipboard over plain http, except on the same machine.
    getSelection().selectAllChildren(element("curl"));
    if (!document.execCommand("copy")) word = "curl.failed";
  }
  setText("copy", say(word));
  setTimeout(() => setText("copy", say("curl.copy")), 2000);
}

const absolute = (address) => new URL(address, document.baseURI).href;

function quote(text, always = false) {
  return !always && /^[\w.-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
