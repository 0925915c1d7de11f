// The windows that the lists accept (contract, section 6).
//
// Rule: what the service would refuse with 4001 is refused here before it is sent, and said in words.
import { DAY_SECONDS } from "./days";

export const HISTORY_SPAN_DAYS = 5;
export const HISTORY_BACK_DAYS = 28;
export const DURATIONS_BACK_DAYS = 60;
// A window picked at the edge has to be there still when it arrives.
const ARRIVAL_SECONDS = 60;

export type WindowFault = "unreadable" | "reversed" | "tooLong" | "tooOld" | "future";

/** What is wrong with a window of push starts, or null. All in Unix seconds; null is a bound that cannot be read. */
export function historyFault(start: number | null, end: number | null, now: number): WindowFault | null {
  if (start === null || end === null) return "unreadable";
  if (start > end) return "reversed";
  if (start > now) return "future";
  if (start < oldestHistory(now) || end < oldestHistory(now)) return "tooOld";
  return end - start > HISTORY_SPAN_DAYS * DAY_SECONDS ? "tooLong" : null;
}

/** The earliest start that is sure to be accepted. */
export function oldestHistory(now: number): number {
  return now - HISTORY_BACK_DAYS * DAY_SECONDS + ARRIVAL_SECONDS;
}

/** What is wrong with a window of whole days [start, end), both at 00:00 of the server, or null. */
export function durationsFault(start: number | null, end: number | null, today: number): WindowFault | null {
  if (start === null || end === null) return "unreadable";
  if (start >= end) return "reversed";
  if (start > today) return "future";
  return start < today - DURATIONS_BACK_DAYS * DAY_SECONDS ? "tooOld" : null;
}
