// A state in a word, with a shape of its own, so that it is told without colour too.
import type { ReactNode } from "react";

export type Tone = "ok" | "warn" | "bad" | "plain";
export type Shape = "circle" | "triangle" | "diamond" | "square" | "ring";

const SHAPES: Record<Shape, ReactNode> = {
  circle: <circle cx="5" cy="5" r="4" fill="currentColor" />,
  triangle: <path d="M5 .8 9.6 9H.4z" fill="currentColor" />,
  diamond: <path d="M5 .2 9.8 5 5 9.8.2 5z" fill="currentColor" />,
  square: <path d="M1 1h8v8H1z" fill="currentColor" />,
  ring: <circle cx="5" cy="5" r="3.4" fill="none" stroke="currentColor" strokeWidth="1.6" />,
};

const SHAPE_OF: Record<Tone, Shape> = { ok: "circle", warn: "triangle", bad: "square", plain: "ring" };

export function Badge({ tone = "plain", shape, children, title }: { tone?: Tone; shape?: Shape; children: ReactNode; title?: string }) {
  return (
    <span className={`badge ${tone}`} title={title}>
      <svg viewBox="0 0 10 10" width="9" height="9" aria-hidden="true">
        {SHAPES[shape ?? SHAPE_OF[tone]]}
      </svg>
      <span>{children}</span>
    </span>
  );
}
