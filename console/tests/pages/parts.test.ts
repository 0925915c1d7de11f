import { describe, expect, test } from "vitest";

import { describeIn } from "../../src/i18n/pages/actionDocs";
import type { History, Space } from "../../src/model";
import { ACTIONS, ACTION_NAMES, isChanging, missingOf, parametersOf, retMsgOf } from "../../src/pages/parts/actions";
import { filterAudit, streamOf, type AuditRow } from "../../src/pages/parts/auditRows";
import { endOf, isPermanent, isStreamName, PERMANENT_SECONDS } from "../../src/pages/parts/bans";
import { areComplete, pushDomains, recordedDomains, settleNames } from "../../src/pages/parts/names";
import { readFilters, writeFilters } from "../../src/pages/parts/query";
import { readAnswer } from "../../src/pages/parts/rawAnswer";
import { countCodes, pagesOf, recordsOf } from "../../src/pages/parts/records";
import { ffmpegCommand, hostedUrl, quoteShell } from "../../src/pages/parts/urls";
import { queryOf, rangeOf } from "../../src/pages/parts/useRecords";

const SPACES: Space[] = [
  {
    UniqueName: "demo",
    Apps: ["live", "event"],
    PublishDomains: [
      { Name: "push.demo.local", Auth: "none", RecordedAs: "push.demo.local" },
      { Name: "localhost", Auth: "none", RecordedAs: "push.demo.local" },
      { Name: "md5.demo.local", Auth: "md5", RecordedAs: "md5.demo.local" },
    ],
    PlayDomains: [],
    Durations: 1,
    Callback: 0,
  },
  { UniqueName: "any", Apps: [], PublishDomains: [{ Name: "p.any", Auth: "none", RecordedAs: "p.any" }], PlayDomains: [], Durations: 0, Callback: 0 },
];
const names = (UniqueName: string, App: string, Pubdomain: string) => ({ UniqueName, App, Pubdomain });

describe("names", () => {
  test("the first of everything is taken where nothing is wanted", () => {
    expect(settleNames(SPACES, names("", "", ""))).toEqual(names("demo", "live", "push.demo.local"));
  });
  test("what is wanted is kept where it is possible, else replaced", () => {
    expect(settleNames(SPACES, names("demo", "event", "md5.demo.local"))).toEqual(names("demo", "event", "md5.demo.local"));
    expect(settleNames(SPACES, names("demo", "gone", "p.any"))).toEqual(names("demo", "live", "push.demo.local"));
    expect(settleNames(SPACES, names("gone", "x", "y")).UniqueName).toBe("demo");
  });
  test("a space without a list of apps has any", () => {
    expect(settleNames(SPACES, names("any", "films", ""))).toEqual(names("any", "films", "p.any"));
    expect(areComplete(settleNames(SPACES, names("any", "", "")))).toBe(false);
  });
  test("spaces that are not known leave what was typed; none at all leave nothing", () => {
    expect(settleNames(undefined, names("a", "b", "c"))).toEqual(names("a", "b", "c"));
    expect(settleNames([], names("a", "b", "c"))).toEqual(names("", "", ""));
  });
  test("aliases are pushed to, and recorded under the domain they stand for", () => {
    expect(recordedDomains(SPACES, "demo")).toEqual(["push.demo.local", "md5.demo.local"]);
    expect(pushDomains(SPACES, "demo")).toEqual(["push.demo.local", "localhost", "md5.demo.local"]);
    expect(settleNames(SPACES, names("demo", "live", "localhost"), pushDomains).Pubdomain).toBe("localhost");
  });
});

describe("filters", () => {
  const defaults = { space: "", rows: "200" };
  test("only what differs from the default stands in the address, and is read back", () => {
    const query = writeFilters(defaults, { space: "a&b=c", rows: "200" });
    expect(query).toEqual({ space: "a&b=c" });
    expect(readFilters(defaults, query)).toEqual({ space: "a&b=c", rows: "200" });
  });
  test("names that the page does not know are left out", () => {
    expect(readFilters(defaults, { rows: "50", other: "x" })).toEqual({ space: "", rows: "50" });
  });
  test("a span of time goes into the filters and back", () => {
    for (const range of [{ kind: "last", seconds: 3600 }, { kind: "between", start: 10, end: 20 }] as const) {
      expect(rangeOf(queryOf(range))).toEqual(range);
    }
    expect(rangeOf({ last: "nonsense", start: "", end: "" })).toEqual({ kind: "last", seconds: 86_400 });
  });
});

describe("records", () => {
  const detail = (Pubtime: number, StatusCode: number) => ({ Clientip: "192.0.2.1", Pubtime, Fintime: Pubtime + 5, StatusCode, StatusMessage: "m" });
  const history = (OrderTime: number): History => ({
    ...names("demo", "live", "push"),
    Count: 3,
    Marker: 0,
    Total: 3,
    OrderTime,
    StartUnixTime: 0,
    EndUnixTime: 0,
    Result: [
      { Stream: "a", Detail: [detail(30, 200), detail(10, 423)] },
      { Stream: "b", Detail: [detail(20, 423)] },
    ],
  });
  test("pushes come by their begin, though the answer groups them by stream", () => {
    expect(recordsOf(history(0)).map((row) => [row.stream, row.began])).toEqual([["a", 30], ["b", 20], ["a", 10]]);
    expect(recordsOf(history(1)).map((row) => row.began)).toEqual([10, 20, 30]);
  });
  test("each row has a key of its own", () => {
    expect(new Set(recordsOf(history(0)).map((row) => row.key)).size).toBe(3);
  });
  test("codes are counted, the most frequent first", () => {
    expect(countCodes(recordsOf(history(0))).map(({ code, count }) => [code, count])).toEqual([[423, 2], [200, 1]]);
  });
  test.each([[0, 1], [1, 1], [200, 1], [201, 2]])("%i rows are %i pages", (total, pages) => expect(pagesOf(total, 200)).toBe(pages));
});

describe("bans", () => {
  test("a permanent ban ends 90 days after it began", () => {
    const ban = { Stream: "s", ForbidUnixTime: 1000, ForbidTillUnixTime: -1 };
    expect(isPermanent(ban)).toBe(true);
    expect(endOf(ban)).toBe(1000 + PERMANENT_SECONDS);
    expect(endOf({ ...ban, ForbidTillUnixTime: 2000 })).toBe(2000);
  });
  test("a stream's name has 1 to 256 of the letters that are allowed", () => {
    for (const good of ["s222", "直播间_8", "a.b~c@d:e-f", "x".repeat(256), "𝔸".repeat(256)]) expect(isStreamName(good)).toBe(true);
    for (const bad of ["", ".", "..", "a b", "a/b", "a?b", "<b>", "x".repeat(257), "a\n"]) expect(isStreamName(bad)).toBe(false);
  });
});

describe("audit", () => {
  const row = (changes: Partial<AuditRow>): AuditRow => ({
    Number: 1,
    Time: 1,
    AccessKey: "AK1",
    Address: "192.0.2.1",
    Action: "ForbidStream",
    Resource: "demo/push/live/s1",
    RequestId: "",
    Outcome: "0",
    Detail: "",
    ...changes,
  });
  test("rows are found by text, action and outcome", () => {
    const rows = [row({}), row({ Action: "CreateKey", Resource: "AK9" }), row({ Outcome: "8201", AccessKey: "cli" })];
    const find = (filter: object) => filterAudit(rows, { text: "", action: "", outcome: "", ...filter }).map((one) => rows.indexOf(one as AuditRow));
    expect(find({})).toEqual([0, 1, 2]);
    expect(find({ text: " ak9 " })).toEqual([1]);
    expect(find({ action: "ForbidStream" })).toEqual([0, 2]);
    expect(find({ outcome: "done" })).toEqual([0, 1]);
    expect(find({ outcome: "failed", text: "cli" })).toEqual([2]);
  });
  test("a row about a stream leads to it, others lead nowhere", () => {
    expect(streamOf(row({}))).toEqual({ ...names("demo", "live", "push"), Stream: "s1" });
    expect(streamOf(row({ Action: "CreateKey" }))).toBeUndefined();
    expect(streamOf(row({ Resource: "demo/push/live/a/b" }))).toBeUndefined();
    expect(streamOf(row({ Resource: "demo/push//s1" }))).toBeUndefined();
  });
});

describe("urls", () => {
  test("the page's host stands in for the placeholder", () => {
    expect(hostedUrl("http://{host}:8081/live/s.flv", "[::1]")).toBe("http://[::1]:8081/live/s.flv");
  });
  test("a URL is one word of a shell, whatever is in it", () => {
    expect(quoteShell("a'b $(x) `y`")).toBe(`'a'\\''b $(x) \`y\`'`);
    expect(ffmpegCommand("rtmp://h/live/s?t=1&k=2")).toContain("'rtmp://h/live/s?t=1&k=2'");
  });
});

describe("the explorer", () => {
  const forbid = ACTIONS.find((action) => action.name === "ForbidStream");
  test("the actions of both versions are there", () => {
    expect(new Set(ACTIONS.map((action) => action.version))).toEqual(new Set(["2017-01-01", "2026-01-01"]));
    expect(new Set(ACTION_NAMES).size).toBe(ACTIONS.length);
    expect(forbid?.parameters.filter((one) => one.required).map((one) => one.name)).toEqual(["UniqueName", "App", "Pubdomain", "Stream"]);
  });
  test("the texts of the codes of both versions are there", () => {
    expect(retMsgOf("8201")).toBe("stream is not on the blacklist");
    expect(retMsgOf("7002")).toBe("access key is read only");
    expect(retMsgOf("ErrorDryRun")).toBe("");
  });
  test("every action that changes something is asked about first", () => {
    expect(ACTIONS.filter(isChanging).map((action) => action.name).sort()).toEqual([
      "CreateAccessKey",
      "DisableAccessKey",
      "ForbidStream",
      "ResumeStream",
      "RotateAccessKey",
      "SetAccessKeyPolicy",
    ]);
  });
  test("every description of the model is there in Chinese too", () => {
    const texts = ACTIONS.flatMap((action) => [action.doc, ...action.parameters.flatMap((one) => [one.doc, ...(one.unit ? [one.unit] : [])])]);
    expect(texts.filter((text) => describeIn("zh", text).lang !== "zh")).toEqual([]);
    expect(describeIn("zh", "Something new.")).toEqual({ text: "Something new.", lang: "en" });
    expect(describeIn("en", "rows")).toEqual({ text: "rows", lang: "en" });
  });
  test("empty fields are not sent, whole numbers are numbers, other texts go as they are", () => {
    if (!forbid) throw new Error("no ForbidStream in the model");
    expect(parametersOf(forbid, { Stream: "007", ForbidTillUnixTime: "-1", App: "" })).toEqual({ Stream: "007", ForbidTillUnixTime: -1 });
    expect(parametersOf(forbid, { ForbidTillUnixTime: "soon" })).toEqual({ ForbidTillUnixTime: "soon" });
    expect(missingOf(forbid, { UniqueName: "demo", App: "live", Stream: "s" })).toEqual(["Pubdomain"]);
  });
  test("an answer is laid out, and its code read; what is no JSON is shown as it came", () => {
    expect(readAnswer('{"Data":{"RetCode":8201,"RetMsg":"m"},"RequestId":"r"}')).toMatchObject({ isJson: true, retCode: 8201, retMsg: "m", requestId: "r" });
    expect(readAnswer('{"Error":{"Code":"X"}}')).toMatchObject({ isJson: true, retCode: undefined });
    expect(readAnswer("null").isJson).toBe(true);
    expect(readAnswer("<html>")).toEqual({ isJson: false, text: "<html>", retCode: undefined, retMsg: "", requestId: "" });
  });
});
