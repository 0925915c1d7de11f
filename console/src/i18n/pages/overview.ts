import { dictionary } from "../index";

export const overviewTexts = dictionary(
  {
    intro: "…",
  },
  {
    intro: "…",
  },
);
