// All that is live, in one table that stays smooth at 10,000 rows.
// Rule: filtering and sorting run in a task of their own, never while drawing; rows do not move under the pointer.
import { startTransition, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";

import { nowSeconds } from "../clock";
import { eventsRefusal, eventsState, liveStreams } from "../events";
import { formatNumber, splitBps } from "../format";
import { HEALTHS, type Health } from "../health";
import { useLanguage, useText, type Language } from "../i18n";
import { banTexts } from "../i18n/pages/ban";
import { common } from "../i18n/common";
import { healthTexts } from "../i18n/pages/health";
import { liveTexts } from "../i18n/pages/live";
import { arrangeLive, liveRows, NO_FILTER, pictureOf, SORTS, type LiveFilter, type LiveRow } from "../live";
import type { LiveStreams } from "../model";
import { href, navigate, replaceQuery, streamHref, useRoute } from "../route";
import { useStore } from "../store";
import { BanDialog } from "../ui/BanDialog";
import { Button } from "../ui/Button";
import { Since } from "../ui/Countdown";
import { Empty, Loading } from "../ui/Empty";
import { ErrorNote } from "../ui/ErrorNote";
import { Field, Select } from "../ui/Field";
import { HealthBadge, HealthDialog } from "../ui/HealthBadge";
import { Icon } from "../ui/Icon";
import { Table, type Column, type Sort } from "../ui/Table";
import "./live.css";

/** What the service reports at most. */
const MOST_ROWS = 10_000;
const FIRST_SORT: Sort = { column: "viewers", descending: true };

interface View {
  list: LiveStreams;
  all: LiveRow[];
  shown: LiveRow[];
}

function useView(filter: LiveFilter, sort: Sort, pointed: boolean): View | undefined {
  const list = useStore(liveStreams);
  const [view, setView] = useState<View>();
  const last = useRef<{ view: View; sort: Sort; filter: LiveFilter }>(undefined);
  useEffect(() => {
    if (!list) return;
    const timer = setTimeout(() => {
      const before = last.current;
      const all = before?.view.list === list ? before.view.all : liveRows(list.Streams, list.UpdateTime || nowSeconds());
      // Asked for by a click or a filter, the order changes even under the pointer; by itself it does not.
      const held = pointed && before && before.sort === sort && before.filter === filter ? before.view.shown.map((row) => row.key) : undefined;
      const next = { list, all, shown: arrangeLive(all, filter, sort, held) };
      last.current = { view: next, sort, filter };
      startTransition(() => setView(next));
    });
    return () => clearTimeout(timer);
  }, [list, filter, sort, pointed]);
  return view;
}

function filterFrom(query: Record<string, string>): LiveFilter {
  const health = HEALTHS.find((one) => one === query["state"]) ?? "";
  return { text: query["text"] ?? "", space: query["space"] ?? "", app: query["app"] ?? "", health };
}

export default function Live() {
  const t = useText(liveTexts);
  const c = useText(common);
  const h = useText(healthTexts);
  const language = useLanguage();
  const route = useRoute();
  const state = useStore(eventsState);
  const refusal = useStore(eventsRefusal);
  const [filter, setFilter] = useState(() => filterFrom(route.query));
  const [sort, setSort] = useState(FIRST_SORT);
  const [pointed, setPointed] = useState(false);
  const [help, setHelp] = useState(false);
  const [banning, setBanning] = useState<LiveRow>();
  const view = useView(useDeferredValue(filter), sort, pointed);

  function narrow(change: Partial<LiveFilter>): void {
    const next = { ...filter, ...change };
    setFilter(next);
    replaceQuery({ text: next.text, space: next.space, app: next.app, state: next.health });
  }

  const spaces = useMemo(() => distinct(view?.all, "UniqueName"), [view?.all]);
  const apps = useMemo(() => distinct(view?.all, "App"), [view?.all]);
  const columns = useColumns(setBanning, spaces.length > 1);
  const isFiltered = filter.text !== "" || filter.space !== "" || filter.app !== "" || filter.health !== "";

  return (
    <div className="page fill">
      <div className="page-head">
        <h1>{c.live}</h1>
        {view && (
          <p className="muted tabular" role="status">
            {isFiltered
              ? c.rowsShown(formatNumber(view.shown.length, language), formatNumber(view.all.length, language))
              : formatNumber(view.all.length, language)}
          </p>
        )}
        <div className="actions">
          <Button look="quiet" aria-label={t.help} onClick={() => setHelp(true)}>
            <Icon name="help" />
            <span className="label-wide">{t.help}</span>
          </Button>
        </div>
      </div>
      {state === "refused" ? (
        <ErrorNote error={refusal} action="DescribeLiveStreams" />
      ) : (
        <>
          <div className="filters">
            <Field label={t.filter} type="search" placeholder={t.filterPlace} wide={30} value={filter.text} onChange={(event) => narrow({ text: event.target.value })} />
            {(spaces.length > 1 || filter.space) && (
              <Select label={t.space} value={filter.space} choices={choicesOf(t.allSpaces, spaces, filter.space)} onChoose={(space) => narrow({ space })} />
            )}
            {(apps.length > 1 || filter.app) && (
              <Select label={t.app} value={filter.app} choices={choicesOf(t.allApps, apps, filter.app)} onChoose={(app) => narrow({ app })} />
            )}
            <Select<Health | "">
              label={t.state}
              value={filter.health}
              choices={[{ value: "", label: t.allStates }, ...HEALTHS.map((value) => ({ value, label: h[value] }))]}
              onChoose={(health) => narrow({ health })}
            />
            {isFiltered && <Button onClick={() => narrow(NO_FILTER)}>{t.clearFilters}</Button>}
          </div>
          {view ? (
            <Table
              label={t.table}
              height="fill"
              columns={columns}
              rows={view.shown}
              rowKey={(row) => row.key}
              sort={sort}
              onSort={setSort}
              onOpen={(row) => navigate("stream", [row.UniqueName, row.App, row.Pubdomain, row.Stream])}
              narrow={(row) => <NarrowLine row={row} language={language} />}
              rowTone={(row) => (row.health === "stalled" ? "bad" : row.health === "ok" ? undefined : "warn")}
              onAttention={setPointed}
              empty={
                isFiltered ? (
                  <Empty title={t.noMatch} />
                ) : (
                  <Empty title={t.emptyTitle}>
                    <p>{t.empty}</p>
                    <a href={href("urls")}>{t.emptyLink}</a>
                  </Empty>
                )
              }
            />
          ) : (
            <Loading />
          )}
          {view && view.all.length >= MOST_ROWS && <p className="muted small">{t.most}</p>}
        </>
      )}
      {help && <HealthDialog onClose={() => setHelp(false)} />}
      {banning && <BanDialog stream={banning} live={banning} onClose={() => setBanning(undefined)} />}
    </div>
  );
}

function distinct(rows: readonly LiveRow[] | undefined, name: "UniqueName" | "App"): string[] {
  return [...new Set(rows?.map((row) => row[name]))].sort();
}

function choicesOf(all: string, values: readonly string[], chosen: string) {
  const listed = chosen && !values.includes(chosen) ? [chosen, ...values] : values;
  return [{ value: "", label: all }, ...listed.map((value) => ({ value, label: value }))];
}

function NarrowLine({ row, language }: { row: LiveRow; language: Language }) {
  const t = useText(liveTexts);
  const out = splitBps(row.Bw, language);
  return (
    <>
      {t.viewersShort(formatNumber(row.OnlineUser, language))} · {row.Curfps}/{row.FrameRate} fps · {formatNumber(row.BwReal, language)} kbit/s · {out.value}{" "}
      {out.unit}
    </>
  );
}

/** The columns; the sets that do not depend on a row are made once a language. */
function useColumns(onBan: (row: LiveRow) => void, severalSpaces: boolean): Column<LiveRow>[] {
  const t = useText(liveTexts);
  const b = useText(banTexts);
  const language = useLanguage();
  return useMemo(() => {
    const number = (value: number, digits = 0): string => formatNumber(value, language, digits);
    const figure = (id: string, head: string, width: number, priority: number, cell: (row: LiveRow) => React.ReactNode, rest: Partial<Column<LiveRow>> = {}): Column<LiveRow> => ({
      id,
      head,
      width,
      priority,
      align: "end",
      descendingFirst: true,
      sort: SORTS[id],
      cell,
      ...rest,
    });
    const columns: Column<LiveRow>[] = [
      { id: "state", head: t.columnState, width: 116, priority: 1, descendingFirst: true, sort: SORTS["state"], cell: (row) => <HealthBadge health={row.health} /> },
      {
        id: "stream",
        head: t.columnStream,
        width: 110,
        grow: true,
        priority: 1,
        sort: SORTS["stream"],
        cell: (row, active) => (
          <a href={streamHref(row)} tabIndex={active ? 0 : -1} title={row.Stream} className="stream-name">
            {row.Stream}
          </a>
        ),
      },
      {
        id: "app",
        head: t.columnApp,
        width: severalSpaces ? 92 : 72,
        grow: true,
        priority: 5,
        sort: SORTS["app"],
        cell: (row) => <span title={`${row.UniqueName} / ${row.App} / ${row.Pubdomain}`}>{severalSpaces ? `${row.UniqueName}/${row.App}` : row.App}</span>,
      },
      { id: "from", head: t.columnFrom, width: 122, priority: 6, sort: SORTS["from"], cell: (row) => <span className="tabular" title={`${row.ClientIp}:${row.ClientPort} → ${row.Node}`}>{row.ClientIp}</span> },
      figure("since", t.columnSince, 78, 4, (row) => <Since from={row.PubTime} short />, { descendingFirst: false }),
      figure(
        "fps",
        t.columnFps,
        66,
        2,
        (row) => (
          <>
            {row.Curfps}
            <span className="muted">/{row.FrameRate}</span>
          </>
        ),
        { hint: t.columnFpsHint, descendingFirst: false },
      ),
      figure("flr", t.columnFlr, 54, 3, (row) => <span className={row.health === "lost" ? "warn" : undefined}>{row.FLR} %</span>, { hint: t.columnFlrHint }),
      figure("in", t.columnIn, 60, 3, (row) => number(row.BwIn), { hint: t.columnInHint }),
      figure("real", t.columnReal, 64, 2, (row) => number(row.BwReal), { hint: t.columnRealHint }),
      figure("diff", t.columnDiff, 64, 3, (row) => <span className={row.health === "uplink" ? "warn" : undefined}>{number(row.BwDiff)}</span>, { hint: t.columnDiffHint }),
      figure("viewers", t.columnViewers, 68, 2, (row) => number(row.OnlineUser)),
      figure(
        "split",
        t.columnSplit,
        126,
        4,
        (row) => (
          <span className="muted">
            {number(row.OnlineRtmp)} · {number(row.OnlineFlv)} · {number(row.OnlineHls)}
          </span>
        ),
        { hint: t.columnSplitHint, sort: undefined },
      ),
      figure("out", t.columnOut, 96, 3, (row) => {
        const { value, unit } = splitBps(row.Bw, language);
        return (
          <>
            {value}
            <span className="unit"> {unit}</span>
          </>
        );
      }, { hint: t.columnOutHint }),
      { id: "codec", head: t.columnCodec, width: 122, priority: 7, sort: SORTS["codec"], cell: (row) => <span className="tabular">{pictureOf(row)}</span> },
      {
        id: "ban",
        head: t.columnAction,
        width: 56,
        priority: 1,
        cell: (row, active) => (
          <Button small look="quiet" className="row-action" tabIndex={active ? 0 : -1} aria-label={b.banName(row.Stream)} onClick={() => onBan(row)}>
            {b.ban}
          </Button>
        ),
      },
    ];
    return columns;
  }, [t, b, language, severalSpaces, onBan]);
}
