// The request as an SDK would sign it now: its parts, to compare with one's own.
import { useState } from "react";

import { explain, type SignedRequest } from "../../api";
import { useAction } from "../../hooks";
import { useText } from "../../i18n";
import { explorerTexts } from "../../i18n/pages/explorer";
import { Button } from "../../ui/Button";
import { CopyButton } from "../../ui/Copy";
import { ErrorNote } from "../../ui/ErrorNote";
import { Select } from "../../ui/Field";
import type { Action } from "./actions";

type Method = "GET" | "POST";

export function SignedView({ action, parameters }: { action: Action; parameters: Readonly<Record<string, string | number>> }) {
  const t = useText(explorerTexts);
  const [method, setMethod] = useState<Method>(action.method === "POST" ? "POST" : "GET");
  const [signed, setSigned] = useState<SignedRequest>();
  const sign = useAction(async () => setSigned(await explain(action.name, parameters, method, action.version)));
  return (
    <div className="signed">
      <p className="small muted">{t.signNote}</p>
      <div className="filters">
        <Select
          label={t.method}
          value={method}
          choices={[
            { value: "GET", label: "GET" },
            { value: "POST", label: "POST" },
          ]}
          onChoose={(next) => {
            setMethod(next);
            setSigned(undefined);
          }}
        />
        <Button look="primary" pending={sign.pending} onClick={() => void sign.start()}>
          {t.sign}
        </Button>
      </div>
      <ErrorNote error={sign.error} action={action.name} />
      {signed && (
        <>
          <Piece head={t.request} text={requestOf(signed)} />
          <Piece head={t.canonical} text={signed.CanonicalRequest} />
          <Piece head={t.stringToSign} text={signed.StringToSign} />
          <Piece head={t.curl} text={signed.Curl} />
        </>
      )}
    </div>
  );
}

/** The request as it goes over the wire, less what every client adds. */
function requestOf({ Method, Url, Headers, Body }: SignedRequest): string {
  const headers = Object.entries(Headers).map(([name, value]) => `${name}: ${value}`);
  return [`${Method} ${Url}`, ...headers, ...(Body ? ["", Body] : [])].join("\n");
}

function Piece({ head, text }: { head: string; text: string }) {
  return (
    <section>
      <div className="panel-head">
        <h3>{head}</h3>
        <CopyButton text={text} label={head} />
      </div>
      <pre className="code-block" tabIndex={0} role="region" aria-label={head}>
        {text}
      </pre>
    </section>
  );
}
