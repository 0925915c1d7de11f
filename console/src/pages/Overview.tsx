// What is live, is it healthy, who watches, what went wrong: in figures, plots, and the streams that need a look.
import { useMemo, useState } from "react";

import { nowSeconds } from "../clock";
import { eventsRefusal, eventsState, liveStreams, recentTotals, totals } from "../events";
import { formatBps, formatNumber, splitBps } from "../format";
import { useCall } from "../hooks";
import { useLanguage, useText } from "../i18n";
import { common } from "../i18n/common";
import { overviewTexts } from "../i18n/pages/overview";
import { liveRows, type LiveRow } from "../live";
import { SPANS, sumOver, valuesOf, withRecent, type SpanName } from "../metrics";
import type { LiveStreams, StreamMetrics, Totals } from "../model";
import { href, navigate, streamHref } from "../route";
import { useStore } from "../store";
import { spanOf } from "../ui/chart";
import { Chart, type Line } from "../ui/Chart";
import { Since } from "../ui/Countdown";
import { Empty } from "../ui/Empty";
import { ErrorNote } from "../ui/ErrorNote";
import { SpanSelect } from "../ui/SpanSelect";
import { HealthBadge } from "../ui/HealthBadge";
import { Table, type Column } from "../ui/Table";
import "./live.css";

/** Streams listed as needing attention; the live page has them all. */
const WORST_SHOWN = 12;
const HOUR_SECONDS = 3600;
const GROUP = "overview";

export default function Overview() {
  const c = useText(common);
  const [span, setSpan] = useState<SpanName>("hour");
  const { periodSeconds, everySeconds } = SPANS[span];
  const metrics = useCall<StreamMetrics>("DescribeStreamMetrics", { Period: periodSeconds }, { everySeconds });
  const state = useStore(eventsState);
  const refusal = useStore(eventsRefusal);
  const worst = useWorst();
  return (
    <div className="page">
      <div className="page-head">
        <h1>{c.overview}</h1>
        <div className="actions">
          <SpanSelect value={span} onChoose={setSpan} />
        </div>
      </div>
      {state === "refused" && <ErrorNote error={refusal} action="DescribeLiveStreams" />}
      <ErrorNote error={metrics.error} action="DescribeStreamMetrics" onRetry={metrics.reload} />
      {!(state === "refused" && metrics.error) && <Tiles metrics={metrics.data} ill={worst?.ill} />}
      {!metrics.error?.notAllowed && <Plots metrics={metrics.data} span={span} />}
      {state !== "refused" && worst && <Worst {...worst} />}
    </div>
  );
}

interface WorstStreams {
  ill: number;
  all: number;
  rows: LiveRow[];
}

function useWorst(): WorstStreams | undefined {
  const list = useStore(liveStreams);
  return useMemo(() => list && worstOf(list), [list]);
}

function worstOf(list: LiveStreams): WorstStreams {
  const ill = liveRows(list.Streams, list.UpdateTime || nowSeconds()).filter((row) => row.health !== "ok");
  const rows = [...ill].sort((a, b) => b.severity - a.severity).slice(0, WORST_SHOWN);
  return { ill: ill.length, all: list.Streams.length, rows };
}

function Tiles({ metrics, ill }: { metrics: StreamMetrics | undefined; ill: number | undefined }) {
  const t = useText(overviewTexts);
  const language = useLanguage();
  const now = useStore(totals);
  const into = splitBps(now && now.BwReal * 1000, language);
  const out = splitBps(now?.Bw, language);
  const errors = sumOver(metrics, "Errors", HOUR_SECONDS, nowSeconds());
  return (
    <dl className="tiles">
      <Tile label={t.streams} value={formatNumber(now?.Streams, language)} link={href("live")} />
      <Tile label={t.viewers} value={formatNumber(now?.OnlineUser, language)} />
      <Tile label={t.in} {...into} />
      <Tile label={t.out} {...out} />
      <Tile label={t.attention} value={formatNumber(ill, language)} tone={ill ? "warn" : undefined} link={ill ? "#attention" : undefined} />
      <Tile label={t.errorsHour} value={formatNumber(errors, language)} tone={errors ? "bad" : undefined} link={href("errors")} />
    </dl>
  );
}

function Tile({ label, value, unit, tone, link }: { label: string; value: string; unit?: string; tone?: string; link?: string }) {
  const toAnchor = link?.startsWith("#/") === false;
  return (
    <div className="tile">
      <dt>
        {link ? (
          <a
            href={link}
            onClick={
              toAnchor
                ? (event) => {
                    event.preventDefault();
                    document.querySelector(link)?.scrollIntoView();
                  }
                : undefined
            }
          >
            {label}
          </a>
        ) : (
          label
        )}
      </dt>
      <dd className={tone}>
        <span className="tile-value">{value}</span>
        {unit && <span className="unit"> {unit}</span>}
      </dd>
    </div>
  );
}

function Plots({ metrics, span }: { metrics: StreamMetrics | undefined; span: SpanName }) {
  const t = useText(overviewTexts);
  const language = useLanguage();
  const recent = useStore(recentTotals);
  const { seconds, periodSeconds } = SPANS[span];
  const shown = useMemo(() => seriesWithRecent(metrics, recent), [metrics, recent]);
  const end = shown.times.at(-1) ?? nowSeconds();
  const bounds = spanOf(shown.times, end, seconds);
  const lines = useMemo(() => {
    const number = (value: number): string => formatNumber(value, language);
    const rate = (value: number): string => formatBps(value, language);
    const [streams, viewers, into, out] = shown.lines;
    return {
      streams: [{ name: "Streams", label: t.streams, values: streams ?? [], colour: "plot-1", filled: true, format: number }] satisfies Line[],
      viewers: [{ name: "OnlineUser", label: t.viewers, values: viewers ?? [], colour: "plot-1", filled: true, format: number }] satisfies Line[],
      into: [{ name: "BwReal", label: t.in, values: (into ?? []).map((kbps) => kbps * 1000), colour: "plot-3", filled: true, format: rate }] satisfies Line[],
      out: [{ name: "Bw", label: t.out, values: out ?? [], colour: "plot-1", filled: true, format: rate }] satisfies Line[],
    };
  }, [shown, language, t]);
  const errors = useMemo<Line[]>(
    () => [{ name: "Errors", label: t.errorsLine, values: valuesOf(metrics, "Errors"), colour: "bad", bars: true, format: (value) => formatNumber(value, language) }],
    [metrics, language, t],
  );
  const shared = { times: shown.times, periodSeconds, span: bounds, group: GROUP };
  return (
    <div className="plots">
      <section className="panel">
        <Chart title={t.streams} lines={lines.streams} {...shared} />
      </section>
      <section className="panel">
        <Chart title={t.viewers} lines={lines.viewers} {...shared} />
      </section>
      <section className="panel">
        <Chart title={`${t.bandwidth}: ${t.in}`} lines={lines.into} {...shared} />
      </section>
      <section className="panel">
        <Chart title={`${t.bandwidth}: ${t.out}`} lines={lines.out} {...shared} />
      </section>
      <section className="panel span-all">
        <Chart title={t.errors} lines={errors} {...shared} times={metrics?.Times ?? []} height={110} />
      </section>
    </div>
  );
}

function seriesWithRecent(metrics: StreamMetrics | undefined, recent: readonly Totals[]) {
  return withRecent(metrics, ["Streams", "OnlineUser", "BwReal", "Bw"], recent);
}

function Worst({ ill, all, rows }: WorstStreams) {
  const t = useText(overviewTexts);
  const language = useLanguage();
  const columns = useMemo<Column<LiveRow>[]>(
    () => [
      { id: "state", head: t.state, width: 120, priority: 1, cell: (row) => <HealthBadge health={row.health} /> },
      {
        id: "stream",
        head: t.stream,
        width: 120,
        grow: true,
        priority: 1,
        cell: (row, active) => (
          <a href={streamHref(row)} className="stream-name" tabIndex={active ? 0 : -1} title={row.Stream}>
            {row.Stream}
          </a>
        ),
      },
      { id: "place", head: t.spaceAndApp, width: 140, priority: 4, cell: (row) => `${row.UniqueName} / ${row.App}` },
      { id: "from", head: t.from, width: 130, priority: 5, cell: (row) => row.ClientIp },
      { id: "since", head: t.since, width: 100, priority: 4, align: "end", cell: (row) => <Since from={row.PubTime} /> },
      {
        id: "fps",
        head: t.fps,
        width: 70,
        priority: 2,
        align: "end",
        cell: (row) => (
          <>
            {row.Curfps}
            <span className="muted">/{row.FrameRate}</span>
          </>
        ),
      },
      { id: "flr", head: t.flr, width: 66, priority: 2, align: "end", cell: (row) => `${row.FLR} %` },
      { id: "diff", head: t.diff, unit: "kbit/s", width: 110, priority: 3, align: "end", cell: (row) => formatNumber(row.BwDiff, language) },
      { id: "viewers", head: t.viewersColumn, width: 76, priority: 2, align: "end", cell: (row) => formatNumber(row.OnlineUser, language) },
    ],
    [t, language],
  );
  return (
    <section id="attention">
      <div className="panel-head">
        <h2>{t.attentionTable}</h2>
        {ill > rows.length && <span className="muted tabular">{t.of(formatNumber(ill, language))}</span>}
        <a href={href("live")}>{t.showAll(formatNumber(all, language))}</a>
      </div>
      <Table
        label={t.attentionTable}
        columns={columns}
        rows={rows}
        rowKey={(row) => row.key}
        onOpen={(row) => navigate("stream", [row.UniqueName, row.App, row.Pubdomain, row.Stream])}
        narrow={(row) => `${row.UniqueName} / ${row.App} · ${row.Curfps}/${row.FrameRate} fps · FLR ${row.FLR} % · ${row.ClientIp}`}
        empty={all === 0 ? <Empty title={t.nothingLive} /> : <Empty title={t.allWell}>{t.allWellHint}</Empty>}
      />
    </section>
  );
}
