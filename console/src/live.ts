// The list of live streams as the page shows it: filtered, sorted, and held still under the pointer.
// Rule: pure; one pass to filter and one sort, whatever the length.
import { healthOf, severityOf, type Health } from "./health";
import { streamKey, type LiveStream } from "./model";
import { holdOrder, sortRows, type Sort, type SortValue } from "./ui/columns";

export interface LiveRow extends LiveStream {
  key: string;
  health: Health;
  /** The worse the larger. */
  severity: number;
}

export interface LiveFilter {
  text: string;
  space: string;
  app: string;
  health: Health | "";
}

export const NO_FILTER: LiveFilter = { text: "", space: "", app: "", health: "" };

export function liveRows(streams: readonly LiveStream[], nowSeconds: number): LiveRow[] {
  return streams.map((stream) => ({
    ...stream,
    key: streamKey(stream),
    health: healthOf(stream, nowSeconds),
    severity: severityOf(stream, nowSeconds),
  }));
}

/** The rows that match all that is asked; each word of the text must be in one of the row's names or addresses. */
export function filterLive(rows: readonly LiveRow[], filter: LiveFilter): LiveRow[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    if (filter.space && row.UniqueName !== filter.space) return false;
    if (filter.app && row.App !== filter.app) return false;
    if (filter.health && row.health !== filter.health) return false;
    if (words.length === 0) return true;
    const text = `${row.Stream}\n${row.App}\n${row.UniqueName}\n${row.Pubdomain}\n${row.ClientIp}\n${row.Node}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

export const SORTS: Record<string, (row: LiveRow) => SortValue> = {
  state: (row) => row.severity,
  stream: (row) => row.Stream.toLowerCase(),
  app: (row) => row.App.toLowerCase(),
  from: (row) => row.ClientIp,
  since: (row) => row.PubTime,
  fps: (row) => row.Curfps,
  flr: (row) => row.FLR,
  in: (row) => row.BwIn,
  real: (row) => row.BwReal,
  diff: (row) => row.BwDiff,
  viewers: (row) => row.OnlineUser,
  out: (row) => row.Bw,
  codec: (row) => `${row.Vcodec} ${String(row.Width * row.Height).padStart(9, "0")}`,
};

/** What is shown: sorted, unless somebody points at the rows; then as they stood, with what is new at the end. */
export function arrangeLive(rows: readonly LiveRow[], filter: LiveFilter, sort: Sort, held: readonly string[] | undefined): LiveRow[] {
  const matching = filterLive(rows, filter);
  const sorted = sortRows(matching, SORTS[sort.column] ?? SORTS["stream"]!, sort.descending);
  return held ? holdOrder(sorted, (row) => row.key, held) : sorted;
}

/** Coding and size of the picture; of a stream without one, the coding of its sound. */
export function pictureOf(row: Pick<LiveStream, "Vcodec" | "Acodec" | "Width" | "Height">): string {
  if (!row.Vcodec) return row.Acodec;
  return row.Width ? `${row.Vcodec} ${row.Width}×${row.Height}` : row.Vcodec;
}
