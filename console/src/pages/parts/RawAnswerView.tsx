// An answer as it came: status, time, and the body, laid out if it is JSON.
import { useMemo } from "react";

import type { CallError, RawAnswer } from "../../api";
import { formatNumber } from "../../format";
import { useText, type Language } from "../../i18n";
import { common } from "../../i18n/common";
import { explorerTexts } from "../../i18n/pages/explorer";
import { Badge } from "../../ui/Badge";
import { CopyButton } from "../../ui/Copy";
import { Empty, Loading } from "../../ui/Empty";
import { ErrorNote } from "../../ui/ErrorNote";
import { readAnswer, SHOWN_CHARACTERS } from "./rawAnswer";

interface RawAnswerViewProps {
  answer: RawAnswer | undefined;
  pending: boolean;
  error: CallError | undefined;
  language: Language;
}

export function RawAnswerView({ answer, pending, error, language }: RawAnswerViewProps) {
  const t = useText(explorerTexts);
  const shared = useText(common);
  const read = useMemo(() => (answer ? readAnswer(answer.body) : undefined), [answer]);
  if (error) return <ErrorNote error={error} />;
  if (pending) return <Loading />;
  if (!answer || !read) return <Empty title={t.idleTitle}>{t.idle}</Empty>;
  const good = answer.status === 200 && (read.retCode === 0 || read.retCode === undefined);
  return (
    <>
      <dl className="facts answer-facts">
        <dt>{t.status}</dt>
        <dd>
          <Badge tone={good ? "ok" : "bad"}>HTTP {answer.status}</Badge>
        </dd>
        {read.retCode !== undefined && (
          <>
            <dt>{t.retCode}</dt>
            <dd>
              {read.retCode} {read.retMsg}
            </dd>
          </>
        )}
        <dt>{t.time}</dt>
        <dd>{formatNumber(answer.milliseconds, language)} ms</dd>
        <dt>{t.size}</dt>
        <dd>{formatNumber(answer.body.length, language)}</dd>
        <dt>{shared.requestId}</dt>
        <dd>
          <code>{read.requestId || answer.requestId}</code>
        </dd>
      </dl>
      <div className="sheet-head">
        <CopyButton text={read.text} label={t.body} />
      </div>
      {!read.isJson && <p className="small muted">{t.notJson}</p>}
      {read.text.length > SHOWN_CHARACTERS && <p className="small muted">{t.cut(formatNumber(SHOWN_CHARACTERS, language))}</p>}
      <pre className="code-block answer-body" tabIndex={0} role="region" aria-label={t.body}>
        {read.text.slice(0, SHOWN_CHARACTERS)}
      </pre>
    </>
  );
}
