// A plot over time on uPlot, with a legend in words: the figures can be read without seeing the lines.
// Rule: colours come from the theme; the legend is HTML and shows the latest values, or those under the pointer or the
// keyboard's cursor. The same values stand in a table that can be opened.
import { useCallback, useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { formatClock, formatTime } from "../format";
import { useText } from "../i18n";
import { common } from "../i18n/common";
import { colourOf, onThemeChange } from "../theme";
import { latestOf, niceMaximum, withHoles, type Line } from "./chart";

export type { Line } from "./chart";

interface ChartProps {
  title: string;
  /** Unix seconds, ascending. */
  times: readonly number[];
  lines: readonly Line[];
  periodSeconds: number;
  /** The span of the axis; without it, that of the times. */
  span?: { start: number; end: number };
  /** How the axis writes a value; default as the first line. */
  axis?: (value: number) => string;
  height?: number;
  /** Charts with the same one show the same moment under the pointer. */
  group?: string;
}

const DEFAULT_HEIGHT = 150;
const FEW_POINTS = 3;
/** A reading is taken, fetched and shown within this many periods. */
const FRESH_PERIODS = 4;
/** Steps of the value axis: whole, for nothing here is measured in parts of its unit. */
const STEPS = Array.from({ length: 16 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();
/** Rows of the opened table: the latest, enough for an hour of 10 s. */
const TABLE_ROWS = 360;

export function Chart({ title, times, lines, periodSeconds, span, axis, height = DEFAULT_HEIGHT, group }: ChartProps) {
  const t = useText(common);
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const [cursor, setCursor] = useState<number | null>(null);
  const [opened, setOpened] = useState(false);

  const data = useMemo(() => withHoles(times, lines.map((line) => line.values), periodSeconds), [times, lines, periodSeconds]);
  const latest = useRef({ lines, span, axis });
  useEffect(() => {
    latest.current = { lines, span, axis };
  });
  const shape = JSON.stringify(lines.map((line) => [line.name, line.label, line.colour, line.dashed, line.filled, line.bars]));

  const draw = useCallback(() => {
    const element = box.current;
    if (!element) return;
    plot.current?.destroy();
    const shown = latest.current;
    plot.current = new uPlot(
      {
        width: Math.max(120, element.clientWidth),
        height,
        legend: { show: false },
        padding: [8, 18, 0, 0],
        cursor: {
          y: false,
          drag: { x: false, y: false },
          points: { size: 6 },
          ...(group ? { sync: { key: group, setSeries: false } } : {}),
        },
        scales: {
          x: { time: true, range: (_u, low, high) => rangeOf(latest.current.span, low, high) },
          y: { range: (_u, _low, high) => [0, niceMaximum(high)] },
        },
        axes: axesOf((value) => (latest.current.axis ?? latest.current.lines[0]?.format ?? String)(value)),
        series: [{}, ...shown.lines.map(seriesOf)],
        hooks: { setCursor: [(u) => setCursor(u.cursor.idx ?? null)] },
      },
      [[], ...shown.lines.map(() => [])] as unknown as uPlot.AlignedData,
      element,
    );
  }, [height, group]);

  // A new plot when its lines or the colours change; new data alone are set below.
  useEffect(() => {
    draw();
    const stop = onThemeChange(() => {
      draw();
      plot.current?.setData(dataNow.current);
    });
    return () => {
      stop();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [draw, shape]);

  const dataNow = useRef<uPlot.AlignedData>([[]]);
  useEffect(() => {
    dataNow.current = [data.times, ...data.lines] as uPlot.AlignedData;
    plot.current?.setData(dataNow.current);
  }, [data, shape, draw, span?.start, span?.end]);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: Math.max(120, element.clientWidth), height }));
    observer.observe(element);
    return () => observer.disconnect();
  }, [height]);

  function onKey(event: KeyboardEvent): void {
    const count = data.times.length;
    const u = plot.current;
    if (!u || count === 0) return;
    const at = cursor ?? count;
    const steps: Record<string, number> = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: count - 1 };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.min(count - 1, Math.max(0, step));
    u.setCursor({ left: u.valToPos(data.times[next]!, "x"), top: 10 });
    setCursor(next);
  }

  const at = cursor !== null && cursor < data.times.length ? cursor : null;
  // The last reading of what has ended is not its present value.
  const isFresh = span === undefined || span.end - (times.at(-1) ?? 0) <= periodSeconds * FRESH_PERIODS;
  const moment = at === null ? undefined : data.times[at];
  return (
    <figure className="chart" data-chart={title}>
      <figcaption className="chart-head">
        <div className="chart-words">
        <span className="chart-title" id={id}>
          {title}
        </span>
        <ul className="chart-legend" aria-live={at === null ? "off" : "polite"}>
          {lines.map((line, index) => {
            const value = at === null ? (isFresh ? latestOf(line.values) : undefined) : (data.lines[index]?.[at] ?? undefined);
            return (
              <li key={line.name} data-series={line.name}>
                <svg viewBox="0 0 14 4" width="14" height="4" aria-hidden="true">
                  <path d="M0 2h14" stroke={`var(--${line.colour})`} strokeWidth="2.5" strokeDasharray={line.dashed ? "4 2" : undefined} />
                </svg>
                <span className={isAlone(lines, title) ? "hidden-visually" : "muted"}>{line.label}</span>{" "}
                <span className="tabular" data-value={value ?? ""}>
                  {value === undefined || value === null ? "–" : line.format(value)}
                </span>
              </li>
            );
          })}
          {moment !== undefined && <li className="muted tabular">{formatClock(moment)}</li>}
        </ul>
        </div>
        <button
          type="button"
          className="button quiet small-control muted"
          aria-expanded={opened}
          aria-label={`${t.chartValues}: ${title}`}
          onClick={() => setOpened(!opened)}
        >
          {t.chartTable}
        </button>
      </figcaption>
      <div
        className="chart-plot"
        tabIndex={0}
        role="application"
        aria-labelledby={id}
        aria-description={t.chartHint}
        onKeyDown={onKey}
        onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
        style={{ height }}
      >
        <div ref={box} aria-hidden="true" />
        {times.length === 0 && <p className="chart-empty muted">{t.chartEmpty}</p>}
      </div>
      {opened && <Values title={title} times={times} lines={lines} />}
    </figure>
  );
}

/** One line that is called like its plot needs no name in the legend. */
function isAlone(lines: readonly Line[], title: string): boolean {
  return lines.length === 1 && title.endsWith(lines[0]!.label);
}

function rangeOf(span: { start: number; end: number } | undefined, low: number, high: number): [number, number] {
  if (span) return [span.start, span.end];
  return Number.isFinite(low) && Number.isFinite(high) && high > low ? [low, high] : [low - 60, low + 60];
}

function axesOf(write: (value: number) => string): uPlot.Axis[] {
  const look = {
    stroke: colourOf("muted"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: colourOf("plot-grid"), width: 1 },
    ticks: { show: false },
  };
  return [
    { ...look, size: 24, space: 70, values: (_u, splits) => splits.map((split) => formatTime(split).slice(11, 16)) },
    { ...look, size: 72, space: 26, incrs: STEPS, values: (_u, splits) => splits.map(write) },
  ];
}

function seriesOf(line: Line): uPlot.Series {
  const stroke = colourOf(line.colour);
  return {
    label: line.label,
    stroke,
    width: 1.5,
    // A line needs two points; what has just begun is shown as it is.
    points: { show: (_u, _series, from, to) => to - from < FEW_POINTS, size: 5, fill: stroke },
    spanGaps: false,
    ...(line.bars ? { paths: uPlot.paths.bars?.({ size: [0.8, 12] }), fill: stroke } : {}),
    ...(line.dashed ? { dash: [6, 4] } : {}),
    ...(line.filled ? { fill: stroke.replace(/^rgb\((.*)\)$/, "rgba($1, 0.10)") } : {}),
  };
}

function Values({ title, times, lines }: { title: string; times: readonly number[]; lines: readonly Line[] }) {
  const t = useText(common);
  const first = Math.max(0, times.length - TABLE_ROWS);
  const rows = times.slice(first).map((time, at) => ({ time, at: at + first }));
  rows.reverse();
  return (
    <div className="values-scroll" tabIndex={0} role="region" aria-label={title}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t.chartTime}</th>
            {lines.map((line) => (
              <th key={line.name} scope="col" className="number">
                {line.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ time, at }) => (
            <tr key={time}>
              <th scope="row" className="tabular">
                {formatTime(time)}
              </th>
              {lines.map((line) => {
                const value = line.values[at];
                return (
                  <td key={line.name} className="number" data-series={line.name} data-value={value ?? ""}>
                    {value === null || value === undefined ? "–" : line.format(value)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
