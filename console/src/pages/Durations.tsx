// Durations: how long streams were pushed, per stream and per day, to look at and to save.
import { useMemo, useState } from "react";

import type { CallError } from "../api";
import { nowSeconds } from "../clock";
import { formatDuration, formatNumber } from "../format";
import { useCall, type Called } from "../hooks";
import { useLanguage, useText, type Language, type Translation } from "../i18n";
import { common } from "../i18n/common";
import { durationsTexts } from "../i18n/pages/durations";
import { partsTexts } from "../i18n/pages/parts";
import type { History } from "../model";
import { navigate } from "../route";
import { Button } from "../ui/Button";
import { Empty, Loading } from "../ui/Empty";
import { Field } from "../ui/Field";
import { Icon } from "../ui/Icon";
import { Table, type Column, type Sort } from "../ui/Table";
import { sortRows } from "../ui/columns";
import { Tabs } from "../ui/Tabs";
import { Answered } from "./parts/Answered";
import { StreamLink } from "./parts/cells";
import { buildCsv, saveAs, type CsvCell } from "./parts/csv";
import { byDay, byStream, dayName, dayStart, DAY_SECONDS, formatAt, offsetOf, parseDay, zoneName, type DayRow, type Span, type StreamRow } from "./parts/days";
import { NamePicker, TypedField } from "./parts/NamePicker";
import { areComplete, NO_NAMES, type Names } from "./parts/names";
import { NamesNote } from "./parts/NamesNote";
import { useFilters } from "./parts/query";
import { durationsFault, DURATIONS_BACK_DAYS } from "./parts/spans";
import { useNames } from "./parts/useNames";

const ACTION = "ListStreamDurations";
const MIDNIGHT_ACTION = "ListHistoryPubStreamsInfo";
const DEFAULT_DAYS = 7;
const DEFAULTS = { ...NO_NAMES, stream: "", first: "", last: "", view: "stream" };

interface DurationRow {
  Stream: string;
  StartTime: number;
  EndTime: number;
  Duration: number;
}

interface DurationsAnswer {
  Count: number;
  Result: DurationRow[];
}

export default function Durations() {
  const t = useText(durationsTexts);
  const words = useText(partsTexts);
  const shared = useText(common);
  const [filters, change] = useFilters(DEFAULTS);
  const chosen = useNames(filters, change);
  const { names } = chosen;
  const ready = areComplete(names) && !(chosen.called.loading && !chosen.spaces);
  const zone = useServerOffset(names, ready);
  const [now] = useState(nowSeconds);
  const offset = zone.offset ?? 0;
  const today = dayStart(now, offset);
  const first = filters.first === "" ? today - (DEFAULT_DAYS - 1) * DAY_SECONDS : parseDay(filters.first, offset);
  const last = filters.last === "" ? today : parseDay(filters.last, offset);
  const end = last === null ? null : last + DAY_SECONDS;
  const fault = durationsFault(first, end, today);
  const asked = ready && fault === null && zone.offset !== undefined;
  const called = useCall<DurationsAnswer>(
    ACTION,
    { ...names, Stream: filters.stream || undefined, StartUnixTime: first ?? undefined, EndUnixTime: end ?? undefined },
    { enabled: asked },
  );
  const faults = { unreadable: t.faultUnreadable, reversed: t.faultReversed, tooOld: t.faultTooOld, tooLong: "", future: t.faultFuture };
  const space = chosen.spaces?.find((one) => one.UniqueName === names.UniqueName);
  const day = (at: number | null): string => (at === null ? "" : dayName(at, offset));
  return (
    <div className="page">
      <div className="page-head">
        <h1>{shared.durations}</h1>
      </div>
      <p className="intro">{t.intro}</p>
      <section className="panel record-filters" aria-label={words.filters}>
        <div className="filters">
          <NamePicker chosen={chosen} />
          <TypedField label={words.stream} value={filters.stream} placeholder={words.allStreams} onSettle={(stream) => change({ stream })} />
          <Field
            label={t.firstDay}
            type="date"
            value={filters.first || day(first)}
            min={day(today - DURATIONS_BACK_DAYS * DAY_SECONDS)}
            max={day(today)}
            onChange={(event) => change({ first: event.target.value })}
          />
          <Field
            label={t.lastDay}
            type="date"
            value={filters.last || day(last)}
            min={day(first)}
            max={day(today)}
            onChange={(event) => change({ last: event.target.value })}
          />
          <Button onClick={called.reload} pending={called.loading}>
            <Icon name="reload" />
            {words.show}
          </Button>
        </div>
        {fault && (
          <p className="fault" role="alert">
            {faults[fault]}
          </p>
        )}
        <p className="small muted">
          {t.limits} {zone.offset !== undefined && (zone.known ? t.daysIn(zoneName(offset)) : t.daysUnknown(zoneName(offset)))}
        </p>
      </section>
      <NamesNote chosen={chosen} />
      {ready && zone.offset === undefined && <Loading />}
      {isClosed(called.error, space?.Durations) && <Empty title={t.closedTitle}>{t.closed}</Empty>}
      {asked && !isClosed(called.error, space?.Durations) && (
        <Answered called={called} action={ACTION}>
          {(data) => (
            <Answer
              rows={data.Result}
              offset={offset}
              names={names}
              view={filters.view === "day" ? "day" : "stream"}
              onView={(view) => change({ view })}
              fileName={`durations-${names.UniqueName}-${names.App}-${day(first)}-${day(last)}`}
            />
          )}
        </Answered>
      )}
    </div>
  );
}

/** A space may not have the action opened; the service then refuses as it would for want of a policy. */
function isClosed(error: CallError | undefined, open: number | undefined): boolean {
  return error?.notAllowed === true && open === 0;
}

/** The distance of the service's zone from UTC; `offset` is undefined until it is known, the browser's if it cannot be. */
function useServerOffset(names: Names, ready: boolean): { offset: number | undefined; known: boolean } {
  const called: Called<History> = useCall<History>(MIDNIGHT_ACTION, { ...names, Limit: 1 }, { enabled: ready });
  if (called.data) return { offset: offsetOf(called.data.StartUnixTime), known: true };
  return { offset: called.error ? -new Date().getTimezoneOffset() * 60 : undefined, known: false };
}

interface AnswerProps {
  rows: readonly DurationRow[];
  offset: number;
  names: Names;
  view: "stream" | "day";
  onView: (view: "stream" | "day") => void;
  fileName: string;
}

function Answer({ rows, offset, names, view, onView, fileName }: AnswerProps) {
  const t = useText(durationsTexts);
  const words = useText(partsTexts);
  const language = useLanguage();
  const spans = useMemo<Span[]>(() => rows.map((row) => ({ stream: row.Stream, start: row.StartTime, end: row.EndTime })), [rows]);
  const streams = useMemo(() => byStream(spans, offset), [spans, offset]);
  const days = useMemo(() => byDay(spans, offset), [spans, offset]);
  const seconds = streams.reduce((sum, row) => sum + row.seconds, 0);
  if (rows.length === 0) return <Empty title={t.emptyTitle}>{t.empty}</Empty>;
  return (
    <>
      <dl className="sums">
        <div>
          <dt>{t.sumTime}</dt>
          <dd className="tabular">{formatDuration(seconds, language)}</dd>
        </div>
        <div>
          <dt>{t.sumStreams}</dt>
          <dd className="tabular">{formatNumber(streams.length, language)}</dd>
        </div>
        <div>
          <dt>{t.sumPushes}</dt>
          <dd className="tabular">{formatNumber(rows.length, language)}</dd>
        </div>
      </dl>
      <Tabs
        label={t.view}
        chosen={view}
        onChoose={onView}
        tabs={[
          {
            id: "stream",
            label: t.perStream,
            content: () => <Sheet key="stream" label={t.tableStream} rows={streams} columns={streamColumns(t, words, language, names, offset)} names={names} fileName={`${fileName}-streams.csv`} />,
          },
          {
            id: "day",
            label: t.perDay,
            content: () => <Sheet key="day" label={t.tableDay} rows={days} columns={dayColumns(t, words, language, names)} names={names} fileName={`${fileName}-days.csv`} />,
          },
        ]}
      />
    </>
  );
}

/** A column that can be written to a file: seconds, not their picture. */
type SheetColumn<Row> = Column<Row> & { sort: (row: Row) => string | number; write: (row: Row) => CsvCell; fileHead?: string };

interface SheetProps<Row> {
  label: string;
  rows: readonly Row[];
  columns: readonly SheetColumn<Row>[];
  names: Names;
  fileName: string;
}

function Sheet<Row extends { stream: string }>({ label, rows, columns, names, fileName }: SheetProps<Row>) {
  const t = useText(durationsTexts);
  const [sort, setSort] = useState<Sort>();
  const sorting = columns.find((column) => column.id === sort?.column);
  const shown = useMemo(() => (sort && sorting ? sortRows(rows, sorting.sort, sort.descending) : rows), [rows, sort, sorting]);
  const save = (): void => saveAs(fileName, buildCsv([columns.map((column) => column.fileHead ?? column.head), ...shown.map((row) => columns.map((column) => column.write(row)))]));
  return (
    <>
      <div className="sheet-head">
        <Button small onClick={save}>
          <Icon name="download" />
          {t.csv}
        </Button>
      </div>
      <Table
        label={label}
        columns={columns}
        rows={shown}
        rowKey={(row) => JSON.stringify([row.stream, "day" in row ? row.day : ""])}
        sort={sort}
        onSort={setSort}
        onOpen={(row) => navigate("stream", [names.UniqueName, names.App, names.Pubdomain, row.stream])}
      />
    </>
  );
}

type Text = Translation<typeof durationsTexts.en>;
type Words = Translation<typeof partsTexts.en>;

function streamColumn<Row extends { stream: string }>(words: Words, names: Names): SheetColumn<Row> {
  return {
    id: "stream",
    head: words.columnStream,
    width: 140,
    grow: true,
    priority: 1,
    sort: (row) => row.stream,
    write: (row) => row.stream,
    cell: (row, active) => <StreamLink names={names} stream={row.stream} active={active} />,
  };
}

function timeColumns<Row extends { seconds: number; pushes: number }>(t: Text, language: Language): SheetColumn<Row>[] {
  return [
    {
      id: "pushes",
      head: t.columnPushes,
      width: 90,
      align: "end",
      priority: 2,
      descendingFirst: true,
      sort: (row) => row.pushes,
      write: (row) => row.pushes,
      cell: (row) => formatNumber(row.pushes, language),
    },
    {
      id: "time",
      head: t.columnTime,
      fileHead: t.columnSeconds,
      width: 120,
      align: "end",
      priority: 1,
      descendingFirst: true,
      sort: (row) => row.seconds,
      write: (row) => row.seconds,
      cell: (row) => formatDuration(row.seconds, language),
    },
  ];
}

function streamColumns(t: Text, words: Words, language: Language, names: Names, offset: number): SheetColumn<StreamRow>[] {
  const moment = (id: "first" | "last", head: string, priority: number): SheetColumn<StreamRow> => ({
    id,
    head,
    width: 160,
    priority,
    sort: (row) => row[id],
    write: (row) => formatAt(row[id], offset),
    cell: (row) => <span className="tabular">{formatAt(row[id], offset)}</span>,
  });
  return [
    streamColumn(words, names),
    moment("first", t.columnFirst, 5),
    moment("last", t.columnLast, 4),
    {
      id: "days",
      head: t.columnDays,
      width: 80,
      align: "end",
      priority: 3,
      descendingFirst: true,
      sort: (row) => row.days,
      write: (row) => row.days,
      cell: (row) => formatNumber(row.days, language),
    },
    ...timeColumns<StreamRow>(t, language),
  ];
}

function dayColumns(t: Text, words: Words, language: Language, names: Names): SheetColumn<DayRow>[] {
  return [
    { id: "day", head: t.columnDay, width: 110, priority: 1, descendingFirst: true, sort: (row) => row.day, write: (row) => row.day, cell: (row) => <span className="tabular">{row.day}</span> },
    streamColumn(words, names),
    ...timeColumns<DayRow>(t, language),
  ];
}
