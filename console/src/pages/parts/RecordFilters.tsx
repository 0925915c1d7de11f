// The filters of History and Errors: which streams, which window, which order.
import type { ReactNode } from "react";

import { useText } from "../../i18n";
import { partsTexts } from "../../i18n/pages/parts";
import { Button } from "../../ui/Button";
import { Select } from "../../ui/Field";
import { TimeRange } from "../../ui/TimeRange";
import { Icon } from "../../ui/Icon";
import { NamePicker, TypedField } from "./NamePicker";
import { HISTORY_SPAN_DAYS } from "./spans";
import type { Records } from "./useRecords";

const HOUR_SECONDS = 3600;
const SPANS_SECONDS = [HOUR_SECONDS, 24 * HOUR_SECONDS, HISTORY_SPAN_DAYS * 24 * HOUR_SECONDS];
const PAGE_SIZES = ["50", "200", "1000", "5000"];

export function RecordFilters({ records, limits, sizes = true, children }: { records: Records; limits: string; sizes?: boolean; children?: ReactNode }) {
  const t = useText(partsTexts);
  const { filters, change, fault } = records;
  const faults = {
    unreadable: t.faultUnreadable,
    reversed: t.faultReversed,
    tooLong: t.faultTooLong,
    tooOld: t.faultTooOld,
    future: t.faultFuture,
  };
  return (
    <section className="panel record-filters" aria-label={t.filters}>
      <div className="filters">
        <NamePicker chosen={records.chosen} />
        <TypedField label={t.stream} value={filters.stream} placeholder={t.allStreams} onSettle={(stream) => change({ stream })} />
        <TimeRange value={records.range} spans={SPANS_SECONDS} onChange={records.setRange} />
        <Select
          label={t.order}
          value={filters.order}
          choices={[
            { value: "0", label: t.newestFirst },
            { value: "1", label: t.oldestFirst },
          ]}
          onChoose={(order) => change({ order })}
        />
        {sizes && (
          <Select
            label={t.rowsPerPage}
            value={filters.rows}
            choices={PAGE_SIZES.map((value) => ({ value, label: value }))}
            onChoose={(rows) => change({ rows })}
          />
        )}
        {children}
        <Button onClick={records.askAgain} pending={records.called.loading}>
          <Icon name="reload" />
          {t.show}
        </Button>
      </div>
      {fault && (
        <p className="fault" role="alert">
          {faults[fault]}
        </p>
      )}
      <p className="small muted">{limits}</p>
    </section>
  );
}
