// Which space, app and publish domain a page is about.
// Rule: pure; what is wanted is kept where it is possible, else the first that is there is taken.
import type { Space } from "../../model";

export interface Names {
  UniqueName: string;
  App: string;
  Pubdomain: string;
}

/** The same as filters in a page's address. */
export interface NameFilters {
  space: string;
  app: string;
  domain: string;
}

export const NO_NAMES: NameFilters = { space: "", app: "", domain: "" };

/** The apps of a space; none stands for any. */
export function appsOf(spaces: readonly Space[], uniqueName: string): readonly string[] {
  return spaces.find((space) => space.UniqueName === uniqueName)?.Apps ?? [];
}

/** The domains that streams of a space are recorded under: no aliases, each once. */
export function recordedDomains(spaces: readonly Space[], uniqueName: string): readonly string[] {
  const space = spaces.find((one) => one.UniqueName === uniqueName);
  return [...new Set(space?.PublishDomains.map((domain) => domain.RecordedAs) ?? [])];
}

/** All the domains that a stream of the space may be pushed to, aliases too. */
export function pushDomains(spaces: readonly Space[], uniqueName: string): readonly string[] {
  return spaces.find((one) => one.UniqueName === uniqueName)?.PublishDomains.map((domain) => domain.Name) ?? [];
}

/** The names that are asked for; as wanted where `spaces` is unknown (undefined). */
export function settleNames(
  spaces: readonly Space[] | undefined,
  wanted: Names,
  domainsOf: typeof recordedDomains = recordedDomains,
): Names {
  if (!spaces) return wanted;
  const space = spaces.find((one) => one.UniqueName === wanted.UniqueName) ?? spaces[0];
  if (!space) return { UniqueName: "", App: "", Pubdomain: "" };
  const domains = domainsOf(spaces, space.UniqueName);
  return {
    UniqueName: space.UniqueName,
    // A space without a list of apps has any: then the wanted one is right.
    App: space.Apps.length === 0 || space.Apps.includes(wanted.App) ? wanted.App : (space.Apps[0] ?? ""),
    Pubdomain: domains.includes(wanted.Pubdomain) ? wanted.Pubdomain : (domains[0] ?? ""),
  };
}

export function areComplete(names: Names): boolean {
  return names.UniqueName !== "" && names.App !== "" && names.Pubdomain !== "";
}
