// Rows of the audit. Rule: pure.
import type { StreamName } from "../../model";

export interface AuditRow {
  Number: number;
  Time: number;
  AccessKey: string;
  Address: string;
  Action: string;
  Resource: string;
  RequestId: string;
  Outcome: string;
  Detail: string;
}

const DONE = "0";
const OF_A_STREAM = new Set(["ForbidStream", "ResumeStream"]);

export interface AuditFilter {
  text: string;
  action: string;
  /** "done", "failed", or "" for both. */
  outcome: string;
}

/** The rows that fit; a text is looked for without regard to case in all that a row shows. */
export function filterAudit(rows: readonly AuditRow[], { text, action, outcome }: AuditFilter): readonly AuditRow[] {
  const wanted = text.trim().toLowerCase();
  return rows.filter(
    (row) =>
      (action === "" || row.Action === action) &&
      (outcome === "" || (row.Outcome === DONE) === (outcome === "done")) &&
      (wanted === "" ||
        [row.Resource, row.AccessKey, row.Address, row.Action, row.Outcome, row.Detail, row.RequestId].some((part) => part.toLowerCase().includes(wanted))),
  );
}

/** The stream that a row is about; undefined for a row about something else, or about a name that was no name. */
export function streamOf(row: AuditRow): StreamName | undefined {
  if (!OF_A_STREAM.has(row.Action)) return undefined;
  const parts = row.Resource.split("/");
  const [UniqueName, Pubdomain, App, Stream] = parts;
  if (parts.length !== 4 || !UniqueName || !Pubdomain || !App || !Stream) return undefined;
  return { UniqueName, Pubdomain, App, Stream };
}
