// The choice of space, app and publish domain: from what there is, or typed where that may not be listed.
import { useState } from "react";

import { useText } from "../../i18n";
import { partsTexts } from "../../i18n/pages/parts";
import { Field, Select } from "../../ui/Field";
import { appsOf, recordedDomains, type Names } from "./names";
import type { ChosenNames } from "./useNames";

/** Fields for a row of filters. */
export function NamePicker({ chosen, domainsOf = recordedDomains }: { chosen: ChosenNames; domainsOf?: typeof recordedDomains }) {
  const t = useText(partsTexts);
  const { names, spaces, called, choose } = chosen;
  if (!spaces && called.loading) return null;
  const typed = spaces === undefined;
  const apps = typed ? [] : appsOf(spaces, names.UniqueName);
  return (
    <>
      <NameField name="UniqueName" label={t.space} choices={spaces?.map((space) => space.UniqueName) ?? []} typed={typed} names={names} choose={choose} />
      <NameField name="App" label={t.app} choices={apps} typed={apps.length === 0} names={names} choose={choose} />
      <NameField
        name="Pubdomain"
        label={t.pubdomain}
        choices={typed ? [] : domainsOf(spaces, names.UniqueName)}
        typed={typed}
        names={names}
        choose={choose}
      />
    </>
  );
}

interface NameFieldProps {
  name: keyof Names;
  label: string;
  choices: readonly string[];
  typed: boolean;
  names: Names;
  choose: (changes: Partial<Names>) => void;
}

function NameField({ name, label, choices, typed, names, choose }: NameFieldProps) {
  if (typed) return <TypedField label={label} value={names[name]} onSettle={(text) => choose({ [name]: text })} />;
  return (
    <Select
      label={label}
      value={names[name]}
      choices={choices.map((value) => ({ value, label: value }))}
      onChoose={(value) => choose({ [name]: value })}
    />
  );
}

/** A text that counts when Enter is pressed or the field is left. */
export function TypedField({
  label,
  value,
  placeholder,
  onSettle,
}: {
  label: string;
  value: string;
  placeholder?: string;
  onSettle: (text: string) => void;
}) {
  const [draft, setDraft] = useState<{ of: string; text: string }>();
  const text = draft?.of === value ? draft.text : value;
  function settle(): void {
    const wanted = text.trim();
    setDraft(undefined);
    if (wanted !== value) onSettle(wanted);
  }
  return (
    <Field
      label={label}
      value={text}
      placeholder={placeholder}
      autoComplete="off"
      autoCapitalize="off"
      spellCheck={false}
      wide={15}
      onChange={(event) => setDraft({ of: value, text: event.target.value })}
      onBlur={settle}
      onKeyDown={(event) => {
        if (event.key === "Enter" && !event.nativeEvent.isComposing) settle();
      }}
    />
  );
}
