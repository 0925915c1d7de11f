// Two languages. Each part of the console has a dictionary of its own; English is the type, so that a key that is missing
// in Chinese, or is there too much, does not compile.
// Rule: no text for people outside a dictionary; a text with values in it is a function of them.
import { createKeptStore, useStore } from "../store";

export const LANGUAGES = ["en", "zh"] as const;
export type Language = (typeof LANGUAGES)[number];

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the parameters are inferred for each text
type Text = string | ((...values: any[]) => string);
export type Translation<E> = { [K in keyof E]: E[K] extends (...values: infer A) => string ? (...values: A) => string : string };

export interface Dictionary<E> {
  en: E;
  zh: Translation<E>;
}

export function dictionary<const E extends Record<string, Text>>(en: E, zh: Translation<E>): Dictionary<E> {
  return { en, zh };
}

function preferred(): Language {
  const languages = typeof navigator === "undefined" ? [] : [...navigator.languages, navigator.language];
  for (const language of languages) {
    if (/^zh\b/i.test(language)) return "zh";
    if (/^en\b/i.test(language)) return "en";
  }
  return "en";
}

export const language = createKeptStore<Language>("language", LANGUAGES, preferred());

export function useLanguage(): Language {
  return useStore(language);
}

/** The texts of a dictionary in the chosen language. */
export function useText<E>(texts: Dictionary<E>): Translation<E> {
  return texts[useLanguage()] as Translation<E>;
}
