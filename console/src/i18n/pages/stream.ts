import { dictionary } from "../index";

export const streamTexts = dictionary(
  {
    intro: "…",
  },
  {
    intro: "…",
  },
);
