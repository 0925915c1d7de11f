// Policies of keys: templates, and what is wrong with one before it is sent.
//
// Rule: the service judges; what passes here may still be refused there, what is refused here never reaches it.
export const STATEMENTS_LIMIT = 100;
export const PATTERNS_LIMIT_CHARACTERS = 10_240;
const RESOURCE_PREFIX = "krn:ksc:kls:";
const RESOURCE_PLACES = 6;
// A text of JSON holds no line feed as such, so that those found in a list stand between its texts.
const TEXT_LIST = /\[\n\s*"(?:[^"\\]|\\.)*"(?:,\n\s*"(?:[^"\\]|\\.)*")*\n\s*\]/g;
const FIELDS = "Action,Effect,Resource";

export type Template = "full" | "readOnly" | "oneSpace" | "banOnly" | "none";
export type PolicyFault =
  | { kind: "json"; text: string }
  | { kind: "list" }
  | { kind: "tooMany"; count: number }
  | { kind: "tooLarge"; count: number }
  | { kind: "table" | "effect" | "fields"; statement: number }
  | { kind: "action" | "resource"; statement: number; text: string };

const READING = ["kls:List*", "kls:Describe*", "kls:*Blacklist"];

/** The text of a template; `unique_name` is the space that "oneSpace" opens. */
export function buildPolicy(template: Template, uniqueName: string): string {
  const all = [{ Effect: "Allow", Action: READING, Resource: "*" }];
  switch (template) {
    case "full":
      return "";
    case "none":
      return "[]";
    case "readOnly":
      return print([
        ...all,
        // These name keys and hand out signed URLs: reading them is more than reading.
        { Effect: "Deny", Action: ["kls:DescribeAccessKeys", "kls:DescribeStreamUrls"], Resource: "*" },
      ]);
    case "oneSpace":
      return print([{ Effect: "Allow", Action: "*", Resource: `${RESOURCE_PREFIX}*:*:${uniqueName}/*/*/*` }]);
    case "banOnly":
      return print([
        {
          Effect: "Allow",
          Action: ["kls:ForbidStream", "kls:ResumeStream", "kls:GetBlacklist", "kls:CheckBlacklist", "kls:DescribeLiveStreams", "kls:DescribeSpaces"],
          Resource: "*",
        },
      ]);
  }
}

/** What is wrong with a policy's text, or null; "" is full rights. `actions` are the service's names. */
export function policyFault(text: string, actions: readonly string[]): PolicyFault | null {
  if (text.trim() === "") return null;
  let statements: unknown;
  try {
    statements = JSON.parse(text);
  } catch (error) {
    return { kind: "json", text: error instanceof Error ? error.message : String(error) };
  }
  if (!Array.isArray(statements)) return { kind: "list" };
  if (statements.length > STATEMENTS_LIMIT) return { kind: "tooMany", count: statements.length };
  let characters = 0;
  for (const [index, statement] of (statements as unknown[]).entries()) {
    const fault = statementFault(statement, index + 1, actions);
    if (fault) return fault;
    const { Action, Resource } = statement as { Action: string | string[]; Resource: string | string[] };
    characters += [Action, Resource].flat().reduce((sum, item) => sum + item.length, 0);
  }
  return characters > PATTERNS_LIMIT_CHARACTERS ? { kind: "tooLarge", count: characters } : null;
}

/** How a policy is called in a list. */
export function policyKind(text: string): "full" | "none" | "statements" {
  if (text === "") return "full";
  return text.replace(/\s/g, "") === "[]" ? "none" : "statements";
}

function statementFault(statement: unknown, number: number, actions: readonly string[]): PolicyFault | null {
  if (typeof statement !== "object" || statement === null || Array.isArray(statement)) return { kind: "table", statement: number };
  if (Object.keys(statement).sort().join() !== FIELDS) return { kind: "fields", statement: number };
  const { Effect, Action, Resource } = statement as Record<string, unknown>;
  if (Effect !== "Allow" && Effect !== "Deny") return { kind: "effect", statement: number };
  const wanted = readTexts(Action);
  const wrong = wanted?.find((text) => !namesAnAction(text, actions));
  if (!wanted || wrong !== undefined) return { kind: "action", statement: number, text: wrong ?? shortly(Action) };
  const resources = readTexts(Resource);
  const bad = resources?.find((text) => !isResource(text));
  return !resources || bad !== undefined ? { kind: "resource", statement: number, text: bad ?? shortly(Resource) } : null;
}

function readTexts(value: unknown): string[] | null {
  const values: unknown[] = Array.isArray(value) ? value : [value];
  return values.length > 0 && values.every((text) => typeof text === "string") ? values : null;
}

function namesAnAction(text: string, actions: readonly string[]): boolean {
  if (text === "*") return true;
  if (!text.startsWith("kls:")) return false;
  return actions.some((action) => fits(text.slice(4), action));
}

/** Whether a name fits a pattern of `*` and `?`; in linear steps, as patterns are typed by people. */
export function fits(pattern: string, name: string): boolean {
  let at = 0;
  let star = -1;
  let retry = 0;
  let place = 0;
  while (at < name.length) {
    if (place < pattern.length && pattern[place] === "*") {
      star = place;
      retry = at;
      place += 1;
    } else if (place < pattern.length && (pattern[place] === "?" || pattern[place] === name[at])) {
      place += 1;
      at += 1;
    } else if (star >= 0) {
      retry += 1;
      at = retry;
      place = star + 1;
    } else {
      return false;
    }
  }
  while (pattern[place] === "*") place += 1;
  return place === pattern.length;
}

function isResource(text: string): boolean {
  if (text === "*") return true;
  if (!text.startsWith(RESOURCE_PREFIX)) return false;
  // A stream's name may hold a colon: only the first two part region and account.
  const [region = "", account = "", ...rest] = text.slice(RESOURCE_PREFIX.length).split(":");
  const places = [region, account, ...rest.join(":").split("/")];
  return places.length === RESOURCE_PLACES && places.every((place) => place !== "");
}

function shortly(value: unknown): string {
  return (JSON.stringify(value) ?? "").slice(0, 80);
}

/** JSON as people read it: lists of texts on one line. A text that is no JSON stays as it is. */
export function indentPolicy(text: string): string {
  try {
    return text === "" ? "" : print(JSON.parse(text));
  } catch {
    return text;
  }
}

function print(statements: unknown): string {
  return JSON.stringify(statements, null, 2).replace(TEXT_LIST, (list) => list.replace(/\s*\n\s*/g, " ").replace("[ ", "[").replace(/ \]$/, "]"));
}

/** How many statements a well-formed policy has; 0 for any other text. */
export function statementsOf(text: string): number {
  try {
    const statements: unknown = JSON.parse(text);
    return Array.isArray(statements) ? statements.length : 0;
  } catch {
    return 0;
  }
}
