import { expect, test } from "vitest";
import { buildCsv } from "../../src/pages/parts/csv";

const body = (rows: (string | number)[][]) => buildCsv(rows).slice(1);

test("a text begins with a byte order mark and its lines end with CRLF", () => {
  expect(buildCsv([["a", "b"], ["c", 1]])).toBe("\uFEFFa,b\r\nc,1\r\n");
});

test.each([["a,b", '"a,b"'], ['a"b', '"a""b"'], ["a\nb", '"a\nb"'], ["a\r\nb", '"a\r\nb"']])("%j is quoted", (cell, expected) => {
  expect(body([[cell]])).toBe(`${expected}\r\n`);
});

test.each(["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("http://x","y")'])("%j is told to be text", (cell) => {
  const written = body([[cell]]);
  expect(written.startsWith(`"'${cell[0] ?? ""}`)).toBe(true);
  expect(written).toBe(`"'${cell.replaceAll('"', '""')}"\r\n`);
});

test("a formula's character inside a cell is left alone", () => {
  expect(body([["s-1=2"]])).toBe("s-1=2\r\n");
});

test("a number stays a number, also a negative one", () => {
  expect(body([[-5, 1.5]])).toBe("-5,1.5\r\n");
});
