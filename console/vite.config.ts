// Builds the console into the Python package, below /console/.
// Rule: the page's policy allows no inline script or style and no other host, so nothing is inlined and nothing is fetched from elsewhere.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `npm run dev` talks to a running service, or to dev/mock.mjs. Host goes on as it came: the service compares it with
// Origin.
const SERVICE = { target: process.env["OPENKLS_CONSOLE_SERVICE"] ?? "http://127.0.0.1:8080", changeOrigin: false };

export default defineConfig({
  base: "/console/",
  plugins: [react()],
  build: {
    outDir: "../src/openkls/console/static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    license: { fileName: "licenses.txt" }, // what is bundled, and under which terms; it goes into the wheel with the rest
    target: "es2022",
    cssTarget: ["chrome123", "firefox120", "safari17.5"], // light-dark() as written
    chunkSizeWarningLimit: 700, // the players; they are loaded when a preview is started
  },
  server: {
    proxy: {
      "/console/session": SERVICE,
      "/console/call": SERVICE,
      "/console/explain": SERVICE,
      "/console/events": SERVICE,
    },
  },
  test: { include: ["tests/**/*.test.ts", "tests/**/*.test.tsx"], environment: "node" },
});
