// Blacklist: who may not push, and for how long still; resuming, and banning by name.
import { useCallback, useMemo, useState } from "react";

import { call, CallError } from "../api";
import { liveStreams } from "../events";
import { formatNumber, formatOffset, formatTime } from "../format";
import { useAction, useCall } from "../hooks";
import { useLanguage, useText, type Translation } from "../i18n";
import { common } from "../i18n/common";
import { blacklistTexts } from "../i18n/pages/blacklist";
import { partsTexts } from "../i18n/pages/parts";
import { streamKey, type StreamName } from "../model";
import { navigate } from "../route";
import { useStore } from "../store";
import { Badge } from "../ui/Badge";
import { BanDialog } from "../ui/BanDialog";
import { Button } from "../ui/Button";
import { Countdown } from "../ui/Countdown";
import { Dialog } from "../ui/Dialog";
import { Empty } from "../ui/Empty";
import { ErrorNote } from "../ui/ErrorNote";
import { Field } from "../ui/Field";
import { Icon } from "../ui/Icon";
import { Table, type Column } from "../ui/Table";
import { toast } from "../ui/Toast";
import { Answered } from "./parts/Answered";
import { endOf, isPermanent, isStreamName, type Ban } from "./parts/bans";
import { StreamLink } from "./parts/cells";
import { NamePicker } from "./parts/NamePicker";
import { areComplete, NO_NAMES, type Names } from "./parts/names";
import { NamesNote } from "./parts/NamesNote";
import { useFilters } from "./parts/query";
import { useNames } from "./parts/useNames";

const ACTION = "GetBlacklist";
// Others ban too; a list may hold 100,000 rows, which are megabytes.
const ASKED_EVERY_SECONDS = 30;
const DEFAULTS = { ...NO_NAMES, text: "" };
const NOT_ON_THE_LIST = 8201;

interface BlacklistAnswer {
  Total: number;
  Recs: Ban[];
}

export default function Blacklist() {
  const t = useText(blacklistTexts);
  const words = useText(partsTexts);
  const shared = useText(common);
  const language = useLanguage();
  const [filters, change] = useFilters(DEFAULTS);
  const chosen = useNames(filters, change);
  const { names } = chosen;
  const [asking, setAsking] = useState(false);
  const [banning, setBanning] = useState<StreamName>();
  const [resuming, setResuming] = useState<StreamName>();
  const live = useStore(liveStreams);
  const ready = areComplete(names) && !(chosen.called.loading && !chosen.spaces);
  const called = useCall<BlacklistAnswer>(ACTION, { ...names }, { enabled: ready, everySeconds: ASKED_EVERY_SECONDS });
  const onResume = useCallback(
    (stream: string) => setResuming({ UniqueName: names.UniqueName, App: names.App, Pubdomain: names.Pubdomain, Stream: stream }),
    [names.UniqueName, names.App, names.Pubdomain],
  );
  return (
    <div className="page">
      <div className="page-head">
        <h1>{shared.blacklist}</h1>
        {ready && called.data && <span className="muted tabular">{t.count(formatNumber(called.data.Total, language))}</span>}
        <div className="actions">
          <Button look="primary" disabled={!ready} onClick={() => setAsking(true)}>
            <Icon name="ban" />
            {t.ban}
          </Button>
        </div>
      </div>
      <p className="intro">{t.intro}</p>
      <section className="panel record-filters" aria-label={words.filters}>
        <div className="filters">
          <NamePicker chosen={chosen} />
          <Field label={t.filter} type="search" wide={20} value={filters.text} onChange={(event) => change({ text: event.target.value })} />
          <Button onClick={called.reload} pending={called.loading}>
            <Icon name="reload" />
            {shared.reload}
          </Button>
        </div>
        <p className="small muted">
          {t.permanentHint} {words.zoneNote(formatOffset(Date.now() / 1000))}
        </p>
      </section>
      <NamesNote chosen={chosen} />
      {ready && (
        <Answered called={called} action={ACTION}>
          {(data) => <Bans bans={data.Recs} names={names} text={filters.text} onResume={onResume} />}
        </Answered>
      )}
      {asking && (
        <StreamAsked
          onClose={() => setAsking(false)}
          onNamed={(stream) => {
            setAsking(false);
            setBanning({ ...names, Stream: stream });
          }}
        />
      )}
      {banning && (
        <BanDialog
          stream={banning}
          live={live ? (live.Streams.find((one) => streamKey(one) === streamKey(banning)) ?? null) : undefined}
          onClose={(done) => {
            setBanning(undefined);
            if (done) called.reload();
          }}
        />
      )}
      {resuming && <ResumeDialog name={resuming} onClose={() => setResuming(undefined)} onDone={called.reload} />}
    </div>
  );
}

interface BansProps {
  bans: readonly Ban[];
  names: Names;
  text: string;
  onResume: (stream: string) => void;
}

function Bans({ bans, names, text, onResume }: BansProps) {
  const t = useText(blacklistTexts);
  const words = useText(partsTexts);
  const wanted = text.trim().toLowerCase();
  const shown = useMemo(() => (wanted ? bans.filter((ban) => ban.Stream.toLowerCase().includes(wanted)) : bans), [bans, wanted]);
  const columns = useMemo(() => columnsOf(t, words, names, onResume), [t, words, names, onResume]);
  return (
    <Table
      label={t.tableLabel}
      columns={columns}
      rows={shown}
      rowKey={(ban) => ban.Stream}
      onOpen={(ban) => navigate("stream", [names.UniqueName, names.App, names.Pubdomain, ban.Stream])}
      narrow={(ban) => `${t.columnUntil} ${formatTime(endOf(ban))}${isPermanent(ban) ? ` · ${t.permanent}` : ""}`}
      empty={<Empty title={bans.length > 0 ? t.noMatch : t.emptyTitle}>{bans.length > 0 ? undefined : t.empty}</Empty>}
    />
  );
}

function columnsOf(
  t: Translation<typeof blacklistTexts.en>,
  words: Translation<typeof partsTexts.en>,
  names: Names,
  onResume: (stream: string) => void,
): Column<Ban>[] {
  return [
    {
      id: "stream",
      head: words.columnStream,
      width: 110,
      grow: true,
      priority: 1,
      sort: (ban) => ban.Stream,
      cell: (ban, active) => <StreamLink names={names} stream={ban.Stream} active={active} />,
    },
    {
      id: "since",
      head: t.columnSince,
      width: 160,
      priority: 4,
      sort: (ban) => ban.ForbidUnixTime,
      descendingFirst: true,
      cell: (ban) => formatTime(ban.ForbidUnixTime),
    },
    {
      id: "until",
      head: t.columnUntil,
      width: 250,
      priority: 3,
      sort: endOf,
      cell: (ban) => (
        <>
          {formatTime(endOf(ban))}{" "}
          {isPermanent(ban) && (
            <Badge tone="warn" title={t.permanentHint}>
              {t.permanent}
            </Badge>
          )}
        </>
      ),
    },
    { id: "left", head: t.columnLeft, width: 120, align: "end", priority: 1, sort: endOf, cell: (ban) => <Countdown until={endOf(ban)} /> },
    {
      id: "actions",
      head: t.columnActions,
      width: 96,
      align: "end",
      priority: 1,
      cell: (ban, active) => (
        <Button small tabIndex={active ? 0 : -1} aria-label={t.resumeOf(ban.Stream)} onClick={() => onResume(ban.Stream)}>
          {t.resume}
        </Button>
      ),
    },
  ];
}

function StreamAsked({ onClose, onNamed }: { onClose: () => void; onNamed: (stream: string) => void }) {
  const t = useText(blacklistTexts);
  const words = useText(partsTexts);
  const shared = useText(common);
  const [stream, setStream] = useState("");
  const [refused, setRefused] = useState(false);
  function next(): void {
    if (isStreamName(stream.trim())) onNamed(stream.trim());
    else setRefused(true);
  }
  return (
    <Dialog
      title={t.banTitle}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{shared.cancel}</Button>
          <Button look="primary" onClick={next}>
            {t.banNext}
          </Button>
        </>
      }
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          next();
        }}
      >
        <Field
          label={words.stream}
          hint={t.banHint}
          fault={refused && !isStreamName(stream.trim()) ? t.banBad : undefined}
          value={stream}
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          onChange={(event) => setStream(event.target.value)}
        />
      </form>
    </Dialog>
  );
}

function ResumeDialog({ name, onClose, onDone }: { name: StreamName; onClose: () => void; onDone: () => void }) {
  const t = useText(blacklistTexts);
  const shared = useText(common);
  const resume = useAction(async () => {
    try {
      await call("ResumeStream", { ...name });
      toast(t.resumed(name.Stream));
    } catch (failure) {
      // Somebody else was quicker, or the time was over: what was wanted is so.
      if (!(failure instanceof CallError) || failure.retCode !== NOT_ON_THE_LIST) throw failure;
      toast(t.alreadyGone(name.Stream));
    }
    onDone();
    onClose();
  });
  return (
    <Dialog
      title={t.resumeTitle}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{shared.cancel}</Button>
          <Button look="primary" pending={resume.pending} onClick={() => void resume.start()}>
            {t.resume}
          </Button>
        </>
      }
    >
      <p className="break">{t.resumeText(name.Stream)}</p>
      <ErrorNote error={resume.error} action="ResumeStream" />
    </Dialog>
  );
}
