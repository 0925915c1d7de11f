// One stream: whether it is live and how it is, its picture, the last hour in plots, its past pushes, and the ban.
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";

import { nowSeconds } from "../clock";
import { eventsRefusal, eventsState, liveStreams } from "../events";
import { formatBps, formatDuration, formatNumber, formatTime, formatWholeKbps } from "../format";
import { healthOf } from "../health";
import { useCall } from "../hooks";
import { useLanguage, useText } from "../i18n";
import { banTexts } from "../i18n/pages/ban";
import { streamTexts } from "../i18n/pages/stream";
import { SPANS, valuesOf, type SpanName } from "../metrics";
import { streamKey, type History, type HistoryDetail, type LiveStream, type StreamMetrics, type StreamName } from "../model";
import { href, useRoute } from "../route";
import { useStore } from "../store";
import { BanDialog } from "../ui/BanDialog";
import { Badge } from "../ui/Badge";
import { Button, ButtonLink } from "../ui/Button";
import { spanOf } from "../ui/chart";
import { Chart, type Line } from "../ui/Chart";
import { Since } from "../ui/Countdown";
import { Empty, Loading } from "../ui/Empty";
import { ErrorNote } from "../ui/ErrorNote";
import { SpanSelect } from "../ui/SpanSelect";
import { HealthBadge } from "../ui/HealthBadge";
import { Icon } from "../ui/Icon";
import { Preview } from "../ui/Preview";
import { Table, type Column } from "../ui/Table";
import "./live.css";

const PAST_SHOWN = 20;
/** A push that ended is in the history as soon as its row is closed; asked for a moment later. */
const HISTORY_AFTER_MS = 1500;

/** undefined: not known; null: known not to be live. */
function useLive(stream: StreamName): LiveStream | null | undefined {
  const list = useStore(liveStreams);
  const state = useStore(eventsState);
  const key = streamKey(stream);
  return useMemo(() => {
    if (!list || state === "refused") return undefined;
    return list.Streams.find((one) => one.Stream === stream.Stream && streamKey(one) === key) ?? null;
    // The key holds all of the name.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [list, state, key]);
}

export default function Stream() {
  const t = useText(streamTexts);
  const b = useText(banTexts);
  const route = useRoute();
  const [UniqueName = "", App = "", Pubdomain = "", name = ""] = route.parts;
  const stream = useMemo<StreamName>(() => ({ UniqueName, App, Pubdomain, Stream: name }), [UniqueName, App, Pubdomain, name]);
  const live = useLive(stream);
  const [banning, setBanning] = useState(false);
  const asked = { space: UniqueName, app: App, domain: Pubdomain, stream: name };
  return (
    <div className="page">
      <div>
        <a href={href("live")} className="small">
          {t.back}
        </a>
        <div className="page-head">
          <h1 className="break">{name}</h1>
          {live ? <HealthBadge health={healthOf(live, nowSeconds())} /> : live === null ? <Badge>{t.offline}</Badge> : null}
          <div className="actions">
            <ButtonLink href={href("urls", [], asked)}>{t.urls}</ButtonLink>
            <Button look="danger" onClick={() => setBanning(true)}>
              <Icon name="ban" />
              {b.ban}
            </Button>
          </div>
        </div>
        <p className="muted break">
          {UniqueName} / {App} / {Pubdomain}
        </p>
      </div>
      <div className="detail">
        <Preview stream={stream} isLive={live !== null} />
        {live ? (
          <div className="panel fact-groups">
            <Facts live={live} />
          </div>
        ) : (
          <div className="panel fact-groups none">{live === null ? <Empty title={t.offline}>{t.offlineHint}</Empty> : <Unknown />}</div>
        )}
      </div>
      <Plots stream={stream} />
      <Past stream={stream} isLive={Boolean(live)} />
      {banning && <BanDialog stream={stream} live={live} onClose={() => setBanning(false)} />}
    </div>
  );
}

/** The list has not come yet, or this key may not see it. */
function Unknown() {
  const state = useStore(eventsState);
  const refusal = useStore(eventsRefusal);
  return state === "refused" ? <ErrorNote error={refusal} action="DescribeLiveStreams" /> : <Loading />;
}

function Fact({ name, children, tone }: { name: string; children: ReactNode; tone?: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd className={tone}>{children}</dd>
    </>
  );
}

function Facts({ live }: { live: LiveStream }) {
  const t = useText(streamTexts);
  const language = useLanguage();
  const health = healthOf(live, nowSeconds());
  const number = (value: number): string => formatNumber(value, language);
  const size = live.Width ? ` ${live.Width}×${live.Height}` : "";
  const warn = (states: string[]): string | undefined => (states.includes(health) ? "warn" : undefined);
  return (
    <>
      <section>
        <h2>{t.quality}</h2>
        <dl className="facts">
          <Fact name={t.frames} tone={warn(["lost", "stalled"])}>
            {t.framesValue(number(live.Curfps), number(live.FrameRate))}
          </Fact>
          <Fact name={t.lossRate} tone={warn(["lost", "stalled"])}>
            {live.FLR} %
          </Fact>
          <Fact name={t.made}>{formatWholeKbps(live.BwIn, language)}</Fact>
          <Fact name={t.received} tone={warn(["stalled"])}>
            {formatWholeKbps(live.BwReal, language)}
          </Fact>
          <Fact name={t.difference} tone={warn(["uplink"])}>
            {formatWholeKbps(live.BwDiff, language)}
          </Fact>
        </dl>
      </section>
      <section>
        <h2>{t.audience}</h2>
        <dl className="facts">
          <Fact name={t.viewers}>{number(live.OnlineUser)}</Fact>
          <Fact name="RTMP">{number(live.OnlineRtmp)}</Fact>
          <Fact name="HTTP-FLV">{number(live.OnlineFlv)}</Fact>
          <Fact name="HLS">{number(live.OnlineHls)}</Fact>
          <Fact name={t.sent}>{formatBps(live.Bw, language)}</Fact>
        </dl>
      </section>
      <section>
        <h2>{t.picture}</h2>
        <dl className="facts">
          <Fact name={t.video}>
            {live.Vcodec ? `${live.Vcodec}${size}` : t.noVideo}
            {live.Vcodec && ` · ${formatWholeKbps(live.Curbitrate, language)}`}
          </Fact>
          <Fact name={t.audio}>
            {live.Acodec ? `${live.Acodec} ${live.SampleRate ? `${number(live.SampleRate)} Hz` : ""}` : t.noVideo}
            {live.Acodec && ` · ${formatWholeKbps(live.BwInAudio, language)}`}
          </Fact>
        </dl>
      </section>
      <section>
        <h2>{t.push}</h2>
        <dl className="facts">
          <Fact name={t.since}>
            <Since from={live.PubTime} />
          </Fact>
          <Fact name={t.started}>{formatTime(live.PubTime)}</Fact>
          <Fact name={t.from}>
            {live.ClientIp}:{live.ClientPort}
          </Fact>
          <Fact name={t.node}>{live.Node}</Fact>
          <Fact name={t.session}>
            <code>{live.SessionId}</code>
          </Fact>
        </dl>
      </section>
    </>
  );
}

function Plots({ stream }: { stream: StreamName }) {
  const t = useText(streamTexts);
  const language = useLanguage();
  const [span, setSpan] = useState<SpanName>("hour");
  const { seconds, periodSeconds, everySeconds } = SPANS[span];
  const { UniqueName, App, Stream: name } = stream;
  const metrics = useCall<StreamMetrics>("DescribeStreamMetrics", { UniqueName, App, Stream: name, Period: periodSeconds }, { everySeconds });
  const data = metrics.data;
  const lines = useMemo(() => {
    const of = (series: string): readonly number[] => valuesOf(data, series);
    const number = (value: number): string => formatNumber(value, language);
    const kbps = (value: number): string => formatWholeKbps(value, language);
    const bps = (value: number): string => formatBps(value, language);
    return {
      frames: [
        { name: "FrameRate", label: t.declared, values: of("FrameRate"), colour: "plot-2", dashed: true, format: number },
        { name: "Curfps", label: t.real, values: of("Curfps"), colour: "plot-1", format: number },
      ],
      bitrate: [
        { name: "BwIn", label: t.made, values: of("BwIn"), colour: "plot-2", dashed: true, format: kbps },
        { name: "BwReal", label: t.received, values: of("BwReal"), colour: "plot-1", format: kbps },
      ],
      viewers: [{ name: "OnlineUser", label: t.viewers, values: of("OnlineUser"), colour: "plot-1", filled: true, format: number }],
      sent: [{ name: "Bw", label: t.plotSent, values: of("Bw"), colour: "plot-1", filled: true, format: bps }],
    } satisfies Record<string, Line[]>;
  }, [data, language, t]);
  const times = data?.Times ?? [];
  const end = Math.max(times.at(-1) ?? 0, Math.floor(nowSeconds() / periodSeconds) * periodSeconds);
  const shared = { times, periodSeconds, span: spanOf(times, end, seconds), group: "stream" };
  return (
    <section className="page">
      <div className="page-head">
        <h2>{t.plots}</h2>
        <div className="actions">
          <SpanSelect value={span} onChoose={setSpan} />
        </div>
      </div>
      <ErrorNote error={metrics.error} action="DescribeStreamMetrics" onRetry={metrics.reload} />
      {(data ?? !metrics.error) && (
        <div className="plots">
          <section className="panel">
            <Chart title={t.plotFrames} lines={lines.frames} {...shared} />
          </section>
          <section className="panel">
            <Chart title={t.plotBitrate} lines={lines.bitrate} axis={(kbps) => formatBps(kbps * 1000, language)} {...shared} />
          </section>
          <section className="panel">
            <Chart title={t.plotViewers} lines={lines.viewers} {...shared} />
          </section>
          <section className="panel">
            <Chart title={t.plotSent} lines={lines.sent} {...shared} />
          </section>
        </div>
      )}
    </section>
  );
}

function Past({ stream, isLive }: { stream: StreamName; isLive: boolean }) {
  const t = useText(streamTexts);
  const language = useLanguage();
  const { UniqueName, App, Pubdomain, Stream: name } = stream;
  const history = useCall<History>("ListHistoryPubStreamsInfo", { UniqueName, App, Pubdomain, Stream: name, Limit: PAST_SHOWN });
  const { reload } = history;
  const before = useRef(isLive);
  useEffect(() => {
    if (before.current === isLive) return;
    before.current = isLive;
    const timer = setTimeout(reload, HISTORY_AFTER_MS);
    return () => clearTimeout(timer);
  }, [isLive, reload]);

  const rows = useMemo(() => history.data?.Result.flatMap((one) => one.Detail) ?? [], [history.data]);
  const columns = useMemo<Column<HistoryDetail>[]>(
    () => [
      { id: "start", head: t.started, width: 162, priority: 1, cell: (row) => <span className="tabular">{formatTime(row.Pubtime)}</span> },
      { id: "end", head: t.end, width: 162, priority: 3, cell: (row) => <span className="tabular">{formatTime(row.Fintime)}</span> },
      { id: "duration", head: t.duration, width: 100, priority: 2, align: "end", cell: (row) => formatDuration(row.Fintime - row.Pubtime, language) },
      {
        id: "code",
        head: t.code,
        width: 130,
        grow: true,
        priority: 1,
        cell: (row) => (
          <Badge tone={row.StatusCode === 200 ? "ok" : "bad"}>
            {row.StatusCode} {row.StatusMessage}
          </Badge>
        ),
      },
      { id: "address", head: t.address, width: 130, priority: 3, cell: (row) => <span className="tabular">{row.Clientip}</span> },
    ],
    [t, language],
  );
  return (
    <section>
      <div className="panel-head">
        <h2>{t.history}</h2>
        <span className="muted small">{t.historyHint}</span>
        <a href={href("history", [], { space: UniqueName, app: App, domain: Pubdomain, stream: name })}>{t.historyAll}</a>
      </div>
      <ErrorNote error={history.error} action="ListHistoryPubStreamsInfo" onRetry={reload} />
      {history.data ? (
        <Table
          label={t.history}
          columns={columns}
          rows={rows}
          rowKey={(row) => `${row.Pubtime} ${row.Fintime} ${row.Clientip} ${row.StatusCode}`}
          narrow={(row) => `${formatDuration(row.Fintime - row.Pubtime, language)} · ${row.Clientip}`}
          empty={<Empty title={t.historyNone} />}
        />
      ) : (
        !history.error && <Loading />
      )}
    </section>
  );
}
