// Numbers and names as people read them. Pure: values in, text out.

import { currentLanguage, say } from "./words.js";

/** A probability, never rounded up to certainty: 0.9997 is "> 99.9 %". */
export function percent(probability) {
  if (probability >= 0.9995) return say("percent.above", { number: "99.9" });
  if (probability < 0.0005) return say("percent.below", { number: "0.1" });
  return say("percent", { number: (probability * 100).toFixed(1) });
}

/** A share of a whole, without decimals; nearly all of it is never all of it, nor nearly nothing nothing. */
export function share(fraction) {
  const number = Math.round(fraction * 100);
  if (number === 100 && fraction < 1) return say("percent.above", { number: 99 });
  if (number === 0 && fraction > 0) return say("percent.below", { number: 1 });
  return say("percent", { number });
}

export function milliseconds(number) {
  return say("time.ms", { number: number < 10 ? number.toFixed(1) : Math.round(number) });
}

/** When, by this computer's clock: 2026-11-30 09:12:33 GMT+9. */
export function moment(date) {
  const two = "2-digit";
  const parts = { year: "numeric", month: two, day: two, hour: two, minute: two, second: two, timeZoneName: "short" };
  return date.toLocaleString("sv", parts); // Swedish dates are those of ISO 8601
}

/** Signed, two decimals, with a real minus. */
export function signed(number) {
  return number.toFixed(2).replace("-", "−");
}

/** sha256:9f2c4e… */
export function shortDigest(digest) {
  const hex = digest.replace(/^sha256:/, "");
  return hex.length > 12 ? `${hex.slice(0, 12)}…` : hex;
}

/** What a person calls the class, and its name for machines where that differs. */
export function labelOf(model, className) {
  const label = model?.display?.[currentLanguage()]?.[className] ?? className;
  return { label, name: label === className ? "" : className };
}

/** The label, with the class name beside it where that differs: "수 (boar)". */
export function fullLabel(model, className) {
  const { label, name } = labelOf(model, className);
  return name ? `${label} (${name})` : label;
}

/** The last part of an address or a path. */
export function fileName(address) {
  return decodeURIComponent(address.split("/").pop());
}
