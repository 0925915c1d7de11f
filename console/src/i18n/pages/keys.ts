import { dictionary } from "../index";

export const keysTexts = dictionary(
  {
    intro: "…",
  },
  {
    intro: "…",
  },
);
