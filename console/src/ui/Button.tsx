// Buttons, and links that look like them.
import type { AnchorHTMLAttributes, ButtonHTMLAttributes, ReactNode } from "react";

type Look = "plain" | "primary" | "danger" | "quiet";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: Look;
  small?: boolean;
  /** Shown as busy, and not to be pressed again. It stays focusable. */
  pending?: boolean;
  children: ReactNode;
}

export function Button({ look = "plain", small, pending, className, onClick, children, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      className={classNames("button", look, small && "small-control", className)}
      aria-busy={pending || undefined}
      aria-disabled={pending || undefined}
      onClick={pending ? (event) => event.preventDefault() : onClick}
      {...rest}
    >
      {children}
    </button>
  );
}

interface LinkProps extends AnchorHTMLAttributes<HTMLAnchorElement> {
  look?: Look;
  small?: boolean;
}

export function ButtonLink({ look = "plain", small, className, ...rest }: LinkProps) {
  return <a className={classNames("button", look, small && "small-control", className)} {...rest} />;
}

export function classNames(...names: (string | false | undefined | null)[]): string {
  return names.filter(Boolean).join(" ");
}
