// hls.js without captions and encryption; its package types the whole one only.
declare module "hls.js/light" {
  export { default } from "hls.js";
}
