// Short notices that a thing was done; they leave by themselves, and a screen reader says them.
// Rule: a failure is never only a toast; it stays where it happened (ErrorNote).
import { useSyncExternalStore } from "react";

import { createStore } from "../store";

const SHOWN_MS = 6000;
/** More at once than anybody reads; older ones go. */
export const MOST_TOASTS = 4;

interface Shown {
  id: number;
  text: string;
}

const shown = createStore<readonly Shown[]>([]);
let lastId = 0;

export function toast(text: string): void {
  lastId += 1;
  const id = lastId;
  shown.set([...shown.get(), { id, text }].slice(-MOST_TOASTS));
  setTimeout(() => shown.set(shown.get().filter((one) => one.id !== id)), SHOWN_MS);
}

export function Toasts() {
  const toasts = useSyncExternalStore(shown.subscribe, shown.get);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {toasts.map((one) => (
        <p key={one.id} className="toast break">
          {one.text}
        </p>
      ))}
    </div>
  );
}
