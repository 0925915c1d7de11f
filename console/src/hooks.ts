// React's side of calls: one call and its state, again every so often, and the clock.
// Rule: a call that is no longer wanted is aborted, and its answer is never shown.
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";

import { CallError, call, type Parameters } from "./api";
import { nowSeconds } from "./clock";

export interface Called<T> {
  data: T | undefined;
  error: CallError | undefined;
  /** True while no answer to the present question has come. Data of the last one stays meanwhile. */
  loading: boolean;
  updatedAt: number;
  reload: () => void;
}

export interface CallOptions {
  /** Ask again this long after each answer; a hidden page does not ask, nor one whose key may not. */
  everySeconds?: number;
  /** False: do not ask yet. */
  enabled?: boolean;
  version?: string;
}

interface Answer<T> {
  question: string;
  data: T | undefined;
  error: CallError | undefined;
  updatedAt: number;
}

/** Calls an action and follows its parameters. */
export function useCall<T>(action: string, parameters: Parameters = {}, options: CallOptions = {}): Called<T> {
  const { everySeconds = 0, enabled = true, version } = options;
  const question = JSON.stringify([action, version, parameters]);
  const [answer, setAnswer] = useState<Answer<T>>();
  const [round, setRound] = useState(0);
  const reload = useCallback(() => setRound((n) => n + 1), []);

  useEffect(() => {
    if (!enabled) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const [, , asked] = JSON.parse(question) as [string, string | undefined, Parameters];
    async function ask(): Promise<void> {
      let pauseSeconds = everySeconds;
      try {
        const data = await call<T>(action, asked, { version, signal: stop.signal });
        if (stop.signal.aborted) return;
        setAnswer({ question, data, error: undefined, updatedAt: Date.now() });
      } catch (failure) {
        if (stop.signal.aborted) return;
        const error = asCallError(failure);
        pauseSeconds = error.notAllowed ? Infinity : Math.max(pauseSeconds, error.retryAfterSeconds);
        setAnswer((last) => ({ question, data: last?.question === question ? last.data : undefined, error, updatedAt: Date.now() }));
      }
      if (everySeconds > 0 && pauseSeconds < Infinity) timer = setTimeout(askWhenSeen, pauseSeconds * 1000);
    }
    function askWhenSeen(): void {
      if (document.visibilityState === "visible") void ask();
      else document.addEventListener("visibilitychange", askWhenSeen, { once: true, signal: stop.signal });
    }
    void ask();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [action, question, version, enabled, everySeconds, round]);

  return {
    data: answer?.data,
    error: answer?.question === question ? answer.error : undefined,
    loading: enabled && answer?.question !== question,
    updatedAt: answer?.updatedAt ?? 0,
    reload,
  };
}

export function asCallError(failure: unknown): CallError {
  if (failure instanceof CallError) return failure;
  return new CallError({ kind: "network", message: failure instanceof Error ? failure.message : String(failure) });
}

/** One thing a button starts: pending while it runs, its failure kept until the next start. */
export function useAction<A extends unknown[]>(
  run: (...given: A) => Promise<void>,
): { pending: boolean; error: CallError | undefined; start: (...given: A) => Promise<boolean>; clear: () => void } {
  const [pending, setPending] = useState(false);
  const [error, setError] = useState<CallError>();
  const latest = useRef(run);
  useEffect(() => {
    latest.current = run;
  });
  const start = useCallback(async (...given: A): Promise<boolean> => {
    setPending(true);
    setError(undefined);
    try {
      await latest.current(...given);
      return true;
    } catch (failure) {
      setError(asCallError(failure));
      return false;
    } finally {
      setPending(false);
    }
  }, []);
  const clear = useCallback(() => setError(undefined), []);
  return { pending, error, start, clear };
}

// One timer for all clocks on the page.
const ticks = new Set<() => void>();
let ticking: ReturnType<typeof setInterval> | undefined;
let seconds = nowSeconds();

function subscribeTick(listener: () => void): () => void {
  ticks.add(listener);
  ticking ??= setInterval(() => {
    seconds = nowSeconds();
    for (const tick of [...ticks]) tick();
  }, 1000);
  return () => {
    ticks.delete(listener);
    if (ticks.size === 0) {
      clearInterval(ticking);
      ticking = undefined;
    }
  };
}

/** The time in whole Unix seconds, by the service's clock; the component is drawn again each second. */
export function useNow(): number {
  return useSyncExternalStore(subscribeTick, () => {
    if (ticks.size === 0) seconds = nowSeconds();
    return seconds;
  });
}

/** True while the media query matches. */
export function useMedia(query: string): boolean {
  const subscribe = useCallback(
    (listener: () => void) => {
      const media = matchMedia(query);
      media.addEventListener("change", listener);
      return () => media.removeEventListener("change", listener);
    },
    [query],
  );
  return useSyncExternalStore(subscribe, () => matchMedia(query).matches);
}
