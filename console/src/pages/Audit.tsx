// Audit: who changed what, page by page, with a filter over the page that is shown.
import { useMemo, useState } from "react";

import { DASH, formatNumber, formatOffset, formatTime } from "../format";
import { useCall } from "../hooks";
import { useLanguage, useText, type Translation } from "../i18n";
import { common } from "../i18n/common";
import { auditTexts } from "../i18n/pages/audit";
import { partsTexts } from "../i18n/pages/parts";
import { streamHref } from "../route";
import { Badge } from "../ui/Badge";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Empty } from "../ui/Empty";
import { Field, Select } from "../ui/Field";
import { Icon } from "../ui/Icon";
import { Table, type Column } from "../ui/Table";
import { retMsgOf } from "./parts/actions";
import { Answered } from "./parts/Answered";
import { filterAudit, streamOf, type AuditRow } from "./parts/auditRows";
import { Pager } from "./parts/Pager";
import { useFilters } from "./parts/query";
import { pagesOf } from "./parts/records";

const ACTION = "DescribeAudit";
const ROWS_A_PAGE = 500;
const DEFAULTS = { text: "", action: "", outcome: "", page: "0" };

interface AuditPage {
  Total: number;
  Marker: number;
  Count: number;
  Rows: AuditRow[];
}

export default function Audit() {
  const t = useText(auditTexts);
  const words = useText(partsTexts);
  const shared = useText(common);
  const language = useLanguage();
  const [filters, change] = useFilters(DEFAULTS);
  const page = Math.max(0, Number(filters.page) || 0);
  const called = useCall<AuditPage>(ACTION, { Marker: page, Limit: ROWS_A_PAGE });
  const actions = useMemo(() => [...new Set(called.data?.Rows.map((row) => row.Action) ?? [])].sort(), [called.data]);
  return (
    <div className="page">
      <div className="page-head">
        <h1>{shared.audit}</h1>
        {called.data && <span className="muted tabular">{t.total(formatNumber(called.data.Total, language), called.data.Total === 1)}</span>}
      </div>
      <p className="intro">{t.intro}</p>
      <section className="panel record-filters" aria-label={words.filters}>
        <div className="filters">
          <Field label={t.filter} type="search" value={filters.text} wide={24} onChange={(event) => change({ text: event.target.value })} />
          <Select
            label={t.action}
            value={filters.action}
            choices={[
              { value: "", label: t.anyAction },
              ...[...new Set([...actions, ...(filters.action ? [filters.action] : [])])].map((value) => ({ value, label: value })),
            ]}
            onChoose={(action) => change({ action })}
          />
          <Select
            label={t.outcome}
            value={filters.outcome}
            choices={[
              { value: "", label: t.anyOutcome },
              { value: "done", label: t.outcomeDone },
              { value: "failed", label: t.outcomeFailed },
            ]}
            onChoose={(outcome) => change({ outcome })}
          />
          <Button onClick={called.reload} pending={called.loading}>
            <Icon name="reload" />
            {shared.reload}
          </Button>
        </div>
        <p className="small muted">
          {t.limits} {words.zoneNote(formatOffset(Date.now() / 1000))}
        </p>
      </section>
      <Answered called={called} action={ACTION}>
        {(data) => (
          <>
            <AuditTable rows={data.Rows} filters={filters} />
            <Pager page={page} pages={pagesOf(data.Total, ROWS_A_PAGE)} pending={called.loading} onPage={(next) => change({ page: String(next) })} />
          </>
        )}
      </Answered>
    </div>
  );
}

function AuditTable({ rows, filters }: { rows: readonly AuditRow[]; filters: typeof DEFAULTS }) {
  const t = useText(auditTexts);
  const language = useLanguage();
  const shown = useMemo(() => filterAudit(rows, filters), [rows, filters]);
  const columns = useMemo(() => columnsOf(t), [t]);
  const [opened, setOpened] = useState<AuditRow>();
  return (
    <>
      {shown.length < rows.length && (
        <p className="small muted tabular" role="status">
          {t.filtered(formatNumber(shown.length, language), formatNumber(rows.length, language))}
        </p>
      )}
      <Table
        label={t.tableLabel}
        columns={columns}
        rows={shown}
        rowKey={(row) => String(row.Number)}
        onOpen={setOpened}
        narrow={(row) => `${row.Resource} · ${formatTime(row.Time)}`}
        empty={<Empty title={rows.length > 0 ? t.noMatch : t.emptyTitle}>{rows.length > 0 ? undefined : t.empty}</Empty>}
      />
      {opened && <RowDialog row={opened} onClose={() => setOpened(undefined)} />}
    </>
  );
}

function columnsOf(t: Translation<typeof auditTexts.en>): Column<AuditRow>[] {
  return [
    { id: "time", head: t.columnTime, width: 160, priority: 2, cell: (row) => <span title={`${t.columnNumber} ${row.Number}`}>{formatTime(row.Time)}</span> },
    { id: "action", head: t.columnAction, width: 150, priority: 1, sort: (row) => row.Action, cell: (row) => row.Action },
    {
      id: "resource",
      head: t.columnResource,
      width: 210,
      grow: true,
      priority: 2,
      sort: (row) => row.Resource,
      cell: (row, active) => <Resource row={row} active={active} />,
    },
    { id: "outcome", head: t.columnOutcome, width: 130, priority: 1, sort: (row) => row.Outcome, cell: (row) => <Outcome outcome={row.Outcome} t={t} /> },
    {
      id: "key",
      head: t.columnKey,
      width: 176,
      priority: 3,
      sort: (row) => row.AccessKey,
      cell: (row) => (row.AccessKey === "cli" ? t.commandLine : <code title={row.AccessKey}>{row.AccessKey}</code>),
    },
    { id: "address", head: t.columnAddress, width: 118, priority: 4, sort: (row) => row.Address, cell: (row) => row.Address },
    { id: "detail", head: t.columnDetail, width: 160, priority: 5, cell: (row) => <span title={row.Detail}>{row.Detail}</span> },
    { id: "request", head: t.columnRequest, width: 120, priority: 7, cell: (row) => <code className="small" title={row.RequestId}>{row.RequestId}</code> },
  ];
}

/** All of a row, in full: a table has no room for it. */
function RowDialog({ row, onClose }: { row: AuditRow; onClose: () => void }) {
  const t = useText(auditTexts);
  const shared = useText(common);
  return (
    <Dialog title={`${t.columnNumber} ${row.Number}`} onClose={onClose} actions={<Button onClick={onClose}>{shared.close}</Button>}>
      <dl className="facts">
        <dt>{t.columnTime}</dt>
        <dd>{formatTime(row.Time)}</dd>
        <dt>{t.columnAction}</dt>
        <dd>{row.Action}</dd>
        <dt>{t.columnResource}</dt>
        <dd>
          <Resource row={row} active />
        </dd>
        <dt>{t.columnOutcome}</dt>
        <dd>
          <Outcome outcome={row.Outcome} t={t} /> {row.Outcome !== "0" && retMsgOf(row.Outcome)}
        </dd>
        <dt>{t.columnKey}</dt>
        <dd>{row.AccessKey === "cli" ? t.commandLine : <code>{row.AccessKey}</code>}</dd>
        <dt>{t.columnAddress}</dt>
        <dd>{row.Address}</dd>
        <dt>{t.columnRequest}</dt>
        <dd>{row.RequestId ? <code>{row.RequestId}</code> : DASH}</dd>
      </dl>
      {row.Detail && (
        <pre className="code-block" tabIndex={0} role="region" aria-label={t.columnDetail}>
          {row.Detail}
        </pre>
      )}
    </Dialog>
  );
}

function Resource({ row, active }: { row: AuditRow; active: boolean }) {
  const name = streamOf(row);
  if (!name) return <span title={row.Resource}>{row.Resource}</span>;
  return (
    <a href={streamHref(name)} title={row.Resource} tabIndex={active ? 0 : -1}>
      {row.Resource}
    </a>
  );
}

function Outcome({ outcome, t }: { outcome: string; t: Translation<typeof auditTexts.en> }) {
  return outcome === "0" ? <Badge tone="ok">{t.outcomeDone}</Badge> : <Badge tone="bad" title={retMsgOf(outcome)}>{outcome}</Badge>;
}
