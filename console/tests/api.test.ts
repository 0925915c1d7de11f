import { afterEach, describe, expect, test, vi } from "vitest";

import { call, CallError, failureOf, loadSession, login, OWN_VERSION, parseRetryAfter, session, sessionLapsed, VERSION, versionOf } from "../src/api";
import { TOTALS_KEPT, keepRecent } from "../src/events";
import type { Totals } from "../src/model";

const OPEN = { AccountId: "1", AccessKey: "AK", Region: "r", Version: "0", CsrfToken: "token", IdleSeconds: 60, FullRights: true };

function answers(...given: [number, unknown, Record<string, string>?][]) {
  const fetched = vi.fn(async (_url: string, _options: RequestInit) => {
    const [status, body, headers] = given.shift() ?? [500, {}];
    return new Response(status === 204 ? null : JSON.stringify(body), { status, headers });
  });
  vi.stubGlobal("fetch", fetched);
  return fetched;
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
  session.set(undefined);
  sessionLapsed.set(false);
});

test("an action has the version it was made in", () => {
  expect(versionOf("ForbidStream")).toBe(VERSION);
  expect(versionOf("DescribeLiveStreams")).toBe(OWN_VERSION);
});

describe("a call", () => {
  test("carries the session's token and gives Data", async () => {
    session.set(OPEN);
    const fetched = answers([200, { Data: { RetCode: 0, RetMsg: "success", Total: 3 }, RequestId: "q" }]);
    expect(await call("GetBlacklist", { App: "live", Stream: undefined })).toMatchObject({ Total: 3 });
    const [url, options] = fetched.mock.calls[0]!;
    expect(url).toBe("/console/call?Action=GetBlacklist&Version=2017-01-01");
    expect(options.headers).toMatchObject({ "X-CSRF-Token": "token" });
    expect(options.body).toBe('{"App":"live"}');
  });

  test("with a RetCode is a business failure that keeps the code, the text and the request", async () => {
    answers([200, { Data: { RetCode: 8502, RetMsg: "offline" }, RequestId: "q" }]);
    const failure = await call("ForbidStream").catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CallError);
    expect(failure).toMatchObject({ kind: "business", retCode: 8502, retMsg: "offline", requestId: "q", notAllowed: false });
  });

  test("refused by the policy says so", async () => {
    answers([403, { Error: { Code: "InvalidAuthenticationCode", Message: "lack of policy" }, RequestId: "q" }]);
    expect(await call("DescribeAudit").catch((error: unknown) => error)).toMatchObject({ notAllowed: true, status: 403 });
  });

  test("after the session's end leads to the login", async () => {
    session.set(OPEN);
    answers([401, { Error: { Code: "NoSession", Message: "" } }]);
    await call("DescribeSpaces").catch(() => undefined);
    expect(session.get()).toBeNull();
    expect(sessionLapsed.get()).toBe(true);
  });

  test("waits as long as the service asked for, that action alone", async () => {
    vi.useFakeTimers();
    const fetched = answers([409, { Error: { Code: "LimitExceeded", Message: "" } }, { "Retry-After": "2" }], [200, { Data: {} }], [200, { Data: {} }]);
    await call("ListStreamDurations").catch(() => undefined);
    const again = call("ListStreamDurations");
    await call("GetBlacklist");
    expect(fetched).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(1900);
    expect(fetched).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(200);
    await again;
    expect(fetched).toHaveBeenCalledTimes(3);
  });

  test("answered by something that is no JSON is a failure with its status", async () => {
    vi.stubGlobal("fetch", async () => new Response("<html>", { status: 502 }));
    expect(await call("GetBlacklist").catch((error: unknown) => error)).toMatchObject({ kind: "gateway", status: 502 });
  });

  test("without an answer is a network failure", async () => {
    vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("down")));
    expect(await call("GetBlacklist").catch((error: unknown) => error)).toMatchObject({ kind: "network" });
  });
});

test("a first visit is no lapsed session", async () => {
  answers([204, null]);
  await loadSession();
  expect(session.get()).toBeNull();
  expect(sessionLapsed.get()).toBe(false);
});

test("a login loads the page anew, which then finds the session", async () => {
  const reload = vi.fn();
  vi.stubGlobal("window", { location: { reload } });
  answers([200, OPEN], [200, OPEN]);
  await login("AK", "the secret");
  expect(reload).toHaveBeenCalledOnce();
  expect(session.get()).toBeUndefined();
  await loadSession();
  expect(session.get()).toEqual(OPEN);
});

test("a login with a wrong pair loads nothing anew", async () => {
  const reload = vi.fn();
  vi.stubGlobal("window", { location: { reload } });
  answers([401, { Error: { Code: "LoginFailed", Message: "" } }]);
  await expect(login("AK", "wrong")).rejects.toMatchObject({ code: "LoginFailed" });
  expect(reload).not.toHaveBeenCalled();
});

test("success has no failure", () => {
  expect(failureOf(200, { Data: { RetCode: 0 } })).toBeUndefined();
  expect(failureOf(200, { Data: {} })).toBeUndefined();
});

test("Retry-After is seconds or a date", () => {
  expect(parseRetryAfter("3", 0)).toBe(3);
  expect(parseRetryAfter(null, 0)).toBe(0);
  expect(parseRetryAfter("soon", 0)).toBe(0);
  expect(parseRetryAfter("Thu, 01 Jan 1970 00:00:10 GMT", 4000)).toBe(6);
});

test("totals are kept up to the limit, the oldest leave, and none comes twice", () => {
  const total = (Time: number): Totals => ({ Time, Streams: 0, OnlineUser: 0, BwReal: 0, Bw: 0 });
  let kept: readonly Totals[] = [];
  for (let time = 1; time <= TOTALS_KEPT; time += 1) kept = keepRecent(kept, total(time));
  expect(kept.length).toBe(TOTALS_KEPT);
  kept = keepRecent(kept, total(TOTALS_KEPT + 1));
  expect(kept.length).toBe(TOTALS_KEPT);
  expect(kept[0]?.Time).toBe(2);
  expect(keepRecent(kept, total(TOTALS_KEPT + 1))).toBe(kept);
});
