// A page's filters: in the address, so that they can be linked to and are there again after a reload.
// Rule: only what differs from the default stands in the address.
import { useCallback, useState } from "react";

import { replaceQuery, useRoute } from "../../route";

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
  const change = useCallback(
    (changes: Partial<Filters<K>>) => {
      const next = { ...filters, ...changes };
      setFilters(next);
      replaceQuery(writeFilters(defaults, next));
    },
    [filters, defaults],
  );
  return [filters, change];
}
