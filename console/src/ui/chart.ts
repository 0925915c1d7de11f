// What a plot shows, as plain values: the points in a span, the latest ones, a summary in words.
// Rule: pure.
export interface Line {
  /** Stable name, the model's own where there is one. */
  name: string;
  label: string;
  values: readonly (number | null)[];
  /** A token of the palette: plot-1 to plot-4. */
  colour: "plot-1" | "plot-2" | "plot-3" | "plot-4" | "bad" | "muted";
  dashed?: boolean;
  /** The area below is filled, faintly. */
  filled?: boolean;
  /** Bars instead of a line: for counts of an interval. */
  bars?: boolean;
  format: (value: number) => string;
}

/** Steps longer than this many periods are holes: the line is broken there. */
const HOLE_PERIODS = 2.5;
/** The shortest span a plot shows. */
export const LEAST_SPAN_SECONDS = 300;

/** The times and values with a null put into each hole, so that no line is drawn across what was not measured. */
export function withHoles(
  times: readonly number[],
  lines: readonly (readonly (number | null)[])[],
  periodSeconds: number,
): { times: number[]; lines: (number | null)[][] } {
  const outTimes: number[] = [];
  const outLines: (number | null)[][] = lines.map(() => []);
  times.forEach((time, at) => {
    const last = times[at - 1];
    if (last !== undefined && time - last > periodSeconds * HOLE_PERIODS) {
      outTimes.push(last + periodSeconds);
      for (const values of outLines) values.push(null);
    }
    outTimes.push(time);
    lines.forEach((values, line) => outLines[line]!.push(values[at] ?? null));
  });
  return { times: outTimes, lines: outLines };
}

/** A span that ends now and is no longer than there is something to show, but for a few minutes at least. */
export function spanOf(times: readonly number[], end: number, seconds: number): { start: number; end: number } {
  const first = times[0] ?? end;
  return { start: Math.max(end - seconds, Math.min(first, end - LEAST_SPAN_SECONDS)), end };
}

/** The last value that is one, and its place; undefined when there is none. */
export function latestOf(values: readonly (number | null)[]): number | undefined {
  for (let at = values.length - 1; at >= 0; at -= 1) {
    const value = values[at];
    if (value !== null && value !== undefined) return value;
  }
  return undefined;
}

/** The upper end of an axis from 0: the next 1, 2, 2.5 or 5 times a power of ten, and never 0. */
export function niceMaximum(largest: number): number {
  if (!(largest > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(largest));
  const step = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((one) => one * power >= largest * 1.0001) ?? 10;
  return step * power;
}
