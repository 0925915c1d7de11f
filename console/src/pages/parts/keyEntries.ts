// Rows of DescribeAccessKeys. Rule: pure, and never a secret but in KeyPair, which lives as long as its dialog.
export interface KeyEntry {
  AccessKey: string;
  State: "enabled" | "disabled" | "ended";
  Source: "configuration" | "store";
  /** 0: not known. */
  CreateTime: number;
  /** 0: none. */
  ExpireTime: number;
  /** JSON; empty: full rights. */
  Policy: string;
}

/** What is told once, when a pair is made. */
export interface KeyPair {
  AccessKey: string;
  SecretKey: string;
}

/** Whether calls that it signs are accepted. */
export function isRunning(key: KeyEntry): boolean {
  return key.State === "enabled";
}

/** Whether the service would change it: one of the configuration is changed there, one that has ended stays so. */
export function isChangeable(key: KeyEntry): boolean {
  return key.Source === "store" && isRunning(key);
}
