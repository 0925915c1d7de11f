// A value that is shared by parts of the page, and the hook that reads it.
// Rule: a store holds facts; nothing here knows React state or the network.
import { useSyncExternalStore } from "react";

export interface Store<T> {
  get(): T;
  set(next: T): void;
  subscribe(listener: () => void): () => void;
}

export function createStore<T>(initial: T): Store<T> {
  let value = initial;
  const listeners = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.get);
}

/** A store kept in this browser: for tastes (language, theme), never for anything secret. */
export function createKeptStore<T extends string>(name: string, allowed: readonly T[], initial: T): Store<T> {
  const key = `openkls.${name}`;
  let kept: string | null = null;
  try {
    kept = localStorage.getItem(key);
  } catch {
    // Storage may be forbidden in this browser; the choice then lasts as long as the page.
  }
  const store = createStore<T>(allowed.find((choice) => choice === kept) ?? initial);
  return {
    ...store,
    set(next) {
      try {
        localStorage.setItem(key, next);
      } catch {
        // As above.
      }
      store.set(next);
    },
  };
}
