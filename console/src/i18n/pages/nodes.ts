import { dictionary } from "../index";

export const nodesTexts = dictionary(
  {
    intro: "…",
  },
  {
    intro: "…",
  },
);
