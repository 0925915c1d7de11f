// The chosen space, app and publish domain, kept from page to page.
// Rule: names only, in memory, forgotten when another account logs in.
import { session } from "../../api";
import { useCall, type Called } from "../../hooks";
import type { Space, Spaces } from "../../model";
import { recordedDomains, settleNames, type NameFilters, type Names } from "./names";

let kept: { accountId: string; names: Names } | undefined;

export interface ChosenNames {
  names: Names;
  /** Undefined while they are not known, or may not be listed: then names are typed. */
  spaces: readonly Space[] | undefined;
  called: Called<Spaces>;
  choose: (changes: Partial<Names>) => void;
}

/** The names that a page is about, from its filters; `change` puts a choice into them. */
export function useNames(
  filters: NameFilters,
  change: (changes: NameFilters) => void,
  domainsOf: typeof recordedDomains = recordedDomains,
): ChosenNames {
  const called = useCall<Spaces>("DescribeSpaces");
  const accountId = session.get()?.AccountId ?? "";
  const last = kept?.accountId === accountId ? kept.names : undefined;
  const wanted: Names = {
    UniqueName: filters.space || (last?.UniqueName ?? ""),
    App: filters.app || (last?.App ?? ""),
    Pubdomain: filters.domain || (last?.Pubdomain ?? ""),
  };
  const spaces = called.data?.Spaces;
  const names = settleNames(spaces, wanted, domainsOf);
  function choose(changes: Partial<Names>): void {
    const next = settleNames(spaces, { ...names, ...changes }, domainsOf);
    kept = { accountId, names: next };
    change({ space: next.UniqueName, app: next.App, domain: next.Pubdomain });
  }
  return { names, spaces, called, choose };
}
