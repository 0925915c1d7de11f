// The time left until a moment, running down; and the time since one, running up.
import { formatAge, formatDuration, formatTime } from "../format";
import { useNow } from "../hooks";
import { useLanguage, useText } from "../i18n";
import { common } from "../i18n/common";

export function Countdown({ until }: { until: number }) {
  const now = useNow();
  const language = useLanguage();
  const t = useText(common);
  const left = until - now;
  return (
    <time dateTime={new Date(until * 1000).toISOString()} title={formatTime(until)} className="tabular" data-seconds={Math.max(0, left)}>
      {left > 0 ? formatDuration(left, language) : t.over}
    </time>
  );
}

/** `short` leaves the seconds out once there are days: for tables. */
export function Since({ from, short }: { from: number; short?: boolean }) {
  const now = useNow();
  const language = useLanguage();
  return (
    <time dateTime={new Date(from * 1000).toISOString()} title={formatTime(from)} className="tabular">
      {short ? formatAge(now - from, language) : formatDuration(now - from, language)}
    </time>
  );
}
