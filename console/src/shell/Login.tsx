// The login with an access key pair.
// Rule: the secret lives in the form's field until it is sent, and is wiped whatever the answer.
import { useEffect, useRef, useState, type FormEvent } from "react";

import type { CallError} from "../api";
import { login, sessionLapsed } from "../api";
import { formatNumber } from "../format";
import { asCallError } from "../hooks";
import { useLanguage, useText } from "../i18n";
import { common } from "../i18n/common";
import { loginTexts } from "../i18n/pages/login";
import { useStore } from "../store";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { Mark, Tastes } from "./Header";

export function Login() {
  const t = useText(loginTexts);
  const c = useText(common);
  const language = useLanguage();
  const lapsed = useStore(sessionLapsed);
  const form = useRef<HTMLFormElement>(null);
  const [pending, setPending] = useState(false);
  const [fault, setFault] = useState<CallError | "empty">();

  useEffect(() => {
    document.title = `${t.title} · ${c.product}`;
  }, [t, c]);

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    if (pending) return;
    const fields = new FormData(event.currentTarget);
    const accessKey = String(fields.get("AccessKey") ?? "").trim();
    const secretKey = String(fields.get("SecretKey") ?? "").trim();
    if (!accessKey || !secretKey) {
      setFault("empty");
      return;
    }
    setPending(true);
    setFault(undefined);
    try {
      await login(accessKey, secretKey);
    } catch (failure) {
      setFault(asCallError(failure));
    } finally {
      setPending(false);
      const secret = form.current?.elements.namedItem("SecretKey");
      if (secret instanceof HTMLInputElement) secret.value = "";
    }
  }

  function told(error: CallError | "empty"): string {
    if (error === "empty") return t.empty;
    if (error.kind === "network") return t.unreachable;
    if (error.code === "LoginFailed") return t.failed;
    if (error.code === "InsecureLogin") return t.insecure;
    if (error.retryAfterSeconds > 0) return t.tooMany(formatNumber(Math.ceil(error.retryAfterSeconds), language));
    return t.other(`${error.code} ${error.message}`.trim());
  }

  return (
    <main className="login" data-page="login">
      <div className="login-card panel">
        <div className="login-head">
          <Mark size={32} />
          <div>
            <h1>{t.title}</h1>
            <p className="muted">{t.intro}</p>
          </div>
        </div>
        {lapsed && !fault && (
          <p className="notice" role="status">
            {t.lapsed}
          </p>
        )}
        {fault && (
          <p className="error-note" role="alert">
            {told(fault)}
          </p>
        )}
        <form ref={form} onSubmit={(event) => void submit(event)} noValidate>
          <Field label={t.accessKey} name="AccessKey" autoComplete="username" autoFocus spellCheck={false} autoCapitalize="off" required />
          <Field label={t.secretKey} name="SecretKey" type="password" autoComplete="current-password" required hint={t.secretHint} />
          <Button type="submit" look="primary" pending={pending}>
            {t.submit}
          </Button>
        </form>
        <Tastes />
      </div>
    </main>
  );
}
