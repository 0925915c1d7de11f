// What time it is for the service: the browser's clock, set right by the times the service sends.
// Rule: a difference within what a message may take on its way counts as none.
const TOLERATED_SECONDS = 3;

let offsetSeconds = 0;

/** A reading that the service took right now says what time it is there. */
export function noteServiceTime(unixSeconds: number, browserMs = Date.now()): void {
  const difference = unixSeconds - browserMs / 1000;
  offsetSeconds = Math.abs(difference) > TOLERATED_SECONDS ? Math.round(difference) : 0;
}

/** Unix seconds, whole, by the service's clock. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000) + offsetSeconds;
}
