// Nodes: the processes of the service, and which of them are silent.
import { useMemo } from "react";

import { formatBps, formatDuration, formatKbps, formatNumber, formatTime } from "../format";
import { useCall, useNow } from "../hooks";
import { useLanguage, useText, type Language, type Translation } from "../i18n";
import { common } from "../i18n/common";
import { nodesTexts } from "../i18n/pages/nodes";
import { Badge } from "../ui/Badge";
import { Empty } from "../ui/Empty";
import { Table, type Column } from "../ui/Table";
import { Answered } from "./parts/Answered";

const ACTION = "DescribeNodes";
const ASKED_EVERY_SECONDS = 5;

interface Node {
  Node: string;
  BootId: string;
  StartTime: number;
  UpdateTime: number;
  Live: number;
  Streams: number;
  OnlineUser: number;
  BwReal: number;
  Bw: number;
}

export default function Nodes() {
  const t = useText(nodesTexts);
  const shared = useText(common);
  const language = useLanguage();
  const called = useCall<{ Nodes: Node[] }>(ACTION, {}, { everySeconds: ASKED_EVERY_SECONDS });
  const live = called.data?.Nodes.filter((node) => node.Live === 1).length;
  return (
    <div className="page">
      <div className="page-head">
        <h1>{shared.nodes}</h1>
        {live !== undefined && <span className="muted tabular">{t.total(formatNumber(live, language))}</span>}
      </div>
      <p className="intro">{t.intro}</p>
      <Answered called={called} action={ACTION}>
        {(data) => <NodeTable nodes={data.Nodes} />}
      </Answered>
    </div>
  );
}

function NodeTable({ nodes }: { nodes: readonly Node[] }) {
  const t = useText(nodesTexts);
  const language = useLanguage();
  const columns = useMemo(() => columnsOf(t, language), [t, language]);
  const silent = nodes.filter((node) => node.Live !== 1);
  return (
    <>
      {silent.length > 0 && (
        <p className="note-line warn-line" role="status">
          <Badge tone="warn">{t.staleTitle(formatNumber(silent.length, language))}</Badge> {t.staleText}
        </p>
      )}
      <Table
        label={t.tableLabel}
        columns={columns}
        rows={nodes}
        rowKey={(node) => node.BootId}
        rowTone={(node) => (node.Live === 1 ? undefined : "warn")}
        narrow={(node) =>
          `${formatNumber(node.Streams, language)} ${t.columnStreams} · ${formatNumber(node.OnlineUser, language)} ${t.columnViewers} · ${formatBps(node.Bw, language)}`
        }
        empty={<Empty title={t.emptyTitle}>{t.empty}</Empty>}
      />
    </>
  );
}

/** How long ago, running on between two answers. */
function Ago({ at }: { at: number }) {
  const t = useText(nodesTexts);
  const language = useLanguage();
  const now = useNow();
  return (
    <span className="tabular" title={formatTime(at)}>
      {t.ago(formatDuration(Math.max(0, now - at), language))}
    </span>
  );
}

function columnsOf(t: Translation<typeof nodesTexts.en>, language: Language): Column<Node>[] {
  const figure = (id: "Streams" | "OnlineUser", head: string, priority: number): Column<Node> => ({
    id,
    head,
    width: 90,
    align: "end",
    priority,
    descendingFirst: true,
    sort: (node) => node[id],
    cell: (node) => formatNumber(node[id], language),
  });
  return [
    {
      id: "node",
      head: t.columnNode,
      width: 140,
      grow: true,
      priority: 1,
      sort: (node) => node.Node,
      cell: (node) => node.Node || <span className="muted">{t.unknownNode}</span>,
    },
    {
      id: "state",
      head: t.columnState,
      width: 96,
      priority: 1,
      sort: (node) => node.Live,
      cell: (node) => <Badge tone={node.Live === 1 ? "ok" : "warn"}>{node.Live === 1 ? t.live : t.stale}</Badge>,
    },
    { id: "heard", head: t.columnHeard, width: 130, priority: 3, sort: (node) => -node.UpdateTime, cell: (node) => <Ago at={node.UpdateTime} /> },
    {
      id: "up",
      head: t.columnUp,
      width: 140,
      align: "end",
      priority: 4,
      sort: (node) => (node.StartTime ? -node.StartTime : 0),
      cell: (node) => (
        <span title={formatTime(node.StartTime)}>{formatDuration(node.StartTime ? node.UpdateTime - node.StartTime : undefined, language)}</span>
      ),
    },
    figure("Streams", t.columnStreams, 2),
    figure("OnlineUser", t.columnViewers, 2),
    { id: "in", head: t.columnIn, width: 110, align: "end", priority: 2, descendingFirst: true, sort: (node) => node.BwReal, cell: (node) => formatKbps(node.BwReal, language) },
    { id: "out", head: t.columnOut, width: 110, align: "end", priority: 2, descendingFirst: true, sort: (node) => node.Bw, cell: (node) => formatBps(node.Bw, language) },
    { id: "boot", head: t.columnBoot, width: 150, priority: 6, cell: (node) => <code className="small">{node.BootId}</code> },
  ];
}
