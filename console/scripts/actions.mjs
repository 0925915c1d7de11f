// Writes src/pages/parts/actions.generated.ts from the service model, for the API explorer.
//
// Rule: the model is the only source; what this program does not understand ends it with an error.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const models = join(here, "../../src/openkls/model");
const target = join(here, "../src/pages/parts/actions.generated.ts");
const TYPES = new Set(["string", "integer", "long", "double", "boolean"]);

function readActions(model) {
  const version = model.metadata.apiVersion;
  return Object.values(model.operations).map((operation) => ({
    name: operation.name,
    version,
    method: operation.http.method,
    doc: operation.documentation ?? "",
    parameters: readParameters(model, operation),
  }));
}

function readParameters(model, operation) {
  const input = operation.input ? model.shapes[operation.input.shape] : { members: {} };
  const required = new Set(input.required ?? []);
  return Object.entries(input.members ?? {}).map(([name, member]) => {
    const shape = model.shapes[member.shape];
    if (!shape || !TYPES.has(shape.type)) {
      throw new Error(`${operation.name}.${name}: got type ${shape?.type}, expected one of ${[...TYPES].join(", ")}`);
    }
    const x = shape["x-kls"] ?? {};
    const own = member["x-kls"] ?? {};
    return {
      name,
      required: required.has(name),
      type: shape.type === "string" ? "string" : shape.type === "boolean" ? "boolean" : "number",
      doc: member.documentation ?? shape.documentation ?? "",
      unit: own.unit ?? x.unit ?? "",
      example: String(own.example ?? x.example ?? ""),
      choices: shape.enum ?? [],
    };
  });
}

const files = readdirSync(models).filter((name) => name.endsWith(".json")).sort();
const services = files.map((name) => JSON.parse(readFileSync(join(models, name), "utf8"))).filter((model) => "operations" in model);
const actions = services.flatMap(readActions);
const codes = Object.fromEntries(services.flatMap((model) => model["x-kls-ret-codes"] ?? []).map(({ code, text }) => [code, text]));
if (actions.length === 0) throw new Error(`${models}: no service model found`);
const text = `// Generated from the service model by scripts/actions.mjs; edit the model instead.
import type { Action } from "./actions";

export const ACTIONS: readonly Action[] = ${JSON.stringify(actions, null, 2)};

export const RET_CODES: Readonly<Record<string, string>> = ${JSON.stringify(codes, null, 2)};
`;
mkdirSync(dirname(target), { recursive: true });
writeFileSync(target, text);
