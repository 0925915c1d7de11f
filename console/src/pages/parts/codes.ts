// Break codes in words.
import type { Translation } from "../../i18n";
import type { partsTexts } from "../../i18n/pages/parts";
import type { Tone } from "../../ui/Badge";

type Text = Translation<typeof partsTexts.en>;

export interface CodeWords {
  name: string;
  meaning: string;
  advice: string;
}

/** What a break code says to people. */
export function codeWords(code: number, t: Text): CodeWords {
  switch (code) {
    case 200:
      return { name: t.code200, meaning: t.code200Meaning, advice: t.code200Advice };
    case 422:
      return { name: t.code422, meaning: t.code422Meaning, advice: t.code422Advice };
    case 423:
      return { name: t.code423, meaning: t.code423Meaning, advice: t.code423Advice };
    case 425:
      return { name: t.code425, meaning: t.code425Meaning, advice: t.code425Advice };
    case 426:
      return { name: t.code426, meaning: t.code426Meaning, advice: t.code426Advice };
    case 428:
      return { name: t.code428, meaning: t.code428Meaning, advice: t.code428Advice };
    default:
      return { name: t.codeOther, meaning: t.codeOtherMeaning, advice: t.codeOtherAdvice };
  }
}

/** 423 is somebody's decision, 200 no fault at all; the others are faults. */
export function codeTone(code: number): Tone {
  return code === 200 ? "plain" : code === 423 ? "warn" : "bad";
}
