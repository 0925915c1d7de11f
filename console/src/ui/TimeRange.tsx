// A span of time: one of the usual ones up to now, or between two moments.
// Rule: what is given out is Unix seconds; a usual span is settled when it is asked for, so that it moves with the clock.
import { nowSeconds } from "../clock";
import { fromLocalInput, formatOffset, toLocalInput } from "../format";
import { useText } from "../i18n";
import { common } from "../i18n/common";
import { Field, Select } from "./Field";

export type Range = { kind: "last"; seconds: number } | { kind: "between"; start: number; end: number };

/** The moments of a span. */
export function boundsOf(range: Range, nowSeconds: number): { start: number; end: number } {
  return range.kind === "last" ? { start: nowSeconds - range.seconds, end: nowSeconds } : { start: range.start, end: range.end };
}

export function TimeRange({
  value,
  spans,
  onChange,
  fault,
}: {
  value: Range;
  /** The usual spans, in seconds. */
  spans: readonly number[];
  onChange: (range: Range) => void;
  fault?: string;
}) {
  const t = useText(common);
  const now = nowSeconds();
  function named(seconds: number): string {
    if (seconds === 3600) return t.lastHour;
    if (seconds % 86_400 === 0) return t.lastDays(seconds / 86_400);
    if (seconds % 3600 === 0) return t.lastHours(seconds / 3600);
    return t.lastMinutes(Math.round(seconds / 60));
  }
  const choices = [...spans.map((seconds) => ({ value: String(seconds), label: named(seconds) })), { value: "between", label: t.custom }];
  return (
    <div className="time-range">
      <Select
        label={t.range}
        value={value.kind === "last" ? String(value.seconds) : "between"}
        choices={choices}
        onChoose={(choice) => {
          if (choice === "between") onChange({ kind: "between", ...boundsOf(value, now) });
          else onChange({ kind: "last", seconds: Number(choice) });
        }}
      />
      {value.kind === "between" && (
        <>
          <Moment label={t.from} value={value.start} onChange={(start) => onChange({ ...value, start })} />
          <Moment label={t.until} value={value.end} onChange={(end) => onChange({ ...value, end })} fault={fault} />
        </>
      )}
    </div>
  );
}

/** A date and time in the browser's zone, given out as Unix seconds. */
export function Moment({
  label,
  value,
  onChange,
  min,
  max,
  fault,
}: {
  label: string;
  value: number;
  onChange: (seconds: number) => void;
  min?: number;
  max?: number;
  fault?: string;
}) {
  return (
    <Field
      label={`${label} (${formatOffset(value || nowSeconds())})`}
      type="datetime-local"
      value={toLocalInput(value)}
      min={min ? toLocalInput(min) : undefined}
      max={max ? toLocalInput(max) : undefined}
      fault={fault}
      onChange={(event) => {
        const seconds = fromLocalInput(event.target.value);
        if (seconds !== undefined) onChange(seconds);
      }}
    />
  );
}
