// History: pushes that have ended, page by page.
import { useMemo } from "react";

import { formatDuration, formatNumber, formatOffset, formatTime } from "../format";
import { useLanguage, useText, type Language, type Translation } from "../i18n";
import { common } from "../i18n/common";
import { historyTexts } from "../i18n/pages/history";
import { partsTexts } from "../i18n/pages/parts";
import type { History as Answer } from "../model";
import { href, navigate } from "../route";
import { Badge } from "../ui/Badge";
import { ButtonLink } from "../ui/Button";
import { Empty } from "../ui/Empty";
import { Table, type Column } from "../ui/Table";
import { Answered } from "./parts/Answered";
import { Cut, StreamLink } from "./parts/cells";
import { codeTone, codeWords } from "./parts/codes";
import type { Names } from "./parts/names";
import { Pager } from "./parts/Pager";
import { RecordFilters } from "./parts/RecordFilters";
import { pagesOf, recordsOf, type PushRecord } from "./parts/records";
import { NamesNote } from "./parts/NamesNote";
import { useRecords } from "./parts/useRecords";

const ACTION = "ListHistoryPubStreamsInfo";

export default function History() {
  const t = useText(historyTexts);
  const words = useText(partsTexts);
  const shared = useText(common);
  const language = useLanguage();
  const records = useRecords(ACTION);
  const { called, chosen, page, limit } = records;
  return (
    <div className="page">
      <div className="page-head">
        <h1>{shared.history}</h1>
        {records.asked && called.data && <span className="muted tabular">{t.total(formatNumber(called.data.Total, language), called.data.Total === 1)}</span>}
      </div>
      <p className="intro">{t.intro}</p>
      <RecordFilters records={records} limits={`${t.limits} ${words.zoneNote(formatOffset(Date.now() / 1000))}`} />
      <NamesNote chosen={chosen} />
      {records.asked && (
        <Answered called={called} action={ACTION}>
          {(data) => (
            <>
              <Pushes data={data} names={chosen.names} />
              <Pager
                page={page}
                pages={pagesOf(data.Total, limit)}
                pending={called.loading}
                onPage={(next) => records.change({ page: String(next) })}
              />
            </>
          )}
        </Answered>
      )}
    </div>
  );
}

function Pushes({ data, names }: { data: Answer; names: Names }) {
  const t = useText(historyTexts);
  const words = useText(partsTexts);
  const language = useLanguage();
  const rows = useMemo(() => recordsOf(data), [data]);
  const columns = useMemo(() => columnsOf(words, language, names), [words, language, names]);
  return (
    <Table
      label={t.tableLabel}
      columns={columns}
      rows={rows}
      rowKey={(row) => row.key}
      onOpen={(row) => navigate("stream", [names.UniqueName, names.App, names.Pubdomain, row.stream])}
      narrow={(row) => `${formatTime(row.ended)} · ${row.code} ${codeWords(row.code, words).name}`}
      empty={
        <Empty title={t.emptyTitle}>
          <p>{t.empty}</p>
          <ButtonLink href={href("live")}>{t.toLive}</ButtonLink>
        </Empty>
      }
    />
  );
}

function columnsOf(t: Translation<typeof partsTexts.en>, language: Language, names: Names): Column<PushRecord>[] {
  return [
    {
      id: "stream",
      head: t.columnStream,
      width: 140,
      grow: true,
      priority: 1,
      sort: (row) => row.stream,
      cell: (row, active) => <StreamLink names={names} stream={row.stream} active={active} />,
    },
    { id: "began", head: t.columnBegan, width: 160, priority: 2, sort: (row) => row.began, cell: (row) => formatTime(row.began) },
    { id: "ended", head: t.columnEnded, width: 160, priority: 4, sort: (row) => row.ended, cell: (row) => formatTime(row.ended) },
    {
      id: "code",
      head: t.columnCode,
      width: 190,
      priority: 3,
      sort: (row) => row.code,
      cell: (row) => (
        <Badge tone={codeTone(row.code)} title={`${row.message} ${codeWords(row.code, t).meaning}`}>
          {row.code} {codeWords(row.code, t).name}
        </Badge>
      ),
    },
    { id: "address", head: t.columnAddress, width: 140, priority: 5, sort: (row) => row.address, cell: (row) => <Cut text={row.address} /> },
    {
      id: "duration",
      head: t.columnDuration,
      width: 110,
      align: "end",
      priority: 1,
      descendingFirst: true,
      sort: (row) => row.ended - row.began,
      cell: (row) => formatDuration(row.ended - row.began, language),
    },
  ];
}
