// Days as the server counts them.
//
// Rule: a day begins at 00:00 of the server's time zone, wherever the browser stands; the browser's own zone is never
// asked.
//
// The API does not name the server's zone, but says when its days begin: ListHistoryPubStreamsInfo without bounds
// answers a StartUnixTime that is such a midnight. From it comes the distance from UTC, taken as the same for all
// the days shown: where a zone changes its clocks within them, days on the other side of the change are an hour off.
export const DAY_SECONDS = 86_400;

// No zone is more than 14 hours ahead of UTC; from 13 hours on the zones that far behind are the more populous.
const MOST_AHEAD_SECONDS = 13 * 3600;

/** The zone's distance from UTC in seconds, east positive, from any of its midnights (Unix seconds). */
export function offsetOf(midnight: number): number {
  const ahead = modulo(-midnight, DAY_SECONDS);
  return ahead > MOST_AHEAD_SECONDS ? ahead - DAY_SECONDS : ahead;
}

/** 00:00 of the day that holds `at`, in Unix seconds. */
export function dayStart(at: number, offset: number): number {
  return at - modulo(at + offset, DAY_SECONDS);
}

/** The day that holds `at`, as 2026-01-31. */
export function dayName(at: number, offset: number): string {
  return new Date((at + offset) * 1000).toISOString().slice(0, 10);
}

/** A moment in the server's time, as 2026-01-31 09:30:00. */
export function formatAt(at: number, offset: number): string {
  return new Date((at + offset) * 1000).toISOString().slice(0, 19).replace("T", " ");
}

/** 00:00 of a day written as 2026-01-31, or null for what is no day. */
export function parseDay(text: string, offset: number): number | null {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return null;
  const at = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(at) ? null : at / 1000 - offset;
}

/** The zone as people write it: UTC+08:00. */
export function zoneName(offset: number): string {
  const minutes = Math.abs(offset) / 60;
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  return `UTC${offset < 0 ? "−" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`;
}

export type Span = { stream: string; start: number; end: number };
export type DayRow = { stream: string; day: string; seconds: number; pushes: number };
export type StreamRow = { stream: string; seconds: number; pushes: number; days: number; first: number; last: number };

/** How long each stream was pushed on each day; a push over midnight counts in both. */
export function byDay(spans: readonly Span[], offset: number): DayRow[] {
  const rows = new Map<string, DayRow>();
  for (const span of spans) {
    let from = span.start;
    do {
      const next = Math.min(span.end, dayStart(from, offset) + DAY_SECONDS);
      const day = dayName(from, offset);
      // A name cannot hold a line feed, a day neither.
      const key = `${day}\n${span.stream}`;
      const row = rows.get(key) ?? { stream: span.stream, day, seconds: 0, pushes: 0 };
      row.seconds += next - from;
      row.pushes += 1;
      rows.set(key, row);
      from = next;
    } while (from < span.end);
  }
  return [...rows.values()].sort((a, b) => compare(b.day, a.day) || b.seconds - a.seconds || compare(a.stream, b.stream));
}

/** How long each stream was pushed in all, the longest first. */
export function byStream(spans: readonly Span[], offset: number): StreamRow[] {
  const rows = new Map<string, StreamRow>();
  const days = new Map<string, Set<number>>();
  for (const span of spans) {
    const row = rows.get(span.stream) ?? { stream: span.stream, seconds: 0, pushes: 0, days: 0, first: span.start, last: span.end };
    row.seconds += span.end - span.start;
    row.pushes += 1;
    row.first = Math.min(row.first, span.start);
    row.last = Math.max(row.last, span.end);
    rows.set(span.stream, row);
    const held = days.get(span.stream) ?? new Set<number>();
    for (let day = dayStart(span.start, offset); day < span.end || day === dayStart(span.start, offset); day += DAY_SECONDS) held.add(day);
    days.set(span.stream, held);
  }
  for (const row of rows.values()) row.days = days.get(row.stream)?.size ?? 0;
  return [...rows.values()].sort((a, b) => b.seconds - a.seconds || compare(a.stream, b.stream));
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
