// The door to the service: who is logged in, and calls of actions as that key.
// Rule: the secret key goes into one request and is kept nowhere; every failure is a CallError.
//
// Theory of operation. The session is a cookie that scripts cannot read; what the page holds is its CSRF token, in
// memory. `session` is undefined until the service has been asked, null when nobody is logged in. Any 401 sets it to
// null, and the shell then shows the login. A Retry-After holds back further calls of that action until it has passed.
import { createStore } from "./store";

const BASE = "/console";
const CALL_DEADLINE_MS = 30_000;
export const VERSION = "2017-01-01";
export const OWN_VERSION = "2026-01-01";

/** The actions of our own version; all others are of 2017-01-01. */
const OWN_ACTIONS: ReadonlySet<string> = new Set([
  "DescribeStreamMetrics",
  "DescribeLiveStreams",
  "DescribeSpaces",
  "DescribeNodes",
  "DescribeAudit",
  "DescribeAccessKeys",
  "CreateAccessKey",
  "RotateAccessKey",
  "DisableAccessKey",
  "SetAccessKeyPolicy",
  "DescribeStreamUrls",
]);

export interface Session {
  AccountId: string;
  AccessKey: string;
  Region: string;
  Version: string;
  CsrfToken: string;
  IdleSeconds: number;
  FullRights: boolean;
}

export type Parameters = Record<string, string | number | undefined>;

export interface SignedRequest {
  Method: string;
  Url: string;
  Headers: Record<string, string>;
  Body: string;
  CanonicalRequest: string;
  StringToSign: string;
  Curl: string;
}

/** The answer as it came, for the explorer. */
export interface RawAnswer {
  status: number;
  body: string;
  requestId: string;
  milliseconds: number;
}

/** network: no answer; gateway: refused with an HTTP status and Code; business: HTTP 200 with a RetCode other than 0. */
export type FailureKind = "network" | "gateway" | "business";

export class CallError extends Error {
  readonly kind: FailureKind;
  readonly status: number;
  /** The gateway's Code, for instance InvalidAuthenticationCode; empty for other kinds. */
  readonly code: string;
  readonly retCode: number;
  readonly retMsg: string;
  readonly requestId: string;
  readonly retryAfterSeconds: number;

  constructor(fields: Partial<CallError> & { kind: FailureKind; message: string }) {
    super(fields.message);
    this.name = "CallError";
    this.kind = fields.kind;
    this.status = fields.status ?? 0;
    this.code = fields.code ?? "";
    this.retCode = fields.retCode ?? 0;
    this.retMsg = fields.retMsg ?? "";
    this.requestId = fields.requestId ?? "";
    this.retryAfterSeconds = fields.retryAfterSeconds ?? 0;
  }

  /** The key's policy does not allow the action. */
  get notAllowed(): boolean {
    return this.kind === "gateway" && this.status === 403;
  }
}

export const session = createStore<Session | null | undefined>(undefined);
/** True when a session ended by itself (idle, key disabled), so that the login can say so. */
export const sessionLapsed = createStore(false);

const heldUntil = new Map<string, number>();

export function versionOf(action: string): string {
  return OWN_ACTIONS.has(action) ? OWN_VERSION : VERSION;
}

function sessionEnded(): void {
  if (session.get()) sessionLapsed.set(true);
  session.set(null);
}

interface Sent {
  status: number;
  text: string;
  retryAfterSeconds: number;
  requestId: string;
}

async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Sent> {
  const headers: Record<string, string> = { Accept: "application/json" };
  const token = session.get()?.CsrfToken;
  if (method !== "GET" && token) headers["X-CSRF-Token"] = token;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const deadline = AbortSignal.timeout(CALL_DEADLINE_MS);
  try {
    const response = await fetch(BASE + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    });
    return {
      status: response.status,
      text: await response.text(),
      retryAfterSeconds: parseRetryAfter(response.headers.get("Retry-After"), Date.now()),
      requestId: response.headers.get("x-amzn-RequestId") ?? "",
    };
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new CallError({ kind: "network", message: cause instanceof Error ? cause.message : String(cause) });
  }
}

export function parseRetryAfter(value: string | null, nowMs: number): number {
  if (!value) return 0;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return Math.max(0, seconds);
  const at = Date.parse(value);
  return Number.isNaN(at) ? 0 : Math.max(0, (at - nowMs) / 1000);
}

interface Envelope {
  Data?: Record<string, unknown> & { RetCode?: number; RetMsg?: string };
  Error?: { Code?: string; Message?: string };
  RequestId?: string;
}

function parseEnvelope(sent: Sent): Envelope {
  try {
    const parsed: unknown = JSON.parse(sent.text);
    if (parsed !== null && typeof parsed === "object") return parsed;
  } catch {
    // Falls through: a proxy between may answer with a page of its own.
  }
  throw new CallError({ kind: "gateway", status: sent.status, message: `HTTP ${sent.status}`, requestId: sent.requestId });
}

/** The failure that an answer tells of, or undefined when it tells of success. */
export function failureOf(status: number, envelope: Envelope, retryAfterSeconds = 0): CallError | undefined {
  const requestId = envelope.RequestId ?? "";
  if (status >= 400 || envelope.Error) {
    const code = envelope.Error?.Code ?? "";
    const message = envelope.Error?.Message ?? `HTTP ${status}`;
    return new CallError({ kind: "gateway", status, code, message, requestId, retryAfterSeconds });
  }
  const retCode = envelope.Data?.RetCode ?? 0;
  if (retCode === 0) return undefined;
  const retMsg = envelope.Data?.RetMsg ?? "";
  return new CallError({ kind: "business", status, retCode, retMsg, message: retMsg, requestId, retryAfterSeconds });
}

async function ask(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Envelope> {
  const sent = await send(method, path, body, signal);
  if (sent.status === 204) return {};
  const envelope = parseEnvelope(sent);
  const failure = failureOf(sent.status, envelope, sent.retryAfterSeconds);
  if (!failure) return envelope;
  throw failure;
}

/** Asks the service who is logged in. */
export async function loadSession(): Promise<void> {
  const found = await ask("GET", "/session");
  if (!("CsrfToken" in found)) {
    sessionEnded();
    return;
  }
  session.set(found as unknown as Session);
  sessionLapsed.set(false);
}

export async function login(accessKey: string, secretKey: string): Promise<void> {
  await ask("POST", "/session", { AccessKey: accessKey, SecretKey: secretKey });
  // Loaded anew the page may play from the account's play domains: its Content-Security-Policy names them only then.
  window.location.reload();
}

export async function logout(): Promise<void> {
  try {
    await ask("DELETE", "/session");
  } catch (failure) {
    if (!(failure instanceof CallError) || failure.status !== 401) throw failure;
  }
  session.set(null);
}

function wait(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}

function presentParameters(parameters: Parameters): Parameters {
  return Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== undefined));
}

function callPath(kind: "call" | "explain", action: string, version: string): string {
  return `/${kind}?Action=${encodeURIComponent(action)}&Version=${encodeURIComponent(version)}`;
}

/** Calls an action as the session's key; gives Data, or throws a CallError (or the signal's reason). */
export async function call<T>(
  action: string,
  parameters: Parameters = {},
  options: { version?: string; signal?: AbortSignal } = {},
): Promise<T> {
  const held = (heldUntil.get(action) ?? 0) - Date.now();
  if (held > 0) await wait(held, options.signal);
  const path = callPath("call", action, options.version ?? versionOf(action));
  try {
    const envelope = await ask("POST", path, presentParameters(parameters), options.signal);
    return envelope.Data as T;
  } catch (failure) {
    if (failure instanceof CallError) {
      if (failure.status === 401) sessionEnded();
      if (failure.retryAfterSeconds > 0) heldUntil.set(action, Date.now() + failure.retryAfterSeconds * 1000);
    }
    throw failure;
  }
}

/** Calls an action and gives the answer as it came, whatever its status. */
export async function callRaw(action: string, parameters: Parameters, version = versionOf(action)): Promise<RawAnswer> {
  const began = performance.now();
  const sent = await send("POST", callPath("call", action, version), presentParameters(parameters));
  const milliseconds = performance.now() - began;
  if (sent.status === 401) sessionEnded();
  return { status: sent.status, body: sent.text, requestId: sent.requestId, milliseconds };
}

/** The request as an SDK would sign it now; it is not carried out. */
export async function explain(
  action: string,
  parameters: Parameters,
  method: "GET" | "POST",
  version = versionOf(action),
): Promise<SignedRequest> {
  const path = `${callPath("explain", action, version)}&Method=${method}`;
  try {
    return (await ask("POST", path, presentParameters(parameters))) as unknown as SignedRequest;
  } catch (failure) {
    if (failure instanceof CallError && failure.status === 401) sessionEnded();
    throw failure;
  }
}
