// Which columns a table shows in the room there is, and in which order its rows stand.
// Rule: pure.
import type { ReactNode } from "react";

export type SortValue = number | string;

export interface Column<Row> {
  id: string;
  head: string;
  /** Said after the head, in small: a unit. */
  unit?: string;
  /** Explains the column, as a tooltip of its head. */
  hint?: string;
  /** The least width in pixels. */
  width: number;
  /** Takes a share of the room that is left. */
  grow?: boolean;
  /** Figures stand at the end. */
  align?: "end";
  /** 1 stays always; the highest number leaves first when there is no room. Default 2. */
  priority?: number;
  cell: (row: Row, active: boolean) => ReactNode;
  /** What the column is sorted by; without it it cannot be. */
  sort?: (row: Row) => SortValue;
  /** The first click sorts descending: for figures, where the large ones are looked for. */
  descendingFirst?: boolean;
}

export interface Sort {
  column: string;
  descending: boolean;
}

/** The columns that fit into a width: those of the highest priority number are left out first, from the end. */
export function fitColumns<C extends { width: number; priority?: number }>(columns: readonly C[], width: number): C[] {
  const kept = [...columns];
  const total = (): number => kept.reduce((sum, column) => sum + column.width, 0);
  while (total() > width) {
    let leaving = -1;
    for (let at = kept.length - 1; at >= 0; at -= 1) {
      const priority = kept[at]!.priority ?? 2;
      if (priority > 1 && (leaving < 0 || priority > (kept[leaving]!.priority ?? 2))) leaving = at;
    }
    if (leaving < 0) break;
    kept.splice(leaving, 1);
  }
  return kept;
}

/** The sort after a click on a column's head. */
export function nextSort(sort: Sort | undefined, column: { id: string; descendingFirst?: boolean }): Sort {
  if (sort?.column === column.id) return { column: column.id, descending: !sort.descending };
  return { column: column.id, descending: column.descendingFirst ?? false };
}

function compare(a: SortValue, b: SortValue): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The rows sorted by a value read once for each; equal ones stay as they stood. O(n log n). */
export function sortRows<Row>(rows: readonly Row[], value: (row: Row) => SortValue, descending: boolean): Row[] {
  const read = rows.map((row) => ({ row, value: value(row) }));
  const sign = descending ? -1 : 1;
  return read.sort((a, b) => sign * compare(a.value, b.value)).map((one) => one.row);
}

/** The rows in the order of `held`, for as long as somebody points at them; those not in it follow. */
export function holdOrder<Row>(rows: readonly Row[], key: (row: Row) => string, held: readonly string[]): Row[] {
  const byKey = new Map(rows.map((row) => [key(row), row]));
  const kept: Row[] = [];
  for (const name of held) {
    const row = byKey.get(name);
    if (row === undefined) continue;
    kept.push(row);
    byKey.delete(name);
  }
  return [...kept, ...byKey.values()];
}
