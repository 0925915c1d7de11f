// The session's idle time, as people understand it: since they last did something, in any of their tabs.
// Rule: what the page asks for by itself (plots, nodes) does not count as use, and what is done without a call (scrolling
// a list that comes by events) does.
//
// Theory of operation. The service ends a session that makes no call for IdleSeconds, but it cannot tell a person from a
// page that asks every ten seconds. So the page notes what people do, ends the session itself when they have done nothing
// for that long, and says to the service now and then that they are there.
import { loadSession, logout, session, sessionLapsed } from "./api";

const LOOK_EVERY_MS = 5000;
/** Other tabs are told of use at most this often. */
const TELL_EVERY_MS = 5000;
/** The service is told of use this many times in an idle time. */
const TOLD_TIMES = 6;
const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel", "touchmove"] as const;

/** What is to be done now; all in milliseconds of one clock. */
export function idleStep(now: number, usedAt: number, toldAt: number, idleMs: number): "end" | "tell" | "wait" {
  if (now - usedAt >= idleMs) return "end";
  return usedAt > toldAt && now - toldAt >= idleMs / TOLD_TIMES ? "tell" : "wait";
}

/** Watches until the function it returns is called. */
export function watchIdle(idleSeconds: number): () => void {
  let usedAt = Date.now();
  let toldAt = usedAt;
  let tabsToldAt = 0;
  const tabs = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel("openkls.used");
  const used = (): void => {
    usedAt = Date.now();
    if (usedAt - tabsToldAt < TELL_EVERY_MS) return;
    tabsToldAt = usedAt;
    tabs?.postMessage("used");
  };
  if (tabs) tabs.onmessage = () => (usedAt = Date.now());
  for (const sign of SIGNS) window.addEventListener(sign, used, { passive: true, capture: true });
  const timer = setInterval(() => {
    const step = idleStep(Date.now(), usedAt, toldAt, idleSeconds * 1000);
    if (step === "tell") {
      toldAt = Date.now();
      void loadSession().catch(() => undefined);
    } else if (step === "end") {
      void endIdle();
    }
  }, LOOK_EVERY_MS);
  return () => {
    clearInterval(timer);
    tabs?.close();
    for (const sign of SIGNS) window.removeEventListener(sign, used, { capture: true });
  };
}

async function endIdle(): Promise<void> {
  try {
    await logout();
  } catch {
    // Out of reach: the service ends it by itself, and nothing is shown here any more.
    session.set(null);
  }
  sessionLapsed.set(true);
}
