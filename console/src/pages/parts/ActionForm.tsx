// The form of an action, from the service model.
import { useLanguage, useText } from "../../i18n";
import { describeIn } from "../../i18n/pages/actionDocs";
import { explorerTexts } from "../../i18n/pages/explorer";
import { Badge } from "../../ui/Badge";
import { Area, Field, Select } from "../../ui/Field";
import { isChanging, type Action, type ActionParameter } from "./actions";

interface ActionFormProps {
  action: Action;
  values: Readonly<Record<string, string>>;
  onChange: (name: string, value: string) => void;
}

export function ActionForm({ action, values, onChange }: ActionFormProps) {
  const t = useText(explorerTexts);
  return (
    <>
      <div className="panel-head">
        <h2 id="action-name">{action.name}</h2>
        {isChanging(action) && <Badge tone="warn">{t.changes}</Badge>}
        <span className="small muted">
          {action.version} · {action.method}
        </span>
      </div>
      <p className="action-doc">
        <Doc text={action.doc} />
      </p>
      {action.parameters.length === 0 && <p className="muted action-doc">{t.noParameters}</p>}
      <div className="action-form">
        {action.parameters.map((parameter) => (
          <ParameterField key={parameter.name} parameter={parameter} value={values[parameter.name] ?? ""} onChange={(value) => onChange(parameter.name, value)} />
        ))}
      </div>
    </>
  );
}

function ParameterField({ parameter, value, onChange }: { parameter: ActionParameter; value: string; onChange: (value: string) => void }) {
  const t = useText(explorerTexts);
  const { name, required, doc, unit, example, choices } = parameter;
  const language = useLanguage();
  const label = `${name}${required ? ` (${t.required})` : ""}`;
  const hint = <Doc text={doc} />;
  if (choices.length > 0) {
    return (
      <Select
        label={label}
        hint={hint}
        value={value}
        choices={[{ value: "", label: t.unset }, ...choices.map((choice) => ({ value: choice, label: choice }))]}
        onChoose={onChange}
      />
    );
  }
  if (name === "Policy") return <Area label={label} hint={hint} rows={5} value={value} onChange={(event) => onChange(event.target.value)} />;
  return (
    <Field
      label={label}
      hint={hint}
      value={value}
      placeholder={[example && t.example(example), unit && t.unit(describeIn(language, unit).text)].filter(Boolean).join(", ")}
      inputMode={parameter.type === "number" ? "numeric" : undefined}
      autoComplete="off"
      autoCapitalize="off"
      spellCheck={false}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

/** A description of the model in the chosen language: what stands between backticks is code. */
function Doc({ text }: { text: string }) {
  const said = describeIn(useLanguage(), text);
  return <span lang={said.lang}>{said.text.split("`").map((piece, at) => (at % 2 === 1 ? <code key={at}>{piece}</code> : piece))}</span>;
}
