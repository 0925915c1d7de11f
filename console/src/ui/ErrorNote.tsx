// A failure where it happened: what, why (RetCode and RetMsg, or the gateway's Code and Message), and what to do.
import type { CallError } from "../api";
import { formatNumber } from "../format";
import { useLanguage, useText } from "../i18n";
import { common } from "../i18n/common";
import { Button } from "./Button";

interface ErrorNoteProps {
  error: CallError | undefined;
  /** The action that failed, for the text of a refusal. */
  action?: string;
  onRetry?: () => void;
}

export function ErrorNote({ error, action = "", onRetry }: ErrorNoteProps) {
  const t = useText(common);
  const language = useLanguage();
  if (!error) return null;
  const limited = error.retryAfterSeconds > 0 || error.code === "LimitExceeded" || error.retCode === 9016;
  const title =
    error.kind === "network" ? t.networkTitle : error.notAllowed ? t.notAllowedTitle : limited ? t.limitedTitle : t.failedTitle;
  return (
    <div className="error-note" role="alert">
      <p className="error-title">{title}</p>
      {error.kind === "network" && <p>{t.network}</p>}
      {error.notAllowed && action && <p>{t.notAllowed(action)}</p>}
      {limited && error.retryAfterSeconds > 0 && <p>{t.limited(formatNumber(Math.ceil(error.retryAfterSeconds), language))}</p>}
      <p className="error-detail break">
        {error.kind === "business" && (
          <>
            <code>RetCode {error.retCode}</code> {error.retMsg}
          </>
        )}
        {error.kind === "gateway" && (
          <>
            <code>
              HTTP {error.status} {error.code}
            </code>{" "}
            {error.message}
          </>
        )}
        {error.kind === "network" && <code>{error.message}</code>}
      </p>
      {error.requestId && (
        <p className="small muted break">
          {t.requestId} <code>{error.requestId}</code>
        </p>
      )}
      {onRetry && (
        <Button small onClick={onRetry}>
          {t.retry}
        </Button>
      )}
    </div>
  );
}
