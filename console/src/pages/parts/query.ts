// A page's filters: in the address, so that they can be linked to and are there again after a reload.
// Rule: only what differs from the default stands in the address.
import { useCallback, useEffect, useState } from "react";

import { parseRoute, replaceQuery, useRoute } from "../../route";

export type Filters<K extends string> = Record<K, string>;

/** The defaults with what the address says; names that the page does not know are left out. */
export function readFilters<K extends string>(defaults: Filters<K>, query: Record<string, string>): Filters<K> {
  const read = { ...defaults };
  for (const name of Object.keys(defaults) as K[]) read[name] = query[name] ?? defaults[name];
  return read;
}

/** What stands in the address. */
export function writeFilters<K extends string>(defaults: Filters<K>, filters: Filters<K>): Record<string, string> {
  const names = (Object.keys(defaults) as K[]).filter((name) => filters[name] !== defaults[name]);
  return Object.fromEntries(names.map((name) => [name, filters[name]]));
}

export function useFilters<K extends string>(defaults: Filters<K>): [Filters<K>, (changes: Partial<Filters<K>>) => void] {
  const route = useRoute();
  const [filters, setFilters] = useState(() => readFilters(defaults, route.query));
  // A link to the same page with other filters; what this page puts into the address itself makes no such event.
  useEffect(() => {
    function follow(): void {
      const next = parseRoute(window.location.hash);
      if (next.name === route.name) setFilters(readFilters(defaults, next.query));
    }
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, [defaults, route.name]);
  const change = useCallback(
    (changes: Partial<Filters<K>>) => {
      const next = { ...filters, ...changes };
      setFilters(next);
      try {
        replaceQuery(writeFilters(defaults, next));
      } catch {
        // Safari takes 100 of these in 30 seconds; a filter that is typed fast counts all the same.
      }
    },
    [filters, defaults],
  );
  return [filters, change];
}
