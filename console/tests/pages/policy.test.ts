import { expect, test } from "vitest";
import { PATTERNS_LIMIT_CHARACTERS, STATEMENTS_LIMIT, buildPolicy, fits, indentPolicy, policyFault, policyKind } from "../../src/pages/parts/policy";

const ACTIONS = ["ListRealtimeStreamsInfo", "ForbidStream", "ResumeStream", "GetBlacklist", "CheckBlacklist", "DescribeSpaces", "DescribeLiveStreams", "DescribeStreamUrls", "DescribeAccessKeys"];
const RESOURCE = "krn:ksc:kls:*:*:demo/*/live/*";
const statement = (changes: object = {}) => ({ Effect: "Allow", Action: "kls:List*", Resource: RESOURCE, ...changes });
const fault = (value: unknown) => policyFault(JSON.stringify(value), ACTIONS);

test.each(["full", "readOnly", "oneSpace", "banOnly", "none"] as const)("template %s is a policy", (template) => {
  expect(policyFault(buildPolicy(template, "demo"), ACTIONS)).toBeNull();
});

test("a policy's kind is told apart", () => {
  expect(policyKind("")).toBe("full");
  expect(policyKind(" [ ]\n")).toBe("none");
  expect(policyKind(buildPolicy("banOnly", ""))).toBe("statements");
});

test("what is no list of statements is refused", () => {
  expect(policyFault("{", ACTIONS)?.kind).toBe("json");
  expect(fault({})).toEqual({ kind: "list" });
  expect(fault([1])).toEqual({ kind: "table", statement: 1 });
  expect(fault([statement(), { ...statement(), Condition: {} }])).toEqual({ kind: "fields", statement: 2 });
  expect(fault([statement({ Effect: "allow" })])).toEqual({ kind: "effect", statement: 1 });
});

test("an action has to stand for one that there is", () => {
  expect(fault([statement({ Action: "kls:Forbid*" })])).toBeNull();
  expect(fault([statement({ Action: ["*"] })])).toBeNull();
  expect(fault([statement({ Action: "ForbidStream" })])).toEqual({ kind: "action", statement: 1, text: "ForbidStream" });
  expect(fault([statement({ Action: ["kls:ForbidStream", "kls:Forbidden"] })])).toEqual({ kind: "action", statement: 1, text: "kls:Forbidden" });
  expect(fault([statement({ Action: [] })])?.kind).toBe("action");
});

test("a resource has six places", () => {
  expect(fault([statement({ Resource: ["krn:ksc:kls:r:2000001:demo/push/live/a:b"] })])).toBeNull();
  for (const bad of ["krn:ksc:kls:*:*:demo/*", "krn:ksc:kls:*:*:demo//live/*", "demo/*/*/*", ""]) {
    expect(fault([statement({ Resource: bad })])).toEqual({ kind: "resource", statement: 1, text: bad });
  }
});

test("statements and characters are bounded, at the limit and one beyond", () => {
  const many = (count: number) => Array.from({ length: count }, () => statement({ Action: "*", Resource: "*" }));
  expect(fault(many(STATEMENTS_LIMIT))).toBeNull();
  expect(fault(many(STATEMENTS_LIMIT + 1))).toEqual({ kind: "tooMany", count: STATEMENTS_LIMIT + 1 });
  const long = (count: number) => [statement({ Action: "*", Resource: Array.from({ length: count }, () => "*") })];
  expect(fault(long(PATTERNS_LIMIT_CHARACTERS - 1))).toBeNull();
  expect(fault(long(PATTERNS_LIMIT_CHARACTERS))).toEqual({ kind: "tooLarge", count: PATTERNS_LIMIT_CHARACTERS + 1 });
});

test.each([["List*", "ListX", true], ["*Black*", "GetBlacklist", true], ["Get?lacklist", "GetBlacklist", true], ["*x", "GetBlacklist", false], ["", "A", false], ["**", "A", true]])("%s fits %s: %s", (pattern, name, expected) => {
  expect(fits(pattern, name)).toBe(expected);
});

test("a policy is laid out with its lists on one line, and means the same", () => {
  const policy = [statement({ Action: ["kls:List*", "*"], Resource: ['krn:ksc:kls:*:*:de"mo/*/*/a\\', "*"] }), statement()];
  const laid = indentPolicy(JSON.stringify(policy));
  expect(JSON.parse(laid)).toEqual(policy);
  expect(laid.split("\n")).toHaveLength(12);
  expect(indentPolicy("{ no JSON")).toBe("{ no JSON");
});
