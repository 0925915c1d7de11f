// Errors: pushes that were refused or cut, counted by reason, and each of them.
import { useMemo } from "react";

import { formatDuration, formatNumber, formatOffset, formatTime } from "../format";
import { useCall } from "../hooks";
import { useLanguage, useText, type Language, type Translation } from "../i18n";
import { common } from "../i18n/common";
import { errorsTexts } from "../i18n/pages/errors";
import { partsTexts } from "../i18n/pages/parts";
import type { History } from "../model";
import { navigate } from "../route";
import { Badge } from "../ui/Badge";
import { Button } from "../ui/Button";
import { Empty } from "../ui/Empty";
import { Select } from "../ui/Field";
import { Table, type Column } from "../ui/Table";
import { Answered } from "./parts/Answered";
import { Cut, StreamLink } from "./parts/cells";
import { codeTone, codeWords } from "./parts/codes";
import { recordedDomains, type Names } from "./parts/names";
import { NamesNote } from "./parts/NamesNote";
import { Pager } from "./parts/Pager";
import { RecordFilters } from "./parts/RecordFilters";
import { countCodes, pagesOf, recordsOf, type PushRecord } from "./parts/records";
import { useRecords, type Records } from "./parts/useRecords";

const ACTION = "ListHistoryPubStreamsErrInfo";
// The largest page that the service gives, so that the counts are of as much as one answer can hold.
const ROWS_A_PAGE = 5000;
// One more call for each: enough for a space of the usual size, and far below the documented rate.
const MOST_OTHER_DOMAINS = 4;
const CODES = ["422", "423", "425", "426", "428"];

export default function Errors() {
  const t = useText(errorsTexts);
  const words = useText(partsTexts);
  const shared = useText(common);
  const language = useLanguage();
  const records = useRecords(ACTION, ROWS_A_PAGE);
  const { called, filters, change } = records;
  return (
    <div className="page">
      <div className="page-head">
        <h1>{shared.errors}</h1>
        {records.asked && called.data && <span className="muted tabular">{t.counted(formatNumber(called.data.Total, language))}</span>}
      </div>
      <p className="intro">{t.intro}</p>
      <RecordFilters records={records} sizes={false} limits={`${t.limits} ${words.zoneNote(formatOffset(Date.now() / 1000))}`}>
        <Select
          label={t.code}
          wide={18}
          value={filters.code}
          choices={[{ value: "", label: t.allCodes }, ...[...new Set(filters.code ? [...CODES, filters.code] : CODES)].map((code) => ({ value: code, label: `${code} ${codeWords(Number(code), words).name}` }))]}
          onChoose={(code) => change({ code, page: filters.page })}
        />
      </RecordFilters>
      <NamesNote chosen={records.chosen} />
      {records.asked && called.data && !called.error && <OtherDomains records={records} />}
      {records.asked && (
        <Answered called={called} action={ACTION}>
          {(data) => <Failures data={data} records={records} />}
        </Answered>
      )}
    </div>
  );
}

/** The same window on the space's other publish domains: an empty list here is not all. Asked after the list itself, so
 * that the rate of requests is the list's first. */
function OtherDomains({ records }: { records: Records }) {
  const { names, spaces } = records.chosen;
  const others = recordedDomains(spaces ?? [], names.UniqueName).filter((domain) => domain !== names.Pubdomain);
  return (
    <div className="actions other-domains">
      {others.slice(0, MOST_OTHER_DOMAINS).map((domain) => (
        <OtherDomain key={domain} domain={domain} records={records} />
      ))}
    </div>
  );
}

function OtherDomain({ domain, records }: { domain: string; records: Records }) {
  const t = useText(errorsTexts);
  const language = useLanguage();
  const { UniqueName, App } = records.chosen.names;
  const question = {
    UniqueName,
    App,
    Pubdomain: domain,
    Stream: records.filters.stream || undefined,
    StartUnixTime: records.start,
    EndUnixTime: records.end,
    Limit: 1,
  };
  const { data } = useCall<History>(ACTION, question);
  if (!data || data.Total === 0) return null;
  return (
    <Button small onClick={() => records.chosen.choose({ Pubdomain: domain })}>
      {t.onDomain(formatNumber(data.Total, language), domain)}
    </Button>
  );
}

function Failures({ data, records }: { data: History; records: Records }) {
  const t = useText(errorsTexts);
  const words = useText(partsTexts);
  const language = useLanguage();
  const { names } = records.chosen;
  const { code, page } = records.filters;
  const rows = useMemo(() => recordsOf(data), [data]);
  const shown = useMemo(() => (code ? rows.filter((row) => row.code === Number(code)) : rows), [rows, code]);
  const columns = useMemo(() => columnsOf(words, t, language, names), [words, t, language, names]);
  return (
    <>
      {rows.length > 0 && <Reasons rows={rows} total={data.Total} onChoose={(chosen) => records.change({ code: chosen, page })} chosen={code} />}
      <Table
        label={t.tableLabel}
        columns={columns}
        rows={shown}
        rowKey={(row) => row.key}
        onOpen={(row) => navigate("stream", [names.UniqueName, names.App, names.Pubdomain, row.stream])}
        narrow={(row) => `${row.code} ${codeWords(row.code, words).name} · ${row.address}`}
        empty={rows.length > 0 ? <Empty title={t.emptyOfCode} /> : <Empty title={t.emptyTitle}>{t.empty}</Empty>}
      />
      <Pager
        page={records.page}
        pages={pagesOf(data.Total, records.limit)}
        pending={records.called.loading}
        onPage={(next) => records.change({ page: String(next) })}
      />
    </>
  );
}

interface ReasonsProps {
  rows: readonly PushRecord[];
  total: number;
  chosen: string;
  onChoose: (code: string) => void;
}

/** How often each code is there, what it means, and what to do about it. */
function Reasons({ rows, total, chosen, onChoose }: ReasonsProps) {
  const t = useText(errorsTexts);
  const words = useText(partsTexts);
  const language = useLanguage();
  const most = Math.max(...countCodes(rows).map((one) => one.count));
  return (
    <section className="panel" aria-labelledby="reasons">
      <div className="panel-head">
        <h2 id="reasons">{t.reasons}</h2>
        {rows.length < total && <span className="muted small">{t.countsOf(formatNumber(rows.length, language), formatNumber(total, language))}</span>}
      </div>
      <ul className="reasons">
        {countCodes(rows).map(({ code, count }) => {
          const said = codeWords(code, words);
          const isChosen = chosen === String(code);
          return (
            <li key={code} data-code={code}>
              <Badge tone={codeTone(code)}>
                {code} {said.name}
              </Badge>
              <span className="number reason-count">{formatNumber(count, language)}</span>
              <span className="reason-bar" aria-hidden="true">
                <span style={{ width: `${(100 * count) / most}%` }} />
              </span>
              <p className="reason-words">
                {said.meaning} <span className="muted">{said.advice}</span>
              </p>
              <Button small look="quiet" aria-pressed={isChosen} onClick={() => onChoose(isChosen ? "" : String(code))}>
                {isChosen ? t.allCodes : t.only(String(code))}
              </Button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function columnsOf(
  words: Translation<typeof partsTexts.en>,
  t: Translation<typeof errorsTexts.en>,
  language: Language,
  names: Names,
): Column<PushRecord>[] {
  return [
    { id: "at", head: t.columnAt, width: 160, priority: 1, sort: (row) => row.ended, descendingFirst: true, cell: (row) => formatTime(row.ended) },
    {
      id: "stream",
      head: words.columnStream,
      width: 140,
      grow: true,
      priority: 1,
      sort: (row) => row.stream,
      cell: (row, active) => <StreamLink names={names} stream={row.stream} active={active} />,
    },
    {
      id: "code",
      head: t.columnReason,
      width: 190,
      priority: 2,
      sort: (row) => row.code,
      cell: (row) => (
        <Badge tone={codeTone(row.code)} title={`${row.message} ${codeWords(row.code, words).meaning} ${codeWords(row.code, words).advice}`}>
          {row.code} {codeWords(row.code, words).name}
        </Badge>
      ),
    },
    { id: "address", head: words.columnAddress, width: 140, priority: 4, sort: (row) => row.address, cell: (row) => <Cut text={row.address} /> },
    {
      id: "lasted",
      head: t.columnLasted,
      width: 110,
      align: "end",
      priority: 3,
      descendingFirst: true,
      sort: (row) => row.ended - row.began,
      // A refused push never began: both times are the moment of the refusal.
      cell: (row) => (row.ended === row.began ? <span className="muted">{t.refused}</span> : formatDuration(row.ended - row.began, language)),
    },
  ];
}
