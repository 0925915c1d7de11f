// A table as CSV (RFC 4180) for a spreadsheet.
//
// Rule: a cell is text, never a formula. A stream's name is chosen by whoever pushes it, and a spreadsheet runs what
// begins with one of these characters; a leading apostrophe is how it is told not to.
const FORMULA_STARTS = /^[=+\-@\t\r]/;
const NEEDS_QUOTES = /[",\r\n]/;
// Without it Excel reads UTF-8 as the system's code page.
const BYTE_ORDER_MARK = "\uFEFF";

export type CsvCell = string | number;

/** The rows as one text, each line ended by CRLF, with a byte order mark in front. */
export function buildCsv(rows: readonly (readonly CsvCell[])[]): string {
  return BYTE_ORDER_MARK + rows.map((row) => `${row.map(buildCell).join(",")}\r\n`).join("");
}

function buildCell(cell: CsvCell): string {
  // A number is ours, and has to stay one: -5 is no formula.
  if (typeof cell === "number") return String(cell);
  const safe = FORMULA_STARTS.test(cell) ? `'${cell}` : cell;
  return safe !== cell || NEEDS_QUOTES.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Hand a text to the browser as a file. */
export function saveAs(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The click only begins the download.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
