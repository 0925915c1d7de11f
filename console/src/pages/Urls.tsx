// URL tools: the push and play URLs of a stream, signed, and how encoders and players take them.
import { useState, type FormEvent } from "react";

import { nowSeconds } from "../clock";
import { formatOffset, formatTime } from "../format";
import { useCall } from "../hooks";
import { useText, type Translation } from "../i18n";
import { common } from "../i18n/common";
import { partsTexts } from "../i18n/pages/parts";
import { urlsTexts } from "../i18n/pages/urls";
import type { PlayUrl, StreamUrls } from "../model";
import { Badge } from "../ui/Badge";
import { Button } from "../ui/Button";
import { CopyLine } from "../ui/Copy";
import { Countdown } from "../ui/Countdown";
import { Empty } from "../ui/Empty";
import { Field, Select } from "../ui/Field";
import { Moment } from "../ui/TimeRange";
import { Answered } from "./parts/Answered";
import { isStreamName } from "./parts/bans";
import { NamePicker } from "./parts/NamePicker";
import { areComplete, NO_NAMES, pushDomains, type Names } from "./parts/names";
import { NamesNote } from "./parts/NamesNote";
import { useFilters } from "./parts/query";
import { ffmpegCommand, ffplayCommand, hostedUrl } from "./parts/urls";
import { useNames } from "./parts/useNames";

const ACTION = "DescribeStreamUrls";
const DAY_SECONDS = 86_400;
const HOLDS = { hour: 3600, day: DAY_SECONDS, week: 7 * DAY_SECONDS, month: 30 * DAY_SECONDS };
const DEFAULTS = { ...NO_NAMES, stream: "", holds: "day" };

interface Question extends Names {
  Stream: string;
  ExpireUnixTime: number;
}

export default function Urls() {
  const t = useText(urlsTexts);
  const words = useText(partsTexts);
  const shared = useText(common);
  const [filters, change] = useFilters(DEFAULTS);
  const chosen = useNames(filters, change, pushDomains);
  const [until, setUntil] = useState(() => nowSeconds() + DAY_SECONDS);
  const [fault, setFault] = useState<"stream" | "until">();
  const [question, setQuestion] = useState<Question>();
  const called = useCall<StreamUrls>(ACTION, { ...question }, { enabled: question !== undefined });
  const { names } = chosen;

  function make(event: FormEvent): void {
    event.preventDefault();
    const now = nowSeconds();
    const expires = filters.holds === "until" ? until : now + (HOLDS[filters.holds as keyof typeof HOLDS] ?? HOLDS.day);
    if (!isStreamName(filters.stream.trim())) return setFault("stream");
    if (expires <= now) return setFault("until");
    setFault(undefined);
    setQuestion({ ...names, Stream: filters.stream.trim(), ExpireUnixTime: expires });
  }

  return (
    <div className="page">
      <div className="page-head">
        <h1>{shared.urls}</h1>
      </div>
      <p className="intro">{t.intro}</p>
      <form className="panel record-filters" aria-label={shared.urls} onSubmit={make}>
        <div className="filters">
          <NamePicker chosen={chosen} domainsOf={pushDomains} />
          <Field
            label={words.stream}
            wide={22}
            value={filters.stream}
            fault={fault === "stream" ? t.streamMissing : undefined}
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            onChange={(event) => change({ stream: event.target.value })}
          />
          <Select
            label={t.expires}
            value={filters.holds}
            choices={[
              { value: "hour", label: t.hour },
              { value: "day", label: t.day },
              { value: "week", label: t.week },
              { value: "month", label: t.month },
              { value: "until", label: t.until },
            ]}
            onChoose={(holds) => change({ holds })}
          />
          {filters.holds === "until" && (
            <Moment label={t.untilLabel} value={until} onChange={setUntil} fault={fault === "until" ? t.faultUntil : undefined} />
          )}
          <Button type="submit" look="primary" disabled={!areComplete(names)} pending={called.loading}>
            {t.make}
          </Button>
        </div>
        <p className="small muted">
          {t.names} {words.zoneNote(formatOffset(Date.now() / 1000))}
        </p>
      </form>
      <NamesNote chosen={chosen} />
      {question ? (
        <Answered called={called} action={ACTION}>
          {(data) => <Made urls={data} />}
        </Answered>
      ) : (
        <Empty title={t.idleTitle}>{t.idle}</Empty>
      )}
    </div>
  );
}

function Made({ urls }: { urls: StreamUrls }) {
  const t = useText(urlsTexts);
  const host = window.location.hostname;
  const push = { ...urls.Push, Url: hostedUrl(urls.Push.Url, host), Server: hostedUrl(urls.Push.Server, host) };
  const protocols = { rtmp: t.rtmp, "http+flv": t.flv, hls: t.hls };
  return (
    <>
      <p className="tabular">
        {t.expiresAt(formatTime(urls.ExpireUnixTime))} <span className="muted">(</span>
        <Countdown until={urls.ExpireUnixTime} />
        <span className="muted">)</span>
      </p>
      <section className="panel" aria-labelledby="push">
        <div className="panel-head">
          <h2 id="push">{t.push}</h2>
          <Auth auth={push.Auth} t={t} />
        </div>
        <CopyLine label={t.url} text={push.Url} />
        <h3 className="tool-head">{t.obs}</h3>
        <p className="small muted">{t.obsSteps}</p>
        <CopyLine label={t.server} text={push.Server} />
        <CopyLine label={t.streamKey} text={push.StreamKey} />
        <p className="small muted">{t.obsOutput}</p>
        <h3 className="tool-head">{t.ffmpeg}</h3>
        <p className="small muted">{t.ffmpegHint}</p>
        <CopyLine label={t.ffmpeg} text={ffmpegCommand(push.Url)} />
      </section>
      <section className="panel" aria-labelledby="play">
        <div className="panel-head">
          <h2 id="play">{t.play}</h2>
        </div>
        {urls.Plays.length === 0 && <p className="muted">{t.noPlays}</p>}
        {groupPlays(urls.Plays).map(({ domain, plays }) => (
          <div key={domain} className="play-group">
            <div className="panel-head">
              <h3>{domain || t.byAddress}</h3>
              <Auth auth={plays[0]?.Auth ?? "none"} t={t} />
            </div>
            {plays.map((play) => (
              <CopyLine key={play.Protocol} label={protocols[play.Protocol]} text={hostedUrl(play.Url, host)} />
            ))}
            {plays[0] && <CopyLine label={t.ffplay} text={ffplayCommand(hostedUrl(plays[0].Url, host))} />}
          </div>
        ))}
      </section>
    </>
  );
}

function groupPlays(plays: readonly PlayUrl[]): { domain: string; plays: PlayUrl[] }[] {
  const groups = new Map<string, PlayUrl[]>();
  for (const play of plays) groups.set(play.Domain, [...(groups.get(play.Domain) ?? []), play]);
  return [...groups].map(([domain, grouped]) => ({ domain, plays: grouped }));
}

function Auth({ auth, t }: { auth: string; t: Translation<typeof urlsTexts.en> }) {
  if (auth === "none") return <Badge>{t.authNone}</Badge>;
  if (auth === "external") return <Badge tone="warn">{t.authExternal}</Badge>;
  return <Badge tone="ok">{t.authSigned(auth)}</Badge>;
}
