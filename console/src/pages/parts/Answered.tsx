// What stands where a call's answer goes: loading, a failure, or the answer.
import type { ReactNode } from "react";

import "./parts.css";
import type { Called } from "../../hooks";
import { Loading } from "../../ui/Empty";
import { ErrorNote } from "../../ui/ErrorNote";

export function Answered<T>({ called, action, children }: { called: Called<T>; action: string; children: (data: T) => ReactNode }) {
  // What a key may no longer see goes; any other failure leaves what was last known.
  const shown = called.error?.notAllowed ? undefined : called.data;
  return (
    <>
      <ErrorNote error={called.error} action={action} onRetry={called.reload} />
      {shown !== undefined ? (
        <div className="answered" aria-busy={called.loading || undefined}>
          {children(shown)}
        </div>
      ) : (
        called.loading && <Loading />
      )}
    </>
  );
}
