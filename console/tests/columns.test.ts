import { describe, expect, test } from "vitest";

import { fitColumns, holdOrder, nextSort, sortRows } from "../src/ui/columns";

describe("columns that fit", () => {
  const columns = [
    { id: "a", width: 100, priority: 1 },
    { id: "b", width: 100 },
    { id: "c", width: 100, priority: 3 },
    { id: "d", width: 100, priority: 3 },
    { id: "e", width: 100, priority: 1 },
  ];
  const fitting = (width: number) => fitColumns(columns, width).map((column) => column.id).join("");

  test("all stay while there is room, to the pixel", () => {
    expect(fitting(500)).toBe("abcde");
    expect(fitting(499)).toBe("abce");
  });
  test("the least important leave first, the last of equals before the others", () => {
    expect(fitting(300)).toBe("abe");
    expect(fitting(299)).toBe("ae");
  });
  test("the most important stay even without room", () => {
    expect(fitting(10)).toBe("ae");
  });
});

describe("sorting", () => {
  test("a second click turns the order, another column starts its own way", () => {
    expect(nextSort(undefined, { id: "a" })).toEqual({ column: "a", descending: false });
    expect(nextSort({ column: "a", descending: false }, { id: "a" })).toEqual({ column: "a", descending: true });
    expect(nextSort({ column: "a", descending: true }, { id: "b", descendingFirst: true })).toEqual({ column: "b", descending: true });
  });
  test("equal rows stay as they stood, both ways", () => {
    const rows = [{ n: 1, id: "x" }, { n: 0, id: "y" }, { n: 1, id: "z" }];
    expect(sortRows(rows, (row) => row.n, false).map((row) => row.id)).toEqual(["y", "x", "z"]);
    expect(sortRows(rows, (row) => row.n, true).map((row) => row.id)).toEqual(["x", "z", "y"]);
  });
  test("each row's value is read once", () => {
    let reads = 0;
    sortRows(Array.from({ length: 1000 }, (_, n) => n), (n) => ((reads += 1), -n), false);
    expect(reads).toBe(1000);
  });
  test("a held order keeps places, drops what has gone, and puts what is new last", () => {
    expect(holdOrder(["new", "b", "a"], (row) => row, ["a", "gone", "b"])).toEqual(["a", "b", "new"]);
  });
});
