// Keys and policies: which key pairs there are, what each may do, and changing that.
import { useMemo, useState } from "react";

import { session, type Session } from "../api";
import { formatNumber, formatOffset, formatTime } from "../format";
import { useCall } from "../hooks";
import { useLanguage, useText, type Language, type Translation } from "../i18n";
import { common } from "../i18n/common";
import { keysTexts } from "../i18n/pages/keys";
import { partsTexts } from "../i18n/pages/parts";
import { useStore } from "../store";
import { Badge } from "../ui/Badge";
import { Button } from "../ui/Button";
import { Countdown } from "../ui/Countdown";
import { Empty } from "../ui/Empty";
import { Table, type Column } from "../ui/Table";
import { Answered } from "./parts/Answered";
import { CreateDialog, DisableDialog, NewPair, PolicyDialog, RotateDialog } from "./parts/KeyDialogs";
import { isChangeable, isRunning, type KeyEntry, type KeyPair } from "./parts/keyEntries";
import { policyKind, statementsOf } from "./parts/policy";

const ACTION = "DescribeAccessKeys";

type Open =
  | { kind: "create" }
  | { kind: "policy" | "rotate" | "disable"; of: KeyEntry }
  | { kind: "new"; pair: KeyPair };

export default function Keys() {
  const t = useText(keysTexts);
  const words = useText(partsTexts);
  const shared = useText(common);
  const current = useStore(session);
  const called = useCall<{ Keys: KeyEntry[] }>(ACTION);
  const [open, setOpen] = useState<Open>();
  const close = (): void => setOpen(undefined);
  const show = (pair: KeyPair): void => {
    called.reload();
    setOpen({ kind: "new", pair });
  };
  if (!current) return null;
  const own = (of: KeyEntry): boolean => of.AccessKey === current.AccessKey;
  return (
    <div className="page">
      <div className="page-head">
        <h1>{shared.keys}</h1>
        <div className="actions">
          {current.FullRights && (
            <Button look="primary" onClick={() => setOpen({ kind: "create" })}>
              {t.create}
            </Button>
          )}
        </div>
      </div>
      <p className="intro">
        {t.intro} {words.zoneNote(formatOffset(Date.now() / 1000))}
      </p>
      {!current.FullRights && called.data && !called.error && (
        <div className="notice" role="note">
          <p className="error-title">{t.restrictedTitle}</p>
          <p>{t.restricted}</p>
        </div>
      )}
      <Answered called={called} action={ACTION}>
        {(data) => <KeyTable keys={data.Keys} session={current} onOpen={(kind, of) => setOpen({ kind, of })} />}
      </Answered>
      {open?.kind === "create" && <CreateDialog onClose={close} onMade={show} />}
      {open?.kind === "policy" && <PolicyDialog of={open.of} own={own(open.of)} onClose={close} onDone={called.reload} onOther={(kind) => setOpen({ kind, of: open.of })} allowed={current.FullRights} />}
      {open?.kind === "rotate" && <RotateDialog of={open.of} own={own(open.of)} onClose={close} onMade={show} />}
      {open?.kind === "disable" && <DisableDialog of={open.of} own={own(open.of)} onClose={close} onDone={called.reload} />}
      {open?.kind === "new" && <NewPair pair={open.pair} onClose={close} />}
    </div>
  );
}

type OnOpen = (kind: "policy" | "rotate" | "disable", of: KeyEntry) => void;

function KeyTable({ keys, session: current, onOpen }: { keys: readonly KeyEntry[]; session: Session; onOpen: OnOpen }) {
  const t = useText(keysTexts);
  const language = useLanguage();
  const columns = columnsOf(t, language, current, onOpen);
  const rows = useMemo(() => [...keys].sort((a, b) => Number(isRunning(b)) - Number(isRunning(a)) || b.CreateTime - a.CreateTime), [keys]);
  return (
    <Table
      label={t.tableLabel}
      columns={columns}
      rows={rows}
      rowKey={(key) => key.AccessKey}
      onOpen={(key) => onOpen("policy", key)}
      narrow={(key) => `${rightsOf(key, t)} · ${key.Source === "configuration" ? t.sourceConfiguration : t.sourceStore}`}
      rowTone={(key) => (isRunning(key) ? undefined : "muted")}
      empty={<Empty title={t.emptyTitle}>{t.empty}</Empty>}
    />
  );
}

function columnsOf(t: Translation<typeof keysTexts.en>, language: Language, current: Session, onOpen: OnOpen): Column<KeyEntry>[] {
  const states = { enabled: t.stateEnabled, disabled: t.stateDisabled, ended: t.stateEnded };
  return [
    {
      id: "key",
      head: t.columnKey,
      width: 190,
      grow: true,
      priority: 1,
      sort: (key) => key.AccessKey,
      cell: (key) => (
        <>
          <code title={key.AccessKey}>{key.AccessKey}</code>{" "}
          {key.AccessKey === current.AccessKey && <span className="small muted">({t.yours})</span>}
        </>
      ),
    },
    {
      id: "state",
      head: t.columnState,
      width: 100,
      priority: 1,
      sort: (key) => key.State,
      cell: (key) => <Badge tone={isRunning(key) ? "ok" : "plain"}>{states[key.State]}</Badge>,
    },
    {
      id: "rights",
      head: t.columnRights,
      width: 150,
      priority: 3,
      sort: (key) => policyKind(key.Policy),
      cell: (key) => <Rights of={key} t={t} language={language} />,
    },
    {
      id: "source",
      head: t.columnSource,
      width: 120,
      priority: 5,
      sort: (key) => key.Source,
      cell: (key) => (key.Source === "configuration" ? t.sourceConfiguration : t.sourceStore),
    },
    { id: "made", head: t.columnCreated, width: 160, priority: 6, descendingFirst: true, sort: (key) => key.CreateTime, cell: (key) => formatTime(key.CreateTime) },
    {
      id: "ends",
      head: t.columnEnds,
      width: 160,
      priority: 4,
      sort: (key) => key.ExpireTime || Number.MAX_SAFE_INTEGER,
      cell: (key) => (key.ExpireTime === 0 ? t.never : isRunning(key) ? <Countdown until={key.ExpireTime} /> : formatTime(key.ExpireTime)),
    },
    {
      id: "actions",
      head: t.columnActions,
      width: 218,
      align: "end",
      priority: 2,
      cell: (key, active) => <KeyActions of={key} active={active} allowed={current.FullRights} onOpen={onOpen} />,
    },
  ];
}

function Rights({ of, t, language }: { of: KeyEntry; t: Translation<typeof keysTexts.en>; language: Language }) {
  if (policyKind(of.Policy) !== "statements") return rightsOf(of, t);
  return (
    <span title={of.Policy.slice(0, 1000)}>
      {rightsOf(of, t)} <span className="muted">({formatNumber(statementsOf(of.Policy), language)})</span>
    </span>
  );
}

function rightsOf(of: KeyEntry, t: Translation<typeof keysTexts.en>): string {
  return { full: t.rightsFull, none: t.rightsNone, statements: t.rightsStatements }[policyKind(of.Policy)];
}

function KeyActions({ of, active, allowed, onOpen }: { of: KeyEntry; active: boolean; allowed: boolean; onOpen: OnOpen }) {
  const t = useText(keysTexts);
  const tabIndex = active ? 0 : -1;
  const policy = (
    <Button small look="quiet" tabIndex={tabIndex} aria-label={t.policyOf(of.AccessKey)} onClick={() => onOpen("policy", of)}>
      {t.policy}
    </Button>
  );
  if (!allowed || !isChangeable(of)) return policy;
  return (
    <>
      {policy}
      <Button small look="quiet" tabIndex={tabIndex} aria-label={t.rotateOf(of.AccessKey)} onClick={() => onOpen("rotate", of)}>
        {t.rotate}
      </Button>
      <Button small look="quiet" className="bad" tabIndex={tabIndex} aria-label={t.disableOf(of.AccessKey)} onClick={() => onOpen("disable", of)}>
        {t.disable}
      </Button>
    </>
  );
}
