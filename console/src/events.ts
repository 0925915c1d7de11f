// The service's live updates: totals every two seconds and the list of live streams, by server-sent events.
// Rule: one connection for the whole page; what is shown after a break is the last seen, and `state` says so.
//
// Theory of operation. start() while logged in, stop() at logout. The browser connects again by itself after a network
// fault; after an HTTP answer that is not an event stream it gives up, and we ask the session (a 401 shows the login)
// and try again, later each time. The list is parsed in a task of its own, away from drawing.
import { CallError, loadSession, session } from "./api";
import { noteServiceTime } from "./clock";
import type { LiveStreams, Totals } from "./model";
import { createStore } from "./store";

export type EventsState = "idle" | "connecting" | "open" | "lost" | "refused";

const RETRY_FIRST_MS = 2000;
const RETRY_LAST_MS = 30_000;
/** Totals kept for the plots, so that they move between two readings of the series: an hour of 2 s. */
export const TOTALS_KEPT = 1800;

export const eventsState = createStore<EventsState>("idle");
/** Why the list is not told, in the state "refused". */
export const eventsRefusal = createStore<CallError | undefined>(undefined);
export const totals = createStore<Totals | undefined>(undefined);
export const recentTotals = createStore<readonly Totals[]>([]);
export const liveStreams = createStore<LiveStreams | undefined>(undefined);

let source: EventSource | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;
let retryMs = RETRY_FIRST_MS;

export function startEvents(): void {
  if (source) return;
  clearTimeout(timer);
  eventsState.set(eventsState.get() === "lost" ? "lost" : "connecting");
  source = new EventSource("/console/events");
  source.addEventListener("open", () => {
    retryMs = RETRY_FIRST_MS;
    if (eventsState.get() !== "refused") eventsState.set("open");
  });
  source.addEventListener("totals", (event) => takeTotals(JSON.parse(dataOf(event)) as Totals));
  source.addEventListener("streams", (event) => {
    const text = dataOf(event);
    setTimeout(() => {
      liveStreams.set(JSON.parse(text) as LiveStreams);
      eventsState.set("open");
    });
  });
  source.addEventListener("refused", (event) => {
    const { Code, Message } = JSON.parse(dataOf(event)) as { Code: string; Message: string };
    eventsRefusal.set(new CallError({ kind: "gateway", status: 403, code: Code, message: Message }));
    eventsState.set("refused");
  });
  source.addEventListener("end", () => {
    stopEvents();
    void loadSession().catch(() => undefined);
  });
  source.addEventListener("error", () => {
    if (eventsState.get() !== "refused") eventsState.set("lost");
    if (source?.readyState === EventSource.CLOSED) tryAgainLater();
  });
}

function dataOf(event: Event): string {
  return (event as MessageEvent<string>).data;
}

function takeTotals(next: Totals): void {
  noteServiceTime(next.Time);
  totals.set(next);
  recentTotals.set(keepRecent(recentTotals.get(), next));
}

/** The last TOTALS_KEPT, ascending; one that is not later than the last is left out. */
export function keepRecent(kept: readonly Totals[], next: Totals): readonly Totals[] {
  const last = kept.at(-1);
  if (last && next.Time <= last.Time) return kept;
  return [...kept.slice(Math.max(0, kept.length - TOTALS_KEPT + 1)), next];
}

function tryAgainLater(): void {
  source?.close();
  source = undefined;
  timer = setTimeout(() => {
    void (async () => {
      try {
        await loadSession();
      } catch {
        // Still out of reach: wait again.
      }
      if (session.get()) startEvents();
    })();
  }, retryMs);
  retryMs = Math.min(retryMs * 2, RETRY_LAST_MS);
}

export function stopEvents(): void {
  clearTimeout(timer);
  source?.close();
  source = undefined;
  retryMs = RETRY_FIRST_MS;
  eventsState.set("idle");
}

/** Forgets what was shown: another key may log in next. */
export function forgetEvents(): void {
  stopEvents();
  totals.set(undefined);
  recentTotals.set([]);
  liveStreams.set(undefined);
}
