// The texts that all pages share.
import { en } from "./en";
import { dictionary } from "./index";
import { zh } from "./zh";

export const common = dictionary(en, zh);
