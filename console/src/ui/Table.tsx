// A table of any length: only the rows in sight are in the document.
// Rule: a row has one height; what has no room goes by priority, never by a cut in the middle of a figure.
//
// Theory of operation. It is an ARIA grid: one row is in the tab order, arrow keys, Page Up and Down, Home and End move
// the focus, Enter opens. Controls in a row are reachable by Tab from the focused row. The order of rows is the
// owner's when `onSort` is given, else the table sorts by itself.
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from "react";

import { useText } from "../i18n";
import { common } from "../i18n/common";
import { classNames } from "./Button";
import { fitColumns, nextSort, sortRows, type Column, type Sort } from "./columns";
import { Icon } from "./Icon";

export type { Column, Sort } from "./columns";

const ROW_PX = 34;
const NARROW_ROW_PX = 54;
const HEAD_PX = 32;
/** Below this width a row has a second line, when the owner gives one. */
const NARROW_PX = 560;
const PAGE_ROWS = 12;
const ROW_PADDING_PX = 12;

interface TableProps<Row> {
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  sort?: Sort;
  onSort?: (sort: Sort) => void;
  /** A row was clicked, or Enter pressed on it. */
  onOpen?: (row: Row) => void;
  /** The second line of a row on a narrow screen: what the missing columns told. */
  narrow?: (row: Row) => ReactNode;
  /** Shown instead of rows. */
  empty?: ReactNode;
  /** "fill" keeps the table within the window, with its own scrolling; "natural" is as high as its rows (up to that). */
  height?: "fill" | "natural";
  rowTone?: (row: Row) => "bad" | "warn" | "muted" | undefined;
  /** Somebody points at the rows, or is in them with the keyboard. */
  onAttention?: (there: boolean) => void;
}

export function Table<Row>({
  label,
  columns,
  rows,
  rowKey,
  sort,
  onSort,
  onOpen,
  narrow,
  empty,
  height = "natural",
  rowTone,
  onAttention,
}: TableProps<Row>) {
  const t = useText(common);
  const scroller = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [ownSort, setOwnSort] = useState<Sort>();
  const [activeKey, setActiveKey] = useState<string>();
  const focusWanted = useRef(false);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const measure = (): void => setWidth(element.clientWidth);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const shownSort = onSort ? sort : (ownSort ?? sort);
  const ordered = useMemo(() => {
    const column = columns.find((one) => one.id === shownSort?.column);
    return onSort || !shownSort || !column?.sort ? rows : sortRows(rows, column.sort, shownSort.descending);
  }, [rows, columns, shownSort, onSort]);

  const isNarrow = width > 0 && width < NARROW_PX && narrow !== undefined;
  const shown = useMemo(() => fitColumns(columns, width ? width - ROW_PADDING_PX : Infinity), [columns, width]);
  const template = shown.map((column) => (column.grow ? `minmax(${column.width}px, 1fr)` : `${column.width}px`)).join(" ");
  const rowPx = isNarrow ? NARROW_ROW_PX : ROW_PX;

  const virtual = useVirtualizer({
    count: ordered.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowPx,
    overscan: 4,
    scrollMargin: HEAD_PX,
    scrollPaddingStart: HEAD_PX,
  });
  useEffect(() => virtual.measure(), [rowPx, virtual]);

  const activeAt = useMemo(() => {
    const at = activeKey === undefined ? -1 : ordered.findIndex((row) => rowKey(row) === activeKey);
    return at < 0 ? 0 : at;
  }, [ordered, activeKey, rowKey]);

  useEffect(() => {
    if (!focusWanted.current) return;
    const row = scroller.current?.querySelector<HTMLElement>(`[data-at="${activeAt}"]`);
    if (!row) return;
    focusWanted.current = false;
    row.focus({ preventScroll: true });
  });

  function goTo(at: number): void {
    const row = ordered[at];
    if (row === undefined) return;
    focusWanted.current = true;
    setActiveKey(rowKey(row));
    virtual.scrollToIndex(at);
  }

  function rowOf(element: Element): Row | undefined {
    const at = element.closest("[data-at]")?.getAttribute("data-at");
    return at ? ordered[Number(at)] : undefined;
  }

  function onKey(event: KeyboardEvent): void {
    const inControl = (event.target as HTMLElement).closest("a, button, input, select") !== null;
    const last = ordered.length - 1;
    const steps: Record<string, number> = {
      ArrowDown: activeAt + 1,
      ArrowUp: activeAt - 1,
      PageDown: activeAt + PAGE_ROWS,
      PageUp: activeAt - PAGE_ROWS,
      Home: 0,
      End: last,
    };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      goTo(Math.min(last, Math.max(0, step)));
    } else if (event.key === "Enter" && !inControl && onOpen) {
      const row = ordered[activeAt];
      if (row !== undefined) onOpen(row);
    }
  }

  return (
    <div className={classNames("table", height, isNarrow && "narrow")}>
      <div className="table-scroll" ref={scroller} role="grid" aria-label={label} aria-rowcount={ordered.length + 1} aria-colcount={shown.length}>
        <div role="rowgroup" className="table-head">
          <div role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
            {shown.map((column) => (
              <Head
                key={column.id}
                column={column}
                sort={shownSort}
                text={t.sortedBy(column.head)}
                onSort={() => (onSort ?? setOwnSort)(nextSort(shownSort, column))}
              />
            ))}
          </div>
        </div>
        {ordered.length > 0 ? (
          <div
            role="rowgroup"
            className="table-body"
            style={{ height: virtual.getTotalSize() }}
            onKeyDown={onKey}
            onPointerEnter={() => onAttention?.(true)}
            onPointerLeave={() => onAttention?.(false)}
            onFocus={(event) => {
              onAttention?.(true);
              const row = rowOf(event.target);
              if (row !== undefined) setActiveKey(rowKey(row));
            }}
            onClick={(event) => {
              const row = rowOf(event.target as Element);
              if (onOpen && row !== undefined && !(event.target as Element).closest("a, button, input")) onOpen(row);
            }}
            onBlur={() => onAttention?.(false)}
          >
            {virtual.getVirtualItems().map((item) => {
              const row = ordered[item.index];
              if (row === undefined) return null;
              return (
                <Row
                  key={rowKey(row)}
                  row={row}
                  at={item.index}
                  active={item.index === activeAt}
                  columns={shown}
                  template={template}
                  heightPx={rowPx}
                  opens={onOpen !== undefined}
                  tone={rowTone?.(row)}
                  narrow={isNarrow ? narrow : undefined}
                />
              );
            })}
          </div>
        ) : (
          <div role="rowgroup">
            <div role="row">
              <div role="gridcell" className="table-empty" tabIndex={0}>
                {empty}
              </div>
            </div>
          </div>
        )}
      </div>
    </div>
  );
}

interface RowProps<Row> {
  row: Row;
  at: number;
  active: boolean;
  columns: readonly Column<Row>[];
  template: string;
  heightPx: number;
  opens: boolean;
  tone: string | undefined;
  narrow: ((row: Row) => ReactNode) | undefined;
}

function RowInPlace<Row>({ row, at, active, columns, template, heightPx, opens, tone, narrow }: RowProps<Row>) {
  return (
    <div
      role="row"
      aria-rowindex={at + 2}
      data-at={at}
      tabIndex={active ? 0 : -1}
      className={classNames("table-row", opens && "opens", toneOf(tone))}
      style={{ transform: `translateY(${at * heightPx}px)`, height: heightPx }}
    >
      <div className="table-cells" role="presentation" style={{ gridTemplateColumns: template }}>
        {columns.map((column) => (
          <div key={column.id} role="gridcell" className={column.align === "end" ? "number" : "cut"}>
            {column.cell(row, active)}
          </div>
        ))}
      </div>
      {narrow && (
        <div role="gridcell" className="table-second muted cut">
          {narrow(row)}
        </div>
      )}
    </div>
  );
}

// A row is drawn again only when something of it has changed: scrolling draws the new ones alone.
const Row = memo(RowInPlace) as typeof RowInPlace;

function toneOf(tone: string | undefined): string | undefined {
  return tone && `tone-${tone}`;
}

function Head<Row>({ column, sort, text, onSort }: { column: Column<Row>; sort: Sort | undefined; text: string; onSort: () => void }) {
  const sorted = sort?.column === column.id;
  const words = (
    <>
      {column.head}
      {column.unit && <span className="unit"> {column.unit}</span>}
    </>
  );
  return (
    <div
      role="columnheader"
      aria-sort={column.sort ? (sorted ? (sort.descending ? "descending" : "ascending") : "none") : undefined}
      className={column.align === "end" ? "number" : "cut"}
      title={column.hint}
    >
      {column.sort ? (
        <button type="button" onClick={onSort} title={column.hint ?? text}>
          {words}
          <span className={classNames("sort-mark", sorted && "on")} aria-hidden="true">
            <Icon name={sorted && !sort.descending ? "up" : "down"} size={12} />
          </span>
        </button>
      ) : (
        words
      )}
    </div>
  );
}
