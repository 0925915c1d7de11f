// A page of the history of pushes, as its filters ask for it.
// Rule: the window is settled when it is asked for, so that leafing through its pages shows one window.
import { useState } from "react";

import { nowSeconds } from "../../clock";
import { useCall, type Called } from "../../hooks";
import type { History } from "../../model";
import { boundsOf, type Range } from "../../ui/TimeRange";
import { areComplete, NO_NAMES } from "./names";
import { useFilters } from "./query";
import { historyFault, type WindowFault } from "./spans";
import { useNames, type ChosenNames } from "./useNames";

export const HISTORY_DEFAULTS = { ...NO_NAMES, stream: "", last: "86400", start: "", end: "", order: "0", rows: "200", page: "0", code: "" };
export type HistoryFilters = typeof HISTORY_DEFAULTS;

export interface Records {
  filters: HistoryFilters;
  change: (changes: Partial<HistoryFilters>) => void;
  chosen: ChosenNames;
  range: Range;
  /** The moments that are asked for. */
  start: number;
  end: number;
  setRange: (range: Range) => void;
  fault: WindowFault | null;
  /** The filters make a question that the service would take; an answer to an earlier one is not to be shown. */
  asked: boolean;
  called: Called<History>;
  /** Asks again, for a window that reaches to now. */
  askAgain: () => void;
  page: number;
  limit: number;
}

export function useRecords(action: string, rowsAPage?: number): Records {
  const [filters, setFilters] = useFilters(HISTORY_DEFAULTS);
  const [asOf, setAsOf] = useState(nowSeconds);
  // Another question begins with its first page, and reaches to now.
  function change(changes: Partial<HistoryFilters>): void {
    setFilters({ page: "0", ...changes });
    if (!("page" in changes) && !("code" in changes)) setAsOf(nowSeconds());
  }
  const chosen = useNames(filters, change);
  const range = rangeOf(filters);
  const { start, end } = boundsOf(range, asOf);
  const fault = historyFault(start, end, asOf);
  const page = Math.max(0, Number(filters.page) || 0);
  const limit = rowsAPage ?? (Number(filters.rows) || Number(HISTORY_DEFAULTS.rows));
  const asked = fault === null && areComplete(chosen.names) && !(chosen.called.loading && !chosen.spaces);
  const called = useCall<History>(
    action,
    {
      ...chosen.names,
      Stream: filters.stream || undefined,
      StartUnixTime: start,
      EndUnixTime: end,
      OrderTime: filters.order === "1" ? 1 : 0,
      Marker: page,
      Limit: limit,
    },
    { enabled: asked },
  );
  return {
    filters,
    change,
    chosen,
    range,
    start,
    end,
    setRange: (next) => change(queryOf(next)),
    fault,
    asked,
    called,
    askAgain: () => {
      setAsOf(nowSeconds());
      called.reload();
    },
    page,
    limit,
  };
}

/** The span of time that the filters name. */
export function rangeOf({ last, start, end }: Pick<HistoryFilters, "last" | "start" | "end">): Range {
  if (start && end) return { kind: "between", start: Number(start) || 0, end: Number(end) || 0 };
  return { kind: "last", seconds: Number(last) || Number(HISTORY_DEFAULTS.last) };
}

/** The filters that name a span of time. */
export function queryOf(range: Range): Pick<HistoryFilters, "last" | "start" | "end"> {
  if (range.kind === "last") return { last: String(range.seconds), start: "", end: "" };
  return { last: HISTORY_DEFAULTS.last, start: String(range.start), end: String(range.end) };
}
