// A policy as JSON, begun from a template, with what is wrong with it said while it is typed.
import { useState } from "react";

import { useText, type Translation } from "../../i18n";
import { partsTexts } from "../../i18n/pages/parts";
import { useCall } from "../../hooks";
import type { Spaces } from "../../model";
import { Area, Select } from "../../ui/Field";
import { ACTION_NAMES } from "./actions";
import { buildPolicy, policyFault, policyKind, statementsOf, type PolicyFault, type Template } from "./policy";

type Begin = Template | "keep";

export function PolicyEditor({ value, onChange, begin = "keep", readOnly }: { value: string; onChange: (text: string) => void; begin?: Begin; readOnly?: boolean }) {
  const t = useText(partsTexts);
  const spaces = useCall<Spaces>("DescribeSpaces").data?.Spaces ?? [];
  const [template, setTemplate] = useState<Begin>(begin);
  const [space, setSpace] = useState("");
  const chosenSpace = space || (spaces[0]?.UniqueName ?? "demo");
  const fault = policyFault(value, ACTION_NAMES);
  function take(next: Begin, uniqueName: string): void {
    setTemplate(next);
    if (next !== "keep") onChange(buildPolicy(next, uniqueName));
  }
  const templates: { value: Begin; label: string }[] = [
    { value: "keep", label: t.templateKeep },
    { value: "full", label: t.templateFull },
    { value: "readOnly", label: t.templateReadOnly },
    { value: "oneSpace", label: t.templateOneSpace },
    { value: "banOnly", label: t.templateBanOnly },
    { value: "none", label: t.templateNone },
  ];
  const verdicts = { full: t.policyFull, none: t.policyNone, statements: t.policyGood(statementsOf(value)) };
  return (
    <>
      {!readOnly && (
        <div className="filters">
          <Select
            label={t.policyTemplate}
            value={template}
            choices={templates.filter((one) => one.value !== "keep" || begin === "keep" || template === "keep")}
            onChoose={(next) => take(next, chosenSpace)}
          />
          {template === "oneSpace" && spaces.length > 0 && (
            <Select
              label={t.space}
              value={chosenSpace}
              choices={spaces.map(({ UniqueName }) => ({ value: UniqueName, label: UniqueName }))}
              onChoose={(next) => {
                setSpace(next);
                take("oneSpace", next);
              }}
            />
          )}
        </div>
      )}
      <Area
        label={t.policyText}
        value={value}
        rows={14}
        readOnly={readOnly}
        fault={fault ? faultWords(fault, t) : undefined}
        hint={fault ? undefined : verdicts[policyKind(value.trim())]}
        onChange={(event) => {
          setTemplate("keep");
          onChange(event.target.value);
        }}
      />
    </>
  );
}

/** What is wrong with a policy, in words. */
export function faultWords(fault: PolicyFault, t: Translation<typeof partsTexts.en>): string {
  switch (fault.kind) {
    case "json":
      return t.policyJson(fault.text);
    case "list":
      return t.policyList;
    case "tooMany":
      return t.policyTooMany(fault.count);
    case "tooLarge":
      return t.policyTooLarge(fault.count);
    case "table":
      return t.policyTable(fault.statement);
    case "fields":
      return t.policyFields(fault.statement);
    case "effect":
      return t.policyEffect(fault.statement);
    case "action":
      return t.policyAction(fault.statement, fault.text);
    case "resource":
      return t.policyResource(fault.statement, fault.text);
  }
}
