// Readings of DescribeStreamMetrics as plots take them.
// Rule: pure.
import type { StreamMetrics, Totals } from "./model";

/** The two spans that the service keeps. */
export const SPANS = {
  hour: { seconds: 3600, periodSeconds: 10, everySeconds: 10 },
  day: { seconds: 86_400, periodSeconds: 60, everySeconds: 60 },
} as const;
export type SpanName = keyof typeof SPANS;

export function valuesOf(metrics: StreamMetrics | undefined, name: string): readonly number[] {
  return metrics?.Series.find((series) => series.Name === name)?.Values ?? [];
}

/** The sum of a series over the last seconds before its end. */
export function sumOver(metrics: StreamMetrics | undefined, name: string, seconds: number, nowSeconds: number): number | undefined {
  if (!metrics) return undefined;
  const values = valuesOf(metrics, name);
  return metrics.Times.reduce((sum, time, at) => (time > nowSeconds - seconds ? sum + (values[at] ?? 0) : sum), 0);
}

export type TotalName = "Streams" | "OnlineUser" | "BwReal" | "Bw";

/** The readings, and after the last of them the totals that came by events, so that the plot moves between readings. */
export function withRecent(
  metrics: StreamMetrics | undefined,
  names: readonly TotalName[],
  recent: readonly Totals[],
): { times: number[]; lines: number[][] } {
  const times = [...(metrics?.Times ?? [])];
  const lines = names.map((name) => [...valuesOf(metrics, name)]);
  const last = times.at(-1) ?? -Infinity;
  for (const total of recent) {
    if (total.Time <= last) continue;
    times.push(total.Time);
    names.forEach((name, at) => lines[at]!.push(total[name]));
  }
  return { times, lines };
}
