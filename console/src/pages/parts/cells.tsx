// Cells that several tables have. A text that is cut is whole in its title.
import { streamHref } from "../../route";
import type { Names } from "./names";

/** A stream's name that leads to its page; in the tab order only with its row. */
export function StreamLink({ names, stream, active }: { names: Names; stream: string; active: boolean }) {
  return (
    <a href={streamHref({ ...names, Stream: stream })} title={stream} tabIndex={active ? 0 : -1}>
      {stream}
    </a>
  );
}

export function Cut({ text }: { text: string }) {
  return <span title={text}>{text}</span>;
}
