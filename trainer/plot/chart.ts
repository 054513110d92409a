/**
 * Line charts as SVG text, readable on light and dark ground alike: no background, colours of middle
 * brightness. Pure; it does not know what the numbers mean.
 */

/** One line of a chart. */
export type Series = {
  readonly name: string;
  /** Ascending x. Points whose y is no finite number are left out. */
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Few points, such as evaluations, are easier to see with a dot on each. */
  readonly dots: boolean;
};

/** One chart: its lines over a shared x axis. */
export type Panel = {
  readonly title: string;
  readonly series: readonly Series[];
  /** A value to mark by a thin line, such as chance. */
  readonly mark?: number;
  /** Bounds of y where the figure has natural ones. */
  readonly range?: readonly [low: number, high: number];
};

const WIDTH = 720;
const PANEL_HEIGHT = 220;
const LEFT = 64;
const RIGHT = 16;
const TOP = 34;
const BOTTOM = 26;
/** More points than pixels only cost bytes; each kept one stands for the mean of its neighbours. */
const POINTS_MOST = 360;
const TICKS = 4;
/** Contrast of at least 3 to white and to black (WCAG 2.2, 1.4.11), told apart by the colour-blind. */
const COLOURS = ["#2b83ba", "#d1601f", "#8a6fc8"];
const GREY = "#808080";

function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] ?? GREY;
}

/** Draws panels below each other. @param xLabel what the shared axis counts */
export function drawPanels(panels: readonly Panel[], xLabel: string): string {
  const height = panels.length * PANEL_HEIGHT + 18;
  const body = panels.map((panel, i) => drawPanel(panel, i * PANEL_HEIGHT)).join("\n");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" font-family="system-ui, sans-serif" font-size="12">
${body}
<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${height - 6}" text-anchor="middle" fill="${GREY}">${escapeText(xLabel)}</text>
</svg>
`;
}

function drawPanel(panel: Panel, offset: number): string {
  const series = panel.series.map((one) => ({ ...one, points: thinned(one.points) }));
  const points = series.flatMap((one) => one.points);
  const x = scaleOf(
    points.map(([at]) => at),
    [LEFT, WIDTH - RIGHT],
  );
  const values = [...points.map(([, at]) => at), ...(panel.mark === undefined ? [] : [panel.mark])];
  const y = scaleOf(panel.range ?? values, [PANEL_HEIGHT - BOTTOM, TOP], panel.range === undefined);
  return `<g transform="translate(0 ${offset})">
<text x="${LEFT}" y="18" font-weight="600" fill="${GREY}">${escapeText(panel.title)}</text>
${legend(series)}
${axes(x, y, points.length > 0)}
${panel.mark === undefined ? "" : mark(y, panel.mark)}
${series.map((one, i) => line(one, colourOf(i), x, y)).join("\n")}
</g>`;
}

type Scale = {
  readonly low: number;
  readonly high: number;
  readonly at: (value: number) => number;
};

/** @param padded whether to leave some room at both ends */
function scaleOf(
  values: readonly number[],
  [from, to]: readonly [number, number],
  padded = false,
): Scale {
  const lowest = values.reduce((a, b) => Math.min(a, b), values[0] ?? 0);
  const highest = values.reduce((a, b) => Math.max(a, b), values[0] ?? 1);
  const room = padded ? 0.06 * (highest - lowest) : 0;
  const isFlat = highest === lowest;
  const low = lowest - (isFlat ? 0.5 : room);
  const high = highest + (isFlat ? 0.5 : room);
  return { low, high, at: (value) => from + ((value - low) / (high - low)) * (to - from) };
}

function axes(x: Scale, y: Scale, hasData: boolean): string {
  const rows = ticksOf(y).map((value) => {
    const at = y.at(value).toFixed(1);
    return `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}" stroke="${GREY}" stroke-opacity="0.22"/><text x="${LEFT - 8}" y="${at}" dy="4" text-anchor="end" fill="${GREY}">${label(value)}</text>`;
  });
  const columns = ticksOf(x).map(
    (value) =>
      `<text x="${x.at(value).toFixed(1)}" y="${PANEL_HEIGHT - BOTTOM + 16}" text-anchor="middle" fill="${GREY}">${label(value)}</text>`,
  );
  const base = PANEL_HEIGHT - BOTTOM;
  const axis = `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${base}" y2="${base}" stroke="${GREY}" stroke-opacity="0.6"/>`;
  const empty = `<text x="${WIDTH / 2}" y="${PANEL_HEIGHT / 2}" text-anchor="middle" fill="${GREY}">no figures yet</text>`;
  return [axis, ...(hasData ? [...rows, ...columns] : [empty])].join("\n");
}

/** Round numbers (1, 2 or 5 times a power of ten apart) within the scale. */
function ticksOf({ low, high }: Scale): number[] {
  const rough = (high - low) / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

function label(value: number): string {
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6))
    return value.toExponential(1);
  return String(Number(value.toPrecision(6)));
}

function mark(y: Scale, value: number): string {
  const at = y.at(value).toFixed(1);
  return `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}" stroke="${GREY}" stroke-dasharray="2 4"/>`;
}

function line({ points, dots }: Series, colour: string, x: Scale, y: Scale): string {
  const at = points.map(([px, py]) => [x.at(px).toFixed(1), y.at(py).toFixed(1)] as const);
  if (at.length === 0) return "";
  const path = `<polyline fill="none" stroke="${colour}" stroke-width="1.8" stroke-linejoin="round" points="${at.map((point) => point.join(",")).join(" ")}"/>`;
  const marks = at.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`);
  return dots || at.length === 1 ? [path, ...marks].join("") : path;
}

function legend(series: readonly Series[]): string {
  let x = WIDTH - RIGHT;
  return series
    .map((one, i) => ({ one, colour: colourOf(i) }))
    .reverse()
    .map(({ one, colour }) => {
      x -= 7 * one.name.length;
      const text = `<text x="${x}" y="18" fill="${GREY}">${escapeText(one.name)}</text>`;
      x -= 26;
      const sample = `<line x1="${x}" x2="${x + 20}" y1="14" y2="14" stroke="${colour}" stroke-width="1.8"/>`;
      x -= 16;
      return text + sample;
    })
    .join("");
}

function thinned(points: Series["points"]): Series["points"] {
  const finite = points.filter(([, y]) => Number.isFinite(y));
  const width = Math.ceil(finite.length / POINTS_MOST);
  if (width <= 1) return finite;
  return Array.from({ length: Math.ceil(finite.length / width) }, (_, i) => {
    const group = finite.slice(i * width, (i + 1) * width);
    const mean = (at: 0 | 1) => group.reduce((sum, point) => sum + point[at], 0) / group.length;
    return [mean(0), mean(1)] as const;
  });
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
