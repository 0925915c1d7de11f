// A labelled control, with its hint and its fault. Select and Check are fields too.
import { useId, type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes, type TextareaHTMLAttributes } from "react";

import { classNames } from "./Button";

interface Surroundings {
  label: string;
  /** The label is for screen readers alone; the control's placeholder or place tells the rest. */
  labelHidden?: boolean;
  hint?: ReactNode;
  fault?: ReactNode;
  /** How wide the control wants to be, in characters; it shrinks on narrow screens. */
  wide?: number;
}

function Surround({
  id,
  label,
  labelHidden,
  hint,
  fault,
  wide,
  children,
}: Surroundings & { id: string; children: ReactNode }) {
  return (
    <div className="field" style={wide ? { width: `${wide}ch` } : undefined}>
      <label htmlFor={id} className={labelHidden ? "hidden-visually" : undefined}>
        {label}
      </label>
      {children}
      {hint && (
        <p id={`${id}-hint`} className="hint">
          {hint}
        </p>
      )}
      {fault && (
        <p id={`${id}-fault`} className="fault" role="alert">
          {fault}
        </p>
      )}
    </div>
  );
}

function described(id: string, { hint, fault }: Surroundings): string | undefined {
  return classNames(hint ? `${id}-hint` : "", fault ? `${id}-fault` : "") || undefined;
}

type FieldProps = Surroundings & Omit<InputHTMLAttributes<HTMLInputElement>, "id">;

export function Field({ label, labelHidden, hint, fault, wide, ...rest }: FieldProps) {
  const id = useId();
  const around = { label, labelHidden, hint, fault, wide };
  return (
    <Surround id={id} {...around}>
      <input id={id} className="control" aria-describedby={described(id, around)} aria-invalid={fault ? true : undefined} {...rest} />
    </Surround>
  );
}

type AreaProps = Surroundings & Omit<TextareaHTMLAttributes<HTMLTextAreaElement>, "id">;

export function Area({ label, labelHidden, hint, fault, wide, ...rest }: AreaProps) {
  const id = useId();
  const around = { label, labelHidden, hint, fault, wide };
  return (
    <Surround id={id} {...around}>
      <textarea
        id={id}
        className="control mono"
        spellCheck={false}
        aria-describedby={described(id, around)}
        aria-invalid={fault ? true : undefined}
        {...rest}
      />
    </Surround>
  );
}

export interface Choice<T extends string> {
  value: T;
  label: string;
  disabled?: boolean;
}

type SelectProps<T extends string> = Surroundings &
  Omit<SelectHTMLAttributes<HTMLSelectElement>, "id" | "value" | "onChange"> & {
    value: T;
    choices: readonly Choice<T>[];
    onChoose: (value: T) => void;
  };

export function Select<T extends string>({
  label,
  labelHidden,
  hint,
  fault,
  wide,
  value,
  choices,
  onChoose,
  ...rest
}: SelectProps<T>) {
  const id = useId();
  const around = { label, labelHidden, hint, fault, wide };
  return (
    <Surround id={id} {...around}>
      <select
        id={id}
        className="control"
        value={value}
        onChange={(event) => onChoose(event.target.value as T)}
        aria-describedby={described(id, around)}
        aria-invalid={fault ? true : undefined}
        {...rest}
      >
        {choices.map((choice) => (
          <option key={choice.value} value={choice.value} disabled={choice.disabled}>
            {choice.label}
          </option>
        ))}
      </select>
    </Surround>
  );
}

type CheckProps = Omit<InputHTMLAttributes<HTMLInputElement>, "id" | "type"> & { label: ReactNode };

export function Check({ label, ...rest }: CheckProps) {
  return (
    <label className="check">
      <input type="checkbox" {...rest} />
      <span>{label}</span>
    </label>
  );
}
