// Rows of the history of pushes, from what the lists answer.
// Rule: pure; the order is made here, as a page comes grouped by stream.
import type { History } from "../../model";

export interface PushRecord {
  key: string;
  stream: string;
  began: number;
  ended: number;
  code: number;
  message: string;
  address: string;
}

/** One row per push, by its begin. */
export function recordsOf(history: History): PushRecord[] {
  const rows = history.Result.flatMap((group, at) =>
    group.Detail.map((detail, place) => ({
      key: `${at}.${place}`,
      stream: group.Stream,
      began: detail.Pubtime,
      ended: detail.Fintime,
      code: detail.StatusCode,
      message: detail.StatusMessage,
      address: detail.Clientip,
    })),
  );
  const sign = history.OrderTime === 1 ? 1 : -1;
  return rows.sort((a, b) => sign * (a.began - b.began));
}

/** How often each code is there, the most frequent first. */
export function countCodes(rows: readonly PushRecord[]): { code: number; message: string; count: number }[] {
  const counts = new Map<number, { code: number; message: string; count: number }>();
  for (const row of rows) {
    const counted = counts.get(row.code) ?? { code: row.code, message: row.message, count: 0 };
    counted.count += 1;
    counts.set(row.code, counted);
  }
  return [...counts.values()].sort((a, b) => b.count - a.count || a.code - b.code);
}

/** Pages of a list; at least one. */
export function pagesOf(total: number, limit: number): number {
  return Math.max(1, Math.ceil(total / limit));
}
