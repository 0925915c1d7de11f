// How far back plots reach. Rule: the spans are those that the service keeps.
import { useText } from "../i18n";
import { common } from "../i18n/common";
import type { SpanName } from "../metrics";
import { Select } from "./Field";

export function SpanSelect({ value, onChoose }: { value: SpanName; onChoose: (span: SpanName) => void }) {
  const t = useText(common);
  return (
    <Select<SpanName>
      label={t.plotSpan}
      labelHidden
      value={value}
      choices={[
        { value: "hour", label: t.lastHour },
        { value: "day", label: t.lastDays(1) },
      ]}
      onChoose={onChoose}
    />
  );
}
