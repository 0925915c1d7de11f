// The choice among a few; it is a field, and lives beside the others.
export { Select, type Choice } from "./Field";
