/** Pixels between cards. */
export const gap = 14;

/** A shadow at the edge of what is scrolled sideways, where there is more; its color is `--shade`. */
export const scrollShadow =
  'background: linear-gradient(to right, var(--card) 40%, transparent) left / 36px 100% no-repeat local, linear-gradient(to left, var(--card) 40%, transparent) right / 36px 100% no-repeat local, linear-gradient(to right, var(--shade), transparent) left / 14px 100% no-repeat, linear-gradient(to left, var(--shade), transparent) right / 14px 100% no-repeat';

/** The view's style. Every rule is bound to its class, so that a page around it keeps its own. */
export const style = `
.saturation-view { --ground: #f6f7f8; --card: #ffffff; --ink: #202124; --soft: #5a5f66; --edge: #d9dce0; --accent: #1a63b0; --focus: #0b57d0; --shade: rgb(0 0 0 / 0.28);
  color-scheme: light; display: block; box-sizing: border-box; min-height: 100%; background: var(--ground); color: var(--ink);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Helvetica, Arial, sans-serif; }
.saturation-view.dark { --ground: #1d1f22; --card: #2a2d31; --ink: #e9eaec; --soft: #b4b9c0; --edge: #464b52; --accent: #8ab8f0; --focus: #a8c7fa; --shade: rgb(255 255 255 / 0.30); color-scheme: dark; }
.saturation-view * { box-sizing: border-box; }
.saturation-view [hidden] { display: none !important; }
.saturation-view .layout { display: grid; grid-template-columns: 260px minmax(0, 1fr); gap: 14px; padding: 14px; max-width: 2000px; margin: 0 auto; }
.saturation-view .side { position: sticky; top: 0; align-self: start; max-height: 100vh; overflow: auto; display: grid; gap: 12px; padding: 2px; }
.saturation-view .panel, .saturation-view .card { background: var(--card); border: 1px solid var(--edge); border-radius: 8px; padding: 10px 14px; min-width: 0; }
.saturation-view h1 { font-size: 17px; margin: 0; font-weight: 650; }
.saturation-view h2 { font-size: 15px; margin: 0; font-weight: 650; overflow-wrap: anywhere; }
.saturation-view .panel > .name, .saturation-view label.name { display: block; font-size: 12px; font-weight: 600; color: var(--soft); margin: 0 0 4px; }
.saturation-view .row { display: flex; align-items: center; gap: 8px; flex-wrap: wrap; }
.saturation-view .panel label.name:not(:first-child), .saturation-view .downloads { margin-top: 10px; }
.saturation-view input[type=range] { flex: 1 1 120px; min-width: 0; width: 100%; accent-color: var(--accent); height: 26px; margin: 0; }
.saturation-view input[type=number] { width: 84px; } .saturation-view input, .saturation-view select, .saturation-view button { font: inherit; color: inherit; }
.saturation-view input[type=number], .saturation-view input[type=search], .saturation-view select { background: var(--card); border: 1px solid var(--edge); border-radius: 5px; padding: 3px 6px; min-height: 28px; }
.saturation-view select, .saturation-view input[type=search] { width: 100%; text-overflow: ellipsis; }
.saturation-view button { background: transparent; border: 1px solid var(--edge); border-radius: 5px; padding: 2px 9px; min-height: 28px; cursor: pointer; }
.saturation-view button:hover { border-color: var(--accent); } .saturation-view button.plain { border-color: transparent; color: var(--accent); padding: 2px 4px; }
.saturation-view :focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; }
.saturation-view output { font-variant-numeric: tabular-nums; }
.saturation-view .run-list { display: grid; gap: 6px; } .saturation-view .run-window { max-height: 250px; overflow: auto; }
.saturation-view .run-rows { position: relative; }
.saturation-view .run { position: absolute; left: 0; right: 0; height: 30px; display: flex; align-items: center; gap: 6px; white-space: nowrap; cursor: pointer; }
.saturation-view .run-name { overflow: hidden; text-overflow: ellipsis; } .saturation-view .run em { color: var(--soft); font-size: 12px; }
.saturation-view .swatch { flex: none; width: 20px; border-top: 3px solid var(--color); } .saturation-view .swatch.val { border-top-style: dashed; }
.saturation-view .cards { display: grid; grid-template-columns: repeat(12, minmax(0, 1fr)); gap: 0 ${gap}px; grid-auto-rows: 1px; align-items: start; }
.saturation-view .card { grid-column: span 6; } .saturation-view .card.wide { grid-column: span 12; }
.saturation-view .card header { display: flex; gap: 8px; align-items: baseline; justify-content: space-between; }
.saturation-view .note { color: var(--soft); margin: 2px 0 6px; font-size: 13px; overflow-wrap: anywhere; }
.saturation-view .legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 13px; margin: 2px 0; } .saturation-view .legend span { display: inline-flex; gap: 6px; align-items: center; overflow-wrap: anywhere; }
.saturation-view .chart { min-width: 0; overflow: hidden; } .saturation-view .chart svg { display: block; max-width: 100%; }
.saturation-view .chart svg text { white-space: pre; }
.saturation-view .heat-map-holder { position: relative; } .saturation-view .heat-map { display: block; cursor: pointer; touch-action: pan-y; }
.saturation-view .tip { position: absolute; z-index: 3; pointer-events: none; background: var(--card); border: 1px solid var(--edge); border-radius: 4px; padding: 2px 7px; font-size: 12px; max-width: 240px; overflow-wrap: anywhere; }
.saturation-view ul.findings { margin: 4px 0; padding-left: 18px; } .saturation-view .findings li { margin-bottom: 7px; max-width: 90ch; overflow-wrap: anywhere; }
.saturation-view code { background: color-mix(in srgb, var(--ink) 9%, transparent); border-radius: 3px; padding: 0 3px; font-size: .92em; overflow-wrap: anywhere; }
.saturation-view a { color: var(--accent); }
.saturation-view .scroll { overflow: auto; max-height: 460px; ${scrollShadow}; }
.saturation-view table { border-collapse: collapse; font-size: 13px; width: 100%; } .saturation-view th, .saturation-view td { text-align: right; padding: 3px 10px; border-bottom: 1px solid var(--edge); white-space: nowrap; font-variant-numeric: tabular-nums; }
.saturation-view th { position: sticky; top: 0; background: var(--card); font-weight: 600; } .saturation-view th:first-child, .saturation-view td:first-child { text-align: left; max-width: 340px; overflow: hidden; text-overflow: ellipsis; }
.saturation-view tr.chosen td { background: color-mix(in srgb, var(--accent) 14%, transparent); }
.saturation-view td button { border: 0; padding: 0; min-height: 24px; text-align: left; max-width: 320px; overflow: hidden; text-overflow: ellipsis; }
.saturation-view .empty { padding: 40px 24px; color: var(--soft); font-size: 16px; max-width: 70ch; } .saturation-view .empty pre { background: var(--card); border: 1px solid var(--edge); border-radius: 6px; padding: 10px 14px; overflow: auto; color: var(--ink); font-size: 13px; }
.saturation-view .message { color: #b2182b; overflow-wrap: anywhere; } .saturation-view.dark .message { color: #ff9c94; }
@media (max-width: 1100px) { .saturation-view .card { grid-column: span 12; } }
@media (max-width: 760px) { .saturation-view .layout { grid-template-columns: minmax(0, 1fr); padding: 8px; gap: 8px; }
  .saturation-view .side { position: static; max-height: none; } .saturation-view .run-window { max-height: 130px; } .saturation-view .panel, .saturation-view .card { padding: 8px 10px; } }
`;
