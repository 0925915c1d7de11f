// The service's actions, as the explorer offers them. The list itself is generated from the service model.
import { ACTIONS, RET_CODES } from "./actions.generated";

export interface ActionParameter {
  name: string;
  required: boolean;
  type: "string" | "number" | "boolean";
  doc: string;
  unit: string;
  example: string;
  /** All values that there are; none: any. */
  choices: readonly string[];
}

export interface Action {
  name: string;
  version: string;
  method: string;
  doc: string;
  parameters: readonly ActionParameter[];
}

export { ACTIONS };

/** The text of a RetCode; empty for a code that the model does not have. */
export function retMsgOf(code: string): string {
  return RET_CODES[code] ?? "";
}

/** The names that a policy may speak of. */
export const ACTION_NAMES: readonly string[] = ACTIONS.map((action) => action.name);

const READING = /^(List|Get|Check|Describe)/;

/** Whether calling it changes something in the service. */
export function isChanging(action: { name: string }): boolean {
  return !READING.test(action.name);
}

/** What is sent: empty fields are not, a whole number is one, and what else was typed goes as it is. */
export function parametersOf(action: Action, typed: Readonly<Record<string, string>>): Record<string, string | number> {
  const sent: Record<string, string | number> = {};
  for (const { name, type } of action.parameters) {
    const text = typed[name] ?? "";
    if (text === "") continue;
    sent[name] = type === "number" && /^-?\d{1,15}$/.test(text) ? Number(text) : text;
  }
  return sent;
}

/** The required parameters that are empty. */
export function missingOf(action: Action, typed: Readonly<Record<string, string>>): string[] {
  return action.parameters.filter((one) => one.required && (typed[one.name] ?? "") === "").map((one) => one.name);
}
