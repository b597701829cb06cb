import { scrollShadow } from '../view/style.js';

/** The style of the dashboard's page; its colors are those of the saturation view. */
export const style = `
:root { --ground: #f6f7f8; --card: #ffffff; --ink: #202124; --soft: #5a5f66; --edge: #d9dce0; --accent: #1a63b0; --focus: #0b57d0; color-scheme: light; }
body.dark { --ground: #1d1f22; --card: #2a2d31; --ink: #e9eaec; --soft: #b4b9c0; --edge: #464b52; --accent: #8ab8f0; --focus: #a8c7fa; color-scheme: dark; }
* { box-sizing: border-box; } [hidden] { display: none !important; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Helvetica, Arial, sans-serif; }
body > div > header { position: sticky; top: 0; z-index: 5; display: flex; align-items: baseline; gap: 4px 16px; flex-wrap: wrap; background: var(--card); border-bottom: 1px solid var(--edge); padding: 6px 16px 0; }
h1 { font-size: 16px; font-weight: 650; margin: 0; } .logdir { color: var(--soft); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; max-width: 40vw; }
.tabs { display: flex; gap: 2px; overflow-x: auto; margin-left: auto; max-width: 100%; }
.tabs button { font: inherit; background: none; border: 0; border-bottom: 3px solid transparent; color: var(--soft); padding: 6px 10px 7px; cursor: pointer; white-space: nowrap; }
.tabs button[aria-selected=true] { color: var(--ink); border-color: var(--accent); font-weight: 600; }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 1px; }
.layout { display: grid; grid-template-columns: 250px minmax(0, 1fr); gap: 14px; padding: 14px; align-items: start; }
aside { position: sticky; top: 52px; display: grid; gap: 12px; max-height: calc(100vh - 60px); overflow: auto; padding: 2px; }
.panel, .card { background: var(--card); border: 1px solid var(--edge); border-radius: 8px; padding: 10px 12px; min-width: 0; }
aside .panel { display: grid; gap: 8px; } .name { font-size: 12px; font-weight: 600; color: var(--soft); }
input, select, button { font: inherit; color: inherit; } input[type=search], select { width: 100%; background: var(--card); border: 1px solid var(--edge); border-radius: 5px; padding: 3px 6px; min-height: 28px; }
input[aria-invalid=true] { border-color: #b2182b; }
input[type=file] { width: 100%; min-width: 0; } input[type=range] { flex: 1; min-width: 0; accent-color: var(--accent); height: 24px; margin: 0; } input[type=checkbox] { accent-color: var(--accent); margin: 0; flex: none; }
.row { display: flex; align-items: center; gap: 8px; } output { font-variant-numeric: tabular-nums; }
button.plain { background: none; border: 0; color: var(--accent); padding: 2px 0; min-height: 24px; cursor: pointer; }
.run-panel .run-window { max-height: 40vh; overflow: auto; } .run-panel .run-rows { position: relative; } .run-panel .run { position: absolute; left: 0; right: 0; display: flex; align-items: center; gap: 7px; height: 30px; white-space: nowrap; cursor: pointer; }
.run-panel .run-name { overflow: hidden; text-overflow: ellipsis; } .run-panel .run em { color: #b2182b; font-size: 12px; } body.dark .run-panel .run em { color: #ff9c94; } .run-panel .swatch { flex: none; width: 12px; height: 12px; border-radius: 3px; background: var(--color); }
.status { margin: 0; color: var(--soft); min-height: 1.4em; overflow-wrap: anywhere; } .complaints ul { margin: 6px 0 0; padding-left: 18px; overflow-wrap: anywhere; font-size: 13px; } .complaints summary { color: #b2182b; cursor: pointer; } body.dark .complaints summary { color: #ff9c94; }
.groups { display: grid; gap: 10px; } .group > summary { cursor: pointer; padding: 4px 2px; font-weight: 600; overflow-wrap: anywhere; } .count { color: var(--soft); font-weight: 400; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); gap: 12px; } .card.wide { grid-column: 1 / -1; }
.card header { all: unset; display: flex; gap: 8px; align-items: baseline; } .card header button { font-size: 12px; } .card h2 { flex: 1; font-size: 13px; font-weight: 600; margin: 0 0 4px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .card .body { min-height: 60px; } .card svg { display: block; max-width: 100%; }
.group > button { margin-top: 8px; background: var(--card); border: 1px solid var(--edge); border-radius: 5px; padding: 3px 12px; cursor: pointer; }
.note { color: var(--soft); font-size: 12px; margin: 4px 0 0; } .empty { color: var(--soft); padding: 24px; font-size: 16px; margin: 0; overflow-wrap: anywhere; }
.steps { display: flex; gap: 10px; align-items: center; color: var(--soft); font-size: 12px; margin-bottom: 6px; flex-wrap: wrap; } .stage { display: flex; flex-wrap: wrap; gap: 8px; align-items: flex-start; } .stage > * { max-width: 100%; }
.stage img { max-width: 100%; height: auto; } .stage img.small { image-rendering: pixelated; width: min(100%, 200px); } audio { width: 100%; max-width: 420px; }
.markdown { overflow-wrap: anywhere; max-width: 85ch; } .markdown > :first-child { margin-top: 0; } pre { overflow: auto; background: color-mix(in srgb, var(--ink) 7%, transparent); padding: 8px; border-radius: 5px; } code { background: color-mix(in srgb, var(--ink) 8%, transparent); border-radius: 3px; padding: 0 3px; } pre code { background: none; }
.scroll { overflow-x: auto; max-width: 100%; } table { border-collapse: collapse; font-size: 13px; } th, td { text-align: left; padding: 3px 10px; border-bottom: 1px solid var(--edge); font-variant-numeric: tabular-nums; } .hparams td { white-space: nowrap; } a { color: var(--accent); }
.saturation { margin: -14px; } .settings > summary { display: none; }
@media (max-width: 760px) { .layout { grid-template-columns: minmax(0, 1fr); padding: 8px; } aside { position: static; max-height: none; } .run-panel .run-window { max-height: 130px; } .on-saturation .run-panel { display: none; } .tabs { margin-left: 0; --shade: rgb(0 0 0 / 32%); ${scrollShadow}; } .settings > summary { display: list-item; cursor: pointer; padding: 2px 4px 6px; } .on-saturation .settings { display: none; } .saturation { margin: -8px; } }
`;
