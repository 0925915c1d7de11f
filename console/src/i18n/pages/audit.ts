import { dictionary } from "../index";

export const auditTexts = dictionary(
  {
    intro: "…",
  },
  {
    intro: "…",
  },
);
